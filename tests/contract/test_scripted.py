"""`scripted` under `generate` and under the official SDKs: no request leaves, and all else is as with a real model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from pydantic import BaseModel

from durable import history, names, opened_app
from surefoot import App, Call, Fallback, Reply, flow, generate, scripted, step
from surefoot.errors import (
    MalformedResponse,
    ModelUnavailable,
    RateLimited,
    SurefootError,
    UnexpectedCall,
    UsageError,
)
from surefoot.models import ModelRequest, Retries
from surefoot.models.generating.asking import Turn
from surefoot.values import Money, Usage

ASKED: Any = [{"role": "user", "content": "What are the risks?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]

calls: list[Any] = []


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app without any credential, whose retries do not wait, and where a request that leaves fails at once."""
    calls.clear()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with opened_app(tmp_path / "app") as app:
        app.policy = replace(app.policy, retries=Retries(base=0.0))
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


@step
def look_up(page: int) -> str:
    calls.append(page)
    return f"page {page}"


# generate

MODELS = [
    "openai:gpt-4o",
    "anthropic:claude-sonnet-5",
    "google:gemini-2.5-flash",
    "azure:prod",
    "ollama:llama3",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streams", [False, True])
def test_a_text_in_the_format_of_each_provider(ask: Callable[..., Any], model: str, streams: bool) -> None:
    heard: list[str] = []
    using = Call(model, stream=heard.append) if streams else model
    with scripted(["It may rain. Or not."]) as script:
        assert ask(ASKED, using=using) == "It may rain. Or not."
    assert "".join(heard) == ("It may rain. Or not." if streams else "")
    assert [request.text for request in script.requests] == ["What are the risks?"]
    assert script.requests[0].model == model.partition(":")[2]
    assert script.requests[0].is_stream == streams
    script.assert_done()


def test_as_the_model_of_one_call_where_none_is_named(ask: Callable[..., Any]) -> None:
    script = scripted(["Rain."])
    assert ask(ASKED, using=script) == "Rain."
    assert script.requests[0].model == "scripted"


@pytest.mark.parametrize("model", MODELS[:3])
def test_data_is_answered_as_json(ask: Callable[..., Any], model: str) -> None:
    with scripted([Verdict(answer="rain", score=2), {"answer": "sun", "score": 3}]) as script:
        assert ask(ASKED, Verdict, using=model) == Verdict(answer="rain", score=2)
        assert ask(ASKED, Verdict, using=model) == Verdict(answer="sun", score=3)
    assert script.requests[0].schema is not None


def test_data_that_is_no_object_is_wrapped_as_generate_asks_for_it(ask: Callable[..., Any]) -> None:
    with scripted([[1, 2], True]):
        assert ask(ASKED, list[int], using="openai:gpt-4o") == [1, 2]
        assert ask(ASKED, bool, using="openai:gpt-4o") is True


@pytest.mark.parametrize("model", MODELS[:3])
def test_an_answer_that_does_not_fit_is_repaired(ask: Callable[..., Any], model: str) -> None:
    with scripted(['{"answer": "rain"}', {"answer": "rain", "score": 1}]) as script:
        assert ask(ASKED, Verdict, using=model).score == 1
    assert "score" in script.requests[1].text
    with scripted(["no", "no json"]), pytest.raises(MalformedResponse):
        ask(ASKED, Verdict, using=model)


@pytest.mark.parametrize("model", MODELS[:3])
def test_a_loop_of_tools(app: App, model: str) -> None:
    @flow
    def answering() -> str:
        return generate.sync(ASKED, using=Call(model, tools=[look_up]))

    several = [scripted.calls("look_up", page=1), scripted.calls("look_up", page=2)]
    with scripted([several, scripted.calls("look_up", page=3), "Read."]) as script:
        assert answering() == "Read."
    assert sorted(calls) == [1, 2, 3]
    assert script.requests[0].tools == ("look_up",)
    results = [message for message in script.requests[2].messages if message.role == "tool"]
    assert ["page 1" in results[0].text, "page 2" in results[1].text, "page 3" in results[2].text] == [
        True
    ] * 3
    asked_for = [call.id for message in script.requests[2].messages for call in message.tool_calls]
    assert len(set(asked_for)) == 3
    script.assert_done()


def test_a_stand_in_answers_where_the_first_fails_for_good(ask: Callable[..., Any]) -> None:
    def rule(request: ModelRequest) -> Any:
        return scripted.fails(500) if request.model == "gpt-4o" else "Rain."

    with scripted(rule) as script:
        reply = ask(ASKED, Reply[str], using=Fallback(["openai:gpt-4o", "anthropic:claude-sonnet-5"]))
    assert (reply.value, reply.is_degraded, reply.provider) == ("Rain.", True, "anthropic")
    assert [request.model for request in script.requests] == ["gpt-4o"] * 3 + ["claude-sonnet-5"]


def test_a_failure_is_retried_and_one_too_many_reaches_the_caller(ask: Callable[..., Any]) -> None:
    with scripted([scripted.fails(429, retry_after=0), scripted.fails(503), "Rain."]) as script:
        assert ask(ASKED, using="openai:gpt-4o") == "Rain."
    script.assert_done()
    with (
        scripted([scripted.fails(429, "slow down", retry_after=0)] * 3),
        pytest.raises(RateLimited, match="slow down"),
    ):
        ask(ASKED, using="openai:gpt-4o")


@pytest.mark.parametrize("model", MODELS[:3])
@pytest.mark.parametrize("streams", [False, True])
def test_a_body_that_breaks_off_is_a_failure_of_the_model(
    ask: Callable[..., Any], model: str, streams: bool
) -> None:
    heard: list[str] = []
    using = Call(model, stream=heard.append) if streams else model
    with scripted([scripted.breaks("It may")]), pytest.raises(ModelUnavailable):
        ask(ASKED, using=using)
    assert not streams or "".join(heard).startswith("It may")


def test_an_exception_is_raised_as_the_library_would(ask: Callable[..., Any]) -> None:
    with scripted([ConnectionError("no route"), "Rain."]):
        assert ask(ASKED, using="openai:gpt-4o") == "Rain."


def test_a_function_answers_also_an_async_one() -> None:
    async def rule(request: ModelRequest) -> str:
        await asyncio.sleep(0)
        return request.text.upper()

    async def asking() -> list[str]:
        texts = [[{"role": "user", "content": text}] for text in ("a", "b", "c")]
        return await asyncio.gather(*(generate(text, using="openai:gpt-4o") for text in texts))

    with scripted(rule):
        assert asyncio.run(asking()) == ["A", "B", "C"]
        assert generate.sync(ASKED, using="openai:gpt-4o") == "WHAT ARE THE RISKS?"


def test_usage_is_counted_and_free_or_given_and_priced(ask: Callable[..., Any], app: App) -> None:
    given = Usage(input=1_000_000, output=100)
    with scripted(["Rain..", scripted.says("Rain.", usage=given)]):
        counted = ask(ASKED, Reply[str], using="openai:gpt-4o")
        priced = ask(ASKED, Reply[str], using="openai:gpt-4o")
    assert counted.usage == Usage(input=5, output=2)
    assert counted.cost == Money(0)
    assert priced.usage == given
    assert priced.cost is not None
    assert priced.cost > Money.dollars(1)


# What is wrong with a script, or with the code under it


def test_a_script_at_its_end_says_what_was_asked(ask: Callable[..., Any]) -> None:
    with scripted(["one"]) as script:
        ask(ASKED, using="openai:gpt-4o")
        with pytest.raises(
            UnexpectedCall, match=r"has 1 answer, and this is request 2, openai\.chat to gpt-4o: 'What"
        ):
            ask(ASKED, using="openai:gpt-4o")
    assert len(script.requests) == 2
    with pytest.raises(AssertionError, match="was asked 1 times more"):
        script.assert_done()


def test_answers_that_nobody_asked_for_are_told() -> None:
    script = scripted(["one", "two"])
    generate.sync(ASKED, using=script)
    with pytest.raises(AssertionError, match="only 1 of them were asked for; left: 'two'"):
        script.assert_done()


def test_what_is_no_script_is_refused() -> None:
    with pytest.raises(UsageError, match=r"scripted\(\[\.\.\.\]\)"):
        scripted("a text")
    with pytest.raises(UsageError, match="400 or more"):
        scripted.fails(200)
    with scripted([object()]), pytest.raises(UsageError, match="a object in a script is no answer"):
        generate.sync(ASKED, using="openai:gpt-4o")
    with (
        scripted(["text"]),
        openai.OpenAI(api_key="any") as client,
        pytest.raises(UsageError, match="list of numbers"),
    ):
        client.embeddings.create(model="text-embedding-3-small", input="a")


def test_a_model_that_nobody_names_is_refused_without_a_script(ask: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="no model is named"):
        ask(ASKED)
    with scripted(["Rain."]):
        assert ask(ASKED) == "Rain."


# Runs


def test_a_resumed_run_asks_only_for_what_is_not_recorded(app: App) -> None:
    @flow
    def two_questions() -> list[str]:
        return [generate.sync(ASKED, using="openai:gpt-4o"), generate.sync(ASKED, using="openai:gpt-4o")]

    with scripted(["one", scripted.fails(401)]), pytest.raises(SurefootError):
        two_questions()
    with scripted(["two"]) as script:
        assert app.resume("last", flow=two_questions) == ["one", "two"]
    script.assert_done()
    assert names(app).count("openai.chat") == 3


def test_what_is_recorded_says_that_a_script_answered(app: App) -> None:
    @flow
    def asking() -> str:
        return generate.sync(ASKED, using="openai:gpt-4o")

    with scripted(["Rain."]):
        asking()
    call = next(link.outcome for link in history(app) if link.outcome.kind == "call")
    assert call.call is not None
    assert (call.call.requested_model, call.call.cost) == ("gpt-4o", Money(0))
    assert '"x-request-id":"scripted-1"' in app.ledger.view(call.output)


def test_an_async_flow_on_the_background_loop_is_inside_too(app: App) -> None:
    @flow
    async def asking() -> list[str]:
        one = await generate(ASKED, using="openai:gpt-4o")
        async with openai.AsyncOpenAI(api_key="any") as client:
            two = await client.chat.completions.create(model="gpt-4o", messages=ASKED)
        return [one, two.choices[0].message.content or ""]

    with scripted(["one", "two"]):
        assert app.run(asking) == ["one", "two"]


def test_a_thread_without_the_context_is_answered_too() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(generate.sync(ASKED, using="openai:gpt-4o")))
    with scripted(["Rain."]):
        thread.start()
        thread.join()
    assert found == ["Rain."]


