"""google-genai over the hook: sync and async, each kind of answer, its retries, and Vertex AI's paths."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

from memory_scope import MemoryScope
from policies import configure
from surefoot import App, flow, last_run, models
from surefoot.config import load
from surefoot.errors import ClosedEarly, ConfigError
from surefoot.values import Money, Usage
from wire import Fault, WireServer

# What the SDK does where it is left to itself.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-2.5-flash"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Verdict(BaseModel):
    answer: str
    score: int


def lookup(page: int) -> str:
    """Look a page up."""
    return f"page {page}"


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


def client_of(wire: WireServer, **http: Any) -> genai.Client:
    return genai.Client(api_key="test-key", http_options={"base_url": wire.gemini_url, **http})


def run(wire: WireServer, case: Callable[[genai.Client], Any], **http: Any) -> Any:
    """What an async case gives on a loop of its own, with everything closed behind it."""

    async def use() -> Any:
        with client_of(wire, **http) as client:
            try:
                return await case(client)
            finally:
                await client.aio.aclose()
                own = http.get("httpx_async_client")
                if own is not None:
                    await own.aclose()

    return asyncio.run(use())


def vertex_of(wire: WireServer) -> genai.Client:
    return genai.Client(
        vertexai=True,
        project="p",
        location="eu",
        credentials=Credentials(token="test-key"),  # type: ignore[no-untyped-call]
        http_options={"base_url": wire.gemini_url},
    )


def plain(answer: Any) -> Any:
    """An answer without the HTTP headers, which say when it was sent."""
    return answer.model_dump(exclude={"sdk_http_response", "automatic_function_calling_history"})


def generate(client: genai.Client) -> Any:
    answer = client.models.generate_content(
        model=MODEL, contents="hi", config={"system_instruction": "Be brief.", "temperature": 0.5}
    )
    return plain(answer), answer.text


def generate_stream(client: genai.Client) -> Any:
    return [
        plain(chunk) for chunk in client.models.generate_content_stream(model=MODEL, contents="one two three")
    ]


def generate_parsed(client: genai.Client) -> Any:
    config: Any = {"response_mime_type": "application/json", "response_schema": Verdict}
    answer = client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert isinstance(answer.parsed, Verdict)
    return plain(answer)


def generate_from_image(client: genai.Client) -> Any:
    image = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    return plain(client.models.generate_content(model=MODEL, contents=[image, "What is it?"]))


def call_tool(client: genai.Client) -> Any:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(tools=[lookup], automatic_function_calling=off)
    answer = client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert answer.function_calls
    return plain(answer)


def embed(client: genai.Client) -> Any:
    return plain(client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"]))


CASES = [generate, generate_stream, generate_parsed, generate_from_image, call_tool, embed]


async def async_generate(client: genai.Client) -> Any:
    return plain(await client.aio.models.generate_content(model=MODEL, contents="hi"))


async def async_generate_stream(client: genai.Client) -> Any:
    stream = await client.aio.models.generate_content_stream(model=MODEL, contents="one two three")
    return [plain(chunk) async for chunk in stream]


async def async_embed(client: genai.Client) -> Any:
    return plain(await client.aio.models.embed_content(model="gemini-embedding-001", contents="one"))


ASYNC_CASES = [async_generate, async_generate_stream, async_embed]


def recorded_then_replayed(wire: WireServer, use: Callable[[], Any], *, calls: int = 1) -> MemoryScope:
    """What `use` gives bare, inside a run and inside the resumed run is the same, and the last makes no call."""
    bare = use()
    before = wire.count()
    first = MemoryScope()
    with first.open():
        assert use() == bare
    assert wire.count() - before == calls
    assert [ending.status for ending in first.endings] == ["completed"] * calls
    assert all(claim.ticket and claim.ticket.is_waited_for for claim in first.claims)
    with first.resumed().open():
        assert use() == bare
    assert wire.count() - before == calls
    return first


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_google_is_replayed_without_a_call(
    wire: WireServer, case: Callable[[Any], Any], library: str
) -> None:
    with contextlib.ExitStack() as opened:
        http: Any = {} if library == "httpx2" else {"httpx_client": opened.enter_context(httpx.Client())}
        client = opened.enter_context(client_of(wire, **http))
        recorded_then_replayed(wire, lambda: case(client))


@pytest.mark.parametrize("case", ASYNC_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("library", ["aiohttp", "httpx2", "httpx"])
def test_async_google_is_replayed_without_a_call(
    wire: WireServer, case: Callable[[Any], Any], library: str
) -> None:
    """aiohttp is what the SDK takes by itself; on the chain its calls go over its httpx2 client."""

    own: dict[str, Any] = {"aiohttp": None, "httpx2": httpx2.AsyncClient, "httpx": httpx.AsyncClient}

    def use() -> Any:
        http: Any = {} if own[library] is None else {"httpx_async_client": own[library]()}
        return run(wire, case, **http)

    recorded_then_replayed(wire, use)


def test_one_async_client_serves_many_loops(wire: WireServer) -> None:
    def use() -> None:
        with client_of(wire) as client:
            recorded_then_replayed(wire, lambda: asyncio.run(async_generate(client)))

    use()
    with (
        warnings.catch_warnings()
    ):  # the SDK leaves the connections of loops that have ended to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_the_sdks_own_loop_of_tools_is_a_call_each_turn(wire: WireServer) -> None:
    seen: list[int] = []

    def page(number: int) -> str:
        """Read a page."""
        seen.append(number)
        return "text"

    with client_of(wire) as client:

        def use() -> Any:
            config = types.GenerateContentConfig(tools=[page])
            return plain(client.models.generate_content(model=MODEL, contents="hi", config=config))

        recorded_then_replayed(wire, use, calls=2)
    assert seen == [42, 42, 42]


def test_a_chat_sends_what_was_said(wire: WireServer) -> None:
    with client_of(wire) as client:

        def use() -> Any:
            chat = client.chats.create(model=MODEL)
            return plain(chat.send_message("one")), [
                plain(chunk) for chunk in chat.send_message_stream("two")
            ]

        recorded_then_replayed(wire, use, calls=2)


def test_vertex_speaks_the_same_format(wire: WireServer) -> None:
    with vertex_of(wire) as client:
        scope = recorded_then_replayed(wire, lambda: generate(client))
        recorded_then_replayed(wire, lambda: generate_stream(client))
    assert wire.received[0].path.endswith("/publishers/google/models/gemini-2.5-flash:generateContent")
    inputs: Any = scope.claims[0].work.inputs
    assert inputs["path"] == "models/gemini-2.5-flash:generateContent"


def test_the_facts_of_a_call(wire: WireServer) -> None:
    with client_of(wire) as client:
        bare = generate(client)[0]["usage_metadata"]
        scopes = [recorded_then_replayed(wire, lambda: generate(client))]
        scopes.append(recorded_then_replayed(wire, lambda: generate_stream(client)))
    facts = scopes[0].endings[0].call
    assert facts is not None
    assert (facts.provider, facts.requested_model, facts.served_model) == ("google", MODEL, MODEL)
    written = bare["candidates_token_count"] + 3
    assert facts.usage == Usage(bare["prompt_token_count"], 4, written, 3)
    # $0.30 and $2.50 per million tokens, $0.03 for those that were cached; thoughts are output.
    assert facts.cost == Money(300 * (bare["prompt_token_count"] - 4) + 30 * 4 + 2_500 * written)
    streamed = scopes[1].endings[0].call
    assert streamed is not None
    assert streamed.usage.reasoning == 3
    assert streamed.first_token_ns is not None
    assert scopes[0].claims[0].work.name == "google.generate_content"


def test_secrets_are_in_no_record(wire: WireServer) -> None:
    with client_of(wire) as client:
        scope = recorded_then_replayed(wire, lambda: generate(client))
    written = repr([claim.work.inputs for claim in scope.claims]) + repr(scope.endings)
    assert "test-key" not in written
    assert "session=secret" not in written


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("fault", [Fault(status=503), Fault("reset")], ids=lambda fault: fault.kind)
def test_the_retries_of_the_sdk_add_nothing_to_ours(wire: WireServer, is_async: bool, fault: Fault) -> None:
    patient = types.HttpRetryOptions(attempts=5, initial_delay=1000)  # would outlast the test

    def use() -> Any:
        if is_async:
            return run(wire, async_generate, retry_options=patient)
        with client_of(wire, retry_options=patient) as client:
            return generate(client)

    wire.fail(*[fault] * 20)
    scope = MemoryScope()
    with scope.open(), pytest.raises((errors.ServerError, httpx2.TransportError)) as raised:
        use()
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["failed"]
    with scope.resumed().open(), pytest.raises(type(raised.value)) as replayed:
        use()
    assert str(replayed.value) == str(raised.value)
    assert wire.count() == 3


def test_retries_that_a_request_asks_for_are_none_either(wire: WireServer) -> None:
    patient: Any = {"http_options": {"retry_options": {"attempts": 4, "initial_delay": 1000}}}
    wire.fail(*[Fault(status=500)] * 20)
    with client_of(wire) as client, MemoryScope().open(), pytest.raises(errors.ServerError):
        client.models.generate_content(model=MODEL, contents="hi", config=patient)
    assert wire.count() == 3


def test_what_is_no_model_call_keeps_its_retries(wire: WireServer) -> None:
    again = types.HttpRetryOptions(attempts=4, initial_delay=0, jitter=0, exp_base=0)
    wire.fail(*[Fault(status=500)] * 3)
    scope = MemoryScope()
    with client_of(wire, retry_options=again) as client, scope.open():
        assert client.models.count_tokens(model=MODEL, contents="hi").total_tokens
    assert wire.count() == 4
    assert scope.claims == []


def test_a_refusal_is_not_tried_again(wire: WireServer) -> None:
    scope = MemoryScope()
    with client_of(wire) as client:
        for opened in (scope, None):
            with (opened or scope.resumed()).open(), pytest.raises(errors.ClientError) as raised:
                client.models.generate_content(model="gemini-0", contents="hi", config={"temperature": 9})
            assert raised.value.code == 400
            assert "temperature must be in the range" in str(raised.value)
    assert wire.count() == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_within_a_stream_is_a_failure(wire: WireServer, is_async: bool) -> None:
    async def read(client: genai.Client) -> list[str]:
        said = []
        try:
            stream = await client.aio.models.generate_content_stream(model=MODEL, contents="one two three")
            async for chunk in stream:
                said.append(str(chunk.text))  # noqa: PERF401 - what was read before an error is kept
        except errors.APIError as error:
            said.append(repr(error))
        return said

    def use() -> list[str]:
        if is_async:
            return list(run(wire, read))
        with client_of(wire) as client:
            said = []
            try:
                for chunk in client.models.generate_content_stream(model=MODEL, contents="one two three"):
                    said.append(str(chunk.text))  # noqa: PERF401
            except errors.APIError as error:
                said.append(repr(error))
            return said

    wire.fail(Fault("error_event"))
    scope = MemoryScope()
    with scope.open():
        seen = use()
    assert len(seen) == 3
    assert "overloaded" in seen[-1]
    assert [ending.status for ending in scope.endings] == ["failed"]
    with scope.resumed().open():
        assert use() == seen
    assert wire.count() == 1


def test_a_run_that_an_error_within_a_stream_ended_tries_the_call_again(
    wire: WireServer, tmp_path: Path
) -> None:
    @flow
    def read() -> str:
        with client_of(wire) as client:
            chunks = client.models.generate_content_stream(model=MODEL, contents="one two")
            return "".join(str(chunk.text) for chunk in chunks)

    wire.fail(Fault("error_event"))
    app = App(load(tmp_path))
    try:
        with app.entered():
            with pytest.raises(errors.APIError):
                read()
            failed = last_run()
            assert failed is not None
            assert app.resume(failed.id, flow=read) == f"{MODEL} heard: one two"
    finally:
        app.close()
    assert wire.count() == 2


def test_a_stream_that_is_left_early_replays_as_far_as_it_was_read(wire: WireServer) -> None:
    def read(client: genai.Client, count: int) -> list[str | None]:
        texts: list[str | None] = []
        stream = client.models.generate_content_stream(model=MODEL, contents="one two three four five six")
        for chunk in stream:
            texts.append(chunk.text)
            if len(texts) == count:
                break
        stream.close()
        return texts

    wire.fail(Fault("drip", delay=0.05))
    scope = MemoryScope()
    with client_of(wire) as client:
        with scope.open():
            live = read(client, 2)
        output: Any = scope.endings[0].output
        assert output["is_closed_early"]
        with scope.resumed().open():
            assert read(client, 2) == live
        with scope.resumed().open(), pytest.raises(ClosedEarly):
            read(client, 100)
    assert wire.count() == 1


def test_an_own_aiohttp_session_is_refused_and_not_overlooked(wire: WireServer) -> None:
    async def use() -> Any:
        async with aiohttp.ClientSession() as session:
            with client_of(wire, aiohttp_client=session) as client:
                return await async_generate(client)

    asyncio.run(use())
    with MemoryScope().open() as scope, pytest.raises(ConfigError, match=r"aiohttp_client.*http_client"):
        asyncio.run(use())
    assert scope.claims == []
    assert wire.count() == 1
