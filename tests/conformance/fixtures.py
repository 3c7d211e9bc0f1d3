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
        return self._found(f"spec/fixtures/{name}") or self._found(f"/{name}")

    def is_own(self, name: str) -> bool:
        """Whether it is the project's fixture, and not another file of its name, which may differ in what is asked."""
        return self._found(f"spec/fixtures/{name}") is not None

    def _found(self, ending: str) -> str | None:
        found = _among(self._rows, ending)
        if found is None:
            if self._others is None:
                self._others = _default_rows()
            found = _among(self._others, ending)
        return found


def _among(rows: Iterable[Mapping[str, Any]], ending: str) -> str | None:
    # Those of the project's own library come before others of the name.
    for start in ("runtime/python", ""):
        for row in rows:
            if (
                f"/{row['path']}".endswith(ending)
                and start in row["path"]
                and "messages" in row["expected"].get("prompty 2.1.0", {})
            ):
                return str(row["text"])
    return None


def _default_rows() -> list[Mapping[str, Any]]:
    path = SHARED / "prompty_files.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
