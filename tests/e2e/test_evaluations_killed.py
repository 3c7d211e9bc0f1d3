"""An evaluation that is killed twice in its middle: every case is judged once in the end, and paid once.

What has been answered is never asked again. A call that is under way at the moment of the kill was not answered: with
one case at a time there is none, with several there are as many as cases under way.
`make eval-proof` (SUREFOOT_TEST_LIMITS=all) does it with 1,000 cases.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import surefoot, surefoot_json
from wire import WireServer

CASES = 1_000 if os.environ.get("SUREFOOT_TEST_LIMITS") == "all" else 30

FLOW = """
import os, signal
from surefoot import flow, generate
from surefoot.evals import Evaluation, Judged, Score

@flow(trusted=True)
async def told(question: str) -> str:
    return str(await generate([{"role": "user", "content": question}], using="openai:gpt-4o-mini"))

@flow(trusted=True)
async def kind(response: str) -> Score:
    said = str(await generate([{"role": "user", "content": f"is it kind: {response}"}], using="openai:gpt-4o-mini"))
    return Score(bool(said), said)

scored = []

def has_words(response: str) -> bool:
    scored.append(response)
    if len(scored) == int(os.environ.get("END_AT", "0")):
        os.kill(os.getpid(), signal.Signals[os.environ["END_BY"]])
    return bool(response.split())

evaluation = Evaluation(told, [has_words], judges=[Judged(kind)], data="cases.jsonl")
"""


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer(reply=lambda model, text: f"heard {text}") as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "surefoot.toml").write_text("")
    (tmp_path / "evaluation.py").write_text(FLOW)
    lines = (json.dumps({"id": f"c{n}", "question": f"question {n}."}) for n in range(CASES))
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    return tmp_path


def asked(wire: WireServer) -> tuple[Counter[str], Counter[str]]:
    """How often each question was asked, and the judge about each."""
    texts = [call.body["messages"][0]["content"] for call in wire.received]
    judged = Counter(text for text in texts if text.startswith("is it kind"))
    return Counter(text for text in texts if not text.startswith("is it kind")), judged


@pytest.mark.parametrize(
    ("signal", "code", "at_once"), [("SIGKILL", -9, 1), ("SIGKILL", -9, 8), ("SIGINT", 130, 8)]
)
def test_every_case_is_judged_and_paid_once(
    signal: str, code: int, at_once: int, project: Path, wire: WireServer
) -> None:
    environ = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
    line = ("eval", ".", "--judge", "--experiment", "mine", "--concurrency", str(at_once))
    for _ in range(2):
        surefoot(*line, cwd=project, code=code, END_AT=str(CASES // 3), END_BY=signal, **environ)
    found = surefoot_json(*line, cwd=project, **environ)

    assert found["cases"] == len(found["rows"]) == CASES
    assert found["failed"] == 0
    assert len({row["run"] for row in found["rows"]}) == CASES
    assert [(metric["name"], metric["n"], metric["coverage"]) for metric in found["metrics"]] == [
        ("has_words", CASES, 1.0),
        ("kind", CASES, 1.0),
    ]
    # In the record each case has one call, and each verdict; so it is in the cost.
    assert (found["totals"]["calls"], found["judging"]["calls"]) == (CASES, CASES)
    assert found["reused"] >= 2 * (CASES // 3) - 2 * at_once
    targets, judged = asked(wire)
    assert len(targets) == len(judged) == CASES
    repeated = targets.total() + judged.total() - 2 * CASES
    assert repeated == 0 if at_once == 1 else repeated <= 2 * at_once

    calls = wire.count()
    again = surefoot_json(*line, cwd=project, **environ)
    assert (again["reused"], wire.count()) == (CASES, calls)
    assert again["metrics"] == found["metrics"]
    assert again["totals"] == found["totals"]
    assert again["judging"] == found["judging"]
