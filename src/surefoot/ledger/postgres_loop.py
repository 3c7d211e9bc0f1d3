"""A thread with a loop that owns the connections to a server, and serves whoever waits for them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from surefoot import scope
from surefoot.errors import LedgerError
from surefoot.ledger.writer import Pending, Settled, Ticks, Turn, settle_all
from surefoot.locks import in_forked_child

E = TypeVar("E")
T = TypeVar("T")

log = scope.logger("surefoot.ledger")

_BATCH = 512
_GRACE_S = 1.0  # for what is being read as the loop ends
_END_S = 2.0  # for what is cancelled then
_LOOK_AGAIN_S = 0.05


class LoopWriter(Generic[E]):
    """The only writer of one store in this process, and the loop that all of its connections live on.

    `commit` gets a batch and returns, for each entry, its result or the error that refused it. While it waits for the
    server, more entries gather: batches grow with the load. `leave` lets go of the connections; it is called once in
    the life of a loop, when nothing runs on it that could open another or put one back.
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
        in_forked_child(self.after_fork)

    def after_fork(self) -> None:
        """In a forked child: what was queued, the thread and all connections are the parent's."""
        self._reset()
        self._on_fork()

    def _reset(self) -> None:
        self._inherited += [self._loop, self._thread]
        self._queue: deque[tuple[E, Pending]] = deque()
        self._turn = Turn(self.nudge)
        self._starting = threading.Lock()
        self._closed = False
        self._no_loop()

    def _no_loop(self) -> None:
        self._loop = None
        self._thread = None
        self._is_ending = False
        self._wake = asyncio.Event()
        self._tick_soon = asyncio.Event()
        self._is_woken = False

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
        if self._is_woken or (self._closed and not self._queue):
            return
        self._is_woken = True
        self._schedule(lambda loop: loop.call_soon_threadsafe(self._wake.set))

    def nudge_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """`nudge`, once the tasks of the loop that can go on now have handed over what they have."""
        self._turn.join(loop)

    def help_or_nudge(self) -> None:
        """Nobody helps here: the connection lives on the loop."""
        self.nudge()

    def call_tick(self) -> None:
        """See to it that the tick is called. Once the ledger is closed nobody waits for one."""
        if self._closed:
            return
        self._schedule(lambda loop: loop.call_soon_threadsafe(self._tick_soon.set))

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it, from any thread but the loop's own.

        Raises `LedgerError` where the loop ends before it.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the ledger's own loop would wait for itself")
        called = self._schedule(lambda loop: asyncio.run_coroutine_threadsafe(work, loop))
        try:
            return called.result()
        except concurrent.futures.CancelledError:
            raise LedgerError("the ledger was closed while it was read; open it again to read it") from None

    def close(self) -> None:
        """Write what is queued, let go of the connections and end the thread. Whoever reads then begins another."""
        self._closed = True
        while True:
            with self._starting:
                if self._loop is None and not self._queue:
                    return
                if not self._is_ending:
                    self._begun().call_soon_threadsafe(self._wake.set)
                thread = self._thread
            if thread is not None:
                thread.join()
            # Somebody may have handed over an entry just before, which the loop came too early for.
            if not self._queue:
                return

    def _schedule(self, schedule: Callable[[asyncio.AbstractEventLoop], T]) -> T:
        """Hand the loop something to do. It begins if there is none, and does not end meanwhile."""
        while True:
            with self._starting:
                if not self._is_ending:
                    return schedule(self._begun())
                ending = self._thread
            # The next loop begins with connections of its own, once this one has let go of those that there are.
            if ending is not None:
                ending.join()

    def _begun(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(self._loop,), name=self._name, daemon=True
            )
            self._thread.start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._serve())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
            with self._starting:
                self._no_loop()

    async def _serve(self) -> None:
        ticking = asyncio.get_running_loop().create_task(self._keep_ticking())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._is_woken = False
                while self._queue:
                    await self._drain()
                if self._closed:
                    break
        finally:
            ticking.cancel()
            await self._end(ticking)

    async def _end(self, ticking: asyncio.Task[None]) -> None:
        """Let go of the connections, once nothing is left that uses one or is about to open one."""
        grace_until = time.monotonic() + _GRACE_S
        # As long as a thread ticks, it may begin to read; a server that is away must not hold it for long.
        while not ticking.done():
            await asyncio.wait({ticking}, timeout=_LOOK_AGAIN_S)
            if time.monotonic() > grace_until:
                for task in _others() - {ticking}:
                    task.cancel()
        with self._starting:
            self._is_ending = True
        # What was scheduled until then is a task only in the next turn.
        await asyncio.sleep(0)
        if tasks := _others():
            await asyncio.wait(tasks, timeout=max(0.0, grace_until - time.monotonic()))
        end_at = time.monotonic() + _END_S
        while (tasks := _others()) and (left := end_at - time.monotonic()) > 0:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=left)
        await self._leave()

    async def _keep_ticking(self) -> None:
        """Call whoever wants it, beside the writing: a tick may read the ledger, and wait for what it reads."""
        loop = asyncio.get_running_loop()
        due: float | None = None
        while True:
            if due is None:
                await self._tick_soon.wait()
            elif (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            self._tick_soon.clear()
            tick = loop.run_in_executor(None, self._call_ticks)
            try:
                pause_or_none = await asyncio.shield(tick)
            except asyncio.CancelledError:
                # The loop is about to end: this tick is the last, and what it reads it still gets.
                await tick
                raise
            due = None if pause_or_none is None else time.monotonic() + pause_or_none
            if self._queue:
                self._wake.set()

    def _call_ticks(self) -> float | None:
        # Behind the end they wanted to write, or their reading took too long, and nobody is left who would mind.
        return self._ticks.call(is_over=lambda: self._closed)

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


def _others() -> set[asyncio.Task[Any]]:
    """All tasks of the running loop but the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}
