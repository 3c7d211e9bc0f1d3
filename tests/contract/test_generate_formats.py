"""`generate` in each provider's format: a stream, a type, a conversation with tools, cut anywhere and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from durable import cut, history, opened_app
from surefoot import App, Call, flow, generate, step
from wire import WireServer

MODELS = ["openai:gpt-4o", "anthropic:claude-sonnet-5", "google:gemini-3-flash", "azure:prod-chat"]
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a ledger?"}]


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with WireServer() as running:
        for vendor, base in (
            ("OPENAI", running.openai_url),
            ("ANTHROPIC", running.anthropic_url),
            ("GOOGLE_GEMINI", running.gemini_url),
        ):
            monkeypatch.setenv(f"{vendor}_BASE_URL", base)
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", running.azure_url)
        for name in ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE_OPENAI"):
            monkeypatch.setenv(f"{name}_API_KEY", "key-of-a-test")
        yield running


class Report(BaseModel):
    title: str
    pages: int


done: list[str] = []


@step
def weather(city: str, days: int) -> str:
    """The weather of a city."""
    done.append(city)
    return f"sunny for {days} days"


@flow
def all_of_it(model: str) -> dict[str, Any]:
    pieces: list[str] = []
    text = generate.sync(TALK, using=Call(model, stream=pieces.append))
    report = generate.sync(TALK, Report, using=model)
    last = generate.sync(TALK, using=Call(model, tools=[weather], reasoning_effort="low"))
    return {"text": text, "pieces": pieces, "report": report, "last": last}


@pytest.mark.parametrize("model", MODELS)
def test_a_run_in_each_format_is_resumed_without_asking_again(
    server: WireServer, tmp_path: Path, model: str
) -> None:
    done.clear()
    with opened_app(tmp_path / "app") as app:
        expected = all_of_it(model)
        rows, source = len(history(app)), Path(app.ledger.where)
        made = [link.outcome for link in history(app) if link.outcome.kind == "call"]
    assert expected["text"].endswith("heard: What is a ledger?")
    assert "".join(expected["pieces"]) == expected["text"]
    assert len(expected["pieces"]) > 1
    assert expected["report"] == Report(title="text", pages=42)
    assert (server.count(), done) == (4, ["text"])
    assert all(outcome.call is not None and outcome.call.usage.output > 0 for outcome in made)
    for kept in range(1, rows):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as again:
            recorded = sum(link.outcome.kind == "call" for link in history(again))
            before = server.count()
            assert resumed(again) == expected
            assert server.count() - before == 4 - recorded


def test_two_models_of_geminis_are_two_calls_though_their_bodies_are_equal(
    server: WireServer, tmp_path: Path
) -> None:
    @flow
    def both() -> list[str]:
        return [generate.sync(TALK, using=f"google:{name}") for name in ("gemini-3-flash", "gemini-3-pro")]

    with opened_app(tmp_path / "app") as app:
        expected = both()
        source = Path(app.ledger.where)
    assert expected[0] != expected[1]
    cut(source, tmp_path / "cut", 2)
    with opened_app(tmp_path / "cut") as again:
        assert again.resume("last", flow=both) == expected
    assert server.count() == 3


def resumed(app: App) -> Any:
    return app.resume("last", flow=all_of_it)
