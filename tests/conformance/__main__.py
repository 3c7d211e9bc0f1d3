"""`make conformance-prompts`: real prompt files and the vectors of the Prompty project, every difference shown.

DATA names a file of lines `{path, text, expected: {library: {messages, ...} or {error}}}`, VECTORS a list of vectors of
the Prompty project; both are looked for in ../shared/conformance too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import operations
import rows
from fixtures import SHARED, Fixtures
from outcomes import Accepted, NotRun


def main() -> int:
    """1 where something differs without a reason that is known."""
    parser = argparse.ArgumentParser(prog="make conformance-prompts")
    parser.add_argument("--data", default="prompty_files.jsonl")
    parser.add_argument("--vectors", default="prompty_vectors.json")
    given = parser.parse_args()
    data, vectors = _found(given.data), _found(given.vectors)
    if data is None or vectors is None:
        print(
            f"neither here nor in {SHARED}: {given.data if data is None else given.vectors}; nothing was checked"
        )
        return 0
    files = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    return _told(judged_all(files, json.loads(vectors.read_text(encoding="utf-8"))))


def judged_all(
    files: list[dict[str, Any]], vectors: list[dict[str, Any]]
) -> Iterator[tuple[str, str | None]]:
    """Each claim with what is wrong: None, a text, or one of `outcomes`."""
    for row in files:
        yield from rows.judged(row)
    fixtures = Fixtures(files)
    for vector in vectors:
        yield f"vector {vector['operation']} {vector['vector']['name']}", operations.judged(vector, fixtures)


def _told(claims: Iterator[tuple[str, str | None]]) -> int:
    passed = failed = accepted = 0
    left_out: list[str] = []
    for name, problem in claims:
        if isinstance(problem, NotRun):
            left_out.append(f"{name}: {problem}")
            continue
        is_passed = problem is None or isinstance(problem, Accepted)
        passed, failed = passed + is_passed, failed + (not is_passed)
        if problem is not None:
            accepted += is_passed
            print(f"{'differs, as is meant: ' if is_passed else ''}{name}\n    {problem}")
    for line in left_out:
        print(f"not run: {line}")
    if left_out or accepted:
        print(f"{len(left_out)} not run, {accepted} of those passed differ as is meant")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _found(name: str) -> Path | None:
    return next((path for path in (Path(name), SHARED / name) if path.is_file()), None)


if __name__ == "__main__":
    sys.exit(main())
