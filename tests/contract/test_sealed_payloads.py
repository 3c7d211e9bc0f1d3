"""What goes on with sealed payloads goes on with what is exact: the cache and backtests, on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines import Place, place
from leaks import KEY, SETTINGS, STORY, all_written, app, opened, readable_in
from policies import own_policy
from postgres import postgres_server, postgres_url
from surefoot import App, Call, flow, generate, models, scripted, step
from surefoot.evals.backtesting import backtest
from surefoot.values import Message
from wire import WireServer

__all__ = ["app", "own_policy", "place", "postgres_server", "postgres_url"]

DONE: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with WireServer() as server:
        yield server


@flow(cache=True, trusted=True)
def answering(question: str) -> str:
    return generate.sync([Message("user", question)], using=Call("openai:gpt-4o", temperature=0.9))


def test_an_answer_that_is_sealed_is_given_again_exactly_and_to_no_other_question(
    place: Place, wire: WireServer
) -> None:
    (place.folder / "surefoot.toml").write_text(SETTINGS, encoding="utf-8")
    environ = {"OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "key-of-a-test"}
    # Where people read them all three are the same question.
    other_story = STORY.replace(KEY, f"{KEY}x")
    for question, count in ((STORY, 1), (STORY, 1), (other_story, 2)):
        app = opened(place, **environ)
        try:
            with app.entered():
                assert app.run(answering, {"question": question}) == f"gpt-4o heard: {question}"
                assert wire.count() == count
                end = app.ledger.end(app.ledger.run("last").id)
                assert end is not None
                assert "[secret]" in app.ledger.view(end.output)
                assert readable_in(all_written(place)) == []
        finally:
            app.close()


@step
def looking_up(question: str) -> dict[str, str]:
    DONE.append(question)
    return {"found": question}


@step
def asking(prompt: str, found: dict[str, str]) -> str:
    return generate.sync([Message("user", f"{prompt}: {found['found']}")], using="openai:gpt-4o")


@flow(trusted=True)
def two(question: str) -> str:
    return asking("answer", looking_up(question))


def is_whole(output: str) -> bool:
    return output == f"again {STORY}"


def test_a_backtest_goes_on_with_what_is_exact_and_judges_it(app: App, place: Place) -> None:
    with scripted([f"Dear {STORY}"]):
        app.run(two, {"question": STORY})
    assert DONE == [STORY]
    app.close()
    other = opened(place)
    models.policy.provide(lambda: other.policy)
    try:
        with other.entered():
            with scripted([f"again {STORY}"]) as script:
                found = backtest(
                    two, [is_whole], runs="last hour", changes=["model:openai:gpt-4o=openai:gpt-4o-mini"]
                )
            # What was looked up came from the record, and was handed on as it was.
            assert DONE == [STORY]
            assert [STORY in request.text for request in script.requests] == [True]
            assert (found.candidate["is_whole"].value, found.baseline["is_whole"].value) == (1.0, 0.0)
            assert (found.reuse.taken.steps, found.reuse.made.steps) == (1, 1)
            assert readable_in(all_written(place)) == []
    finally:
        other.close()
