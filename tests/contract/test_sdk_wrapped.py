"""SDK clients on the chain: one call is never three, in a run or outside by `wrap`, `autolog` and `http_client`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import types

import surefoot
from memory_scope import MemoryScope
from policies import configure
from surefoot import autolog, http_client, models, wrap
from surefoot.errors import ConfigError
from wire import Fault, WireServer

# What the SDK does where it is left to itself.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MESSAGES: Any = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    with WireServer() as server:
        yield server
    models.uninstall()


class Mine(openai.OpenAI):
    """A client that cannot be copied: its constructor has other arguments."""

    def __init__(self, wire: WireServer) -> None:
        super().__init__(base_url=wire.openai_url, api_key="test", max_retries=4)


def chat(client: Any, **options: Any) -> Any:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **options)
    return (
        "".join(chunk.choices[0].delta.content or "" for chunk in answer) if options else answer.model_dump()
    )


def message(client: Any) -> Any:
    return client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES).model_dump()


def generate(client: Any) -> Any:
    return client.models.generate_content(model="gemini-2.5-flash", contents="hello").text


async def async_chat(client: Any) -> Any:
    async with client:
        return (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).model_dump()


async def async_message(client: Any) -> Any:
    async with client:
        answer = await client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES)
        return answer.model_dump()


async def async_generate(client: Any) -> Any:
    with client:
        try:
            answer = await client.aio.models.generate_content(model="gemini-2.5-flash", contents="hello")
            return answer.text
        finally:
            await client.aio.aclose()


def openai_of(wire: WireServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=wire.openai_url, api_key="test", max_retries=4, **options)


def async_openai_of(wire: WireServer, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test", max_retries=4, **options)


def azure_of(wire: WireServer) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=wire.azure_url, api_key="test", api_version="2024-10-21", max_retries=4
    )


def anthropic_of(wire: WireServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=wire.anthropic_url, api_key="test", max_retries=4)


def async_anthropic_of(wire: WireServer) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=wire.anthropic_url, api_key="test", max_retries=4)


def google_of(wire: WireServer) -> genai.Client:
    patient = types.HttpRetryOptions(attempts=5, initial_delay=1000)
    return genai.Client(
        api_key="test", http_options=types.HttpOptions(base_url=wire.gemini_url, retry_options=patient)
    )


def legacy_of(wire: WireServer) -> openai.OpenAI:
    legacy: Any = httpx.Client()
    return openai_of(wire, http_client=legacy)


def bridged_of(wire: WireServer) -> openai.AsyncOpenAI:
    return async_openai_of(wire, http_client=openai.DefaultAioHttpClient())


SYNC = [
    (openai_of, chat),
    (legacy_of, chat),
    (azure_of, chat),
    (Mine, chat),
    (anthropic_of, message),
    (google_of, generate),
]
ASYNC = [
    (async_openai_of, async_chat),
    (bridged_of, async_chat),
    (async_anthropic_of, async_message),
    (google_of, async_generate),
]
CLIENTS = pytest.mark.parametrize(
    ("make", "use"), [*SYNC, *ASYNC], ids=lambda given: getattr(given, "__name__", str(given))
)
ERRORS = (openai.APIError, anthropic.APIError, genai.errors.APIError, httpx2.TransportError)


def used(client: Any, use: Callable[[Any], Any]) -> Any:
    """What a client gives; it is closed, on the loop on which it was used if that is one."""
    if use in [case for _, case in ASYNC]:
        return asyncio.run(use(client))
    with ExitStack() as opened:
        opened.enter_context(client)
        return use(client)


@pytest.fixture
def no_sleep_in_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be an error if an SDK waits for a repetition of its own."""

    def sleeps(*_: Any, **__: Any) -> None:
        raise AssertionError("the SDK is about to repeat a call")

    for sdk in (openai, anthropic):
        for name in ("SyncAPIClient", "AsyncAPIClient"):
            monkeypatch.setattr(getattr(sdk._base_client, name), "_sleep_for_retry", sleeps)


