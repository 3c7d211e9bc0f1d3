"""The example's evaluation: its command over a local server, its labelled cases, and how its output is read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wire import WireServer

EXAMPLE = Path(__file__).parents[3] / "examples" / "summarization"
PAGES = ("on-call.md", "data-retention.md")
COMMAND = "import sys; from surefoot.cli.eval import command; command(sys.argv[1:])"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EXAMPLE / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with two pages and the questions about them."""
    folder = tmp_path_factory.mktemp("example")
    left_out = shutil.ignore_patterns(".surefoot", "__pycache__")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=left_out)
    for page in (folder / "docs").iterdir():
        if page.name not in PAGES:
            page.unlink()
    kept = [row for row in rows("golden.jsonl") if row["document_id"] in PAGES]
    (folder / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    return folder


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer(reply=lambda model, text: "yes") as server:
        yield server


def evaluated(folder: Path, wire: WireServer, *arguments: str) -> dict[str, Any]:
    keys = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
    line = [sys.executable, "-c", COMMAND, *arguments, "--json"]
    done = subprocess.run(
        line, cwd=folder, env=os.environ | keys, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return {**said, "by_name": {metric["name"]: metric for metric in said["metrics"]}}


def test_the_handbook_is_ingested_asked_and_judged(project: Path, wire: WireServer) -> None:
    said = evaluated(project, wire, ".", "--judge", "--experiment", "mine")
    metrics = said["by_name"]
    assert said["cases"] == 3
    assert metrics["right_refusal"]["value"] == 1.0
    assert (metrics["contains_expected"]["value"], metrics["contains_expected"]["n"]) == (1.0, 2)
    assert (metrics["citation_correctness"]["value"], metrics["citation_correctness"]["n"]) == (1.0, 2)
    assert (metrics["support"]["value"], metrics["support"]["n"]) == (1.0, 2)
    # A judge that always says yes is right about half of the labelled cases, which is what chance would be.
    judged = metrics["faithfulness"]
    assert (judged["value"], judged["n"]) == (1.0, 2)
    assert (judged["agreement"]["right"], judged["agreement"]["n"], judged["agreement"]["kappa"]) == (
        20,
        40,
        0.0,
    )
    assert judged["agreement"]["is_near_chance"]
    assert wire.count() == 3 + 2 + 40

    again = evaluated(project, wire, ".", "--judge", "--experiment", "mine")
    assert again["reused"] == 3
    assert [metric["value"] for metric in again["metrics"]] == [metric["value"] for metric in said["metrics"]]
    assert wire.count() == 3 + 2 + 40


def test_paragraphs_of_a_file_are_asked_in_a_collection_of_their_own(project: Path, wire: WireServer) -> None:
    pages = {"d1": "The harbour opens at six. Ships wait outside until then.", "d2": "Wool is stored dry."}
    documents = [{"id": name, "title": "Page", "text": text} for name, text in pages.items()]
    questions = [
        {"id": "a", "question": "When does the harbour open?", "answer": "six", "doc_id": "d1"},
        {"id": "b", "question": "How is wool stored?", "answer": "dry", "doc_id": "d2"},
    ]
    for name, lines in (("own_docs", documents), ("own_qa", questions)):
        (project / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = evaluated(project, wire, ".:squad", "--data", "own_qa.jsonl")
    assert said["by_name"]["contains_expected"]["value"] == 1.0
    assert sorted(path.name for path in (project / ".surefoot/collections").glob("squad*.db")) == ["squad.db"]


def test_the_labelled_cases_are_balanced_and_their_context_stands_in_the_handbook() -> None:
    cases = rows("judge_cases.jsonl")
    assert [case["is_faithful"] for case in cases].count(True) == 20
    assert [case["is_faithful"] for case in cases].count(False) == 20
    assert len({case["statement"] for case in cases}) == 40
    for case in cases:
        page = " ".join((EXAMPLE / "docs" / case["document"]).read_text().split())
        assert case["context"]
        assert all(sentence in page for sentence in case["context"])
