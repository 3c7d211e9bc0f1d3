"""pydantic-ai's agents inside durable runs, unmodified (docs/guide/frameworks.md)."""

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

IN_ORDER = ["chat", "chat_async", "refused"]
AT_ONCE = ["at_once"]


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


@pytest.mark.parametrize("name", [*IN_ORDER, *AT_ONCE])
def test_tokens_and_cost_are_those_that_pydantic_ai_reports(framework: Framework, name: str) -> None:
    check_the_usage(framework, name)


def test_the_answers_are_those_of_the_server(framework: Framework) -> None:
    result = framework.whole("chat").result
    assert result["greeted"] == 'gpt-4o heard: Where does "hello world" come from?'
    assert result["located"] == {"city": "text", "country": "text"}
    assert result["played"] == "gpt-4o heard: 4"
    assert result["texts"][-1] == "gpt-4o heard: What is the capital of the UK?"
    assert framework.whole("refused").result["said"] == "UnexpectedModelBehavior"


def test_the_guide_shows_what_runs(framework: Framework, tmp_path: Path) -> None:
    check_the_guide(framework, "test_pydantic_ai.py", tmp_path)
