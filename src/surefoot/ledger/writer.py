"""Group commit: what many callers hand over at once becomes durable in one transaction."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from surefoot import scope
from surefoot.errors import LedgerError

E = TypeVar("E")

log = scope.logger("surefoot.ledger")

_BATCH = 512
_FORK_S = 2.0
"""How long a fork waits for a commit. Code that forks inside of a commit would wait for itself."""


class Nudged(Protocol):
    """A writer, as those who wait for it see it."""

    def help_or_nudge(self) -> None:
        """Somebody will wait in this thread."""
        ...

    def nudge_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """Somebody will wait, in a task of this loop, which runs."""
        ...


class Turn:
    """One nudge for all that the tasks of a loop hand over in one turn of it: they are to share a commit."""

    __slots__ = ("_loop", "_nudge")

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge
        # The loop that nudges when its turn is over. Of several loops the last: each sets it for itself alone.
        self._loop: asyncio.AbstractEventLoop | None = None

    def join(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nudge at the end of the loop's turn."""
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._end)

    def _end(self) -> None:
        self._loop = None
        self._nudge()


class Pending:
    """One entry on its way into the ledger; waited on by sync code, awaited by async code."""

    __slots__ = ("_done", "_error", "_future", "_lock", "_result", "_writer")

    def __init__(self, writer: Nudged) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._lock.acquire()
        self._done = False
        self._result: object = None
        self._error: BaseException | None = None
        self._future: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    @property
    def is_done(self) -> bool:
        return self._done

    @property
    def is_refused(self) -> bool:
        """Whether it is known that it is not in the ledger."""
        return self._error is not None

    def result(self) -> object:
        """Wait until it is durable; what the entry returned, or the error with which it was refused."""
        self.wait()
        return self._result

    def wait(self) -> None:
        if not self._done:
            self._writer.help_or_nudge()
            self._lock.acquire()
            self._lock.release()
        self._raise()

    def __await__(self) -> Generator[Any, None, None]:
        if not self._done:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            # Set first, then looked at again: whichever side comes second sees the other.
            self._future = (loop, future)
            if not self._done:
                self._writer.nudge_from(loop)
                yield from future
        self._raise()

    def settle(self, result: object, error: BaseException | None) -> None:
        """Called by the writer once the commit has happened, or has failed for good."""
        self._result, self._error = result, error
        self._done = True
        self._lock.release()

    @property
    def waiting_loop(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None:
        return self._future

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class Ticks:
    """Whoever wants to be called now and then by the thread that writes."""

    def __init__(self) -> None:
        self._ticks: list[Callable[[], float | None]] = []

    def add(self, tick: Callable[[], float | None]) -> None:
        """`tick` returns in how many seconds it wants to be called again; None for when somebody nudges."""
        self._ticks.append(tick)

    def call(self, *, is_over: Callable[[], bool] = lambda: False) -> float | None:
        """Call them all; the shortest time that one of them wants to wait. Once it `is_over`, a failure is nobody's."""
        pauses: list[float] = []
        for tick in self._ticks:
            try:
                pause = tick()
            except Exception:
                if is_over():
                    return None
                # Everybody in this process waits for this thread: it must not end.
                log.exception("the ledger's writer: a tick failed")
                pause = _TICK_AGAIN
            if pause is not None:
                pauses.append(pause)
        return min(pauses, default=None)


_TICK_AGAIN = 1.0

Settled = tuple[object, BaseException | None]


class Writer(Generic[E]):
    """The only writer of one store in this process.

    `commit` gets a batch and returns, for each entry, its result or the error that refused it; if it raises, the
    whole batch has failed. A sync caller that finds nobody writing commits by itself, which saves two thread
    switches; everybody else is served by one thread, whose batches grow with the load.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[E]], Sequence[Settled]],
        *,
        name: str,
        on_fork: Callable[[], None],
    ) -> None:
        self._commit = commit
        self._name = name
        self._on_fork = on_fork
        self._ticks = Ticks()
        self._reset()
        if hasattr(os, "register_at_fork"):
            mine = weakref.ref(self)

            def before_fork() -> None:
                if (writer := mine()) is not None:
                    writer.before_fork()

            def in_parent() -> None:
                if (writer := mine()) is not None:
                    writer.in_parent()

            def after_fork() -> None:
                if (writer := mine()) is not None:
                    writer.after_fork()

            os.register_at_fork(before=before_fork, after_in_parent=in_parent, after_in_child=after_fork)

    def before_fork(self) -> None:
        """Let a commit come to its end: a driver has locks of its own, which nobody could open in the child."""
        self._is_held_by_fork = self._mutex.acquire(timeout=_FORK_S)

    def in_parent(self) -> None:
        """Commits go on."""
        if self._is_held_by_fork:
            self._is_held_by_fork = False
            self._mutex.release()

    def after_fork(self) -> None:
        """In a forked child: what was queued, and the thread, are the parent's."""
        self._reset()
        self._on_fork()

    def _reset(self) -> None:
        """Begin anew, in a forked child too: the thread is not there, and what was queued is the parent's."""
        self._queue: deque[tuple[E, Pending]] = deque()
        self._turn = Turn(self.nudge)
        self._mutex = threading.Lock()
        self._is_held_by_fork = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = False

    def submit(self, entry: E) -> Pending:
        """Hand an entry over. Nothing happens until somebody waits for it, or `nudge` is called."""
        if self._closed:
            raise LedgerError("the ledger was closed; open it again to write to it")
        pending = Pending(self)
        self._queue.append((entry, pending))
        return pending

    def on_tick(self, tick: Callable[[], float | None]) -> None:
        """Call `tick` from the writer's thread, beside others; see `surefoot.ledger.Ledger.on_tick`."""
        self._ticks.add(tick)

    def nudge(self) -> None:
        """See to it that the thread writes what is queued."""
        if self._thread is None:
            self._start()
        try:  # noqa: SIM105  (each step that is awaited comes through here)
            self._wake.release()
        except RuntimeError:
            # Somebody else has woken it.
            pass

    def nudge_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """`nudge`, once the tasks of the loop that can go on now have handed over what they have."""
        self._turn.join(loop)

    def help_or_nudge(self) -> None:
        """Write what is queued in the caller's own thread if nobody else is writing."""
        if self._mutex.acquire(blocking=False):
            try:
                self._drain(_BATCH)
            finally:
                self._mutex.release()
            if self._queue:
                self.nudge()
        else:
            self.nudge()

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._closed = True
        if self._thread is not None:
            self.nudge()
            self._thread.join()
        with self._mutex:
            while self._queue:
                self._drain(_BATCH)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        due: float | None = None
        while not self._closed:
            self._wake.acquire(timeout=-1 if due is None else max(0.0, due - time.monotonic()))
            # Under load the thread is woken far more often than anybody wants to be called.
            if due is None or time.monotonic() >= due:
                pause = self._ticks.call()
                due = None if pause is None else time.monotonic() + pause
            while self._queue:
                with self._mutex:
                    self._drain(_BATCH)

    def _drain(self, limit: int) -> None:
        queue, batch = self._queue, list[tuple[E, Pending]]()
        # Nobody else takes from it: whoever drains holds the mutex.
        while queue and len(batch) < limit:
            batch.append(queue.popleft())
        if not batch:
            return
        try:
            settled = self._commit([entry for entry, _ in batch])
        except Exception as error:
            settled = [(None, _own(error)) for _ in batch]
        except BaseException:
            # Ctrl-C in the thread that wrote for all: the others must not wait for ever.
            text = "the commit was interrupted; `surefoot resume` goes on with the run"
            settle_all(batch, [(None, LedgerError(text)) for _ in batch])
            raise
        settle_all(batch, settled)


def settle_all(batch: Sequence[tuple[object, Pending]], settled: Sequence[Settled]) -> None:
    """Tell everybody who waits what became of his entry."""
    futures: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for (_, pending), (result, error) in zip(batch, settled, strict=True):
        pending.settle(result, error)
        if waiting := pending.waiting_loop:
            futures.setdefault(waiting[0], []).append(waiting[1])
    for loop, done in futures.items():
        # The loop may have been closed by a caller that no longer waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake_all, done)


def _own(error: Exception) -> Exception:
    """The error for one waiter: what a run adds to it (notes, its traceback) must not show in another run."""
    try:
        twin = copy.copy(error)
    except Exception:
        return error
    twin.__cause__ = error.__cause__
    return twin


def _wake_all(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
