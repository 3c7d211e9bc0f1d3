"""What a step returned is on the disk before the flow goes on, as the system calls of a run show."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STEPS = 5

# `write` to standard output is what the world sees of the run, in one system call each.
CODE = """
import asyncio, os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from durable import open_app
from surefoot import flow, step

def say(what):
    os.write(1, f"{what}\\n".encode())

@step
def part(n):
    return n

@step
async def part_async(n):
    return n

@step(effect=True)
def mail(n):
    say(f"begun {n}")
    return n

@flow
def parts():
    for n in range(5):
        part(n)
        say(f"done {n}")

@flow
async def parts_async():
    for n in range(5):
        await part_async(n)
        say(f"done {n}")

@flow
def mails():
    for n in range(5):
        mail(n)
        say(f"done {n}")

app = open_app(Path(sys.argv[1]), is_full=sys.argv[4] == "full")
app.run(globals()[sys.argv[3]])
say("over")
app.close()
"""

_CALL = re.compile(r"^(\d+) +(\w+)\((\d+<([^>]*)>)?(.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")


@pytest.fixture(autouse=True)
def can_trace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"nobody may trace here: {tried.stderr.strip()}")


@dataclass
class Seen:
    """The log of the ledger as it was when a line was written."""

    line: str
    syncs: int
    """How often it was brought to the disk since the line before."""
    is_dirty: bool
    """Whether something was written to it after that."""


@dataclass
class Watch:
    """Reads a trace in the order in which calls began and ended."""

    syncs: int = 0
    is_dirty: bool = False
    seen: list[Seen] = field(default_factory=list[Seen])
    _open: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def read(self, trace: Iterator[str]) -> list[Seen]:
        for line in trace:
            if resumed := _RESUMED.match(line):
                pid, _, rest = resumed.groups()
                call, path = self._open.pop(pid)
                self._ended(call, path, rest)
            elif begun := _CALL.match(line):
                pid, call, _, path, rest = begun.groups()
                self._began(call, path or "", rest)
                if line.endswith("<unfinished ...>"):
                    self._open[pid] = (call, path or "")
                else:
                    self._ended(call, path or "", rest)
        return self.seen

    def _began(self, call: str, path: str, rest: str) -> None:
        if call == "pwrite64" and path.endswith("-wal"):
            self.is_dirty = True
        if call == "write" and (said := re.search(r'"((?:begun|done) \d+|over)\\n"', rest)):
            self.seen.append(Seen(said[1], self.syncs, self.is_dirty))
            self.syncs = 0

    def _ended(self, call: str, path: str, rest: str) -> None:
        if call in ("fsync", "fdatasync") and path.endswith("-wal") and rest.rstrip().endswith("= 0"):
            self.syncs, self.is_dirty = self.syncs + 1, False


def traced(folder: Path, flow: str, synchronous: str) -> list[Seen]:
    support = str(Path(__file__).parents[1] / "support")
    trace = folder / "trace"
    command = [sys.executable, "-c", CODE, str(folder), support, flow, synchronous]
    calls = "trace=fsync,fdatasync,pwrite64,write"
    done = subprocess.run(
        ["strace", "-f", "-y", "-e", calls, "-o", str(trace), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("over\n")
    seen = Watch().read(iter(trace.read_text().splitlines()))
    assert [one.line for one in seen] == done.stdout.splitlines()
    return seen


@pytest.mark.parametrize("flow", ["parts", "parts_async", "mails"])
def test_before_each_line_that_the_world_sees_the_log_was_brought_to_the_disk(
    tmp_path: Path, flow: str
) -> None:
    seen = traced(tmp_path, flow, "full")
    # Of an effect two: that it begins, and how it ended.
    assert len(seen) == (2 if flow == "mails" else 1) * STEPS + 1
    assert [one for one in seen if one.syncs == 0 or one.is_dirty] == []


def test_it_is_not_where_the_settings_say_that_nobody_waits_for_the_disk(tmp_path: Path) -> None:
    seen = traced(tmp_path, "parts", "normal")
    # The first line comes after the file was made.
    assert [one.syncs for one in seen[1:]] == [0] * STEPS