@CLIENTS
@pytest.mark.parametrize("fault", [Fault(status=500), Fault("reset")], ids=lambda fault: fault.kind)
@pytest.mark.parametrize("way", ["wrap", "autolog", "run"])
@pytest.mark.usefixtures("no_sleep_in_sdks")
def test_one_call_is_never_more_than_the_policy_says(
    wire: WireServer, make: Any, use: Any, fault: Fault, way: str
) -> None:
    client = make(wire)
    wire.fail(*[fault] * 20)
    with ExitStack() as opened:
        if way == "wrap":
            assert wrap(client) is client
        elif way == "autolog":
            autolog()
        else:
            models.install()
            opened.enter_context(MemoryScope().open())
        opened.enter_context(pytest.raises(ERRORS))
        used(client, use)
    assert wire.count() == 3
    assert all("idempotency-key" in call.headers for call in wire.received)


@pytest.mark.usefixtures("no_sleep_in_sdks")
def test_an_sdk_does_not_wait_for_a_server_that_is_not_there(wire: WireServer) -> None:
    nowhere: Any = {"api_key": "test", "base_url": "http://127.0.0.1:9", "max_retries": 4}
    for client, use in ((openai.OpenAI(**nowhere), chat), (anthropic.Anthropic(**nowhere), message)):
        with pytest.raises(ERRORS) as raised:
            used(wrap(client), use)
        assert isinstance(raised.value.__cause__, httpx2.ConnectError)


def test_what_is_no_model_call_keeps_the_retries_of_the_sdk(wire: WireServer) -> None:
    wire.fail(Fault(status=500, headers={"retry-after-ms": "1"}))
    with wrap(openai_of(wire)) as client, pytest.raises(openai.APIStatusError):
        client.models.list()
    assert wire.count() == 2


@CLIENTS
def test_what_is_asked_and_answered_is_the_same(wire: WireServer, make: Any, use: Any) -> None:
    bare = used(make(wire), use)
    assert used(wrap(make(wire)), use) == bare
    assert wire.received[0].body == wire.received[1].body
    assert wire.count() == 2


def test_another_client_is_left_alone(wire: WireServer) -> None:
    with openai_of(wire) as wrapped, openai_of(wire) as other:
        wrap(wrapped)
        chat(wrapped)
        chat(other)
    assert "idempotency-key" in wire.received[0].headers
    assert "idempotency-key" not in wire.received[1].headers


def test_copies_of_a_wrapped_client_are_wrapped(wire: WireServer) -> None:
    wire.fail(*[Fault(status=500)] * 20)
    with wrap(openai_of(wire)) as client, pytest.raises(openai.InternalServerError):
        chat(client.with_options(max_retries=5, timeout=9))
    assert wire.count() == 3


def test_streams_of_a_wrapped_client(wire: WireServer) -> None:
    with wrap(openai_of(wire)) as client:
        assert chat(client, stream=True) == "gpt-4o heard: hello there"
        wire.fail(Fault(status=500))
        assert chat(client, stream=True) == "gpt-4o heard: hello there"
    assert wire.count() == 3


def test_a_wrapped_client_is_recorded_in_a_run_as_any_other(wire: WireServer) -> None:
    with wrap(openai_of(wire)) as client:
        outside = chat(client)
        with MemoryScope().open() as scope:
            assert chat(client) == outside
        with scope.resumed().open():
            assert chat(client) == outside
    assert len(scope.endings) == 1
    assert wire.count() == 2


def test_a_route_is_taken_outside_a_run_too(wire: WireServer) -> None:
    class Elsewhere:
        def route(self, call: models.CallTarget, /) -> models.Route | None:
            if call.has_credential:
                return None
            return models.Route(
                "local:other", lambda: models.Endpoint(wire.openai_url, {"authorization": "Bearer k"})
            )

    configure(endpoints=Elsewhere())
    with wrap(openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key=models.PLACEHOLDER_KEY)) as client:
        answer = chat(client)
    assert answer["choices"][0]["message"]["content"] == "other heard: hello there"


