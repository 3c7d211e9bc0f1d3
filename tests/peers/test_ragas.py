"""Metrics of ragas as scorers, computed by the real ragas of this environment (docs/guide/ragas.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from surefoot import flow, scripted
from surefoot.app import App
from surefoot.config import load
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset, Experiment, Judged, evaluate, judged, ragas
from surefoot.evals.ragas import describe
from surefoot.evals.ragas.environment import python_of
from surefoot.evals.ragas.process import shared_process

MODEL, VECTORS = "openai:gpt-4o-mini", "openai:text-embedding-3-small"
HERE = Path(sys.prefix)


@pytest.fixture(scope="module", autouse=True)
def described() -> None:
    # What `surefoot ragas setup` does last; the rest has the command made of this very environment's requirements.
    assert describe(HERE).version == "0.4.3"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").write_text(f'[evals]\nragas = "{HERE}"\n', encoding="utf-8")
    own = App(load(tmp_path))
    with own.entered():
        yield own
    own.close()


@flow
def answer(question: str) -> str:
    return f"a and b, {question}"


def cases(count: int = 1, expected: str | None = "e") -> Dataset:
    more = {"context": ["c", "d"]}
    return Dataset("d", tuple(Case(f"c{n}", {"question": f"q{n}?"}, expected, more) for n in range(count)))


def told(result: Experiment) -> list[Any]:
    """For each row the value, or why there is none."""
    return [
        *(
            next(iter(row.scores.values())).value if row.scores else [*row.failures.values()]
            for row in result.rows
        )
    ]


def verdicts(*given: int) -> dict[str, Any]:
    return {
        "statements": [
            {"statement": f"s{number}", "reason": "so", "verdict": each} for number, each in enumerate(given)
        ]
    }


def useful(verdict: int) -> dict[str, Any]:
    return {"reason": "so", "verdict": verdict}


def asked_back(question: str, noncommittal: int = 0) -> dict[str, Any]:
    return {"question": question, "noncommittal": noncommittal}


SAME: list[tuple[str, dict[str, Any], Judged, list[Any]]] = [
    (
        "Faithfulness",
        {},
        judged.faithfulness(using=MODEL, compat="ragas"),
        [{"statements": ["s0", "s1", "s2"]}, verdicts(1, 0, 1)],
    ),
    (
        "AnswerRelevancy",
        {"strictness": 2},
        judged.answer_relevancy(using=MODEL, compat="ragas", strictness=2, embeddings=VECTORS),
        [asked_back("x"), asked_back("y", 1), [[1.0, 0.0]], [[0.5, 0.5], [0.0, 2.0]]],
    ),
    (
        "ContextPrecision",
        {},
        judged.context_precision(using=MODEL, compat="ragas"),
        [useful(0), useful(1)],
    ),
    (
        "ContextRecall",
        {},
        judged.context_recall(using=MODEL, compat="ragas"),
        [
            {
                "classifications": [
                    {"statement": "x", "reason": "r", "attributed": 1},
                    {"statement": "y", "reason": "r", "attributed": 0},
                ]
            }
        ],
    ),
    (
        "FactualCorrectness",
        {"mode": "f1", "beta": 2.0},
        judged.factual_correctness(using=MODEL, compat="ragas", beta=2.0),
        [{"claims": ["x", "y", "z"]}, verdicts(1, 0, 0), {"claims": ["x", "y"]}, verdicts(1, 1)],
    ),
]


@pytest.mark.parametrize(("name", "params", "ours", "answers"), SAME, ids=[each[0] for each in SAME])
def test_ragas_says_what_our_form_of_it_says(
    app: App, name: str, params: dict[str, Any], ours: Judged, answers: list[Any]
) -> None:
    def script() -> Any:
        left = list(answers)

        def rule(asked: Any) -> Any:
            found = left.pop(0)
            if "embed" in asked.operation and len(asked.messages) > len(found):
                # The one asks for all vectors at once, the other for the question's apart.
                found = [*found, *left.pop(0)]
            return found

        return scripted(rule)

    theirs = ragas.metric(name, model=MODEL, embeddings=VECTORS, **params)
    with script():
        by_ragas = evaluate(answer, cases(), [theirs])
    with script():
        by_us = evaluate(answer, cases(), [ours])
    (said,) = told(by_ragas)
    assert isinstance(said, float), said
    assert said == pytest.approx(told(by_us)[0], abs=1e-9)
    chats = sum(not (isinstance(each, list) and isinstance(each[0], list)) for each in answers)
    run = by_ragas.rows[0]
    # They are calls of the judgement's run, counted and recorded.
    assert run.judging.calls >= chats
    assert run.judging.usage.input > 0


def test_older_metrics_are_asked_in_texts(app: App) -> None:
    metric = ragas.metric("AspectCritic", model=MODEL, legacy=True, definition="Is it kind?")
    with scripted([{"reason": "so", "verdict": 1}]) as script:
        result = evaluate(answer, cases(), [metric])
    assert told(result) == [1.0]
    assert "Is it kind?" in script.requests[0].text
    assert [each.name for each in result.metrics] == ["aspect_critic"]


def test_an_older_metric_asks_as_often_as_it_is_told_to(app: App) -> None:
    metric = ragas.metric("ResponseRelevancy", model=MODEL, embeddings=VECTORS, legacy=True, strictness=3)

    def rule(asked: Any) -> Any:
        return [[1.0, 0.0]] * len(asked.messages) if "embed" in asked.operation else asked_back("q")

    with scripted(rule) as script:
        assert told(evaluate(answer, cases(), [metric])) == [1.0]
    assert sum("embed" not in each.operation for each in script.requests) == 3


def test_metrics_without_a_judge_ask_nobody(app: App) -> None:
    metrics = [ragas.metric("ExactMatch"), ragas.metric("NonLLMStringSimilarity", distance_measure="jaro")]
    with scripted([]) as script:
        (row,) = evaluate(answer, cases(expected="a and b, q0?"), metrics).rows
    assert {name: each.value for name, each in row.scores.items()} == {
        "exact_match": 1.0,
        "non_llm_string_similarity": 1.0,
    }
    assert script.requests == ()


def test_nan_is_a_failure_with_its_reason_and_a_refusal_too(app: App) -> None:
    with scripted([{"statements": []}]):
        result = evaluate(answer, cases(), [ragas.metric("Faithfulness", model=MODEL)])
    (metric,) = result.metrics
    assert metric.coverage == 0
    assert "makes NaN of this row" in metric.failures[0].reason
    empty = Dataset("d", (Case("c", {"question": ""}, None, {"context": ["c"]}),))
    with scripted([]):
        (row,) = evaluate(answer, empty, [ragas.metric("Faithfulness", model=MODEL)]).rows
    assert "user_input" in row.failures["faithfulness"]


def test_a_case_without_an_expected_answer_is_not_asked_about(app: App) -> None:
    with scripted([]):
        (row,) = evaluate(answer, cases(expected=None), [ragas.metric("ContextRecall", model=MODEL)]).rows
    assert (row.scores, row.failures) == ({}, {})


def test_what_does_not_fit_is_told_before_anything_runs(app: App) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'AnswerRelevancy'"):
        ragas.metric("AnswerRelevance")
    with pytest.raises(InvalidInput, match="give legacy=True"):
        ragas.metric("AspectCritic")
    with pytest.raises(InvalidInput, match=r"takes no 'strict'.*strictness"):
        ragas.metric("AnswerRelevancy", strict=3)
    bare = Dataset("d", (Case("c", {"question": "q"}),))
    with pytest.raises(InvalidInput, match=r"takes 'context', which nothing fills"):
        evaluate(answer, bare, [ragas.metric("Faithfulness")])


def test_a_process_that_is_killed_in_the_middle_is_started_again_and_nothing_is_paid_twice(app: App) -> None:
    process = shared_process(python_of(HERE))
    killed: list[int] = []

    def rule(asked: Any) -> Any:
        if "verdict" in json.dumps(asked.body.get("response_format", {})):
            if not killed:
                pid = process.pid
                assert pid is not None
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
            return verdicts(1, 0)
        return {"statements": ["s0", "s1"]}

    with scripted(rule) as script:
        result = evaluate(answer, cases(), [ragas.metric("Faithfulness", model=MODEL)])
    assert told(result) == [0.5]
    assert process.pid not in (None, killed[0])
    # The process asked its questions anew, and was told what had been answered.
    assert len(script.requests) == 2
    assert result.rows[0].judging.calls == 2


def test_two_evaluations_at_once_share_a_process(app: App) -> None:
    def evaluated(share: int) -> list[Any]:
        def rule(asked: Any) -> Any:
            is_verdict = "verdict" in json.dumps(asked.body.get("response_format", {}))
            return verdicts(*[1] * share, *[0] * (4 - share)) if is_verdict else {"statements": ["s"] * 4}

        with app.entered(), scripted(rule):
            return told(evaluate(answer, cases(6), [ragas.metric("Faithfulness", model=MODEL)]))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(evaluated, (1, 3))
    assert (first, second) == ([0.25] * 6, [0.75] * 6)


def test_the_process_has_no_key_and_ends_with_its_parent(app: App, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import asyncio, os, sys, time
            from pathlib import Path
            from surefoot.evals.ragas.process import RagasProcess

            os.environ["OPENAI_API_KEY"] = "sk-secret-of-the-parent"
            process = RagasProcess(Path(sys.executable))
            fields = {"response": "a", "reference": "a"}
            asked = {"metric": "ExactMatch", "api": "collections", "params": {}, "fields": fields}
            assert asyncio.run(process.score(asked, None))["value"] == 1.0
            print(process.pid, flush=True)
            time.sleep(60)
        """),
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        proc = Path(f"/proc/{child}")
        if proc.exists():
            assert b"sk-secret" not in (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        parent.kill()
    until = time.monotonic() + 60
    while _is_alive(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may be there to bury it.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and ") Z" in stat.read_text(encoding="utf-8"))


def test_a_fork_has_a_process_of_its_own(app: App) -> None:
    process = shared_process(python_of(HERE))
    with scripted([]):
        evaluate(answer, cases(), [ragas.metric("ExactMatch")])
    before = process.pid
    assert before is not None
    child = os.fork()
    if child == 0:
        os._exit(0 if process.pid is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process.pid == before
    assert threading.active_count() >= 1
