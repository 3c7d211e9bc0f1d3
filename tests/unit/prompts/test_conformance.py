"""The prompts of other libraries and the vectors of the Prompty project, where the data are there."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[4] / "shared" / "conformance"

pytestmark = pytest.mark.skipif(
    not (DATA / "prompty_files.jsonl").is_file(),
    reason=f"the data of other libraries are not in {DATA}: make conformance-prompts DATA=x VECTORS=y checks others",
)


def test_every_file_renders_as_in_its_library() -> None:
    rows = importlib.import_module("rows")
    outcomes = importlib.import_module("outcomes")
    lines = (DATA / "prompty_files.jsonl").read_text(encoding="utf-8").splitlines()
    claims = [claim for line in lines for claim in rows.judged(json.loads(line))]
    failed = [
        f"{name}: {problem}"
        for name, problem in claims
        if problem is not None and not isinstance(problem, outcomes.Accepted | outcomes.NotRun)
    ]
    assert not failed, "\n".join(failed)
    left_out = [name for name, problem in claims if isinstance(problem, outcomes.NotRun)]
    assert len(left_out) < len(claims) / 10


def test_every_vector_passes() -> None:
    operations = importlib.import_module("operations")
    fixtures, outcomes = importlib.import_module("fixtures"), importlib.import_module("outcomes")
    lines = (DATA / "prompty_files.jsonl").read_text(encoding="utf-8").splitlines()
    found = fixtures.Fixtures([json.loads(line) for line in lines])
    vectors = json.loads((DATA / "prompty_vectors.json").read_text(encoding="utf-8"))
    problems = {
        f"{vector['operation']} {vector['vector']['name']}": operations.judged(vector, found)
        for vector in vectors
    }
    known = (outcomes.Accepted, outcomes.NotRun)
    failed = {
        name: said for name, said in problems.items() if said is not None and not isinstance(said, known)
    }
    assert not failed
    left_out = [name for name, said in problems.items() if isinstance(said, outcomes.NotRun)]
    assert len(left_out) < len(problems) / 10