def test_concurrent_calls_are_answered_in_the_order_of_their_arrival() -> None:
    answers = [str(number) for number in range(40)]
    found: list[str] = []

    def ask_some() -> None:
        found.extend(generate.sync(ASKED, using="openai:gpt-4o") for _ in range(10))

    with scripted(answers) as script:
        threads = [threading.Thread(target=ask_some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found, key=int) == answers
    script.assert_done()


def test_the_inner_block_answers_and_the_outer_one_again() -> None:
    with scripted(["outer 1", "outer 2"]) as outer:
        assert generate.sync(ASKED, using="openai:gpt-4o") == "outer 1"
        with scripted(["inner"]) as inner:
            assert generate.sync(ASKED, using="openai:gpt-4o") == "inner"
        assert generate.sync(ASKED, using="openai:gpt-4o") == "outer 2"
    outer.assert_done()
    inner.assert_done()


# SDK clients, in a run and outside


def chat(client: openai.OpenAI) -> str:
    made = client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert made.usage is not None
    assert made.usage.total_tokens == 5 + 2
    return made.choices[0].message.content or ""


def chat_stream(client: openai.OpenAI) -> str:
    stream = client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def chat_stream_with_usage(client: openai.OpenAI) -> str:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].usage is not None
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def responses(client: openai.OpenAI) -> str:
    return client.responses.create(model="gpt-4o", input="What are the risks?").output_text


