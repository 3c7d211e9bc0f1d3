"""A child that goes on beside the test: what `subprocess.Popen` is for one that this process began itself."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


class Begun:
    """Its streams are text; it is ended by whoever began it, and its exit code is told by its parent.

    streams: this end of its stdin, stdout and stderr. code_of: the exit code of a child that has ended.
    """

    def __init__(self, pid: int, streams: tuple[int, int, int], *, code_of: Callable[[int], int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = open(streams[0], "w", encoding="utf-8")  # noqa: SIM115 - they live as long as the child
        self.stdout = open(streams[1], encoding="utf-8")  # noqa: SIM115
        self.stderr = open(streams[2], encoding="utf-8")  # noqa: SIM115
        self._code_of = code_of
        # It stays that of this child: nobody has asked for its code before.
        self._ended = os.pidfd_open(pid)
        self._said: dict[int, bytes] = {streams[1]: b"", streams[2]: b""}
        self._open = list(self._said)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            os.close(self._ended)
            self.returncode = self._code_of(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; `subprocess.TimeoutExpired` where it has none within so many seconds."""
        if self.returncode is None and not select.select([self._ended], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        code = self.poll()
        assert code is not None
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What is left of its stdout and stderr once it has ended; where it has not in time, ask again."""
        end_at = None if timeout is None else time.monotonic() + timeout
        self._close(self.stdin)
        while self._open:
            left = None if end_at is None else max(0.0, end_at - time.monotonic())
            ready = select.select(self._open, [], [], left)[0]
            if not ready:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            for stream in ready:
                part = os.read(stream, 65_536)
                self._said[stream] += part
                if not part:
                    self._open.remove(stream)
        self.wait(None if end_at is None else max(0.0, end_at - time.monotonic()))
        self.close()
        out, err = (said.decode("utf-8", "replace") for said in self._said.values())
        return out, err

    def close(self) -> None:
        """Close its streams, which may be done twice."""
        for stream in (self.stdin, self.stdout, self.stderr):
            self._close(stream)

    @staticmethod
    def _close(stream: TextIO) -> None:
        # A child that is gone reads nothing more of what was written for it.
        with suppress(BrokenPipeError):
            stream.close()
