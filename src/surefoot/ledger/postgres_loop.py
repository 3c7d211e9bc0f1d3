"""A thread with a loop that owns the connections to a server, and serves whoever waits for them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from surefoot import scope
from surefoot.errors import LedgerError
from surefoot.ledger.writer import Pending, Settled, Ticks, Turn, settle_all

E = TypeVar("E")
T = TypeVar("T")

log = scope.logger("surefoot.ledger")

_BATCH = 512
_END_S = 2.0  # for tasks that are cancelled as the loop ends


class LoopWriter(Generic[E]):
    """The only writer of one store in this process, and the loop that all of its connections live on.

    `commit` gets a batch and returns, for each entry, its result or the error that refused it. While it waits for the
    server, more entries gather: batches grow with the load. `leave` lets go of the connections.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[E]], Awaitable[Sequence[Settled]]],
        *,
        leave: Callable[[], Awaitable[None]],
        name: str,
        on_fork: Callable[[], None],
    ) -> None:
        self._commit = commit
        self._leave = leave
        self._name = name
        self._on_fork = on_fork
        self._ticks = Ticks()
        # Loops of a parent process: their sockets and selectors are its own, and must not even be closed here.
        self._inherited: list[object] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            mine = weakref.ref(self)

            def after_fork() -> None:
                if (writer := mine()) is not None:
                    writer.after_fork()

            os.register_at_fork(after_in_child=after_fork)

    def after_fork(self) -> None:
        """In a forked child: what was queued, the thread and all connections are the parent's."""
        self._reset()
        self._on_fork()

    def _reset(self) -> None:
        self._inherited += [self._loop, self._thread]
        self._queue: deque[tuple[E, Pending]] = deque()
        self._turn = Turn(self.nudge)
        self._starting = threading.Lock()
        self._loop = None
        self._thread = None
        self._wake: asyncio.Event | None = None
        self._tick_soon: asyncio.Event | None = None
        self._is_woken = False
        self._closed = False

    def submit(self, entry: E) -> Pending:
        """Hand an entry over. Nothing happens until somebody waits for it, or `nudge` is called."""
        if self._closed:
            raise LedgerError("the ledger was closed; open it again to write to it")
        pending = Pending(self)
        self._queue.append((entry, pending))
        return pending

    def on_tick(self, tick: Callable[[], float | None]) -> None:
        """Call `tick` from a thread of ours, beside others; see `surefoot.ledger.Ledger.on_tick`."""
        self._ticks.add(tick)

    def nudge(self) -> None:
        """See to it that the loop writes what is queued."""
        # One call into the loop is enough until it has looked at the queue.
        if self._is_woken:
            return
        self._is_woken = True
        loop, wake = self._running()
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(wake.set)

    def nudge_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """`nudge`, once the tasks of the loop that can go on now have handed over what they have."""
        self._turn.join(loop)

    def help_or_nudge(self) -> None:
        """Nobody helps here: the connection lives on the loop."""
        self.nudge()

    def call_tick(self) -> None:
        """See to it that the tick is called."""
        loop, _ = self._running()
        if self._tick_soon is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tick_soon.set)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it, from any thread but the loop's own."""
        loop, _ = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the ledger's own loop would wait for itself")
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def close(self) -> None:
        """Write what is queued, let go of the connections and end the thread."""
        if self._closed:
            return
        self._closed = True
        if self._thread is None and self._queue:
            self._running()
        if self._thread is not None and self._loop is not None and self._wake is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake.set)
            self._thread.join()
            # Whoever reads after this gets a loop of his own.
            self._loop = self._wake = self._thread = None
            self._is_woken = False

    def _running(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Event]:
        with self._starting:
            if self._loop is None or self._wake is None:
                self._loop, self._wake, self._tick_soon = (
                    asyncio.new_event_loop(),
                    asyncio.Event(),
                    asyncio.Event(),
                )
                self._thread = threading.Thread(
                    target=self._run,
                    args=(self._loop, self._wake, self._tick_soon),
                    name=self._name,
                    daemon=True,
                )
                self._thread.start()
            return self._loop, self._wake

    def _run(self, loop: asyncio.AbstractEventLoop, wake: asyncio.Event, tick_soon: asyncio.Event) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._serve(wake, tick_soon))
        finally:
            # What still waits, as a reader in another thread, gets its end.
            if tasks := asyncio.all_tasks(loop):
                for task in tasks:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(tasks, timeout=_END_S))
            loop.run_until_complete(loop.shutdown_default_executor())
            # A reader that came to its end meanwhile, such as a last look into the inbox, has put its connection back.
            loop.run_until_complete(self._leave())
            loop.close()

    async def _serve(self, wake: asyncio.Event, tick_soon: asyncio.Event) -> None:
        ticking = asyncio.get_running_loop().create_task(self._keep_ticking(wake, tick_soon))
        try:
            while True:
                await wake.wait()
                wake.clear()
                self._is_woken = False
                while self._queue:
                    await self._drain()
                if self._closed:
                    break
        finally:
            ticking.cancel()
            await self._leave()

    async def _keep_ticking(self, wake: asyncio.Event, tick_soon: asyncio.Event) -> None:
        """Call whoever wants it, beside the writing: a tick may read the ledger, and wait for what it reads."""
        loop = asyncio.get_running_loop()
        due: float | None = None
        while True:
            if due is None:
                await tick_soon.wait()
            elif (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            tick_soon.clear()
            pause_or_none = await loop.run_in_executor(None, self._ticks.call)
            due = None if pause_or_none is None else time.monotonic() + pause_or_none
            if self._queue:
                wake.set()

    async def _drain(self) -> None:
        batch: list[tuple[E, Pending]] = []
        with suppress(IndexError):
            while len(batch) < _BATCH:
                batch.append(self._queue.popleft())
        try:
            settled = await self._commit([entry for entry, _ in batch])
        except BaseException as error:
            what = f"the commit was interrupted ({type(error).__name__}: {error})"
            text = f"{what}; `surefoot resume` goes on with the run"
            settle_all(batch, [(None, LedgerError(text)) for _ in batch])
            if not isinstance(error, Exception):
                raise
            log.exception("the ledger's writer: a commit failed")
            return
        settle_all(batch, settled)
