"""What goes wrong below the official SDKs: how many calls are made, what the user sees, and what a resume sees."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from surefoot.errors import NotData, RunCancelled, RunEnded
from surefoot.scope import Work
from wire import Fault, WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


def ask_openai(wire: WireServer, **options: Any) -> Any:
    with openai.OpenAI(base_url=wire.openai_url, api_key="test", max_retries=1) as client:
        return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **options)


def ask_anthropic(wire: WireServer, **options: Any) -> Any:
    with anthropic.Anthropic(base_url=wire.anthropic_url, api_key="test", max_retries=1) as client:
        return client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES, **options)


def ask_async_openai(wire: WireServer, **options: Any) -> Any:
    async def use() -> Any:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test", max_retries=1) as client:
            return await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **options)

    return asyncio.run(use())


def ask_async_anthropic(wire: WireServer, **options: Any) -> Any:
    async def use() -> Any:
        async with anthropic.AsyncAnthropic(
            base_url=wire.anthropic_url, api_key="test", max_retries=1
        ) as client:
            return await client.messages.create(
                model="claude-sonnet-5", max_tokens=9, messages=MESSAGES, **options
            )

    return asyncio.run(use())


ASKS = pytest.mark.parametrize("ask", [ask_openai, ask_anthropic, ask_async_openai, ask_async_anthropic])
STATUS_ERRORS = (openai.APIStatusError, anthropic.APIStatusError)
CONNECTION_ERRORS = (openai.APIConnectionError, anthropic.APIConnectionError)


@ASKS
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_tried_again_and_recorded_once(wire: WireServer, ask: Any, status: int) -> None:
    wire.fail(Fault(status=status), Fault(status=status))
    scope = MemoryScope()
    with scope.open():
        answer = ask(wire)
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["completed"]
    with scope.resumed().open():
        assert ask(wire).model_dump() == answer.model_dump()
    assert wire.count() == 3


@ASKS
def test_the_retries_of_the_sdk_add_nothing_to_ours(wire: WireServer, ask: Any) -> None:
    wire.fail(*[Fault(status=500)] * 9)
    scope = MemoryScope()
    with scope.open(), pytest.raises(STATUS_ERRORS) as raised:
        ask(wire)
    assert raised.value.status_code == 500
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["failed"]
    assert scope.endings[0].cause is raised.value.response
    # A flow that survived the failure sees it again, and no call is made.
    with scope.resumed().open(), pytest.raises(STATUS_ERRORS) as replayed:
        ask(wire)
    assert type(replayed.value) is type(raised.value)
    assert replayed.value.body == raised.value.body
    assert wire.count() == 3


@ASKS
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_not_tried_again(wire: WireServer, ask: Any, stream: bool) -> None:
    scope = MemoryScope()
    with scope.open(), pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as raised:
        ask(wire, stream=stream, extra_body={"nonsense": 1})
    assert wire.count() == 1
    with (
        scope.resumed().open(),
        pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as replayed,
    ):
        ask(wire, stream=stream, extra_body={"nonsense": 1})
    assert str(replayed.value) == str(raised.value)
    assert replayed.value.request_id == raised.value.request_id == "req_refused"
    assert wire.count() == 1


@ASKS
def test_a_wait_beyond_the_deadline_ends_the_call_at_once(
    wire: WireServer, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wire.fail(Fault(status=429, headers={"retry-after": "4233600"}))  # 49 days
    scope = MemoryScope()
    with scope.open(), pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as raised:
        ask(wire)
    assert raised.value.response.headers["retry-after"] == "4233600"
    assert wire.count() == 1
    assert [ending.status for ending in scope.endings] == ["failed"]
    assert "the server asks to wait for 4,233,600 s" in caplog.text
    assert "the deadline of the call (600 s, [models] deadline)" in caplog.text


@ASKS
def test_a_wait_beyond_the_deadline_of_the_run_ends_the_call_at_once(
    wire: WireServer, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wire.fail(Fault(status=429, headers={"retry-after": "90"}))
    with (
        MemoryScope(seconds_left=60.0).open(),
        pytest.raises((openai.RateLimitError, anthropic.RateLimitError)),
    ):
        ask(wire)
    assert wire.count() == 1
    assert "the deadline of its run" in caplog.text


@ASKS
@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_an_attempt_is_cut_off_at_the_deadline_of_the_call(wire: WireServer, ask: Any, kind: Any) -> None:
    """However long the client would wait: its own limit is for each read, and a dripping answer never reaches it."""
    configure(retries=models.Retries(count=2, base=0.0, deadline=0.5))
    wire.fail(*[Fault(kind, delay=0.2)] * 9)
    scope = MemoryScope()
    with scope.open(), pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError)) as raised:
        ask(wire)
    assert wire.count() == 1  # the answer may be paid for
    assert [ending.status for ending in scope.endings] == ["failed"]
    assert "the deadline of the call (0.5 s, [models] deadline) passed" in str(
        getattr(raised.value.__cause__, "__notes__", "")
    )


def test_the_limits_of_the_client_are_its_own_again_behind_the_call(wire: WireServer) -> None:
    configure(retries=models.Retries(deadline=50.0))
    limits: list[Any] = []
    with MemoryScope().open(), httpx2.Client(timeout=httpx2.Timeout(70.0, connect=3.0)) as client:
        client.event_hooks["request"].append(lambda request: limits.append(request.extensions["timeout"]))
        response = client.post(
            f"{wire.openai_url}/chat/completions",
            json={"model": "gpt-4o", "messages": MESSAGES},
            headers={"authorization": "Bearer test"},
        )
    assert response.is_success
    assert limits[0]["connect"] == 3.0
    assert 0 < limits[0]["read"] <= 50.0
    assert response.request.extensions["timeout"] == {
        "connect": 3.0,
        "read": 70.0,
        "write": 70.0,
        "pool": 70.0,
    }


@ASKS
def test_a_run_that_stops_makes_no_further_attempt(wire: WireServer, ask: Any) -> None:
    stopped = RunCancelled("run run-1 was cancelled", run_id="run-1")
    scope = MemoryScope(stop=stopped)
    wire.fail(*[Fault(status=500)] * 9)
    with scope.open(), pytest.raises(RunCancelled):
        ask(wire)
    assert wire.count() == 1
    # It has no outcome: it is done again if the run goes on.
    assert scope.endings == []
    assert [claim.is_abandoned for claim in scope.claims] == [True]


@ASKS
def test_an_outage_is_not_amplified(wire: WireServer, ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    configure(retries=models.Retries(count=2, base=0.0), budget=models.RetryBudget(share=0.0, reserve=3))
    wire.fail(*[Fault(status=503)] * 100)
    with MemoryScope().open():
        for _ in range(6):
            with pytest.raises(STATUS_ERRORS):
                ask(wire)
    assert wire.count() == 6 + 3
    assert "the retries of" in caplog.text
    assert "([models] retry_reserve, retry_share)" in caplog.text


def test_a_failed_connection_says_that_the_retries_are_used_up(wire: WireServer) -> None:
    configure(retries=models.Retries(count=2, base=0.0), budget=models.RetryBudget(share=0.0, reserve=0))
    wire.fail(Fault("reset"))
    with MemoryScope().open(), pytest.raises(openai.APIConnectionError) as raised:
        ask_openai(wire)
    assert wire.count() == 1
    (note,) = getattr(raised.value.__cause__, "__notes__", [])
    assert "no further attempt after 1 attempt" in note
    assert "the retries of openai at 127.0.0.1 are used up" in note


@ASKS
def test_a_connection_that_breaks_before_the_answer_is_tried_again(wire: WireServer, ask: Any) -> None:
    wire.fail(Fault("reset"), Fault("reset"))
    scope = MemoryScope()
    with scope.open():
        ask(wire)
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["completed"]


@ASKS
def test_a_connection_that_keeps_breaking_is_one_failed_call(wire: WireServer, ask: Any) -> None:
    wire.fail(*[Fault("reset")] * 12)
    scope = MemoryScope()
    with scope.open(), pytest.raises(CONNECTION_ERRORS) as raised:
        ask(wire)
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["failed"]
    assert scope.endings[0].output is None
    assert isinstance(scope.endings[0].cause, httpx2.TransportError)
    assert scope.endings[0].cause is raised.value.__cause__
    with scope.resumed().open(), pytest.raises(CONNECTION_ERRORS):
        ask(wire)
    assert wire.count() == 3


def test_a_server_that_is_not_there(wire: WireServer) -> None:
    scope = MemoryScope()
    with (
        scope.open(),
        openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="test", max_retries=1) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert isinstance(scope.endings[0].cause, httpx2.ConnectError)
    assert len(scope.claims) == 1


@ASKS
def test_a_body_that_is_cut_is_a_failure_and_is_not_paid_twice(wire: WireServer, ask: Any) -> None:
    wire.fail(Fault("cut"))
    scope = MemoryScope()
    with scope.open(), pytest.raises(CONNECTION_ERRORS):
        ask(wire)
    assert wire.count() == 1
    assert [ending.status for ending in scope.endings] == ["failed"]


def read_openai(wire: WireServer) -> list[str]:
    with openai.OpenAI(base_url=wire.openai_url, api_key="test") as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        return read(stream)


def read_anthropic(wire: WireServer) -> list[str]:
    with anthropic.Anthropic(base_url=wire.anthropic_url, api_key="test") as client:
        stream = client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES, stream=True)
        return read(stream)


def read_async_openai(wire: WireServer) -> list[str]:
    async def use() -> list[str]:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test") as client:
            kinds = []
            try:
                async for event in await client.chat.completions.create(
                    model="gpt-4o", messages=MESSAGES, stream=True
                ):
                    kinds.append(type(event).__name__)  # noqa: PERF401 - what was read before an error is kept
            except (openai.APIError, httpx2.TransportError) as error:
                kinds.append(repr(error))
            return kinds

    return asyncio.run(use())


def read(stream: Any) -> list[str]:
    """The kinds of the events, and the error that ended them."""
    kinds = []
    try:
        for event in stream:
            kinds.append(type(event).__name__)  # noqa: PERF401 - what was read before an error is kept
    except (openai.APIError, anthropic.APIError, httpx2.TransportError) as error:
        kinds.append(repr(error))
    return kinds


READS = pytest.mark.parametrize("read_all", [read_openai, read_anthropic, read_async_openai])


@READS
def test_a_stream_that_is_cut_replays_to_its_break(wire: WireServer, read_all: Any) -> None:
    wire.fail(Fault("cut", after=500))
    scope = MemoryScope()
    with scope.open():
        seen = read_all(wire)
    assert len(seen) > 1
    assert "Error" in seen[-1]
    ending = scope.endings[0]
    output: Any = ending.output
    assert ending.status == "failed"
    assert isinstance(ending.cause, httpx2.TransportError)
    assert len(output["body"]) == 500
    with scope.resumed().open():
        assert read_all(wire) == seen
    assert wire.count() == 1


@READS
def test_an_error_event_in_a_stream_is_a_failure(wire: WireServer, read_all: Any) -> None:
    wire.fail(Fault("error_event"))
    scope = MemoryScope()
    with scope.open():
        seen = read_all(wire)
    assert "Error" in seen[-1]
    assert [ending.status for ending in scope.endings] == ["failed"]
    # The error that the SDK made of the event is the cause, so a run that it ends tries the call again.
    assert repr(scope.endings[0].cause) == seen[-1]
    with scope.resumed().open():
        assert read_all(wire) == seen
    assert wire.count() == 1


@pytest.mark.parametrize("kind", ["malformed", "html"])
def test_an_answer_that_is_none_is_handed_over_and_recorded_as_failed(wire: WireServer, kind: Any) -> None:
    def use() -> str:
        try:
            return repr(ask_openai(wire))
        except Exception as error:  # noqa: BLE001
            return type(error).__name__

    wire.fail(Fault(kind), Fault(kind))
    bare = use()
    scope = MemoryScope()
    with scope.open():
        assert use() == bare
    assert [ending.status for ending in scope.endings] == ["failed"]
    with scope.resumed().open():
        assert use() == bare
    assert wire.count() == 2


@ASKS
def test_a_call_after_the_end_of_its_run_is_refused(wire: WireServer, ask: Any) -> None:
    scope = MemoryScope(is_ended=True)
    with scope.open(), pytest.raises(RunEnded, match="has ended"):
        ask(wire)
    assert wire.count() == 0


def test_anthropic_lets_our_errors_through_as_its_own(wire: WireServer) -> None:
    scope = MemoryScope(is_ended=True)
    with scope.open(), pytest.raises(RunEnded) as raised:
        ask_anthropic(wire)
    assert isinstance(raised.value, anthropic.AnthropicError)
    with scope.open(), pytest.raises(RunEnded) as raised:
        ask_openai(wire)
    assert type(raised.value) is RunEnded


def test_what_cannot_be_recorded_is_refused_before_the_call(wire: WireServer) -> None:
    class Strict(MemoryScope):
        def claim(self, work: Work) -> Any:
            raise NotData("a lone surrogate")

    with Strict().open(), pytest.raises(NotData):
        ask_openai(wire)
    assert wire.count() == 0


def test_each_new_call_after_a_failed_one_is_a_call_of_its_own(wire: WireServer) -> None:
    """The repetition of a user's own loop is new work; only the SDK's silent one is not."""
    wire.fail(*[Fault(status=500)] * 3)
    scope = MemoryScope()
    with scope.open():
        with pytest.raises(openai.InternalServerError):
            ask_openai(wire)
        ask_openai(wire)
    assert wire.count() == 4
    assert [ending.status for ending in scope.endings] == ["failed", "completed"]


def test_a_retry_of_the_sdk_over_legacy_httpx_adds_nothing(wire: WireServer) -> None:
    wire.fail(*[Fault("reset")] * 12)
    scope = MemoryScope()
    legacy: Any = httpx.Client()
    with (
        scope.open(),
        openai.OpenAI(base_url=wire.openai_url, api_key="test", max_retries=1, http_client=legacy) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert wire.count() == 3
    assert isinstance(scope.endings[0].cause, httpx.TransportError)


def test_the_idempotency_key_is_the_claims(wire: WireServer) -> None:
    wire.fail(Fault(status=500))
    with MemoryScope().open():
        ask_openai(wire)
        ask_openai(wire)
    keys = [call.headers["idempotency-key"] for call in wire.received]
    assert keys == ["run-1-1", "run-1-1", "run-1-2"]
