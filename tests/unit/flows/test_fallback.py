"""A step with a fallback: degraded, not down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from surefoot import App, flow, last_run, step
from surefoot.ledger import Outcome


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.chdir(tmp_path)
    return App.current()


def steps_of(app: App) -> list[Outcome]:
    return [link.outcome for link in app.ledger.history(last_run().id) if link.outcome.kind == "step"]


def test_the_fallback_is_recorded_after_the_last_attempt_and_marks_step_and_run(app: App) -> None:
    tries: list[str] = []

    @step(retries=1, backoff=lambda _: 0.0, fallback=lambda query: [f"full text: {query}"])
    def search(query: str) -> list[str]:
        tries.append(query)
        raise OSError("the vector store cannot be read")

    @flow
    def answer(query: str) -> list[str]:
        return search(query)

    assert answer("fees") == ["full text: fees"]
    assert len(tries) == 2
    assert [(o.attempt, o.status, o.is_degraded) for o in steps_of(app)] == [
        (1, "failed", False),
        (2, "failed", False),
        (3, "completed", True),
    ]
    assert last_run().totals.is_degraded


def test_a_value_serves_as_fallback_even_none_and_a_success_is_not_degraded(app: App) -> None:
    @step(fallback=None)
    def optional(name: str) -> int | None:
        if name == "bad":
            raise KeyError(name)
        return len(name)

    @flow
    def both() -> list[int | None]:
        return [optional("good"), optional("bad")]

    assert both() == [4, None]
    assert [o.is_degraded for o in steps_of(app) if o.status == "completed"] == [False, True]


def test_an_async_step_takes_a_sync_or_async_fallback(app: App) -> None:
    async def slow_answer(_: str) -> str:
        await asyncio.sleep(0)
        return "from afar"

    @step(fallback=lambda _: "at once")
    async def first(text: str) -> str:
        raise ConnectionError(text)

    @step(fallback=slow_answer)
    async def second(text: str) -> str:
        raise ConnectionError(text)

    @flow
    async def ask() -> list[str]:
        return [await first("a"), await second("b")]

    assert asyncio.run(ask()) == ["at once", "from afar"]
    assert last_run().totals.is_degraded


def test_a_fallback_that_fails_too_raises_its_own_error_and_is_tried_again_at_resume(app: App) -> None:
    outages = [OSError("second store down")]
    calls: list[str] = []

    def other(_: str) -> str:
        if outages:
            raise outages.pop()
        return "other"

    @step(fallback=other)
    def search(query: str) -> str:
        calls.append(query)
        raise ValueError("first store down")

    @flow
    def answer(query: str) -> str:
        return search(query)

    with pytest.raises(OSError, match="second store down") as caught:
        answer("q")
    assert isinstance(caught.value.__cause__, ValueError)
    assert app.resume(last_run().id, flow=answer) == "other"
    assert calls == ["q", "q"]


def test_only_the_failures_to_retry_on_fall_back(app: App) -> None:
    @step(fallback="cached", retry_on=[ConnectionError])
    def fetch(_: int) -> str:
        raise ValueError("a mistake in the code")

    @flow
    def run() -> str:
        return fetch(1)

    with pytest.raises(ValueError, match="a mistake"):
        run()


def test_a_replay_is_the_fallback_result_and_still_degraded(app: App) -> None:
    broken = [True]

    @step(fallback="cached")
    def fetch() -> str:
        raise ConnectionError("down")

    @step
    def send(text: str) -> str:
        if broken:
            broken.clear()
            raise OSError("mail server down")
        return f"sent {text}"

    @flow
    def run() -> str:
        return send(fetch())

    with pytest.raises(OSError, match="mail server"):
        run()
    assert app.resume(last_run().id, flow=run) == "sent cached"
    assert sum(o.name == "fetch" for o in steps_of(app)) == 2
    assert last_run().totals.is_degraded
