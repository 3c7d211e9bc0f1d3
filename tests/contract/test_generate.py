"""`generate` against a server that speaks strictly: texts, types, streams, tools and stand-ins; runs are resumed."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

import pytest
from pydantic import BaseModel, field_validator

from durable import cut, history, names, opened_app
from surefoot import App, Call, Fallback, Prompty, Reply, flow, generate, scripted, step
from surefoot.errors import (
    ConfigError,
    ContentRefused,
    MalformedResponse,
    ModelError,
    ModelUnavailable,
    RequestRefused,
    UnknownModel,
    UsageError,
)
from surefoot.values import Json, Message, Money
from wire import WireServer

ASKED = [{"role": "user", "content": "What are the risks?"}]
SAID = "gpt-4o heard: What are the risks?"

calls: list[Any] = []


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    calls.clear()
    with WireServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
        # Where nobody listens.
        monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
        yield server


@pytest.fixture
def app(wire: WireServer, tmp_path: Path) -> Iterator[App]:
    assert wire.count() == 0
    with opened_app(tmp_path / "app") as app:
        yield app


@pytest.fixture(params=["async", "sync"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`generate` in both forms."""
    if request.param == "sync":
        return generate.sync

    def awaited(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(generate(*args, **kwargs))

    return awaited


class Verdict(BaseModel):
    answer: str
    score: int


@dataclass
class Risk:
    name: str
    likelihood: float


@step
async def look_up(page: int) -> str:
    calls.append(page)
    return f"page {page}"


@step
def look_up_sync(page: int) -> str:
    calls.append(page)
    return f"page {page}"


if TYPE_CHECKING:

    async def what_type_checkers_know() -> None:
        assert_type(await generate(ASKED), str)
        assert_type(await generate("summary", query="x"), str)
        assert_type(await generate(ASKED, Verdict), Verdict)
        assert_type(await generate(ASKED, Reply[Verdict]), Reply[Verdict])
        assert_type(generate.sync(ASKED, list[int], using="gpt-4o"), list[int])
        assert_type(generate.sync(ASKED, {"type": "object"}), Json)
        assert_type(generate.sync(ASKED, Verdict | None), object)


# Outside of runs


def test_a_text(app: App, ask: Callable[..., Any]) -> None:
    assert ask(ASKED, using="openai:gpt-4o") == SAID
    assert app.ledger.runs() == []


def test_a_reply_says_what_it_cost(app: App, ask: Callable[..., Any]) -> None:
    reply = ask([Message("user", "What are the risks?")], Reply, using="gpt-4o")
    assert (reply.value, reply.text, reply.finish, reply.calls) == (SAID, SAID, "stop", 1)
    assert (reply.provider, reply.model, reply.is_degraded) == ("openai", "gpt-4o", False)
    assert reply.usage.input > 0
    assert reply.cost is not None
    assert reply.cost.nanos > 0


@pytest.mark.parametrize(
    "kind",
    [
        *(
            Verdict,
            Risk,
            list[int],
            dict[str, Any],
            int,
            bool,
            Literal["yes", "no"],
            list[Verdict],
            Verdict | None,
        ),
        {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]},
    ],
    ids=str,
)
def test_values_of_a_type(app: App, ask: Callable[..., Any], kind: Any) -> None:
    from pydantic import TypeAdapter

    value = ask(ASKED, kind, using="gpt-4o")
    if isinstance(kind, dict):
        assert isinstance(value["page"], int)
    else:
        TypeAdapter(kind).validate_python(value, strict=True)


def test_a_reply_with_a_value_of_a_type(app: App, ask: Callable[..., Any]) -> None:
    reply = ask(ASKED, Reply[Verdict], using="gpt-4o")
    assert isinstance(reply.value, Verdict)
    assert json.loads(reply.text) == reply.value.model_dump()


