"""Runs whose server is gone, and whose client with it: nobody waits for their answers."""

from __future__ import annotations

import time
from contextlib import suppress

from surefoot import scope
from surefoot.app import App
from surefoot.errors import RunEnded, SurefootError
from surefoot.ledger import due_runs
from surefoot.server.gateway.flow import NAME

_log = scope.logger("surefoot.gateway")

_MOST = 1000


def end_orphans(app: App) -> int:
    """Cancel the runs of the gateway that a server left which is gone; how many there were.

    Those under a key of a client are left as they are: it asks again, and is given what there is. What their calls
    hold of budgets is swept as that of every process that is gone. Raises `LedgerError`.
    """
    now = time.time_ns()
    found = due_runs(app.ledger, [NAME], now_ns=now, pending_before_ns=now, most=_MOST)
    ended = 0
    for run in found:
        if run.run_key is not None:
            continue
        with suppress(RunEnded):
            try:
                app.cancel(run.id, reason="its server and its client have gone")
            except SurefootError as error:
                _log.warning("run %s, whose server is gone, was not cancelled: %s", run.id, error)
            else:
                ended += 1
    return ended
