"""Instructor inside durable runs, unmodified (docs/guide/frameworks.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework_runs import (
    Framework,
    check_a_kill_in_parallel,
    check_each_kill,
    check_the_guide,
    check_the_replay,
    check_the_usage,
)

IN_ORDER = ["extract", "extract_async", "stream", "stream_async"]
AT_ONCE = ["at_once"]
# Instructor does not ask for the usage of a stream, so there is none to record.
COUNTED = ["extract", "extract_async", "at_once"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", IN_ORDER)
def test_no_recorded_call_is_made_again_wherever_the_process_dies(framework: Framework, name: str) -> None:
    check_each_kill(framework, name)


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_kill_among_calls_at_once_repeats_those_in_flight_only(framework: Framework, name: str) -> None:
    check_a_kill_in_parallel(framework, name, in_flight=6)


@pytest.mark.parametrize("name", [*IN_ORDER, *AT_ONCE])
def test_a_replay_makes_no_call(framework: Framework, name: str) -> None:
    check_the_replay(framework, name)


@pytest.mark.parametrize("name", COUNTED)
def test_tokens_and_cost_are_those_that_instructor_is_shown(framework: Framework, name: str) -> None:
    check_the_usage(framework, name)


def test_a_stream_whose_usage_was_not_asked_for_has_no_price(framework: Framework) -> None:
    totals = framework.whole("stream").totals
    assert (totals.calls, totals.usage.total, totals.is_cost_complete) == (2, 0, False)


def test_the_answers_are_those_of_the_server(framework: Framework) -> None:
    result = framework.whole("extract").result
    assert result["users"] == [{"name": "text", "age": 42}] * 4
    assert result["said"] == "InstructorRetryException after 3"
    assert len(framework.whole("extract").calls) == 4 + 3


def test_the_guide_shows_what_runs(framework: Framework, tmp_path: Path) -> None:
    check_the_guide(framework, "test_instructor.py", tmp_path)
