"""Which process holds a lock on a file, as far as the system tells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_SHOWN = 80
# Where SQLite's write lock is in the index file of a log (WAL_WRITE_LOCK in its wal.c).
_WRITE_BYTE = 120


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has what others wait for."""

    pid: int
    command: str
    is_stopped: bool

    def __str__(self) -> str:
        name = f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"
        return f"{name}, which is stopped," if self.is_stopped else name

    @property
    def advice(self) -> str:
        """What to do about it."""
        ending = f"end it (`kill -9 {self.pid}`)"
        going_on = f"let it go on (`kill -CONT {self.pid}`)" if self.is_stopped else "wait for it"
        return f"{going_on} or {ending}"


def queue_holder(path: Path) -> Holder | None:
    """Who is at the head of the queue before this lock file; None where nobody can tell."""
    return _holder(path, "FLOCK", 0)


def write_holder(path: Path) -> Holder | None:
    """Who is in the middle of writing to this SQLite file; None where nobody can tell."""
    return _holder(path.with_name(path.name + "-shm"), "POSIX", _WRITE_BYTE)


def _holder(path: Path, kind: Literal["FLOCK", "POSIX"], byte: int) -> Holder | None:
    """Linux lists all locks in one file: kind, access, process, file, first and last byte."""
    try:
        status = path.stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        _, *parts = line.split()
        # Those who wait have an arrow before their kind.
        if len(parts) != 7 or (parts[0], parts[2], parts[4]) != (kind, "WRITE", place):
            continue
        if int(parts[5]) <= byte and (parts[6] == "EOF" or byte <= int(parts[6])):
            return _process(int(parts[3]))
    return None


def _process(pid: int) -> Holder | None:
    """None for one that is gone: its lock lives on in a child that has inherited the file."""
    folder = Path(f"/proc/{pid}")
    try:
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if state in "ZX":
        return None
    command = " ".join(" ".join(words).split())
    return Holder(pid, command if len(command) <= _SHOWN else f"{command[:_SHOWN]}…", state in "Tt")
