"""`generate` in the format of each provider, against a server that refuses what the real API refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from durable import cut, history
from surefoot import App, Call, Reply, embed, flow, generate, step
from surefoot.config import load
from surefoot.errors import ConfigError, CredentialRefused, InvalidInput, RequestRefused, UsageError
from surefoot.values import Image, Message
from wire import Fault, WireServer

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
ASKED = [Message("system", "You are brief."), Message("user", "What are the risks?")]
MODELS = [
    "openai:gpt-4o",
    "openai-responses:gpt-4o",
    "anthropic:claude-opus-9",
    "google:gemini-2.5-pro",
    "azure:gpt-4o",
    "azure-token:gpt-4o",
    "gateway:llama3",
]


class Verdict(BaseModel):
    answer: str
    score: int


calls: list[int] = []


@step
async def look_up(page: int) -> dict[str, int]:
    """Read a page.

    page: its number.
    """
    calls.append(page)
    return {"page": page}


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


def environ_of(server: WireServer) -> dict[str, str]:
    return {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_RUNS_STRICT": "true",
        **{f"{provider}_API_KEY": "key-of-a-test" for provider in ("OPENAI", "ANTHROPIC", "GOOGLE")},
        "AZURE_OPENAI_API_KEY": "key-of-a-test",
        "ENTRA_TOKEN": "token-of-a-test",
        "OPENAI_BASE_URL": server.openai_url,
        "ANTHROPIC_BASE_URL": server.anthropic_url,
        "GOOGLE_GEMINI_BASE_URL": server.url,
    }


@pytest.fixture
def wire() -> Iterator[WireServer]:
    calls.clear()
    with WireServer() as server:
        yield server


def opened(folder: Path, server: WireServer) -> App:
    folder.mkdir(exist_ok=True)
    (folder / "surefoot.toml").write_text(
        f"""
[connections.openai-responses]
provider = "openai"
api = "responses"

[connections.openai]
provider = "openai"

[connections.azure]
provider = "azure"
base_url = "{server.url}"
api_version = "2024-10-21"
default = true

[connections.azure-token]
provider = "azure"
base_url = "{server.url}"
api_version = "2024-10-21"
ad_token = "${{env:ENTRA_TOKEN}}"

