"""Why a run goes on no further before its flow is through, and how code that runs or waits in it learns of that."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast
from weakref import WeakKeyDictionary

from surefoot.errors import DeadlineExceeded, RunStopped
from surefoot.values import Money


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a run is bounded by unless it says otherwise: seconds from its start, steps, model calls, their cost.

    No call is begun once the known cost of the run's calls has reached `max_cost`. Calls that are under way then come
    on top of it: it is a stop for runs that go astray, while a budget holds money before it is spent. `max_depth` is
    how many steps and flows may lie inside each other, child runs with the runs around them.
    """

    deadline: float | None = None
    max_steps: int = 100_000
    max_calls: int = 10_000
    max_cost: Money | None = None
    max_depth: int = 50


@dataclass(frozen=True, slots=True)
class Suspension:
    """That this process lets go of a run. `is_waiting`: until a message comes, or it is due (since the epoch)."""

    is_waiting: bool = False
    due_ns: int | None = None


class Suspended(BaseException):
    """Takes a flow down without an end, as Ctrl-C does: it is no failure, and code that handles those leaves it."""

    def __init__(self, run_id: str, suspension: Suspension) -> None:
        super().__init__(f"run {run_id} was let go of")
        self.run_id = run_id
        self.suspension = suspension


class Brake:
    """Stops one run: what claims work is refused, what pauses wakes up, what awaits is cancelled.

    Once pulled it stays pulled: code that catches the error gets it again at its next step.
    """

    __slots__ = ("_due", "_lock", "_pulled", "_reason", "_run_id", "_tasks", "is_lifted", "suspension")

    def __init__(self, run_id: str, *, deadline_ns: int | None = None) -> None:
        """`deadline_ns` is wall time. From here on the run's own clock counts, which nobody sets back."""
        self._run_id = run_id
        self._due: float | None = None
        if deadline_ns is not None:
            self._due = time.monotonic() + (deadline_ns - time.time_ns()) / 1e9
        self._reason: RunStopped | None = None
        self._lock = threading.Lock()
        self._pulled = threading.Event()
        self._tasks: list[Stoppable] = []
        self.suspension: Suspension | None = None
        """That, and how, this process lets go of the run; None while it goes on."""
        self.is_lifted = False
        """Whether work is admitted all the same: what a stopped run did is being undone."""

    @property
    def reason(self) -> RunStopped | None:
        """Why the run stops; None while it goes on. A deadline that has passed counts from that moment on."""
        if self._reason is None and self._due is not None and time.monotonic() >= self._due:
            self.pull(DeadlineExceeded(f"run {self._run_id} has passed its deadline", run_id=self._run_id))
        return self._reason

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, not below 0; None where there is none."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def pull(self, reason: RunStopped) -> None:
        """Stop the run, from any thread. The first reason counts."""
        self.refuse(reason)
        self.rouse()

    def refuse(self, reason: RunStopped) -> None:
        """The first half of `pull`: nothing is begun any more, and whoever asks is told why."""
        with self._lock:
            if self._reason is None:
                self._reason = reason

    def rouse(self) -> None:
        """The other half: what waits is woken up, what awaits is cancelled."""
        with self._lock:
            tasks = list(self._tasks)
        self._pulled.set()
        for task in tasks:
            task.cancel()

    def suspend(self, suspension: Suspension) -> None:
        """Let go of the run, from any thread: at its next step, or where it waits, it is taken down without an end."""
        with self._lock:
            if self.suspension is None:
                self.suspension = suspension
        self.rouse()

    def check(self) -> None:
        """Raise `RunStopped` if the run goes on no further, and `Suspended` if it does not in this process."""
        if self._reason is None and self._due is None and self.suspension is None:
            return
        self.check_suspended()
        self.check_stopped()

    def check_suspended(self) -> None:
        """Raise `Suspended` if this process lets go of the run."""
        if self.suspension is not None and not self.is_lifted:
            raise Suspended(self._run_id, self.suspension)

    def check_stopped(self) -> None:
        """Raise `RunStopped` if the run goes on no further."""
        if (reason := self.reason) is not None and not self.is_lifted:
            # A copy, as code in many threads may raise it, and each adds its traceback.
            raise copy.copy(reason)

    def pause(self, seconds: float) -> None:
        """Block for so many seconds, or until the run stops."""
        if self.is_lifted:
            time.sleep(seconds)
            return
        left = self.seconds_left
        self._pulled.wait(seconds if left is None else min(seconds, left))

    def explained(self, raised: Exception) -> Exception:
        """Why a flow ended that `raised` came out of: the stop, if there was one, and then `raised` is its cause."""
        is_stop = isinstance(raised, RunStopped) and raised.run_id == self._run_id
        if is_stop or (reason := self.reason) is None:
            return raised
        stop = copy.copy(reason)
        stop.__cause__ = raised
        return stop

    def is_due_with(self, other: Brake) -> None:
        """Take the deadline of the other, which is the same moment, so that both pass it at once."""
        self._due = other._due

    def stoppable(self) -> Stoppable:
        """A context in which the current asyncio task is cancelled when the run stops."""
        return Stoppable(self, self._tasks, self._lock)


_issued: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()
"""How many cancellations of a task are ours and still stand. Each is touched on the loop of the task alone."""


def _foreign(task: asyncio.Task[object]) -> int:
    """How many cancellations of a task are somebody else's."""
    return task.cancelling() - _issued.get(task, 0)


class Stoppable:
    """Cancels the task that entered it, and raises why instead of `CancelledError`, as `asyncio.timeout` does.

    A run and its child run may share a task, and stop together.
    """

    def __init__(self, brake: Brake, inside: list[Stoppable], lock: threading.Lock) -> None:
        self._brake = brake
        self._inside = inside
        self._lock = lock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._foreign_before = 0
        self._has_cancelled = False

    def __enter__(self) -> Self:
        """Raises `RunStopped` if the run has stopped already."""
        task = asyncio.current_task()
        if task is not None:
            self._task, self._loop = cast("asyncio.Task[object]", task), asyncio.get_running_loop()
            self._foreign_before = _foreign(self._task)
        with self._lock:
            self._inside.append(self)
        try:
            self._brake.check()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        self._leave()
        if task is None:
            return
        if self._has_cancelled:
            task.uncancel()
            _issued[task] -= 1
        # Where somebody else has cancelled the task too, it stays cancelled.
        if isinstance(error, asyncio.CancelledError) and _foreign(task) <= self._foreign_before:
            self._brake.check()

    def cancel(self) -> None:
        """Cancel the task, from any thread."""
        loop = self._loop
        if loop is not None:
            # The loop of a caller that is gone is closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # On the task's own loop: it waits somewhere inside, and gets the cancellation there, or has left.
        if self._task is not None and not self._has_cancelled:
            self._has_cancelled = True
            _issued[self._task] = _issued.get(self._task, 0) + 1
            self._task.cancel()

    def _leave(self) -> None:
        self._task = None
        with self._lock:
            self._inside.remove(self)


def stems_from_stop(error: BaseException) -> bool:
    """Whether an exception is, or comes from, the refusal of a stopped run. Such a failure is no outcome of a step."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or any(link is other for other in seen):
            continue
        if isinstance(link, RunStopped):
            return True
        seen.append(link)
        queue += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            queue += cast("BaseExceptionGroup[BaseException]", link).exceptions
    return False