@pytest.mark.parametrize(
    ("using", "error", "says"),
    [
        (None, ConfigError, "no model is named"),
        ("", ConfigError, "no model is named"),
        ("nobody:gpt-4o", UnknownModel, "there is no connection or provider 'nobody'"),
        ("anthropic:claude-opus-9", ConfigError, "ANTHROPIC_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_asked(
    app: App, monkeypatch: pytest.MonkeyPatch, using: Any, error: type[Exception], says: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(error, match=says):
        generate.sync(ASKED, using=using)


@pytest.mark.parametrize("prompt", [17, [], [{"content": "hello"}], [{"role": "user", "content": 17}]])
def test_what_is_no_prompt(app: App, prompt: Any) -> None:
    with pytest.raises(UsageError):
        generate.sync(prompt, using="gpt-4o")


def test_a_session_is_closed_with_its_loop(app: App) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert asyncio.run(generate(ASKED, using="gpt-4o")) == SAID


def test_many_at_once_share_the_connections_of_a_loop(app: App) -> None:
    async def many() -> list[str]:
        return await asyncio.gather(*(generate(ASKED, using="gpt-4o") for _ in range(100)))

    assert asyncio.run(many()) == [SAID] * 100


# Inside of runs


def resumed_everywhere(
    tmp_path: Path, app: App, target: Any, expected: Any, wire: WireServer, *, total: int
) -> None:
    """The run, cut after each of its outcomes and resumed: what is recorded is not asked for again."""
    rows = len(history(app))
    source = Path(app.ledger.where)
    app.close()
    for kept in range(1, rows):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as again:
            before = wire.count()
            recorded = sum(
                link.outcome.kind == "call" and link.outcome.status == "completed" for link in history(again)
            )
            assert run_again(again, target) == expected
            assert wire.count() - before == total - recorded
            assert again.ledger.first_break(again.ledger.run("last").id) is None


def run_again(app: App, target: Any) -> Any:
    return app.resume("last", flow=target)


@flow
async def asking() -> list[Any]:
    first = await generate(ASKED, Verdict, using="gpt-4o")
    pair = await asyncio.gather(
        *(generate([{"role": "user", "content": first.answer + name}], using="gpt-4o") for name in "ab")
    )
    return [first.answer, *pair]


@flow
def asking_in_line() -> list[Any]:
    first = generate.sync(ASKED, Verdict, using="gpt-4o")
    return [first.answer, generate.sync([{"role": "user", "content": first.answer}], using="gpt-4o")]


@pytest.mark.parametrize(("target", "total"), [(asking, 3), (asking_in_line, 2)])
def test_each_call_is_recorded_and_made_once(
    app: App, wire: WireServer, tmp_path: Path, target: Any, total: int
) -> None:
    expected = app.run(target)
    assert names(app) == ["openai.chat"] * total
    run = app.ledger.run("last")
    assert run.totals.calls == total
    assert run.totals.cost.nanos > 0
    resumed_everywhere(tmp_path, app, target, expected, wire, total=total)


def test_a_call_is_recorded_as_that_of_an_sdk_is(app: App, wire: WireServer) -> None:
    """So a flow may change from one to the other, and goes on with what it has."""
    import openai

    @flow
    def by_sdk() -> str:
        client = openai.OpenAI()
        return str(client.chat.completions.create(model="gpt-4o", messages=ASKED).choices[0].message.content)  # type: ignore[arg-type]

    @flow
    def by_us() -> str:
        return generate.sync(ASKED, using="gpt-4o")

    assert app.run(by_sdk) == app.run(by_us) == SAID
    one, other = (
        next(link.outcome for link in app.ledger.history(run.id) if link.outcome.kind == "call")
        for run in app.ledger.runs()
    )
    assert (one.digest, one.name, one.inputs.view) == (other.digest, other.name, other.inputs.view)
    assert wire.count() == 2


class Fussy(BaseModel):
    score: int

    @field_validator("score")
    @classmethod
    def _is_liked(cls, value: int) -> int:
        if len(calls) < 1:
            calls.append(value)
            raise ValueError("the score must be liked")
        return value


def test_an_answer_that_does_not_fit_is_sent_back_once(app: App, wire: WireServer) -> None:
    @flow
    def repairing() -> int:
        return generate.sync(ASKED, Fussy, using="gpt-4o").score

    assert isinstance(app.run(repairing), int)
    assert names(app) == ["openai.chat"] * 2
    sent = wire.received[-1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert "the score must be liked" in sent[-1]["content"]


def test_an_answer_that_never_fits_is_an_error_that_says_why(app: App) -> None:
    with pytest.raises(MalformedResponse, match="score: Value error, the score must be liked"):
        generate.sync(ASKED, Fussy, using=Call("gpt-4o", repairs=0))


def test_the_pieces_of_a_stream_come_live_and_are_replayed(
    app: App, wire: WireServer, tmp_path: Path
) -> None:
    pieces: list[str] = []

    @flow
    async def streaming() -> str:
        async def hear(piece: str) -> None:
            pieces.append(piece)

        return await generate(ASKED, using=Call("gpt-4o", stream=hear))

    assert app.run(streaming) == SAID
    first = list(pieces)
    assert "".join(first) == SAID
    assert len(first) > 3
    outcome = next(link.outcome for link in history(app) if link.outcome.kind == "call")
    assert outcome.call is not None
    assert outcome.call.first_token_ns is not None
    assert outcome.call.usage.output > 0
    source = Path(app.ledger.where)
    app.close()
    cut(source, tmp_path / "cut", 2)
    pieces.clear()
    with opened_app(tmp_path / "cut") as again:
        assert again.resume("last", flow=streaming) == SAID
    assert pieces == first
    assert wire.count() == 1


def test_a_stream_whose_reader_fails_is_a_failure_of_the_call(app: App, wire: WireServer) -> None:
    def hear(piece: str) -> None:
        raise LookupError(piece)

    @flow
    def streaming() -> str:
        return generate.sync(ASKED, using=Call("gpt-4o", stream=hear))

    with pytest.raises(LookupError):
        streaming()
    assert wire.count() == 1
    # Both have the connections that they need.
    assert generate.sync(ASKED, using="gpt-4o") == SAID


def test_a_call_that_is_cancelled_leaves_no_outcome(app: App, wire: WireServer) -> None:
    wire.delay = 30

    @flow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.2):
                return await generate(ASKED, using="gpt-4o")
        except TimeoutError:
            return "gave up"

    assert app.run(impatient) == "gave up"
    assert names(app) == []


# Tools


@flow
async def with_tools() -> str:
    return await generate(ASKED, using=Call("gpt-4o", tools=[look_up]))


@flow
def with_tools_in_line() -> str:
    return generate.sync(ASKED, using=Call("gpt-4o", tools=[look_up_sync]))


@pytest.mark.parametrize("target", [with_tools, with_tools_in_line])
def test_tools_are_steps_of_one_step(app: App, wire: WireServer, tmp_path: Path, target: Any) -> None:
    expected = app.run(target)
    rows = [link.outcome for link in history(app) if link.outcome.kind in ("step", "call")]
    whole = rows[-1]
    assert [row.kind for row in rows] == ["call", "step", "call", "step"]
    assert whole.name == "generate"
    assert all(row.path == whole.key for row in rows[:-1])
    assert len(calls) == 1
    sent = wire.received[-1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[-1]["content"] == f"page {calls[0]}"
    resumed_everywhere(tmp_path, app, target, expected, wire, total=2)


def test_a_tool_that_fails_fails_the_flow(app: App) -> None:
    @step
    def failing(page: int) -> str:
        raise LookupError(f"no page {page}")

    @flow
    def lost() -> str:
        return generate.sync(ASKED, using=Call("gpt-4o", tools=[failing]))

    with pytest.raises(LookupError, match="no page"):
        lost()


def test_a_tool_of_a_run_is_a_step(app: App) -> None:
    def plain(page: int) -> str:
        return f"page {page}"

    @flow
    def careless() -> str:
        return generate.sync(ASKED, using=Call("gpt-4o", tools=[plain]))

    with pytest.raises(UsageError, match="decorate it with @step"):
        careless()
    # Outside of runs there is nothing to record.
    assert generate.sync(ASKED, using=Call("gpt-4o", tools=[plain])).startswith("gpt-4o heard")


def test_turns_have_an_end(app: App) -> None:
    with pytest.raises(ModelError, match="raise max_turns"):
        generate.sync(ASKED, using=Call("gpt-4o", tools=[look_up_sync], max_turns=1))


# Stand-ins


def test_a_stand_in_answers_and_the_run_says_so(app: App, wire: WireServer, tmp_path: Path) -> None:
    @flow
    async def falling() -> tuple[str, bool]:
        reply = await generate(ASKED, Reply, using=Fallback(["ollama:llama3", "gpt-4o"]))
        return reply.text, reply.is_degraded

    expected = app.run(falling)
    assert expected == (SAID, True)
    rows = [link.outcome for link in history(app) if link.outcome.kind == "call"]
    assert [(row.status, row.is_degraded) for row in rows] == [("failed", False), ("completed", True)]
    assert app.ledger.run("last").totals.is_degraded
    # Where nobody listened, nobody counted: the price of the run is known.
    assert rows[0].call is not None
    assert rows[0].call.cost == Money(0)
    resumed_everywhere(tmp_path, app, falling, expected, wire, total=1)


def test_where_all_of_them_fail_the_error_says_so(app: App) -> None:
    with pytest.raises(ModelUnavailable) as raised:
        generate.sync(ASKED, using=Fallback(["ollama:llama3", "ollama:other"]))
    assert "other at ollama" in str(raised.value)
    assert "ollama:llama3 was asked before, and failed" in raised.value.__notes__[-1]


def test_a_stand_in_that_is_not_set_up_hides_no_failure(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="MISTRAL_API_KEY") as raised:
        generate.sync(ASKED, using=Fallback(["ollama:llama3", "mistral:large"]))
    assert "ollama:llama3 was asked before, and failed" in raised.value.__notes__[-1]


def test_a_request_that_is_refused_goes_to_no_stand_in(app: App, wire: WireServer) -> None:
    with pytest.raises(RequestRefused):
        generate.sync(ASKED, using=Fallback(["openai:unknown-model", "gpt-4o"]))
    assert wire.count() == 1


def test_a_refusal_is_an_error_of_its_own(app: App) -> None:
    from surefoot.models.generating.asking import Turn

    with scripted([Turn("", refusal="I will not.")]), pytest.raises(ContentRefused, match="I will not"):
        generate.sync(ASKED, Verdict, using="gpt-4o")


def test_another_type_is_another_conversation(app: App, wire: WireServer, tmp_path: Path) -> None:
    """What was recorded for one type is no value of another."""
    kinds: list[Any] = [Verdict]

    @flow
    def changing() -> Any:
        value = generate.sync(ASKED, kinds[0], using=Call("gpt-4o", tools=[look_up_sync]))
        if kinds[0] is Verdict:
            raise LookupError
        return value

    with pytest.raises(LookupError):
        changing()
    kinds[0] = list[int]
    assert isinstance(app.resume("last", flow=changing, accept_divergence=True), list)


# Prompts


def test_a_prompt_of_the_library_and_its_settings(wire: WireServer, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "risks.prompty").write_text(
        "---\nname: risks\nversion: '2'\nmodel:\n  api: chat\n  configuration:\n    type: openai\n    model: gpt-4o\n"
        "  parameters:\n    temperature: 0.25\n    max_tokens: 77\ninputs:\n  what:\n    type: string\n---\n"
        "system:\nYou are brief.\nuser:\nRisks of {{what}}?\n"
    )

    @flow
    async def prompted() -> list[str]:
        return await asyncio.gather(
            generate("risks", what="tea", using=Call(temperature=0.5)),
            generate(Prompty.load_template("risks@2"), what="coffee"),
        )

    with opened_app(tmp_path) as app:
        assert app.run(prompted) == [f"gpt-4o heard: Risks of {what}?" for what in ("tea", "coffee")]
        rows = [link.outcome for link in history(app) if link.outcome.kind == "call"]
        assert all(row.prompt is not None and row.prompt.name == "risks" for row in rows)
    settings = {
        body["messages"][1]["content"]: body["temperature"] for body in (one.body for one in wire.received)
    }
    assert settings == {"Risks of tea?": 0.5, "Risks of coffee?": 0.25}
    assert {one.body["max_completion_tokens"] for one in wire.received} == {77}
