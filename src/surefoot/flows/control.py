"""Acting on a run from outside: asking for its end, and seeing to it where nobody else does."""

from __future__ import annotations

import time
from contextlib import suppress

from surefoot.errors import RunBusy, RunEnded
from surefoot.flows import cancelling, opened, undoing
from surefoot.flows.confining import refuse_other_tenant
from surefoot.flows.drive import Durable, Logic, Pause
from surefoot.flows.host import Host, host
from surefoot.flows.options import Options
from surefoot.flows.runner import settle
from surefoot.ledger import RunRecord, Send

_LOOK_AGAIN = 0.1


def cancel(record: RunRecord, *, reason: str, wait: float) -> Logic[RunRecord]:
    """Ask for the end of a run; the run as it is once it has ended, or after `wait` seconds.

    The request is durable. Whoever holds the run ends it at its next step; where nobody does, it is ended here.
    Cancelling a cancelled run changes nothing. Raises `RunEnded` for a completed one, `Compensated` for one of which
    everything is undone, and what `runner.settle` raises where the undoing came to no good end.
    """
    app = host()
    refuse_other_tenant(app, record)
    if record.status == "cancelled":
        return record
    _refuse_completed(record)
    undoing.refuse_compensated(app.ledger, record)
    yield Durable(
        app.ledger.submit(Send(cancelling.request(record.id, reason=app.ledger.payloads.readable(reason))))
    )
    app.keeper.look()
    until = time.monotonic() + wait
    while True:
        record = yield from _settled(app, record)
        if record.status == "cancelled" or time.monotonic() >= until:
            return record
        _refuse_completed(record)
        yield Pause(_LOOK_AGAIN)


def _settled(app: Host, record: RunRecord) -> Logic[RunRecord]:
    """The run as it is now, ended if nobody holds it."""
    if not opened.is_open(record.id):
        # Where somebody holds it, they look into its inbox.
        with suppress(RunBusy):
            yield from settle(record, Options())
    return app.ledger.run(record.id)


def _refuse_completed(record: RunRecord) -> None:
    if record.status == "completed":
        raise RunEnded(
            f"run {record.id} has completed, there is nothing left to cancel: `surefoot show {record.id}` shows what "
            "came out of it"
        )
