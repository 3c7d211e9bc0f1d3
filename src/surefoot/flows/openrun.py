"""One run in the hands of this process: what all of its scopes share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import Fenced, RunEnded
from surefoot.flows.events import Listener, RunEvent
from surefoot.flows.recall import Recall
from surefoot.ledger import SqliteLedger, Totals

if TYPE_CHECKING:
    from surefoot.flows.running import StepClaim

log = scope.logger("surefoot.flows")


@dataclass(slots=True)
class OpenRun:
    """One run in the hands of this process."""

    id: str
    flow: str
    epoch: int
    ledger: SqliteLedger
    tenant: str = ""
    recall: Recall = field(default_factory=Recall)
    totals: Totals = Totals()
    listener: Listener | None = None
    accepts_divergence: bool = False
    is_open: bool = True
    is_fenced: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    pending: dict[bytes, StepClaim] = field(default_factory=dict[bytes, "StepClaim"])
    causes: list[tuple[object, bytes, str]] = field(default_factory=list[tuple[object, bytes, str]])

    def tell(self, event: RunEvent) -> None:
        """Show an event to whoever watches; a listener that fails must not fail the run."""
        if self.listener is not None:
            try:
                self.listener(event)
            except Exception:
                log.exception("run %s: a listener failed", self.id)

    def check_open(self, what: str) -> None:
        if self.is_fenced:
            raise Fenced(
                f"run {self.id} was taken over by another process; {what} is not recorded here any more"
            )
        if not self.is_open:
            raise RunEnded(
                f"{what} was called after run {self.id} had ended: await every task and join every thread of a flow "
                "before it returns"
            )

    def close(self) -> None:
        """From here on nothing is recorded but the end."""
        with self.lock:
            self.is_open = False

    def failed_steps(self, error: BaseException) -> list[bytes]:
        """Keys of the failures that `error` is or comes from, found by exceptions and the responses they carry.

        What it was raised `from` caused it. What it was merely raised in the handling of may be a failure that was
        survived, and counts only if nothing nearer is found.
        """
        seen: list[BaseException] = []
        keys: list[bytes] = []
        link: BaseException | None = error
        while link is not None and not any(link is other for other in seen):
            seen.append(link)
            raised: tuple[object, ...] = (link, getattr(link, "response", None) or link)
            found = [key for cause, key, _ in self.causes if any(cause is one for one in raised)]
            if isinstance(link, BaseExceptionGroup):
                parts = cast("BaseExceptionGroup[BaseException]", link).exceptions
                found += [key for part in parts for key in self.failed_steps(part)]
            keys = found + keys
            is_context_meant = not keys and not link.__suppress_context__
            link = link.__cause__ or (link.__context__ if is_context_meant else None)
        return keys
