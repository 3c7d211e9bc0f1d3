"""Scorers by name: how they are written, what is refused, and that each is at work in an evaluation."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import flow, step
from surefoot.app import App
from surefoot.errors import InvalidInput
from surefoot.evals import BUILT_IN, Case, Dataset, Evaluation, Experiment, Score, evaluate
from surefoot.evals.plain import is_known, names, numeric, recall_at, scorer_of, unaided
from surefoot.evals.scales import direction_of, range_of, scaled
from surefoot.evals.scoring.binding import bind
from surefoot.evals.scoring.readings import Reader
from surefoot.evals.scoring.subjects import OnExperiment


def nothing(_: object) -> list[object]:
    return []


READS: dict[str, Reader] = {
    "context": "context",
    "retrieved": "$steps.look_up.id",
    "citations": nothing,
    "excerpts": nothing,
}
LOWER = {"latency", "cost", "tokens", "calls", "steps"}


def function(text: str) -> Callable[..., object]:
    made = scorer_of(text)
    return made.scorer if isinstance(made, OnExperiment) else made


def said(text: str, *args: object) -> Score:
    found = function(text)(*args)
    assert isinstance(found, Score)
    return found


# How they are written


@pytest.mark.parametrize("name", names())
def test_what_is_shown_as_usage_can_be_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text("{}", encoding="utf-8")
    text = name.replace("[", "").removesuffix("]") if "[:" in name else name
    text = text.replace("items*].at", "items[*].at")
    assert callable(function(text))
    assert is_known(text)


@pytest.mark.parametrize(
    ("text", "name", "answer", "value"),
    [
        (r"regex:^\d+$", r"regex:^\d+$", "12", True),
        (r"digits=regex:^\d+$", "digits", "x", False),
        ("regex:a,b=c:d", "regex:a,b=c:d", "a,b=c:d", True),
        ("contains:a, b", "contains:a, b", "a, b", True),
        ("max_words:3", "max_words:3", "one two three", True),
        ("min_chars:3", "min_chars:3", "ab", False),
        ("one_of: yes, no ", "one_of:yes,no", "No.", True),
        ("one_of:yes,no,place=within", "one_of:yes,no,place=within", "I say no.", True),
        ("is_json", "is_json", "[1]", True),
    ],
)
def test_a_scorer_is_called_as_it_is_written(text: str, name: str, answer: str, value: bool) -> None:
    assert function(text).__name__ == name
    assert said(text, answer).value is value


def test_arguments_are_read_by_place_and_by_name() -> None:
    assert said("token_f1:unicode", "Straße", "STRASSE").value == 1
    assert said("token_f1:way=unicode", "Straße", "STRASSE").value == 1
    assert said("rougeL:recall", "cats", "cats sit").value == 0.5
    assert said("numeric:0.5,which=last", "1 to 14", 10).value is True
    assert said("numeric:mark=comma", "1.000", 1000).value is True
    assert said(
        "json_equal:ignore=$.id,ignore=$.at,lists=any", {"id": 1, "x": [1, 2]}, {"x": [2, 1], "at": 3}
    ).value
    assert said("quoted_spans:least_words=2", '"of it"', ["of it"]).value == 1
    case = Case("1", {}, metadata={"gold": ["a", "b"]})
    assert said("recall_at:1,relevant=gold", ["a"], case).value == 0.5
    assert said("ndcg_at:2,gain=exponential,relevant=gold", ["a", "b"], case).value == 1
    assert (
        said("bleu:compat=ragas", "One. B", "One. A").value
        == said("bleu:compat=ragas", "One. C", "One. A").value
    )


def test_what_stands_for_all_cases_keeps_its_name() -> None:
    assert cast("OnExperiment", scorer_of("corpus_bleu")).name == "corpus_bleu"
    assert cast("OnExperiment", scorer_of("macro_f1:yes,no")).name == "macro_f1:yes,no"
    assert cast("OnExperiment", scorer_of("f1=macro_f1:yes,no")).name == "f1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no scorer is called ''"),
        ("token_f", "did you mean token_f1?"),
        ("rougel", "did you mean rougeL?"),
        ("Exact_Match", "did you mean exact_match?"),
        ("zzzzzz", "no scorer is called 'zzzzzz': there are exact_match"),
        ("exact_match:x", "one argument too many"),
        ("exact_match:", "nothing follows the colon"),
        ("recall_at", "there is nothing after its name; write it as in recall_at:5"),
        ("recall_at:", "there is nothing after its name"),
        ("recall_at:x", "'x' is no whole number; write it as in recall_at:5"),
        ("recall_at:0", "count the first places from 1"),
        ("recall_at:-5", "no whole number"),
        ("recall_at:1e9", "no whole number"),
        ("recall_at:5,6", "one argument too many"),
        ("recall_at:relevant=gold", "k is missing"),
        ("recall_at:5,relevnt=gold", "did you mean relevant?"),
        ("recall_at:5,k=6", "k stands twice"),
        ("regex:", "there is nothing after its name"),
        ("regex:(?=a)", "look-around"),
        ("rougeL:recal", "did you mean recall?"),
        ("numeric:relative=much", "'much' is no number"),
        ("numeric:relative=nan", "write numbers from 0"),
        ("numeric:mark=;", "none of its values"),
        ("one_of:yes", "it takes more"),
        ("json_schema:nowhere.json", "cannot be read"),
        ("json_equal:ignore=id", "is no path"),
        ("max_words:many", "no whole number"),
        ("tokens:outputs", "did you mean output?"),
        ("a=b=exact_match", "no scorer is called"),
        ("1x=exact_match", "no scorer is called"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        scorer_of(text)
    assert problem in str(caught.value)


@given(st.text(max_size=20), st.sampled_from(sorted(BUILT_IN)))
def test_no_text_is_read_as_something_else(text: str, name: str) -> None:
    for written in (text, f"{name}:{text}", f"{name}{text}"):
        try:
            scorer_of(written)
        except InvalidInput:
            continue
        assert written.partition("=")[2].partition(":")[0] in BUILT_IN or is_known(written)


def test_those_that_need_nothing_are_built_in() -> None:
    assert BUILT_IN.keys() == unaided().keys()
    assert {"exact_match", "token_f1", "support", "rougeL", "cost"} < BUILT_IN.keys()
    assert "regex" not in BUILT_IN


# Directions and ranges


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_scorer_says_which_way_is_better(name: str) -> None:
    assert direction_of(function(name)) == ("lower" if name in LOWER else "higher")
    found = range_of(function(name))
    assert found == (
        (0.0, None) if name in LOWER else (-1.0, 1.0) if name == "embedding_similarity" else (0.0, 1.0)
    )


def test_a_renamed_scorer_keeps_direction_range_and_parameters() -> None:
    renamed = function("seconds=latency")
    assert (renamed.__name__, direction_of(renamed), range_of(renamed)) == ("seconds", "lower", (0.0, None))
    assert list(inspect.signature(renamed).parameters) == ["trace"]
    assert function("latency").__name__ == "latency"


def test_own_scorers_may_have_a_direction() -> None:
    def errors(response: str) -> float:
        return float(len(response))

    assert (direction_of(errors), range_of(errors)) == ("higher", None)
    (bound,) = bind([scaled(errors, direction="lower", within=(0, None))], {})
    assert bound.direction == "lower"
    vars(errors)["direction"] = "down"
    with pytest.raises(InvalidInput, match="'higher' or 'lower'"):
        direction_of(errors)
    for wrong in ((1, 0), (0,), "0-1", (0, "1"), (False, True)):
        vars(errors)["range"] = wrong
        with pytest.raises(InvalidInput, match="the range of"):
            range_of(errors)


# At work


@step(pure=True)
def look_up(question: str) -> list[dict[str, str]]:
    return [{"id": "b", "text": "Bergen is wet."}, {"id": "a", "text": f"Oslo is the answer to {question}"}]


@flow
def answering(question: str) -> dict[str, object]:
    found = look_up(question)
    if question == "broken":
        raise ValueError("no answer")
    label = "yes" if question != "third" else "no"
    return {"answer": label, "context": [each["text"] for each in found]}


def rows(*questions: str) -> list[Case]:
    return [
        Case(
            question,
            {"question": question},
            expected="yes",
            metadata={"relevant": ["a"], "reference_contexts": ["Bergen is wet!"], "evidence": None},
        )
        for question in questions
    ]


def evaluated(*scorers: str, questions: tuple[str, ...] = ("first", "second", "third")) -> Experiment:
    return evaluate(
        answering,
        Dataset("questions", tuple(rows(*questions))),
        [scorer_of(each) for each in scorers],
        reads={**READS, "response": "answer", "output": "answer"},
    )


def test_every_scorer_is_at_work_in_an_evaluation(app: App, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"enum": ["yes"]}', encoding="utf-8")
    # What needs vectors has tests of its own.
    plain = [
        name
        for name in BUILT_IN
        if name not in {"embedding_similarity", "support", "corpus_bleu", "corpus_chrf"}
    ]
    named = [
        *("recall_at:1", "recall_at:2", "precision_at:2", "hit_at:1", "ndcg_at:2", "label_match:yes,no"),
        *("confusion:yes,no", "regex:^yes$", "max_chars:2", f"json_schema:{schema}", "tokens:output"),
    ]
    wrong_here = {"numeric", "json_equal"}
    result = evaluated(*(name for name in plain if name not in wrong_here), *named)
    for metric in result.metrics:
        assert not metric.failures, (metric.name, metric.failures[:1])
    assert {name: result[name].value for name in named if name != "confusion:yes,no"} == {
        "recall_at:1": 0.0,
        "recall_at:2": 1.0,
        "precision_at:2": 0.5,
        "hit_at:1": 0.0,
        "ndcg_at:2": pytest.approx(0.6309297535714575),
        "label_match:yes,no": pytest.approx(2 / 3),
        "regex:^yes$": pytest.approx(2 / 3),
        "max_chars:2": pytest.approx(1 / 3),
        f"json_schema:{schema}": 0.0,
        "tokens:output": 0.0,
    }
    assert result["confusion:yes,no"].labels == {"yes -> yes": 2, "yes -> no": 1}
    assert result["mrr"].value == 0.5
    assert (result["calls"].value, result["steps"].value, result["cost"].value) == (0.0, 1.0, 0.0)
    latency = result["latency"].value
    assert latency is not None
    assert latency > 0
    assert result["text_recall"].value == 1.0
    row = result.rows[2]
    assert row.scores["exact_match"] == Score(value=False, reason="'no' is not 'yes'")


def test_scorers_of_all_cases_are_at_work_too(app: App) -> None:
    result = evaluated("bleu", "chrf", "corpus_bleu", "corpus_chrf", "confusion:yes,no", "macro_f1:yes,no")
    # Of `yes` 2 are right and 1 is missed, `no` is never right.
    assert result["macro_f1:yes,no"].value == pytest.approx(0.4)
    assert 0 < (result["corpus_chrf"].value or 0) < 1
    assert result["corpus_bleu"].scope == "experiment"
    broken = evaluated("bleu", "corpus_bleu", questions=("first", "broken"))
    assert broken["corpus_bleu"].value is None
    assert "1 of 2 cases have no score" in broken["corpus_bleu"].failures[0].reason


def test_wrong_data_are_failures_with_what_to_do(app: App) -> None:
    result = evaluate(
        answering,
        Dataset("questions", (Case("1", {"question": "first"}, expected="yes", metadata={"relevant": 1.5}),)),
        [numeric(), recall_at(1)],
        reads={"response": "answer", "retrieved": "$steps.look_up"},
    )
    assert "write one, as in 12.5" in result["numeric"].failures[0].reason
    assert "the column 'relevant' is float" in result["recall_at:1"].failures[0].reason


def test_an_evaluation_takes_scorers_by_name(app: App) -> None:
    evaluation = Evaluation(answering, (), reads={"response": "answer"})
    dataset = Dataset("questions", tuple(rows("first")))
    result = evaluation.run(dataset, scorers=["short=max_chars:3", "exact_match"])
    assert [(metric.name, metric.value) for metric in result.metrics] == [
        ("short", 1.0),
        ("exact_match", 1.0),
    ]
    with pytest.raises(InvalidInput, match="did you mean exact_match"):
        evaluation.run(dataset, scorers=["exact_macth"])
    with pytest.raises(InvalidInput, match="add --scorer NAME, one of exact_match, "):
        evaluation.run(dataset)


def test_the_packages_of_the_extra_wait_until_they_are_needed() -> None:
    code = (
        "import json, sys\n"
        "from surefoot.evals.plain import scorer_of, names\n"
        "scorer_of('bleu'), scorer_of('levenshtein'), scorer_of('rougeL'), names()\n"
        "heavy = {'rapidfuzz', 'sacrebleu', 'numpy', 're2', 'jsonschema', 'nltk', 'rouge_score'}\n"
        "print(json.dumps(sorted(heavy & sys.modules.keys())))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(ran.stdout) == []