def test_autolog_is_undone(wire: WireServer) -> None:
    with openai_of(wire) as client:
        autolog()
        chat(client)
        autolog(disable=True)
        chat(client)
        with MemoryScope().open() as scope:
            chat(client)
    assert ["idempotency-key" in call.headers for call in wire.received] == [True, False, True]
    assert len(scope.endings) == 1


@pytest.mark.parametrize("first", ["openai", "surefoot"])
def test_autolog_does_not_mind_the_order_of_imports(wire: WireServer, first: str) -> None:
    then = {"openai": "surefoot", "surefoot": "openai"}[first]
    code = f"""
        import {first}
        if "{first}" == "surefoot": surefoot.autolog()
        import {then}
        if "{first}" == "openai": surefoot.autolog()
        from surefoot import models
        models.policy.provide(lambda: models.Policy(retries=models.Retries(count=1, base=0.0)))
        with openai.OpenAI(base_url={wire.openai_url!r}, api_key="test", max_retries=9) as client:
            try:
                client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
            except openai.InternalServerError:
                pass
    """
    wire.fail(*[Fault(status=500)] * 20)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert wire.count() == 2


def test_a_client_that_is_built_by_hand(wire: WireServer) -> None:
    with openai_of(wire, http_client=http_client()) as client:
        bare = chat(client)
    assert bare["model"] == "gpt-4o"

    async def use() -> Any:
        async with http_client(is_async=True) as http:
            return await async_chat(async_openai_of(wire, http_client=http))

    assert asyncio.run(use()) == bare
    with http_client() as http:
        own = genai.Client(
            api_key="k", http_options=types.HttpOptions(base_url=wire.gemini_url, httpx_client=http)
        )
        assert generate(own) == "gemini-2.5-flash heard: hello"
        own.close()
    assert all("idempotency-key" in call.headers for call in wire.received)


def test_a_client_of_http_may_be_wrapped_itself(wire: WireServer) -> None:
    settings: Any = {"headers": {"authorization": "Bearer test"}, "base_url": wire.openai_url}
    wire.fail(*[Fault(status=500)] * 20)
    for library in (httpx, httpx2):
        with wrap(library.Client(**settings)) as client:
            answer = client.post("/chat/completions", json={"model": "gpt-4o", "messages": MESSAGES})
            assert answer.status_code == 500
    assert wire.count() == 6


def test_the_defaults_of_an_http_client_are_the_sdks(wire: WireServer) -> None:
    with openai_of(wire) as own, openai_of(wire, http_client=http_client()) as given:
        assert given.timeout == own.timeout
        assert given._client.follow_redirects == own._client.follow_redirects


@pytest.mark.parametrize("what", [object(), "client", openai, MESSAGES, openai.OpenAI])
def test_what_is_no_client_is_refused(what: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be wrapped: give `wrap` a client of the openai"):
        wrap(what)


def test_what_the_hook_cannot_see_is_refused() -> None:
    bedrock = anthropic.AnthropicBedrock(aws_region="eu", aws_access_key="a", aws_secret_key="b")
    with bedrock, pytest.raises(ConfigError, match="calls in Bedrock's format are not recognised"):
        wrap(bedrock)


def test_http_client_without_its_library_names_the_extra(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["httpx2"] = None
        import surefoot
        try:
            surefoot.http_client()
        except surefoot.SurefootError as error:
            assert "pip install 'surefoot[openai]'" in str(error), error
        else:
            raise AssertionError
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_the_door_knows_all_three() -> None:
    assert (surefoot.wrap, surefoot.autolog, surefoot.http_client) == (wrap, autolog, http_client)
