"""The scan for secrets finds what is planted, shows little of it, and passes what is allowed where it is allowed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def scan() -> dict[str, Any]:
    pytest.importorskip("surefoot.guards.privacy")
    return runpy.run_path(str(Path(__file__).parent / "__main__.py"))


PLANTED = "AKIA" + "QWERTYUIOPASDFGH"


def test_a_planted_key_is_found_and_hardly_shown(scan: dict[str, Any]) -> None:
    texts = [("src/a.py", f"x = 1\nkey = '{PLANTED}'\n".encode()), ("b.png", b"\0" + PLANTED.encode())]
    found, count = scan["found_in"](iter(texts), scan["Allowed"]([]))
    assert count == 1
    (line,) = found
    assert line.startswith("src/a.py:2: ")
    assert PLANTED not in line


def test_what_is_allowed_is_allowed_there_alone(scan: dict[str, Any]) -> None:
    allowed = scan["Allowed"]([("tests/*", "AKIAQ"), ("docs/*", "*")])
    text = f"key = '{PLANTED}'\n".encode()
    found, _ = scan["found_in"](iter([("tests/x.py", text), ("src/x.py", text)]), allowed)
    assert [line.partition(":")[0] for line in found] == ["src/x.py"]
    assert allowed.unused == [("docs/*", "*")]
