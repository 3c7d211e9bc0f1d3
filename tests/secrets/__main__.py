"""`make secrets-scan`: looks for keys and passwords in every file of the checkout, and in all that git remembers.

What tests and pages need that looks like one stands in `allowed.txt`, a line each: `PATH-PATTERN  WHAT-IT-BEGINS-WITH`.
A line that matches nothing any more is told, so that the list does not grow old.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from surefoot.guards.privacy import Finder

ROOT = Path(__file__).parents[2]
ALLOWED = Path(__file__).parent / "allowed.txt"
MOST_BYTES = 2_000_000
"""Larger files are pictures and weights of tests."""
SHOWN = 4
"""Characters of a finding that are shown: enough to find it, too few to use it."""


@dataclass(slots=True)
class Allowed:
    """What may stand where."""

    entries: list[tuple[str, str]]
    used: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    @classmethod
    def read(cls, file: Path) -> Allowed:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        return cls([(line[0], line[1]) for line in lines if len(line) == 2 and not line[0].startswith("#")])

    def has(self, path: str, text: str) -> bool:
        for entry in self.entries:
            if fnmatch(path, entry[0]) and (entry[1] == "*" or text.startswith(entry[1])):
                self.used.add(entry)
                return True
        return False

    @property
    def unused(self) -> list[tuple[str, str]]:
        return [entry for entry in self.entries if entry not in self.used]


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def now() -> Iterator[tuple[str, bytes]]:
    """The files of the checkout that git knows or would take."""
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0"):
        path = ROOT / name.decode()
        if name and path.is_file() and path.stat().st_size <= MOST_BYTES:
            yield name.decode(), path.read_bytes()


def ever() -> Iterator[tuple[str, bytes]]:
    """Each text that any commit of any branch has had, once, under one of its names."""
    listed = git("rev-list", "--objects", "--all").decode(errors="replace").splitlines()
    names = {digest: name for digest, _, name in (line.partition(" ") for line in listed) if name}
    asked = "".join(f"{digest}\n" for digest in names).encode()
    with subprocess.Popen(
        ["git", "cat-file", "--batch", "--buffer"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        # All of it fits into neither pipe.
        from threading import Thread

        Thread(target=lambda: (child.stdin.write(asked), child.stdin.close()), daemon=True).start()  # type: ignore[union-attr]
        while header := child.stdout.readline().split():
            size = int(header[2])
            content = child.stdout.read(size + 1)[:size]
            if header[1] == b"blob" and size <= MOST_BYTES:
                yield names[header[0].decode()], content


def found_in(texts: Iterator[tuple[str, bytes]], allowed: Allowed) -> tuple[list[str], int]:
    """What is found, as a line each, and how many texts were looked at."""
    finder = Finder()
    told: dict[str, None] = {}
    count = 0
    for name, content in texts:
        if b"\0" in content[:8000]:
            continue
        count += 1
        text = content.decode("utf-8", "replace")
        for one in finder.found(text):
            secret = text[one.start : one.end]
            if not allowed.has(name, secret):
                line = text.count("\n", 0, one.start) + 1
                told[f"{name}:{line}: {one.rule}: {secret[:SHOWN]}... ({len(secret)} characters)"] = None
    return list(told), count


def main() -> int:
    parser = argparse.ArgumentParser(prog="make secrets-scan", description=__doc__)
    parser.add_argument("--now", action="store_true", help="the checkout alone, without its history")
    given = parser.parse_args()
    allowed = Allowed.read(ALLOWED)
    found, count = found_in(now() if given.now else ever(), allowed)
    for line in found:
        print(line)
    if not given.now:
        for path, begin in allowed.unused:
            print(f"allowed.txt: nothing is there any more that {path} {begin} allows: take the line out")
    what = "files" if given.now else "texts of all commits"
    print(f"secrets: {len(found)} found in {count:,} {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
