"""`surefoot eval --frontier`: real flows answered by each tier and each model, and what is drawn from the record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import surefoot
from durable import opened_app
from surefoot import App, Call, Case, Dataset, Tier, Tiered, evaluate, flow, generate, scripted, step
from surefoot.errors import InvalidInput
from surefoot.evals import Experiment, Frontier, Target, exact_match, measure
from surefoot.models import ModelRequest
from surefoot.values import Usage

CHEAP, STRONG = "openai:gpt-4o-mini", "openai:gpt-4o"
CASES = Dataset("rests", tuple(Case(f"{n}", {"number": n}, str(n % 3)) for n in range(12)))
asked: list[str] = []


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    asked.clear()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "surefoot.toml").write_text("[models]\nretries = 0\n")
    with opened_app(folder) as app:
        yield app


def remainder(request: ModelRequest) -> object:
    """The strong model knows; the cheap one is sure of what it knows, and knows each third."""
    asked.append(request.model)
    usage = Usage(input=100, output=10)
    number = int(request.messages[-1].text)
    knows = request.model == "gpt-4o" or number % 3 == 0
    said = str(number % 3) if knows else "?"
    return scripted.says(said, usage=usage, logprobs=[(said, math.log(0.93 if knows else 0.55))])


def ask(number: int, using: Any) -> str:
    with scripted(remainder):
        return generate.sync([{"role": "user", "content": str(number)}], using=using)


@flow
def rest(number: int) -> str:
    return ask(number, Tiered([Tier(CHEAP, confidence=0.9), Tier(STRONG)]))


@flow
def plain(number: int) -> str:
    return ask(number, Call("openai:gpt-4.1", temperature=0.5))


@flow
def twice(number: int) -> str:
    ladder = Tiered([Tier(CHEAP, confidence=0.9), Tier(STRONG)])
    return max(ask(number, ladder), ask(number + 3, ladder))


def drawn(of: Any, *, scorers: Any = (exact_match,), **more: Any) -> Frontier:
    def run(experiment: str) -> Experiment:
        return evaluate(of, CASES, list(scorers), experiment=experiment)

    return measure(run, flow=of, dataset=CASES, **more)


def test_each_tier_answers_every_case_once(app: App) -> None:
    found = drawn(rest)
    assert sorted(asked) == ["gpt-4o"] * 12 + ["gpt-4o-mini"] * 12
    assert (found.metric, found.cases, found.reference, found.signal) == (
        "exact_match",
        12,
        STRONG,
        "confidence",
    )
    by_name = {option.name: option for option in found.options}
    assert [*by_name] == [STRONG, "confidence >= 0.999", "confidence >= 0.92", "confidence >= 0.5", CHEAP]
    assert [option.quality for option in found.options] == [
        1,
        1,
        1,
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
    ]
    assert by_name["confidence >= 0.92"].escalation == pytest.approx(2 / 3)
    cheap, strong = by_name[CHEAP].cost, by_name[STRONG].cost
    assert cheap is not None
    assert strong is not None
    assert by_name["confidence >= 0.92"].cost == pytest.approx(cheap + strong * 2 / 3)
    # Twelve cases show little, and it is said how many would be needed.
    assert found.recommended is not None
    assert found.recommended.name == STRONG
    assert "cases are needed at least; keep openai:gpt-4o" in found.advice
    # Nothing was escalated for it, and no ladder was climbed.
    tiers = [
        one.name
        for run in app.ledger.runs(limit=None)
        for one in app.ledger.outcomes(run.id)
        if one.kind == "step"
    ]
    assert sorted(tiers) == ["generate"] * 24 + ["tier 1"] * 12 + ["tier 2"] * 12


def test_what_the_ladder_would_have_done_is_what_it_does(app: App) -> None:
    """The ladder as the flow has it, at its own threshold: same answers, same cost, to the nano-dollar."""
    option = next(each for each in drawn(rest).options if each.name == "confidence >= 0.92")
    asked.clear()
    real = evaluate(rest, CASES, [exact_match])
    assert sorted(asked) == ["gpt-4o"] * 8 + ["gpt-4o-mini"] * 12
    assert [row.totals.cost.nanos for row in real.rows] == list(option.costs)
    assert [float(row.scores["exact_match"].value) for row in real.rows] == list(option.scores)  # type: ignore[arg-type]
    assert app.ledger.runs()


def test_what_is_recorded_is_not_asked_again(app: App) -> None:
    first = drawn(rest)
    asked.clear()
    for experiment in (first.experiment, "last", f"{first.experiment}#tier-1"):
        again = drawn(rest, experiment=experiment)
        assert again.to_json() == first.to_json()
    assert asked == []
    assert app.ledger.runs()


def test_a_target_that_few_cases_can_show(app: App) -> None:
    found = drawn(rest, target=Target(0.5))
    assert found.recommended is not None
    assert found.recommended.name == "confidence >= 0.92"
    assert found.saving is not None
    assert found.saving < 1
    assert found.advice.startswith("confidence >= 0.92: at least 50% of the quality of openai:gpt-4o")
    absolute = drawn(rest, target=Target(0.5, is_absolute=True), experiment=found.experiment)
    assert absolute.recommended is not None
    assert absolute.recommended.name == "confidence >= 0.92"
    assert app.ledger.runs()


def test_models_in_the_place_of_the_flows_own(app: App) -> None:
    found = drawn(plain, candidates=[CHEAP, STRONG])
    assert sorted(asked) == ["gpt-4o"] * 12 + ["gpt-4o-mini"] * 12
    assert [(option.name, option.quality) for option in found.options] == [
        (STRONG, 1),
        (CHEAP, pytest.approx(1 / 3)),
    ]
    # What the flow says beside the model goes on holding.
    calls = [
        json.loads(app.ledger.exact(one.run_id, one.inputs))
        for run in app.ledger.runs(limit=None)
        for one in app.ledger.outcomes(run.id)
        if one.kind == "call"
    ]
    assert {call["body"]["temperature"] for call in calls} == {0.5}


def test_tools_of_the_flow_are_those_of_what_is_tried(app: App) -> None:
    @step
    def look_up() -> str:
        return "a page"

    @flow
    def with_tools(number: int) -> str:
        return ask(number, Call("openai:gpt-4.1", tools=[look_up]))

    drawn(with_tools, candidates=[CHEAP, Tiered([CHEAP, STRONG])])
    tools = {
        len(json.loads(app.ledger.exact(one.run_id, one.inputs))["body"]["tools"])
        for run in app.ledger.runs(limit=None)
        for one in app.ledger.outcomes(run.id)
        if one.kind == "call"
    }
    assert tools == {1}


def test_several_ladders_of_a_case_are_told(app: App) -> None:
    found = drawn(twice)
    assert any("up to 2 ladders" in warning for warning in found.warnings)
    assert app.ledger.runs()


def test_a_tier_that_fails_counts_as_0_and_goes_up(app: App) -> None:
    @flow
    def failing(number: int) -> str:
        def rule(request: ModelRequest) -> object:
            return (
                scripted.fails(500) if request.model == "gpt-4o-mini" and number == 3 else remainder(request)
            )

        with scripted(rule):
            ladder = Tiered([Tier(CHEAP, confidence=0.9), Tier(STRONG)])
            return generate.sync([{"role": "user", "content": str(number)}], using=ladder)

    found = drawn(failing)
    alone = next(option for option in found.options if option.name == CHEAP)
    at = next(option for option in found.options if option.name == "confidence >= 0.92")
    assert alone.scores[3] == 0
    assert (at.scores[3], at.escalated[3]) == (1, True)
    assert any("1 of 12 cases count as 0: the run failed" in warning for warning in found.warnings)
    assert app.ledger.runs()


@pytest.mark.parametrize(
    ("target", "more", "problem"),
    [
        (plain, {}, "flow plain asks no Tiered: name the models"),
        (rest, {"metric": "f1"}, "there is no metric 'f1': there are exact_match"),
        (rest, {"candidates": [CHEAP]}, "name two or more"),
        (rest, {"scorers": ()}, "no metric is a number"),
    ],
)
def test_what_cannot_be_drawn(app: App, target: Any, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        drawn(target, **more)
    # What can be known before is said before.
    assert len(app.ledger.runs(limit=None)) == (0 if "candidates" in more else 12)


def test_scores_beyond_1_are_no_quality(app: App) -> None:
    def stars(output: str) -> float:
        return 5.0 if output else 0.0

    with pytest.raises(InvalidInput, match=r"stars of case 0 is 5\.0"):
        drawn(rest, scorers=[stars])
    assert app.ledger.runs()


FLOW = """
import math

