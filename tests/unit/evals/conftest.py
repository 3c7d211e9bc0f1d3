"""A project of its own for each test, with a real ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surefoot.app import App
from surefoot.config import load

Lines = Callable[..., Path]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.chdir(tmp_path)
    own = App(load(tmp_path))
    with own.entered():
        yield own
    own.close()


@pytest.fixture
def jsonl(tmp_path: Path) -> Lines:
    """Write rows, or lines as they are, to a file: `jsonl({"id": 1}, "not json")`."""

    def written(*rows: object, name: str = "cases.jsonl") -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return written
