"""ragas in a process of its own, in its parent's hand: launched at the first row, asked, started again, ended."""

from __future__ import annotations

import asyncio
import atexit
import os
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import orjson

from surefoot.errors import ScorerUnavailable
from surefoot.values import Json

CHILD = Path(__file__).with_name("child.py")

Grant: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Json]]
"""Answers what a metric asks: an object, texts or vectors. It may raise `Unfit`."""

_MOST_ATTEMPTS = 3
_SILENCE_SECONDS = 180.0
_LAST_LINES = 12
_READ_BYTES = 65_536
# All that the process sees of the environment: it asks no model, so it needs no key.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HF_HOME", "SYSTEMROOT")


class Unfit(Exception):
    """An answer that ragas is to see as none that fits. It may ask again."""


class _Died(Exception):
    """The process ended while a row was under way."""


def environment() -> dict[str, str]:
    """The variables of a process of ragas: nothing that is a secret, and nothing is sent home."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "RAGAS_DO_NOT_TRACK": "true", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class RagasProcess:
    """ragas of one environment. Nothing runs until it is used.

    It is safe to share between threads and event loops: rows of several evaluations go on side by side. A process that
    died is started again, and a row that it had is scored anew with the answers that were given. A forked process
    starts one of its own. It ends with this process, however that ends.
    """

    def __init__(self, python: Path) -> None:
        self._python = python
        self._lock = threading.Lock()
        self._child: _Child | None = None
        _processes.add(self)

    @property
    def pid(self) -> int | None:
        """The number of the process; None where none runs."""
        child = self._child
        return child.process.pid if child is not None and child.is_alive else None

    async def score(self, request: Mapping[str, Json], grant: Grant) -> Mapping[str, Any]:
        """What ragas says of a row: `value` and `reason`, or `error`.

        Raises `ScorerUnavailable` where it does not start, or dies several times, and what `grant` raises.
        """
        given: list[tuple[Mapping[str, Any], Json | Unfit]] = []
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            child = await asyncio.to_thread(self._ready)
            try:
                return await _led(child, request, _Remembering(grant, list(given), given))
            except _Died as died:
                if not child.was_ready or attempt == _MOST_ATTEMPTS:
                    raise ScorerUnavailable(child.told(attempt)) from died
        raise AssertionError

    def stop(self) -> None:
        """End the process; the next row starts another."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.stop()

    def forget(self) -> None:
        """After a fork, in the new process: the child is the parent's, and a lock may stay locked for ever."""
        self._lock = threading.Lock()
        child, self._child = self._child, None
        if child is not None:
            child.disown()

    def _ready(self) -> _Child:
        with self._lock:
            if self._child is None or not self._child.is_alive:
                if self._child is not None:
                    self._child.stop()
                self._child = _Child.launched(self._python)
            return self._child


@dataclass(slots=True)
class _Remembering:
    """Grants what was asked before, in the same order, by what was answered then: an answer is paid once."""

    grant: Grant
    before: list[tuple[Mapping[str, Any], Json | Unfit]]
    given: list[tuple[Mapping[str, Any], Json | Unfit]]

    async def __call__(self, question: Mapping[str, Any]) -> dict[str, Json]:
        if self.before and self.before[0][0] == question:
            said = self.before.pop(0)[1]
        else:
            # From here on it goes another way.
            self.before.clear()
            try:
                said = await self.grant(question)
            except Unfit as unfit:
                said = unfit
            self.given.append((question, said))
        return {"error": str(said)} if isinstance(said, Unfit) else {"value": said}


async def _led(child: _Child, request: Mapping[str, Json], grant: _Remembering) -> Mapping[str, Any]:
    """Lead one row to its end. Raises `_Died`, and what `grant` raises."""
    talk = child.begin(request)
    try:
        while True:
            said = await talk.hear()
            if "begun" in said:
                talk.is_begun = True
            elif "value" in said or "error" in said:
                talk.is_over = True
                return said
            else:
                question = {name: value for name, value in said.items() if name != "id"}
                answer = await grant(question)
                child.send({"id": talk.number, "answer": cast("Json", answer)})
    finally:
        child.end(talk)


@dataclass(slots=True, eq=False)
class _Talk:
    """A row under way, and the loop on which it is waited for."""

    number: int
    loop: asyncio.AbstractEventLoop
    inbox: asyncio.Queue[Mapping[str, Any] | None] = field(
        default_factory=asyncio.Queue[Mapping[str, Any] | None]
    )
    is_begun: bool = False
    is_over: bool = False

    def put(self, said: Mapping[str, Any] | None) -> None:
        # The loop may have been closed meanwhile; then nobody waits.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.inbox.put_nowait, said)

    async def hear(self) -> Mapping[str, Any]:
        """What the process says next of this row. Raises `_Died`."""
        # A row that has not begun waits for others, which may wait for models.
        seconds = _SILENCE_SECONDS if self.is_begun else None
        try:
            said = await asyncio.wait_for(self.inbox.get(), seconds)
        except TimeoutError:
            said = None
        if said is None:
            raise _Died
        return said


