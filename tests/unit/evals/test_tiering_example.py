"""The example of docs/guide/tiers.md (`tiers.md` shows what it prints) on the embedded model, with fewer questions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import surefoot

EXAMPLE = Path(__file__).parents[3] / "examples" / "tiering"
SHOWN = Path(__file__).parents[3] / "docs" / "guide" / "tiers.md"
CASES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("tiering")
    left_out = shutil.ignore_patterns(".surefoot", "__pycache__")
    shutil.copytree(EXAMPLE, place, dirs_exist_ok=True, ignore=left_out)
    return place


@pytest.fixture(scope="module")
def drawn(folder: Path) -> dict[str, Any]:
    arguments = ("eval", ".", "--frontier", "--limit", f"{CASES}", "--at-least", "0.5", "--json")
    said: dict[str, Any] = json.loads(surefoot(*arguments, cwd=folder, COLUMNS="120").stdout)
    return said


def test_the_frontier_of_the_embedded_model_and_a_strong_one(drawn: dict[str, Any]) -> None:
    options = {option["option"]: option for option in drawn["options"]}
    cheap, strong = options["local:smollm2"], options["scripted:scripted"]
    assert (drawn["metric"], drawn["cases"], drawn["signal"]) == ("contains_expected", CASES, "confidence")
    assert (cheap["cost_usd"], strong["quality"]) == (0, 1)
    assert strong["cost_usd"] > 0
    # It reads well and counts badly: better than nothing, worse than the strong one, and there is something between.
    assert 0 < cheap["quality"] < 1
    between = [option for name, option in options.items() if name.startswith("confidence")]
    assert any(0 < option["escalated"] < 1 for option in between)
    escalated = [option["escalated"] for option in between]
    assert escalated == sorted(escalated, reverse=True)
    assert drawn["warnings"] == []


def test_it_is_drawn_again_from_the_record(folder: Path, drawn: dict[str, Any]) -> None:
    arguments = (
        "eval",
        ".",
        "--frontier",
        "--limit",
        f"{CASES}",
        "--experiment",
        "last",
        "--at-least",
        "0.5",
    )
    out = surefoot(*arguments, cwd=folder, COLUMNS="140").stdout
    # As the guide shows it.
    shown = SHOWN.read_text(encoding="utf-8")
    for line in out.splitlines():
        if line.startswith("OPTION"):
            assert " ".join(line.split()) in " ".join(shown.split())
    assert f"experiment {drawn['experiment']}" in out
    assert f"recommended  {drawn['advice']}" in out
