"""What clients of the gateway are told where there is no answer, and what is left of their calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from gatewayed import KEY, Gatewayed, gatewayed
from streaming import StreamingServer, chat, chat_events
from surefoot.errors import RunCancelled
from wire import Fault, WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]
PRICED = """
[budgets.day]
limit = "{limit}"
of = "tenant"

[limits.few]
of = "tenant"
only = "slow"
requests_per_minute = 1

[cache]
calls = "all"
ttl = 600
"""


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture(scope="module")
def gateway(wire: WireServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gatewayed]:
    folder = tmp_path_factory.mktemp("gateway")
    with gatewayed(folder, wire.openai_url, wire.anthropic_url) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def forgotten(wire: WireServer) -> None:
    wire.received.clear()


def chat_of(client: openai.OpenAI, model: str = "gpt-4o", **more: Any) -> Any:
    return client.chat.completions.create(**{"model": model, "messages": MESSAGES, **more})


def streamed(client: openai.OpenAI) -> tuple[list[str], openai.APIError | None]:
    """The pieces of a streamed answer, and the error that it ends in."""
    pieces: list[str] = []
    try:
        for chunk in chat_of(client, stream=True):
            pieces += [chunk.choices[0].delta.content or ""]
    except openai.APIError as error:
        return pieces, error
    return pieces, None


def message_of(client: anthropic.Anthropic, **more: Any) -> Any:
    asked = {"model": "claude-sonnet-5", "max_tokens": 20, "messages": MESSAGES}
    return client.messages.create(**{**asked, **more})


def test_a_bad_token_is_told_in_both_languages(gateway: Gatewayed) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        chat_of(gateway.openai("sft_nothing"))
    assert refused.value.code == "invalid_token"
    with pytest.raises(anthropic.AuthenticationError) as other:
        message_of(gateway.anthropic("sft_nothing"))
    said: Any = other.value.body
    assert (said["type"], said["error"]["type"]) == ("error", "authentication_error")
    with pytest.raises(openai.AuthenticationError):
        gateway.openai("sft_nothing").models.list()


def test_a_model_that_is_not_offered(gateway: Gatewayed, wire: WireServer) -> None:
    for name in ("nothing", "nowhere:gpt-4o", "main:", "gpt-4o\r\nx", "x" * 500):
        with pytest.raises(openai.NotFoundError) as refused:
            chat_of(gateway.openai(), name)
        assert refused.value.code == "model_not_found"
        assert "claude" not in refused.value.message
    with pytest.raises(anthropic.NotFoundError):
        message_of(gateway.anthropic(), model="nothing")
    assert not wire.received
    assert not gateway.runs(status="failed")


def test_one_that_the_provider_does_not_know(gateway: Gatewayed) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        chat_of(gateway.openai(), "main:unknown-one")
    assert "unknown-one" in refused.value.message


def test_a_model_of_another_language_is_not_translated(gateway: Gatewayed, wire: WireServer) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/messages"):
        chat_of(gateway.openai(), "claude-sonnet-5")
    with pytest.raises(anthropic.NotFoundError, match="OpenAI's paths"):
        message_of(gateway.anthropic(), model="gpt-4o")
    assert not wire.received


def test_a_limit_of_the_provider_comes_with_its_time(gateway: Gatewayed, wire: WireServer) -> None:
    wire.fail(Fault(status=429, headers={"retry-after": "7", "x-ratelimit-limit-requests": "9"}))
    with pytest.raises(openai.RateLimitError) as refused:
        chat_of(gateway.openai())
    assert refused.value.response.headers["retry-after"] == "7"
    assert "x-ratelimit-limit-requests" not in refused.value.response.headers
    assert "told to fail with 429" in refused.value.message
    assert gateway.ended().status == "failed"


def test_retries_are_those_of_the_chain(tmp_path: Path, wire: WireServer) -> None:
    with gatewayed(tmp_path, wire.openai_url, retries=2) as gateway:
        wire.fail(Fault(status=503), Fault(kind="reset"))
        answer = chat_of(gateway.openai(max_retries=2))
        assert answer.choices[0].message.content == "gpt-4o heard: hello"
        assert len(wire.received) == 3
        wire.fail(*[Fault(status=500)] * 3)
        with pytest.raises(openai.InternalServerError):
            chat_of(gateway.openai(max_retries=2))
        # Those of the client would make nine of them.
        assert len(wire.received) == 6
        assert len(gateway.runs()) == 2


def test_a_key_that_the_provider_refuses_is_no_fault_of_the_client(
    gateway: Gatewayed, wire: WireServer, caplog: pytest.LogCaptureFixture
) -> None:
    wire.fail(Fault(status=401))
    with pytest.raises(openai.InternalServerError) as refused:
        chat_of(gateway.openai())
    assert (refused.value.status_code, refused.value.code) == (502, "provider_refused_key")
    assert KEY not in refused.value.response.text + caplog.text


def test_a_request_that_the_provider_refuses_is_told_in_its_words(gateway: Gatewayed) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat_of(gateway.openai(), messages=[])
    assert refused.value.param == "messages"
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        message_of(gateway.anthropic(), max_tokens=0)


@pytest.mark.parametrize("kind", ["html", "malformed", "empty", "error_object"])
def test_what_is_no_answer_is_none(gateway: Gatewayed, wire: WireServer, kind: Any) -> None:
    wire.fail(Fault(kind=kind))
    with pytest.raises(openai.InternalServerError) as refused:
        chat_of(gateway.openai())
    assert (refused.value.status_code, refused.value.code) == (502, "provider_unavailable")
    assert gateway.ended().status == "failed"


@pytest.mark.parametrize("kind", ["cut", "ended", "error_event"])
def test_a_stream_that_breaks_off_is_an_error_of_the_client(
    gateway: Gatewayed, wire: WireServer, kind: Any
) -> None:
    wire.fail(Fault(kind=kind, after=600))
    pieces, error = streamed(gateway.openai())
    assert pieces
    assert error is not None
    assert gateway.ended().status == "failed"
    wire.fail(Fault(kind=kind, after=900))
    stream = message_of(gateway.anthropic(), stream=True)
    with pytest.raises(anthropic.APIError):
        list(stream)
    assert gateway.ended().status == "failed"


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    with gatewayed(tmp_path, "http://127.0.0.1:9/v1") as gateway:
        with pytest.raises(openai.InternalServerError) as refused:
            chat_of(gateway.openai())
        assert (refused.value.status_code, refused.value.code) == (502, "provider_unavailable")
        assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_budget_that_is_used_up(tmp_path: Path, wire: WireServer) -> None:
    with gatewayed(
        tmp_path, wire.openai_url, wire.anthropic_url, settings=PRICED.format(limit="0.0001")
    ) as gateway:
        with pytest.raises(openai.APIStatusError) as refused:
            chat_of(gateway.openai(), max_tokens=2000)
        assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
        assert "'day'" in refused.value.message
        assert int(refused.value.response.headers["retry-after"]) > 0
        with pytest.raises(anthropic.APIStatusError) as other:
            message_of(gateway.anthropic(), max_tokens=2000)
        said: Any = other.value.body
        assert (other.value.status_code, said["error"]["code"]) == (402, "budget_exceeded")
        with pytest.raises(openai.APIStatusError) as streamed:
            chat_of(gateway.openai(), max_tokens=2000, stream=True)
        assert streamed.value.status_code == 402
        assert not wire.received
        assert all(account.held.nanos == 0 for account in gateway.app.budgets())


def test_a_limit_of_ours(tmp_path: Path, wire: WireServer) -> None:
    settings = PRICED.format(limit="5") + "\n[serve]\nrequests_per_minute = 6000\n"
    with gatewayed(tmp_path, wire.openai_url, settings=settings.replace("deadline", "")) as gateway:
        gateway.add("user:sam", "slow")
        gateway.app.policy = _hasty(gateway)
        chat_of(gateway.openai("user:sam"))
        with pytest.raises(openai.RateLimitError) as refused:
            chat_of(gateway.openai("user:sam"), messages=[{"role": "user", "content": "more"}])
        assert int(refused.value.response.headers["retry-after"]) > 0
        assert refused.value.code == "rate_limit_exceeded"
        # Another tenant has a limit of its own.
        chat_of(gateway.openai())


def _hasty(gateway: Gatewayed) -> Any:
    """The policy with a second for each call, in which no room comes up."""
    from dataclasses import replace

    policy = gateway.app.policy
    return replace(policy, retries=replace(policy.retries, deadline=1.0))


def test_cached_answers_are_those_of_a_tenant(tmp_path: Path, wire: WireServer) -> None:
    with gatewayed(tmp_path, wire.openai_url, settings=PRICED.format(limit="5")) as gateway:
        gateway.add("user:bea", "acme")
        gateway.add("user:eve", "other")
        first = chat_of(gateway.openai())
        again = chat_of(gateway.openai("user:bea"))
        assert again.id == first.id
        assert len(wire.received) == 1
        assert gateway.runs()[0].totals.cost.nanos == 0
        pieces = [chunk.choices[0].delta.content or "" for chunk in chat_of(gateway.openai(), stream=True)]
        assert "".join(pieces) == first.choices[0].message.content
        assert len(wire.received) == 1
        chat_of(gateway.openai("user:eve"))
        assert len(wire.received) == 2
        assert {run.tenant for run in gateway.runs()} == {"acme", "other"}
        assert [run.principal for run in gateway.runs(tenant="other")] == ["user:eve"]


def test_a_guard_refuses(tmp_path: Path) -> None:
    leaking = "the key is " + "AKIA" + "Z7Q2M4X6B8N1C3V5"
    with (
        StreamingServer(
            lambda body: (
                chat_events(f"{word} " for word in leaking.split())
                if body.get("stream")
                else json.dumps(chat(leaking)).encode()
            )
        ) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings='[guards]\nsecrets = "block"\n') as gateway,
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            chat_of(gateway.openai())
        assert refused.value.code == "content_policy"
        assert leaking[-10:] not in refused.value.response.text
        pieces, error = streamed(gateway.openai())
        assert leaking[-10:] not in "".join(pieces)
        assert error is not None
        assert error.code == "content_policy"


def test_a_client_that_hangs_up_at_the_last_event_has_a_run_that_completed(
    gateway: Gatewayed,
) -> None:
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    headers = {"authorization": f"Bearer {gateway.tokens['user:ann']}"}
    for _ in range(20):
        with httpx2.stream(
            "POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers
        ) as response:
            heard = b""
            for chunk in response.iter_bytes():
                heard += chunk
                if b"[DONE]" in heard:
                    break
        assert gateway.ended().status == "completed"


def endless(stop: threading.Event) -> Callable[[dict[str, Any]], Any]:
    def words() -> Iterator[str]:
        while not stop.is_set():
            yield "word "
            time.sleep(0.005)

    return lambda body: chat_events(words())


def test_a_client_that_goes_ends_the_answer_of_its_model(tmp_path: Path) -> None:
    stop = threading.Event()
    settings = '[budgets.day]\nlimit = "5"\nof = "tenant"\n'
    with (
        StreamingServer(endless(stop)) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings=settings) as gateway,
    ):
        try:
            stream = chat_of(gateway.openai(), max_tokens=1000, stream=True)
            assert next(stream).choices[0].delta.content
            assert gateway.app.budgets()[0].held.nanos > 0
            stream.close()
            run = gateway.ended()
            assert run.status == "cancelled"
            with pytest.raises(RunCancelled, match="its client has gone"):
                gateway.app.resume(run.id)
            sent = server.sent
            until = time.monotonic() + 20
            while time.monotonic() < until and _grows(server, sent):
                sent = server.sent
            assert not _grows(server, sent), "the model's answer goes on"
            account = gateway.app.budgets()[0]
            assert account.held.nanos == 0
            assert account.spent.nanos > 0
        finally:
            stop.set()


def _grows(server: StreamingServer, sent: int) -> bool:
    time.sleep(0.2)
    return server.sent > sent


def test_one_that_goes_before_there_is_an_answer(tmp_path: Path) -> None:
    asked, stop = threading.Event(), threading.Event()

    def slow(body: dict[str, Any]) -> bytes:
        asked.set()
        stop.wait(20)
        return json.dumps(chat("late")).encode()

    settings = '[budgets.day]\nlimit = "5"\nof = "tenant"\n'
    with (
        StreamingServer(slow) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings=settings) as gateway,
    ):
        try:
            with pytest.raises(openai.APITimeoutError):
                chat_of(gateway.openai(timeout=0.5), max_tokens=1000)
            assert asked.wait(20)
            assert gateway.ended().status == "cancelled"
            account = gateway.app.budgets()[0]
            # It was sent, and nobody knows what it costs: the worst case is booked.
            assert (account.held.nanos, account.spent.nanos > 0) == (0, True)
        finally:
            stop.set()


def test_under_a_key_the_call_goes_on_without_its_client(tmp_path: Path) -> None:
    stop = threading.Event()

    def slow(body: dict[str, Any]) -> bytes:
        stop.wait(20)
        return json.dumps(chat("late")).encode()

    with StreamingServer(slow) as server, gatewayed(tmp_path, f"{server.url}/v1") as gateway:
        keyed = {"extra_headers": {"idempotency-key": "invoice-17"}}
        with pytest.raises(openai.APITimeoutError):
            chat_of(gateway.openai(timeout=0.5), **keyed)
        stop.set()
        assert chat_of(gateway.openai(), **keyed).choices[0].message.content == "late"
        assert len(server.received) == 1
        assert [run.status for run in gateway.runs()] == ["completed"]


def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    import socket

    stop = threading.Event()
    large = lambda body: chat_events("x" * 60_000 for _ in iter(stop.is_set, True))  # noqa: E731
    settings = "[gateway]\nclient_seconds = 0.5\n"
    with (
        StreamingServer(large) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings=settings) as gateway,
    ):
        body = json.dumps({"model": "gpt-4o", "messages": MESSAGES, "stream": True}).encode()
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                + f"authorization: Bearer {gateway.tokens['user:ann']}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            assert client.recv(100)
            assert gateway.ended().status == "cancelled"
        stop.set()


def test_too_many_at_once_are_told_to_come_again(tmp_path: Path) -> None:
    asked, stop = threading.Event(), threading.Event()

    def slow(body: dict[str, Any]) -> bytes:
        asked.set()
        stop.wait(20)
        return json.dumps(chat("late")).encode()

    with (
        StreamingServer(slow) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings="[gateway]\ncalls = 1\n") as gateway,
    ):
        first = threading.Thread(target=lambda: chat_of(gateway.openai()))
        first.start()
        assert asked.wait(20)
        with pytest.raises(openai.InternalServerError) as refused:
            chat_of(gateway.openai())
        assert (refused.value.status_code, refused.value.code) == (503, "overloaded")
        assert refused.value.response.headers["retry-after"] == "1"
        stop.set()
        first.join(20)
        chat_of(gateway.openai())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b"{", 400),
        (b'"gpt-4o"', 400),
        (b'{"messages": []}', 400),
        (b'{"model": 7}', 400),
        (b'{"model": "gpt-4o", "model": "claude-sonnet-5"}', 400),
        (b'{"model": "gpt-4o", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"model": "gpt-4o", "seed": ' + b"9" * 100_000 + b"}", 400),
        (b'{"model": "gpt-4o", "temperature": NaN}', 400),
        (b'{"model": "gpt-4o", "messages": "\xff"}', 400),
        (b'{"model": "gpt-4o", "background": true, "messages": []}', 400),
    ],
    ids=[
        "list",
        "cut",
        "text",
        "no-model",
        "number",
        "doubled",
        "deep",
        "digits",
        "nan",
        "no-utf8",
        "background",
    ],
)
def test_a_body_that_is_none(gateway: Gatewayed, wire: WireServer, body: bytes, status: int) -> None:
    headers = {
        "authorization": f"Bearer {gateway.tokens['user:ann']}",
        "content-type": "application/json",
    }
    answer = httpx2.post(f"{gateway.url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert not wire.received


def test_a_connection_without_its_key_tells_nothing_of_the_settings(
    tmp_path: Path, wire: WireServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = '[connections.quick]\nprovider = "groq"\napi_key = "${env:QUICK_KEY}"\n'
    with gatewayed(tmp_path, wire.openai_url, settings=settings) as gateway:
        with pytest.raises(openai.InternalServerError) as refused:
            chat_of(gateway.openai(), "quick:llama-3.3-70b")
        assert (refused.value.status_code, refused.value.code) == (503, "not_configured")
        # What somebody has to set up is not there a minute later: no client waits for it by itself.
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert "QUICK_KEY" not in refused.value.response.text
        assert "QUICK_KEY" in caplog.text
        # One that nobody has set up is none.
        with pytest.raises(openai.NotFoundError):
            chat_of(gateway.openai(), "mistral:mistral-large")