[connections.gateway]
provider = "openai-compatible"
base_url = "{server.openai_url}"
headers = {{ Authorization = "Bearer ${{env:OPENAI_API_KEY}}" }}
"""
    )
    return App(load(folder, environ=environ_of(server)))


@pytest.fixture
def app(wire: WireServer, tmp_path: Path) -> Iterator[App]:
    app = opened(tmp_path / "app", wire)
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@pytest.mark.parametrize("model", MODELS)
def test_a_text_a_stream_and_a_value(app: App, wire: WireServer, model: str) -> None:
    pieces: list[str] = []
    name = model.partition(":")[2]
    reply = generate.sync(ASKED, Reply, using=model)
    assert reply.value == f"{name} heard: What are the risks?"
    assert reply.usage.input > 0
    assert reply.usage.output > 0
    streamed = generate.sync(ASKED, Reply, using=Call(model, stream=pieces.append))
    assert streamed.value == reply.value == "".join(pieces)
    assert len(pieces) > 1
    assert streamed.usage == reply.usage
    assert streamed.cost == reply.cost
    assert isinstance(generate.sync(ASKED, Verdict, using=model), Verdict)
    assert isinstance(generate.sync(ASKED, list[int], using=Call(model, stream=pieces.append)), list)
    assert wire.count() == 4


@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_settings(app: App, model: str) -> None:
    asked = [Message("user", ("What is this?", Image(data=PIXEL, media_type="image/png")))]
    stop = None if model.startswith("openai-responses") else ["END"]
    using = Call(model, temperature=0.5, top_p=0.9, max_tokens=200, stop=stop)
    assert generate.sync(asked, using=using)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
def test_tools_and_a_value_killed_after_any_outcome(
    app: App, wire: WireServer, tmp_path: Path, model: str, is_streamed: bool
) -> None:
    heard: list[str] = []

    @flow
    async def looking() -> Verdict:
        effort: Any = None if model.startswith(("azure", "gateway")) else "low"
        hear = heard.append if is_streamed else None
        using = Call(model, tools=[look_up], stream=hear, reasoning_effort=effort)
        return await generate(ASKED, Verdict, using=using)

    expected = asyncio.run(app.run_async(looking))
    assert isinstance(expected, Verdict)
    rows = [(link.outcome.kind, link.outcome.name) for link in history(app)]
    assert [kind for kind, _ in rows] == ["start", "call", "step", "call", "step", "end"]
    assert len(calls) == 1
    for kept in range(1, len(rows)):
        cut(Path(app.ledger.where), tmp_path / f"after-{kept}", kept)
        again = opened(tmp_path / f"after-{kept}", wire)
        try:
            with again.entered():
                before, done = wire.count(), [link.outcome.kind for link in history(again)]
                calls.clear()
                assert asyncio.run(again.resume_async("last", flow=looking)) == expected
                assert wire.count() - before == 2 - done.count("call")
                assert len(calls) == (0 if "step" in done else 1)
        finally:
            again.close()


@pytest.mark.parametrize("model", MODELS)
def test_refusals_are_told_apart(app: App, wire: WireServer, model: str) -> None:
    name, _, _ = model.partition(":")
    with pytest.raises(RequestRefused, match=f"unknown-model at .*{'azure' if 'azure' in name else ''}"):
        generate.sync(ASKED, using=f"{name}:unknown-model")
    assert wire.count() == 1


def test_a_credential_that_is_refused(app: App, wire: WireServer) -> None:
    wire.fail(Fault(status=401))
    with pytest.raises(CredentialRefused):
        generate.sync(ASKED, using="anthropic:claude-opus-9")


@pytest.mark.parametrize(
    ("model", "setting", "says"),
    [
        ("anthropic:claude-opus-9", "seed", "seed"),
        ("anthropic:claude-opus-9", "logprobs", "log-probabilities"),
        ("openai-responses:gpt-4o", "stop", "stop"),
    ],
)
def test_what_a_provider_has_no_words_for_is_said_before_the_call(
    app: App, wire: WireServer, model: str, setting: str, says: str
) -> None:
    settings: Any = {setting: ["END"] if setting == "stop" else 1}
    with pytest.raises(UsageError, match=says):
        generate.sync(ASKED, using=Call(model, **settings))
    assert wire.count() == 0


def test_two_models_of_geminis_are_two_calls_though_their_bodies_are_equal(
    app: App, wire: WireServer, tmp_path: Path
) -> None:
    @flow
    def both() -> list[str]:
        return [generate.sync(ASKED, using=f"google:{name}") for name in ("gemini-3-flash", "gemini-3-pro")]

    expected = app.run(both)
    assert isinstance(expected, list)
    assert expected[0] != expected[1]
    cut(Path(app.ledger.where), tmp_path / "cut", 2)
    again = opened(tmp_path / "cut", wire)
    with again.entered():
        assert again.resume("last", flow=both) == expected
    again.close()
    assert wire.count() == 3


def test_log_probabilities(app: App) -> None:
    for model in ("openai:gpt-4o", "openai-responses:gpt-4o", "google:gemini-2.5-pro"):
        reply = generate.sync(ASKED, Reply, using=Call(model, logprobs=2))
        assert reply.logprobs, model
        assert all(token.logprob <= 0 for token in reply.logprobs)


@pytest.mark.parametrize(
    "model", ["openai:text-embedding-3-small", "azure:text-embedding-3-small", "google:gemini-embedding-001"]
)
def test_vectors_killed_after_any_outcome(app: App, wire: WireServer, tmp_path: Path, model: str) -> None:
    @flow
    async def embedding() -> list[Any]:
        pair = await embed(["one", "two"], using=model)
        return [*pair, *await embed(["three"], using=model, dimensions=4)]

    expected = asyncio.run(app.run_async(embedding))
    assert isinstance(expected, list)
    assert [len(vector) for vector in expected] == [8, 8, 4]
    assert expected[0] != expected[1]
    assert embed.sync(["two"], using=model) == [expected[1]]
    assert app.ledger.run("last").totals.usage.input > 0 or "google" in model
    for kept in range(1, 4):
        cut(Path(app.ledger.where), tmp_path / f"after-{kept}", kept)
        again = opened(tmp_path / f"after-{kept}", wire)
        with again.entered():
            before = wire.count()
            assert asyncio.run(again.resume_async("last", flow=embedding)) == expected
            assert wire.count() - before == 3 - kept
        again.close()


def test_what_has_no_vector(app: App, wire: WireServer) -> None:
    with pytest.raises(InvalidInput, match="text 1 of 2 is empty"):
        embed.sync(["one", ""], using="openai:text-embedding-3-small")
    with pytest.raises(InvalidInput, match="put it into a list"):
        embed.sync("one", using="openai:text-embedding-3-small")
    with pytest.raises(ConfigError, match="anthropic makes no vectors"):
        embed.sync(["one"], using="anthropic:claude-opus-9")
    assert embed.sync([], using="openai:text-embedding-3-small") == []
    assert wire.count() == 0


def test_the_default_model(wire: WireServer, tmp_path: Path) -> None:
    environ = environ_of(wire) | {"SUREFOOT_MODELS_DEFAULT": "openai:gpt-4o-mini"}
    app = App(load(tmp_path, environ=environ))
    with app.entered():
        assert generate.sync(ASKED).startswith("gpt-4o-mini heard")
    app.close()