class _Child:
    """A process, the thread that hears it, and the rows that it has."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], python: Path) -> None:
        self.process = process
        self.python = python
        self.was_ready = False
        self._log = log
        self._lock = threading.Lock()
        self._talks: dict[int, _Talk] = {}
        self._last = 0
        self._is_over = False
        threading.Thread(target=self._listen, name="surefoot-ragas", daemon=True).start()

    @classmethod
    def launched(cls, python: Path) -> _Child:
        """Raises `ScorerUnavailable` where there is no such Python."""
        log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the process is
        try:
            process = subprocess.Popen(
                [str(python), "-I", str(CHILD)],
                # Buffers have locks, which a fork could find held.
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
            )
        except OSError as error:
            log.close()
            raise ScorerUnavailable(
                f"ragas cannot be started with {python} ({error.strerror}): make its environment anew with "
                "`surefoot ragas setup`"
            ) from error
        return cls(process, log, python)

    @property
    def is_alive(self) -> bool:
        return not self._is_over and self.process.poll() is None

    def begin(self, request: Mapping[str, Json]) -> _Talk:
        """Hand a row over. Raises `_Died`."""
        with self._lock:
            if self._is_over:
                raise _Died
            self._last += 1
            talk = self._talks[self._last] = _Talk(self._last, asyncio.get_running_loop())
        self.send({**request, "id": talk.number})
        return talk

    def end(self, talk: _Talk) -> None:
        """Nobody waits for this row any more."""
        with self._lock:
            self._talks.pop(talk.number, None)
        if not talk.is_over:
            with suppress(_Died):
                self.send({"id": talk.number, "drop": True})

    def send(self, said: Mapping[str, Json]) -> None:
        """Raises `_Died`."""
        left = memoryview(orjson.dumps(said) + b"\n")
        try:
            with self._lock:
                pipe = self.process.stdin
                if pipe is None or pipe.closed:
                    raise _Died
                while left:
                    left = left[pipe.write(left) :]
        except OSError as error:
            raise _Died from error

    def told(self, attempts: int) -> str:
        """Why there is no score, with the last words of the process."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        how = self.process.poll()
        ended = "did not answer" if how is None else f"ended with status {how}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        said = "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"
        when = f"{attempts} times in the midst of this row" if self.was_ready else "before it was ready"
        return (
            f"ragas' process ({self.python}) {ended} {when}; it said:\n{said}\n"
            "`surefoot ragas setup` looks after its environment."
        )

    def stop(self) -> None:
        """End the process; the rows that it has are told."""
        # It ends as soon as its input does; what it computes then, nobody wants.
        self.process.kill()
        self.process.wait()
        self._close()

    def disown(self) -> None:
        """In a forked process: let go of what belongs to the parent."""
        self._lock = threading.Lock()
        self._is_over = True
        self._close()
        # Else Popen would wait for a process that is no child of this one.
        self.process.returncode = 0

    def _listen(self) -> None:
        """Hand on each line to whoever waits for it, until there are no more."""
        with suppress(OSError, ValueError):
            for line in _lines(self.process.stdout):
                said = orjson.loads(line)
                if "ready" in said:
                    self.was_ready = True
                    continue
                with self._lock:
                    talk = self._talks.get(said["id"])
                if talk is not None:
                    talk.put(said)
        with self._lock:
            self._is_over = True
            talks = list(self._talks.values())
        for talk in talks:
            talk.put(None)

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self._log):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _lines(pipe: IO[bytes] | None) -> Iterator[bytes]:
    """The lines of a pipe without a buffer, each as soon as it is whole."""
    begun = b""
    while pipe is not None and (part := pipe.read(_READ_BYTES)):
        *whole, begun = (begun + part).split(b"\n")
        yield from whole


_processes: weakref.WeakSet[RagasProcess] = weakref.WeakSet()
_shared: dict[Path, RagasProcess] = {}
_shared_lock = threading.Lock()


def shared_process(python: Path) -> RagasProcess:
    """The process's one ragas of this environment, made at first use."""
    with _shared_lock:
        found = _shared.get(python)
        if found is None:
            found = _shared[python] = RagasProcess(python)
        return found


def _after_fork() -> None:
    global _shared_lock  # another thread may have held it when the process was forked
    _shared_lock = threading.Lock()
    for process in list(_processes):
        process.forget()


def _stop_all() -> None:
    for process in list(_processes):
        process.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_stop_all)