from surefoot import Tier, Tiered, flow, generate, scripted
from surefoot.evals import Evaluation, exact_match
from surefoot.values import Usage


def rule(asked):
    number = int(asked.messages[-1].text)
    knows = asked.model == "gpt-4o" or number % 3 == 0
    said = str(number % 3) if knows else "?"
    return scripted.says(said, usage=Usage(input=100, output=10), logprobs=[(said, math.log(0.93 if knows else 0.55))])


@flow
def rest(number: int) -> str:
    with scripted(rule):
        ladder = Tiered([Tier("openai:gpt-4o-mini", confidence=0.9), Tier("openai:gpt-4o")])
        return generate.sync([{"role": "user", "content": str(number)}], using=ladder)


evaluation = Evaluation(rest, [exact_match], data="rests.jsonl")
"""


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "evaluation.py").write_text(FLOW)
    rows = [{"number": number, "expected": str(number % 3)} for number in range(12)]
    (tmp_path / "rests.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def eval_(*arguments: str) -> str:
        return surefoot("eval", ".", "--frontier", *arguments, cwd=tmp_path, COLUMNS="120").stdout

    out = eval_("--at-least", "0.5")
    assert "rest: exact_match of 12 cases" in out
    assert "* confidence >= 0.92" in " ".join(out.split())
    assert "recommended  confidence >= 0.92: at least 50% of the quality of openai:gpt-4o" in out
    found = json.loads(eval_("--experiment", "last", "--at-least", "0.5", "--json"))
    assert (found["recommended"], found["reference"]) == ("confidence >= 0.92", STRONG)
    assert [option["is_shown"] for option in found["options"]] == [True, True, True, False, False]
    out = eval_(f"{CHEAP},{STRONG}", "--at-least", "0.4", "--absolute")
    assert "recommended  no other option is shown to reach a quality of 0.4" in out
