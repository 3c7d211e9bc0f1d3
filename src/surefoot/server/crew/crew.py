"""Whoever keeps the processes of a server: begins them, begins those anew that end, and stops all of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surefoot import scope
from surefoot.server.crew.member import Member

log = scope.logger("surefoot.server")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_SETTLED_S = 30.0
"""A process that lasted so long has begun well: the next one is begun at once."""


@dataclass(slots=True)
class _Post:
    """The place of one process, whichever has it now."""

    slot: int
    listening: socket.socket
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    told: dict[str, Any] | None = None
    is_ready: threading.Event = field(default_factory=threading.Event)


class Crew:
    """The processes of one server, each of which is the same command with a socket of its own, or the one there is."""

    def __init__(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        listening: Sequence[socket.socket],
        environs: Sequence[Mapping[str, str]],
    ) -> None:
        """command: what begins a process, which is given a `Member` behind it, and then the arguments.

        environs: of each process, what it has in its environment beside that of this one.
        """
        self._command = command
        self._arguments = arguments
        self._posts = [_Post(slot, *of) for slot, of in enumerate(zip(listening, environs, strict=True))]
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._folder = Path()
        self._lifeline = -1

    def run(self, announce: Callable[[Mapping[str, Any]], object]) -> int:
        """Keep the processes until SIGTERM, SIGINT or Ctrl-C; their exit code: 0 unless one could not begin or end.

        The first one is begun before the others, so that what keeps all of them from beginning is said once. One that
        ends is begun again; what it was at is gone on with by the others. `announce` is told what the first one says
        of itself, once all are ready.
        """
        with self._shared(), self._signalled():
            threads = [threading.Thread(target=self._keep, args=(post,), daemon=True) for post in self._posts]
            for number, thread in enumerate(threads):
                thread.start()
                if number == 0:
                    self._wait_for(self._posts[0])
            for post in self._posts:
                self._wait_for(post)
            if not self._is_over.is_set() and (told := self._posts[0].told) is not None:
                announce(told)
            for thread in threads:
                # In parts: on some systems nothing else lets a signal in.
                while thread.is_alive():
                    thread.join(timeout=0.5)
        return max((abs(post.code) for post in self._posts if post.code is not None), default=0)

    def stop(self) -> None:
        """Have all processes stop, as by SIGTERM; a second time they end now."""
        with self._lock:
            self._is_over.set()
            for post in self._posts:
                if post.process is not None:
                    with suppress(ProcessLookupError):
                        post.process.send_signal(signal.SIGTERM)

    def _keep(self, post: _Post) -> None:
        pause = _FIRST_PAUSE_S
        while (process := self._begin(post)) is not None:
            began = time.monotonic()
            post.code = process.wait()
            if self._is_over.is_set():
                # Told before it listened to signals: it had nothing to end yet.
                post.code = 0 if post.code == -signal.SIGTERM else post.code
                break
            if post.told is None:
                # What keeps it from beginning keeps the next one, and is said already.
                self.stop()
                break
            pause = (
                _FIRST_PAUSE_S if time.monotonic() - began >= _SETTLED_S else min(_LONGEST_PAUSE_S, pause * 2)
            )
            log.error(
                "process %d of the server ended with code %d: another takes its place in %g s, and the others go on "
                "with its runs",
                *(process.pid, post.code, pause),
            )
            post.code = None
            self._is_over.wait(pause)
        post.is_ready.set()

    def _begin(self, post: _Post) -> subprocess.Popen[bytes] | None:
        """A new process in a place; None where all are about to stop."""
        told, ready = os.pipe()
        member = Member(
            *(post.slot, len(self._posts)), post.listening.fileno(), self._lifeline, ready, self._folder
        )
        try:
            with self._lock:
                if self._is_over.is_set():
                    os.close(told)
                    return None
                process = post.process = subprocess.Popen(
                    [*self._command, member.to_text(), *self._arguments],
                    env={**os.environ, **post.environ},
                    pass_fds=(member.listening, member.lifeline, member.ready),
                    # Ctrl-C in a terminal reaches this process alone, which tells the others.
                    process_group=0,
                )
        finally:
            os.close(ready)
        with os.fdopen(told, "rb") as reading:
            said = reading.read()
        if said:
            post.told = json.loads(said)
            post.is_ready.set()
        return process

    def _wait_for(self, post: _Post) -> None:
        while not post.is_ready.wait(0.5):
            pass

    @contextmanager
    def _shared(self) -> Generator[None]:
        """The folder of what processes share, and the pipe by which they see that this one is there."""
        with tempfile.TemporaryDirectory(prefix="surefoot-serve-", ignore_cleanup_errors=True) as folder:
            self._folder = Path(folder)
            self._lifeline, held = os.pipe()
            try:
                yield
            finally:
                os.close(held)
                os.close(self._lifeline)

    @contextmanager
    def _signalled(self) -> Generator[None]:
        def told(number: int, frame: object) -> None:  # noqa: ARG001
            # Not here: the lock may be held by the very code that was interrupted.
            threading.Thread(target=self.stop, daemon=True).start()

        before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
