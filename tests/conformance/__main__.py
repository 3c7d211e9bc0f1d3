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

SHARED = Path("../shared/conformance")


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
    files = [json.loads(line) for line in data.read_text().splitlines() if line.strip()]
    passed = failed = 0
    for name, problem in _judged(files, json.loads(vectors.read_text())):
        passed, failed = passed + (problem is None), failed + (problem is not None)
        if problem is not None:
            print(f"{name}\n    {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _judged(files: list[dict[str, Any]], vectors: list[dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    for row in files:
        yield from rows.judged(row)
    for vector in vectors:
        yield f"vector {vector['operation']} {vector['vector']['name']}", operations.judged(vector, files)


def _found(name: str) -> Path | None:
    return next((path for path in (Path(name), SHARED / name) if path.is_file()), None)


if __name__ == "__main__":
    sys.exit(main())