def responses_stream(client: openai.OpenAI) -> str:
    stream = client.responses.create(model="gpt-4o", input="What are the risks?", stream=True)
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def completions(client: openai.OpenAI) -> str:
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Risks?").choices[0].text


OPENAI = [chat, chat_stream, chat_stream_with_usage, responses, responses_stream, completions]


@pytest.mark.parametrize("use", OPENAI)
@pytest.mark.parametrize("library", [httpx2, httpx])
@pytest.mark.parametrize("is_run", [True, False])
def test_openai_is_answered(app: App, use: Callable[..., str], library: Any, is_run: bool) -> None:
    client = openai.OpenAI(api_key="any", http_client=library.Client())

    @flow
    def using_it() -> str:
        return use(client)

    with client, scripted(["It rains"]) as script:
        assert (using_it() if is_run else use(client)) == "It rains"
    assert script.requests[0].model.startswith("gpt-")
    if is_run:
        assert app.resume("last", flow=using_it) == "It rains"


def messages(client: anthropic.Anthropic) -> str:
    made = client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=ASKED)
    return "".join(block.text for block in made.content if block.type == "text")


def messages_stream(client: anthropic.Anthropic) -> str:
    with client.messages.stream(model="claude-sonnet-5", max_tokens=9, messages=ASKED) as stream:
        return "".join(stream.text_stream)


@pytest.mark.parametrize("use", [messages, messages_stream])
@pytest.mark.parametrize("is_run", [True, False])
def test_anthropic_is_answered(use: Callable[..., str], is_run: bool) -> None:
    @flow
    def using_it() -> str:
        return use(client)

    with anthropic.Anthropic(api_key="any") as client, scripted(["It rains"]) as script:
        assert (using_it() if is_run else use(client)) == "It rains"
        with pytest.raises(UnexpectedCall):
            using_it() if is_run else use(client)
    assert len(script.requests) == 2


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("streams", [False, True])
def test_async_clients_are_answered(provider: Literal["openai", "anthropic"], streams: bool) -> None:
    async def with_openai() -> str:
        async with openai.AsyncOpenAI(api_key="any") as client:
            if not streams:
                made = await client.chat.completions.create(model="gpt-4o", messages=ASKED)
                return made.choices[0].message.content or ""
            stream = await client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def with_anthropic() -> str:
        async with anthropic.AsyncAnthropic(api_key="any") as client:
            if not streams:
                made = await client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=ASKED)
                return "".join(block.text for block in made.content if block.type == "text")
            async with client.messages.stream(
                model="claude-sonnet-5", max_tokens=9, messages=ASKED
            ) as stream:
                return "".join([piece async for piece in stream.text_stream])

    @flow
    async def in_a_run() -> str:
        return await (with_openai() if provider == "openai" else with_anthropic())

    with scripted(["It rains", "It pours"]):
        assert asyncio.run(with_openai() if provider == "openai" else with_anthropic()) == "It rains"
        assert asyncio.run(in_a_run()) == "It pours"


