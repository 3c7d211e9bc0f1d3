"""Cancelling: the request that waits in a run's inbox, and its adoption by whoever holds the run."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import orjson

from surefoot import ledger as records
from surefoot.flows.openrun import OpenRun
from surefoot.ledger import Adopt, Freight, Message, Outcome, Pending
from surefoot.values import new_id

CANCEL: Final = "cancel"


def request(run_id: str, *, reason: str) -> Message:
    """The message that asks for the end of a run; an inbox is not sealed, so the reason is one that people may read."""
    body = {"reason": reason, "by": _requester()}
    return Message(new_id(), run_id, CANCEL, time.time_ns(), orjson.dumps(body).decode())


def adopt(run: OpenRun, messages: Sequence[Message]) -> Pending | None:
    """Take the requests among the messages as a row of the run's own, and stop the run. None if there are none.

    Nobody needs to wait for the row: it stands before the end of the run, or the messages stay where they are.
    """
    asked = [message for message in messages if message.kind == CANCEL]
    if not asked:
        return None
    first = asked[0]
    said: Any = orjson.loads(first.body)
    reason = str(said.get("reason", ""))
    text = records.encode({**said, "sent_ns": first.sent_ns}, name=CANCEL)
    freight: Freight = []
    with run.lock:
        # In one go with the hand-over: behind the end of a run nothing may stand.
        if not run.is_open or run.is_fenced:
            return None
        outcome = _row(run, first, text, freight)
        pending = run.ledger.submit(Adopt([message.id for message in asked], outcome, freight))
        # Under the same lock: a flow that ends now asks whether it was stopped, and must not complete behind the row.
        run.refuse_cancelled(reason)
    run.cancel(reason)
    return pending


def find(run: OpenRun, history: Sequence[Outcome]) -> None:
    """Stop a run that is being resumed where a former owner, or nobody yet, has taken the request to end it."""
    reason = adopted_reason(run, history)
    if reason is not None:
        run.cancel(reason)
    adopt(run, run.ledger.messages([run.id]))


def adopted_reason(run: OpenRun, history: Iterable[Outcome]) -> str | None:
    """Why a former owner was told to end the run, which it did not live to do; None where it was not."""
    for outcome in history:
        if outcome.kind == "message" and outcome.name == CANCEL:
            said: Any = orjson.loads(run.ledger.exact(run.id, outcome.output))
            return str(said.get("reason", ""))
    return None


def _row(run: OpenRun, message: Message, text: str, freight: Freight) -> Outcome:
    now = time.time_ns()
    return Outcome(
        run_id=run.id,
        key=blake2b(message.id.encode(), digest_size=16).digest(),
        path=b"",
        parent_attempt=0,
        kind="message",
        name=CANCEL,
        digest=b"",
        occurrence=0,
        lane=0,
        attempt=1,
        epoch=run.epoch,
        status="completed",
        started_ns=now,
        ended_ns=now,
        output=run.ledger.payloads.store(run.id, text, freight, tenant=run.tenant),
    )


def _requester() -> str:
    with suppress(OSError, KeyError, ImportError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return socket.gethostname()
