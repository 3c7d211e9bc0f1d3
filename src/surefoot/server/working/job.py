"""One run that is to be made here, and what has become of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from surefoot.flows import Completed, Logic
    from surefoot.server.served import ServedFlow
    from surefoot.server.working.feed import Feed
    from surefoot.server.working.runs import Order

How = Literal["completed", "failed", "waiting", "accepted", "handed over", "refused"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How this process's part of a run ended.

    `waiting`: it goes on when what it waits for has come. `accepted`: it was recorded before it had begun, and another
    job makes it. `handed over`: another server goes on with it. `refused`:
    it never began, and nothing is recorded of it here.
    """

    how: How
    output: object = None
    error: BaseException | None = None


class Job:
    """One run that is to be made. It is begun once, or withdrawn before."""

    __slots__ = (
        "_done",
        "_lock",
        "_state",
        "_waiting",
        "asked",
        "completed",
        "ended",
        "feed",
        "flow",
        "id",
        "is_recorded",
        "key",
        "logic",
        "order",
        "principal",
        "put_in",
        "tenant",
    )

    def __init__(
        self,
        flow: ServedFlow,
        logic: Callable[[Job], Logic[object]],
        feed: Feed,
        *,
        tenant: str,
        principal: str,
        is_recorded: bool,
        key: str | None = None,
        asked: bytes = b"",
        order: Order | None = None,
    ) -> None:
        """is_recorded: the run is in the ledger, so that whoever forgets this job loses nothing.

        principal: whose run it is. key: its run key, under which others who ask for the same (`asked`, a digest of it)
            find this job. order: by which a run is recorded that nobody was free for.
        """
        self.id = feed.run_id
        self.flow = flow
        self.logic = logic
        self.feed = feed
        self.tenant = tenant
        self.principal = principal
        self.is_recorded = is_recorded
        self.key = key
        self.asked = asked
        self.order = order
        self.put_in = time.monotonic()
        self.completed: Completed | None = None
        """What the run has used, where it completed just now."""
        self.ended: Ended | None = None
        self._lock = threading.Lock()
        self._state: Literal["queued", "begun", "withdrawn"] = "queued"
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[Ended]]] = []

    @property
    def run_id(self) -> str:
        """The run's id; of a key that is taken it turns out to be another than `id`."""
        return self.feed.run_id

    @property
    def is_begun(self) -> bool:
        return self._state == "begun"

    def begin(self) -> bool:
        """Whether it is to be made: it was neither begun nor withdrawn before."""
        return self._leave("begun")

    def withdraw(self) -> bool:
        """Take it back before it is begun; False where it is too late for that."""
        return self._leave("withdrawn")

    def end(self, ended: Ended) -> None:
        """Tell all who wait how it ended."""
        with self._lock:
            self.ended = ended
            waiting, self._waiting = self._waiting, []
        self.feed.end()
        for loop, future in waiting:
            try:
                loop.call_soon_threadsafe(_settle, future, ended)
            except RuntimeError:
                # The loop of whoever waited is closed.
                continue

    async def result(self, seconds: float) -> Ended | None:
        """How it ended; None where it has not within so many seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended] = loop.create_future()
        with self._lock:
            if self.ended is not None:
                return self.ended
            self._waiting.append((loop, future))
        timer = loop.call_later(seconds, _settle, future, None)
        try:
            return await future
        finally:
            timer.cancel()
            with self._lock:
                # Whoever asks again and again about a run that takes long leaves nothing behind.
                self._waiting = [one for one in self._waiting if one[1] is not future]

    def _leave(self, state: Literal["begun", "withdrawn"]) -> bool:
        with self._lock:
            if self._state != "queued":
                return False
            self._state = state
            return True


def _settle(future: asyncio.Future[Ended | None] | asyncio.Future[Ended], ended: Ended | None) -> None:
    if not future.done():
        future.set_result(ended)  # type: ignore[arg-type]
