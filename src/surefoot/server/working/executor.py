"""Makes runs: sync flows in threads, async ones on a loop; the others wait in a bounded queue."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from surefoot import flows, scope
from surefoot.errors import SurefootError
from surefoot.server.working.job import Ended, Job

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.config import ServeSettings
    from surefoot.server.working.figures import Figures

log = scope.logger("surefoot.server")

_STUCK_S = 2.0
"""Seconds that runs have to reach their next step once they are let go of."""
_LEAST_WAIT_S, _MOST_WAIT_S = 1, 60


class Unavailable(Exception):
    """No run is taken in now; `retry_after` is after how many seconds it may be."""

    def __init__(self, reason: str, told: str, retry_after: int) -> None:
        super().__init__(told)
        self.reason = reason
        self.retry_after = retry_after


class Executor:
    """The runs that this server makes: those that wait for a worker, and those under way.

    Safe to use from any thread. A run that was submitted is safe whatever becomes of this process; its place in the
    queue is not, and needs not be.
    """

    def __init__(self, app: App, settings: ServeSettings, figures: Figures) -> None:
        self.app = app
        self.settings = settings
        self.figures = figures
        self.is_draining = False
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._keys: dict[tuple[str, str, str], Job] = {}
        self._queued = 0
        self._promised = 0
        self._active = 0
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._is_hurried = threading.Event()
        self._sync: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._async: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._seconds = 0.1
        self._base = contextvars.Context()

    # What stands

    @property
    def queued(self) -> int:
        """How many runs wait for a worker."""
        return self._queued

    @property
    def active(self) -> int:
        """How many runs are under way."""
        return self._active

    @property
    def room(self) -> int:
        """How many more runs may wait."""
        return max(0, self.settings.queue - self._queued - self._promised)

    def gauges(self) -> dict[str, float]:
        """What stands now, by name."""
        return {
            "queue_depth": self.queued,
            "queue_size": self.settings.queue,
            "active_runs": self.active,
            "draining": int(self.is_draining),
        }

    def job(self, run_id: str) -> Job | None:
        """The run of this id, where it is made here or waits to be."""
        return self._jobs.get(run_id)

    def job_of_key(self, tenant: str, flow: str, key: str) -> Job | None:
        """The run of this key, where it is made here or waits to be."""
        return self._keys.get((tenant, flow, key))

    # Taking in

    @contextmanager
    def places(self, count: int = 1, *, is_bounded: bool = True) -> Generator[None]:
        """Keep so many places for runs that are put in meanwhile: others may ask while these are recorded.

        Raises `Unavailable` unless so many more may wait; runs that have their place already are not bounded.
        """
        with self._lock:
            if is_bounded:
                self._check_room(count)
            self._promised += count
        try:
            yield
        finally:
            with self._lock:
                self._promised -= count

    def put(self, job: Job, *, is_bounded: bool = True) -> None:
        """Take a run in. Raises `Unavailable`; one that is recorded and was promised its place is not bounded."""
        is_async = job.flow.spec.is_async
        with self._lock:
            if is_bounded:
                self._check_room(1)
            self._queued += 1
            self._jobs[job.id] = job
            if job.key is not None:
                self._keys.setdefault((job.tenant, job.flow.name, job.key), job)
            if is_async:
                self._async.append(job)
        if not is_async:
            self._sync.put(job)
        elif (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._begin_tasks)

    def withdraw(self, job: Job) -> bool:
        """Take a run back that has not begun; False where it has."""
        if not job.withdraw():
            return False
        with self._lock:
            self._queued -= 1
            self._forget(job)
        return True

    def _check_room(self, count: int) -> None:
        if self.is_draining:
            self.figures.refused("draining")
            raise Unavailable("draining", "the server is about to stop: ask another, or this one later", 1)
        if self._queued + self._promised + count > self.settings.queue:
            self.figures.refused("full")
            raise Unavailable(
                "full",
                f"{self._queued:,} runs wait for a worker, and {self.settings.queue:,} may ([serve] queue)",
                self._wait(),
            )

    def _wait(self) -> int:
        """About how many seconds it takes until there is room again."""
        at_a_time = self.settings.workers
        return max(_LEAST_WAIT_S, min(_MOST_WAIT_S, round(self._queued * self._seconds / at_a_time / 4)))

    def _forget(self, job: Job) -> None:
        if self._jobs.get(job.id) is job:
            del self._jobs[job.id]
        place = (job.tenant, job.flow.name, job.key or "")
        if self._keys.get(place) is job:
            del self._keys[place]

    # Making

    def start(self) -> None:
        """Begin to make runs."""
        loop = self._loop = asyncio.new_event_loop()
        named = [("surefoot-tasks", lambda: self._serve_loop(loop))]
        named += [(f"surefoot-worker-{number}", self._work) for number in range(self.settings.workers)]
        for name, target in named:
            # Where a run does not let go of its thread the process ends all the same.
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._sync.get()) is not None:
            # What a flow sets in its context is none of the next one's.
            self._base.copy().run(self._make, job)
            del job

    def _make(self, job: Job) -> None:
        if not self._begun(job):
            return
        began = time.monotonic()
        try:
            with self.app.entered():
                ended = Ended("completed", flows.drive(job.logic(job)))
        except BaseException as error:  # noqa: BLE001  (whatever a flow raises is its own, SystemExit too)
            ended = _ended_by(error)
        self._ended(job, ended, began)

    def _serve_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(self._begin_tasks)
        try:
            loop.run_forever()
            # What has not let go of its run by now is taken down as Ctrl-C takes it down.
            for task in list(self._tasks):
                task.cancel()
            loop.run_until_complete(asyncio.wait(self._tasks, timeout=_STUCK_S)) if self._tasks else None
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _begin_tasks(self) -> None:
        while self._async and len(self._tasks) < self.settings.tasks:
            job = self._async.popleft()
            if self._begun(job):
                loop = asyncio.get_running_loop()
                task = loop.create_task(self._make_async(job), context=self._base.copy())
                self._tasks.add(task)
                task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
        self._begin_tasks()

    async def _make_async(self, job: Job) -> None:
        began = time.monotonic()
        try:
            with self.app.entered():
                ended = Ended("completed", await flows.drive_async(job.logic(job)))
        except BaseException as error:  # noqa: BLE001
            ended = _ended_by(error)
        self._ended(job, ended, began)

    def _begun(self, job: Job) -> bool:
        if not job.begin():
            return False
        with self._lock:
            self._queued -= 1
            self._active += 1
            self._is_idle.clear()
        return True

    def _ended(self, job: Job, ended: Ended, began: float) -> None:
        seconds = time.monotonic() - began
        with self._lock:
            self._active -= 1
            self._forget(job)
            self._seconds += (seconds - self._seconds) * 0.1
            if self._active == 0:
                self._is_idle.set()
        completed = job.completed
        self.figures.ended(job.flow.name, ended.how, seconds, None if completed is None else completed.totals)
        job.end(ended)

    # Ending

    def drain(self) -> None:
        """Take no more runs in, and begin none of those that wait: recorded ones are another server's from here on."""
        with self._lock:
            if self.is_draining:
                return
            self.is_draining = True
            waiting = [job for job in self._jobs.values() if not job.is_begun]
        for job in waiting:
            if self.withdraw(job):
                job.end(Ended("handed over" if job.is_recorded else "refused"))

    def hurry(self) -> None:
        """Wait no longer for runs to end."""
        self._is_hurried.set()

    def _ends_in(self, seconds: float) -> bool:
        """Whether all that is under way ends within so many seconds, or before somebody hurries."""
        until = time.monotonic() + seconds
        while not self._is_idle.wait(min(0.1, max(0.0, until - time.monotonic()))):
            if self._is_hurried.is_set() or time.monotonic() >= until:
                return False
        return True

    def close(self, *, grace: float | None = None) -> None:
        """Let the runs under way end for so many seconds, hand over those that have not, and end the threads."""
        self.drain()
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            # It was closed before, or never began.
            return
        seconds = self.settings.grace if grace is None else grace
        if not self._ends_in(seconds):
            handed = self.app.keeper.hand_over()
            log.warning("%d runs go on elsewhere: they had not ended after %g s", handed, seconds)
            if not self._is_idle.wait(0 if self._is_hurried.is_set() else _STUCK_S):
                stuck = self.app.keeper.give_up()
                log.warning("%d runs are in the midst of a step: it is begun anew elsewhere", stuck)
        for _ in range(self.settings.workers):
            self._sync.put(None)
        loop.call_soon_threadsafe(loop.stop)
        for thread in self._threads:
            # One that a flow does not let go of ends with the process.
            thread.join(timeout=0.5 if self._is_idle.is_set() else 0)
        for job in list(self._jobs.values()):
            job.end(Ended("handed over"))


def _ended_by(error: BaseException) -> Ended:
    if isinstance(error, flows.Suspended):
        return Ended("waiting" if error.suspension.is_waiting else "handed over")
    if not isinstance(error, SurefootError):
        log.debug("a run ended in %s", type(error).__name__, exc_info=error)
    return Ended("failed", error=error)
