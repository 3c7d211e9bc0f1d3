"""Scorers and flows that do what they should not: each is a failed row, and none takes the experiment with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from surefoot import flow
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset, OnExperiment, Score, compare, evaluate, experiment

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"

pytestmark = pytest.mark.usefixtures("app")


@flow
def answer(number: int) -> str:
    return f"{number}, by {SECRET}"


def numbers(count: int = 3) -> Dataset:
    return Dataset("numbers", tuple(Case(f"c{n}", {"number": n}) for n in range(count)))


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Stubborn(float):
    def __float__(self) -> float:
        raise RuntimeError("no number")


def raising(error: BaseException) -> Callable[[str], object]:
    def scorer(output: str) -> object:
        raise error

    return scorer


async def cancelled(output: str) -> bool:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (lambda output: 10**400, "no number that can be averaged"),
        (lambda output: 10**5000, "no number that can be averaged"),
        (lambda output: 1.7e308, "no number that can be averaged"),
        (lambda output: Score(-1e300), "no number that can be averaged"),
        (lambda output: Stubborn(1), "RuntimeError: no number"),
        (lambda output: Score(1.0, 5), "reason"),  # type: ignore[arg-type]
        (raising(Unsayable()), "Unsayable"),
        (raising(asyncio.CancelledError()), "CancelledError"),
        (cancelled, "CancelledError"),
    ],
)
def test_a_scorer_that_gives_no_score_fails_its_rows(scorer: Any, said: str) -> None:
    found = evaluate(answer, numbers(), {"odd": scorer, "fine": lambda output: True})
    assert [said in row.failures["odd"] for row in found.rows] == [True] * 3
    assert (found["odd"].coverage, found["fine"].value) == (0.0, 1.0)
    whole = evaluate(answer, numbers(1), {"odd": OnExperiment(lambda rows: scorer(""))})
    assert said in whole["odd"].failures[0].reason


def test_large_scores_have_a_mean_and_a_comparison() -> None:
    large = {"large": lambda number: (-1) ** number * 9e74}
    one, two = (evaluate(answer, numbers(), large) for _ in range(2))
    assert one["large"].value == pytest.approx(3e74)
    assert compare(one, two)["large"].effect == "too few cases"


@flow
async def leaving(number: int) -> int:
    if number == 1:
        raise asyncio.CancelledError
    return number


@flow
def leaving_in_a_thread(number: int) -> int:
    if number == 1:
        raise asyncio.CancelledError
    return number


@pytest.mark.parametrize("target", [leaving, leaving_in_a_thread])
def test_a_flow_that_cancels_itself_is_a_failed_row_and_ends_nothing(target: Any) -> None:
    found = evaluate(target, numbers(), {"fine": lambda output: True}, concurrency=1, experiment="x")
    assert [row.status for row in found.rows] == ["completed", "failed", "completed"]
    assert "CancelledError" in found.rows[1].error
    assert found["fine"].coverage == pytest.approx(2 / 3)
    again = evaluate(target, numbers(), {"fine": lambda output: True}, experiment="x")
    assert [row.status for row in again.rows] == ["completed", "failed", "completed"]


@flow
def telling(number: int) -> str:
    if number == 2:
        raise ValueError(f"no access with {SECRET}")
    return f"{number} {SECRET}"


def labelled(output: str) -> str:
    return output


def test_what_it_returns_hides_secrets_as_the_ledger_does() -> None:
    scorers = {
        "said": lambda output: Score(1.0, f"found {output}"),
        "label": labelled,
        "failing": raising(ValueError(SECRET)),
        "whole": OnExperiment(lambda rows: raising(ValueError(SECRET))("")),
    }
    cases = Dataset("d", tuple(Case(f"c{n}", {"number": n}, metadata={"key": SECRET}) for n in range(3)))
    found = evaluate(telling, cases, scorers, experiment="kept")
    assert SECRET not in json.dumps(found.to_json())
    assert SECRET not in repr(found)
    kept = experiment("kept")
    assert [row.scores for row in found.rows] == [row.scores for row in kept.rows]
    assert [row.failures for row in found.rows] == [row.failures for row in kept.rows]
    other = evaluate(telling, cases, scorers, experiment="other")
    assert SECRET not in json.dumps(compare(other, found).to_json())


ran: list[int] = []


@flow
def costly(number: int) -> int:
    ran.append(number)
    return number


@pytest.mark.parametrize(
    ("case", "metric", "said"),
    [
        ("x" * 401, "fine", "the id of a case has 1 to 400 characters"),
        ("a\0b", "fine", "in which is a NUL"),
        ("c", "m" * 201, "the name of a metric has 1 to 200 characters"),
        ("c", "", "the name of a metric has 1 to 200 characters"),
        ("c", "a\ud800b", "half of a character"),
    ],
)
def test_names_that_cannot_be_kept_are_found_before_anything_is_run(
    case: str, metric: str, said: str
) -> None:
    ran.clear()
    cases = Dataset("d", (Case("first", {"number": 1}), Case(case, {"number": 2})))
    with pytest.raises(InvalidInput, match=said):
        evaluate(costly, cases, {metric: lambda output: True})
    assert ran == []