def test_tools_structured_output_and_embeddings_of_openai() -> None:
    with (
        openai.OpenAI(api_key="any") as client,
        scripted(
            [
                scripted.calls("look_up", page=3),
                Verdict(answer="rain", score=1),
                [0.25, 0.5],
                [[1, 0], [0, 1]],
            ]
        ),
    ):
        called = client.chat.completions.create(model="gpt-4o", messages=ASKED, tools=TOOLS).choices[0]
        assert called.finish_reason == "tool_calls"
        assert called.message.tool_calls is not None
        function: Any = called.message.tool_calls[0]
        assert (function.function.name, function.function.arguments) == ("look_up", '{"page":3}')
        parsed = client.chat.completions.parse(model="gpt-4o", messages=ASKED, response_format=Verdict)
        assert parsed.choices[0].message.parsed == Verdict(answer="rain", score=1)
        one = client.embeddings.create(model="text-embedding-3-small", input="a")
        assert one.data[0].embedding == [0.25, 0.5]
        two = client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], encoding_format="float"
        )
        assert [each.embedding for each in two.data] == [[1.0, 0.0], [0.0, 1.0]]


def test_failures_reach_the_sdk_as_its_own_after_the_retries_of_the_policy() -> None:
    @flow
    def asking(client: openai.OpenAI) -> str:
        return chat(client)

    with openai.OpenAI(api_key="any") as client:
        with scripted([scripted.fails(503), ConnectionError("refused"), "It rains"]) as script:
            assert chat(client) == "It rains"
        script.assert_done()
        with (
            scripted([scripted.fails(429, "slow down")] * 3) as script,
            pytest.raises(openai.RateLimitError, match="slow"),
        ):
            chat(client)
        assert len(script.requests) == 3
        with scripted([ConnectionError("refused")] * 3), pytest.raises(openai.APIConnectionError):
            chat(client)
        with scripted([TimeoutError()]), pytest.raises(openai.APITimeoutError):
            chat(client)
        with scripted([scripted.breaks("It")]), pytest.raises((openai.APIError, httpx2.HTTPError)):
            chat_stream(client)


def test_turns_say_what_else_a_model_may_say() -> None:
    turn = Turn("It", finish="length", reasoning="thinking")
    with scripted([turn]), openai.OpenAI(api_key="any") as client:
        made = client.chat.completions.create(model="gpt-4o", messages=ASKED).choices[0]
    assert (made.finish_reason, made.message.content) == ("length", "It")


def test_other_requests_of_the_same_client_pass_by() -> None:
    with (
        scripted([]) as script,
        httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(204))) as client,
    ):
        assert client.get("https://example.org/v1/chat/completions").status_code == 204
    assert script.requests == ()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("is_run", [True, False])
def test_google_is_answered(streams: bool, is_run: bool) -> None:
    client = genai.Client(api_key="any")

    def sync() -> str:
        if not streams:
            return client.models.generate_content(model="gemini-2.5-flash", contents="Risks?").text or ""
        pieces = client.models.generate_content_stream(model="gemini-2.5-flash", contents="Risks?")
        return "".join(piece.text or "" for piece in pieces)

    async def async_() -> str:
        if not streams:
            made = await client.aio.models.generate_content(model="gemini-2.5-flash", contents="Risks?")
            return made.text or ""
        pieces = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="Risks?")
        return "".join([piece.text or "" async for piece in pieces])

    with scripted(["It rains", "It pours"]) as script:
        assert (flow(sync)() if is_run else sync()) == "It rains"
        assert asyncio.run(flow(async_)() if is_run else async_()) == "It pours"
    assert [request.text for request in script.requests] == ["Risks?"] * 2
    assert {request.is_stream for request in script.requests} == {streams}


def test_vectors_of_google() -> None:
    with genai.Client(api_key="any") as client, scripted([[[1, 0], [0, 1]]]):
        made = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert [each.values for each in made.embeddings or []] == [[1.0, 0.0], [0.0, 1.0]]
