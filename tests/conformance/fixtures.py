"""The files that vectors name, looked for among the rows of the data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SHARED = Path("../shared/conformance")


class Fixtures:
    """Texts of files by name: those of the project's own fixtures first, then any other file of that name.

    `rows` are those of DATA; where none of them has the file, the default data are looked through too.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = list(rows)
        self._others: list[Mapping[str, Any]] | None = None

    def text(self, name: str) -> str | None:
        """The text of a file, or None where no row has it."""
        found = _among(self._rows, name)
        if found is None:
            if self._others is None:
                self._others = _default_rows()
            found = _among(self._others, name)
        return found


def _among(rows: Iterable[Mapping[str, Any]], name: str) -> str | None:
    # The last are files of the same name in the same dialect, which vectors fit that ask only for what they share.
    endings = (f"spec/fixtures/{name}", f"runtime/python/prompty/tests/prompts/{name}", f"/{name}")
    for ending in endings:
        for row in rows:
            if f"/{row['path']}".endswith(ending) and "messages" in row["expected"].get("prompty 2.1.0", {}):
                return str(row["text"])
    return None


def _default_rows() -> list[Mapping[str, Any]]:
    path = SHARED / "prompty_files.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
