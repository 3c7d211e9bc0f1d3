"""The queue of processes before one ledger file."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from pathlib import Path

from surefoot import scope
from surefoot.errors import LedgerError, LedgerFull, LedgerReadOnly
from surefoot.ledger.holders import Holder, queue_holder

log = scope.logger("surefoot.ledger")

_TURN_SECONDS = 30.0
"""How long a process waits behind one that is stopped, or of which nothing is known."""

_AGAIN_SECONDS = 0.2
"""How long it waits when it comes again after having waited in vain."""

_LONGEST_SECONDS = 600.0
"""How long it waits behind one that is at work: whoever compacts a large ledger takes minutes."""


class FileLock:
    """A lock that is held while writing: SQLite's own busy handler starves some processes (core rule 9).

    It is the kernel's `flock`, whose waiters stand in a queue.
    """

    def __init__(self, path: Path) -> None:
        self._ledger = path
        self._path = path.with_name(path.name + "-lock")
        self._handle: int | None = None
        self._turn: _Turn | None = None

    def acquire(self) -> None:
        """Wait for one's turn. Raises `LedgerError` if it does not come."""
        if sys.platform == "win32":
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return
        try:
            if self._handle is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if self._turn is not None or not _is_free(self._handle):
                self._wait(self._handle)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LedgerFull(
                    f"no space left for the ledger's lock file {self._path}: "
                    "free some, then `surefoot resume` the run"
                ) from error
            raise LedgerReadOnly(
                f"the ledger's lock file {self._path} cannot be used ({error.strerror}): "
                "make the folder writable, or set SUREFOOT_LEDGER_PATH"
            ) from error

    def release(self) -> None:
        if sys.platform != "win32" and self._handle is not None:
            _unlock(self._handle)

    def close(self) -> None:
        turn, self._turn = self._turn, None
        handle, self._handle = self._handle, None
        if handle is not None and (turn is None or not turn.leave()):
            os.close(handle)

    def after_fork(self) -> None:
        """In a forked child: this handle is the parent's lock too, and would outlive a parent that is killed."""
        if self._handle is not None:
            os.close(self._handle)
        # The thread that stood in the queue is not there.
        self._handle = self._turn = None

    def _wait(self, handle: int) -> None:
        """Stand in the queue. Who has given up and comes again finds his place kept, and is soon told the same."""
        while True:
            try:
                if self._turn is None or self._turn.is_over:
                    self._turn = _Turn(handle)
            except RuntimeError:
                # No thread can be begun any more, as while the interpreter ends.
                _lock(handle)
                return
            turn, holder = self._turn, None
            # Looked at twice: at the first look it may be changing hands.
            if turn.has_come() or ((holder := queue_holder(self._path)) is None and turn.has_come()):
                self._turn = None
                return
            if turn.is_over:
                continue
            waited = time.monotonic() - turn.began
            holder = holder or queue_holder(self._path)
            if holder is None or holder.is_stopped or waited >= _LONGEST_SECONDS:
                raise LedgerError(self._stuck(holder, waited))
            log.warning("the ledger %s: %s has held it for %.0f s", self._ledger, holder, waited)
            turn.until = time.monotonic() + _TURN_SECONDS

    def _stuck(self, holder: Holder | None, waited: float) -> str:
        who = "another process" if holder is None else holder
        do = (
            f"see which with `lsof {self._path}`, let it go on or end it" if holder is None else holder.advice
        )
        return (
            f"{who} has held the ledger {self._ledger} for {waited:.0f} s, so that nobody else can write: {do}, then "
            "`surefoot resume` the run"
        )


class _Turn:
    """A place in the queue. The kernel waits without a limit, so a thread stands there for whoever wants the lock."""

    def __init__(self, handle: int) -> None:
        """Raises `RuntimeError` where no thread can be begun."""
        self.began = time.monotonic()
        self.until = self.began + _TURN_SECONDS
        self.is_over = False
        """Whether it came and was passed on, as nobody wanted it at that moment."""
        self._handle = handle
        self._change = threading.Condition()
        self._is_wanted = True
        self._is_held = False
        self._is_left = False
        self._error: OSError | None = None
        threading.Thread(target=self._stand, name="surefoot-ledger-queue", daemon=True).start()

    def has_come(self) -> bool:
        """Wait until it has come, then the lock is held, or the time is up. Raises `OSError`."""
        with self._change:
            self._is_wanted = True
            try:
                left = max(self.until - time.monotonic(), _AGAIN_SECONDS)
                self._change.wait_for(lambda: self._is_held or self.is_over, left)
            except BaseException:
                # Ctrl-C: what has come meanwhile is not taken.
                if self._is_held:
                    self._pass_on()
                raise
            finally:
                self._is_wanted = False
            if self._error is not None:
                raise self._error
            return self._is_held

    def leave(self) -> bool:
        """Nobody will want it any more; whether the thread still uses the handle, and closes it."""
        with self._change:
            self._is_left = not self.is_over
            return self._is_left

    def _stand(self) -> None:
        try:
            _lock(self._handle)
        except OSError as error:
            self._error = error
        with self._change:
            if self._error is None and self._is_wanted:
                self._is_held = True
            else:
                self._pass_on()
            self._change.notify()

    def _pass_on(self) -> None:
        self._is_held, self.is_over = False, True
        if self._is_left:
            os.close(self._handle)
        elif self._error is None:
            _unlock(self._handle)


def _is_free(handle: int) -> bool:
    """Take the lock if nobody has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(handle: int) -> None:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)


def _unlock(handle: int) -> None:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_UN)
