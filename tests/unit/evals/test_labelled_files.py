"""Judges with labelled cases from a file: on the command line, in the ledger, and in what is compared later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from surefoot import flow
from surefoot.app import App
from surefoot.cli import eval as command
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset, Evaluation, Experiment, Judged, evaluate, experiment
from surefoot.evals.comparing import compare

CODE = """
from surefoot import flow
from surefoot.evals import Evaluation, Judged


@flow
def answer(question: str) -> str:
    return question * (2 if "long" in question else 1)


@flow
def kind(response: str) -> bool:
    return "rude" not in response and "blunt" not in response


kindness = Evaluation(answer, (), judges=[Judged(kind)])
"""


@flow
def answer(question: str) -> str:
    return question


@flow
def kind(response: str) -> bool:
    return "rude" not in response and "blunt" not in response


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").write_text("", "utf-8")
    (tmp_path / "own.py").write_text(CODE, "utf-8")
    rows = [{"question": f"{'rude' if n % 4 == 0 else 'fine'} {n}"} for n in range(24)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    # People find what is blunt kind in half of the cases: the judge is right in 12 of 15, and in 12 of 12.
    labels = [
        *[{"response": f"fine {'x' * n}", "expected": True} for n in range(12)],
        *[{"response": f"blunt {'x' * n}", "expected": True} for n in range(3)],
        *[{"response": f"rude {'x' * n}", "expected": False} for n in range(12)],
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)), "utf-8")
    return tmp_path


def test_a_judge_is_held_against_a_file_and_its_error_is_carried_later(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["own.py:kindness", "--data", "rows.jsonl", "--judge", "--labels", "kind=labels.jsonl"]
    first = CliRunner().invoke(command.command, arguments)
    assert first.exit_code == 0, first.output
    assert "labelled true: 12 of 15 judged true; labelled false: 12 of 12 judged false" in first.output
    assert "length of the answer: " in first.output
    # As in a process of its own.
    monkeypatch.setattr("surefoot.app._apps", {})
    second = CliRunner().invoke(command.command, [*arguments, "--json"])
    assert second.exit_code == 0, second.output
    monkeypatch.setattr("surefoot.app._apps", {})
    found = json.loads(second.stdout)["metrics"][0]
    assert found["agreement"]["confusion"]["false_negative"] == 3
    assert found["agreement"]["length_bias"]["n"] == 27
    assert found["agreement"]["position_bias"] is None
    assert (found["direction"], found["models"]) == ("higher", [])
    later = experiment(json.loads(second.stdout)["experiment"])
    before = _other(later.id)
    assert later["kind"].agreement is not None
    assert later["kind"].agreement.to_json() == found["agreement"]
    contrast = compare(later, before)["kind"]
    assert contrast.as_judged is not None
    assert (contrast.as_judged.sensitivity, contrast.as_judged.labelled) == (12 / 15, 27)
    assert contrast.candidate.paired == pytest.approx(0.75 / 0.8)


def _other(candidate: str) -> Experiment:
    from surefoot.ledger import Evaluations

    records = Evaluations(App.current().ledger).experiments(limit=None)
    return experiment(next(each.id for each in records if each.id != candidate))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "labels.jsonl"}, "'kind', which no judge gives; judges are none: add one by --scorer"),
        ({"kindly": "labels.jsonl"}, "'kindly', which no judge gives"),
    ],
)
def test_labels_of_no_judge_are_refused(project: Path, given: dict[str, str], said: str) -> None:
    evaluation = Evaluation(answer, (), judges=[Judged(kind)], folder=project)
    is_wanted = "kindly" in given
    with pytest.raises(InvalidInput, match=said):
        evaluation.chosen(["exact_match"], labels=given, with_judges=is_wanted)


def test_a_label_that_is_none_is_told_with_its_place(project: Path) -> None:
    (project / "labels.jsonl").write_text('{"response": "fine", "expected": "yes"}\n', "utf-8")
    evaluation = Evaluation(answer, (), judges=[Judged(kind)], folder=project)
    with pytest.raises(InvalidInput, match=r"its label is 'yes': write true, false or a number"):
        evaluation.chosen(labels={"kind": "labels.jsonl"}, with_judges=True)


def test_direction_and_range_are_those_of_the_scorer_in_the_ledger_too(app: App) -> None:
    def errors(output: str) -> float:
        return float(len(output))

    errors.direction, errors.range = "lower", (0.0, 9.0)  # type: ignore[attr-defined]
    made = evaluate(answer, Dataset("d", (Case("a", {"question": "xx"}),)), [errors])
    for found in (made, experiment(made.id)):
        about = found["errors"].about
        assert (about.direction, about.range) == ("lower", (0.0, 9.0))
        assert about.scorer == made["errors"].about.scorer != ""
        assert found.worst() == []


def test_scorers_that_differ_are_named(app: App) -> None:
    cases = Dataset("d", tuple(Case(f"c{n}", {"question": "x"}) for n in range(3)))

    def score(one: float) -> Callable[[str], float]:
        def good(output: str) -> float:
            return one

        return good

    first, second = evaluate(answer, cases, [score(0.5)]), evaluate(answer, cases, [score(0.7)])
    assert (
        compare(experiment(second.id), experiment(first.id))
        .warnings[0]
        .startswith("good is not by the same scorer in both arms")
    )
