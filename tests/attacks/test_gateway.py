"""Attacks on the gateway: by whom nobody knows, by whom may do little, and by models that answer without end."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from gatewayed import KEY, Gatewayed, gatewayed
from streaming import StreamingServer, chat, chat_events
from surefoot.access import LOCAL
from wire import WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture
def gateway(wire: WireServer, tmp_path: Path) -> Iterator[Gatewayed]:
    wire.received.clear()
    aliases = '"cheap" = "claude:claude-sonnet-5"\n'
    with gatewayed(tmp_path, wire.openai_url, wire.anthropic_url, settings=aliases) as gateway:
        yield gateway


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": MESSAGES, **more})


@pytest.mark.parametrize("role", ["viewer", "runner", "editor", "auditor"])
def test_rbac_01_who_may_use_no_connection_asks_no_model(
    gateway: Gatewayed, wire: WireServer, role: str
) -> None:
    gateway.add("user:vic", "acme", role=role)
    for is_stream in (False, True):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(gateway.openai("user:vic"), stream=is_stream)
        assert "connection:use" in refused.value.message
    denied = [row for row in gateway.app.access.audit.rows() if row.who == "user:vic"]
    assert [row.decision for row in denied] == ["denied", "denied"]
    assert not wire.received
    assert not gateway.runs()


@pytest.mark.parametrize("name", ["claude:claude-sonnet-5", "claude-sonnet-5", "cheap"])
def test_rbac_03_another_connection_is_not_reached_by_its_name_or_an_alias(
    gateway: Gatewayed, wire: WireServer, name: str
) -> None:
    gateway.add("user:sue", "acme", on="acme/shop/connection:main")
    with pytest.raises((openai.PermissionDeniedError, openai.NotFoundError)):
        ask(gateway.openai("user:sue"), model=name)
    with pytest.raises((anthropic.PermissionDeniedError, anthropic.NotFoundError)):
        gateway.anthropic("user:sue").messages.create(model=name, max_tokens=5, messages=MESSAGES)
    assert not wire.received


def test_rbac_07_a_token_that_was_revoked_opens_nothing_at_once(gateway: Gatewayed) -> None:
    client = gateway.openai()
    ask(client)
    gateway.app.access.tokens.revoke(gateway.tokens["user:ann"][:12], by=LOCAL)
    with pytest.raises(openai.AuthenticationError):
        ask(client)


def test_rbac_09_neither_token_nor_key_is_in_what_is_stored(gateway: Gatewayed, wire: WireServer) -> None:
    headers = {"x-surefoot-session": "s1", "openai-organization": "org-1", "cookie": "secret=1"}
    ask(gateway.openai(), extra_headers=headers)
    list(ask(gateway.openai(), stream=True))
    gateway.anthropic().messages.create(model="claude-sonnet-5", max_tokens=5, messages=MESSAGES)
    assert gateway.runs()[2].session == "s1"
    stored = b"".join(path.read_bytes() for path in gateway.app.settings.root.rglob("*") if path.is_file())
    assert b"hello" in stored
    for secret in (gateway.tokens["user:ann"], KEY, "org-1"):
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    "name",
    [
        "http://169.254.169.254/latest:x",
        "openai-compatible:http://127.0.0.1/",
        "../../etc/passwd",
        "main:gpt-4o?api-version=1#",
        "file:///etc/passwd",
        "${env:PROVIDER_KEY}",
    ],
)
def test_web_05_no_name_of_a_model_leads_to_another_address(
    gateway: Gatewayed, wire: WireServer, name: str
) -> None:
    body = {
        "model": name,
        "messages": MESSAGES,
        "base_url": "http://127.0.0.1:9",
        "api_base": "http://127.0.0.1:9",
        "api_key": "mine",
    }
    headers = {"authorization": f"Bearer {gateway.tokens['user:ann']}"}
    answer = httpx2.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code in (400, 404)
    assert KEY not in answer.text
    assert all(one.path == "/v1/chat/completions" for one in wire.received)


def test_dos_03_a_loop_ends_at_its_budget(tmp_path: Path, wire: WireServer) -> None:
    settings = '[budgets.day]\nlimit = "0.001"\nof = "principal"\n'
    wire.received.clear()
    with gatewayed(tmp_path, wire.openai_url, settings=settings) as gateway:
        gateway.add("user:bob", "acme")
        client, answered = gateway.openai(), 0

        def loop() -> None:
            nonlocal answered
            while answered < 1000:
                content = [{"role": "user", "content": f"again {answered}"}]
                ask(client, messages=content, max_tokens=20)
                answered += 1

        with pytest.raises(openai.APIStatusError) as refused:
            loop()
        assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
        account = next(one for one in gateway.app.budgets() if one.whose.endswith("user:ann"))
        assert account.spent.nanos <= account.limit.nanos
        assert len(wire.received) == answered > 0
        # What one of them spends is not taken from another.
        ask(gateway.openai("user:bob"), max_tokens=20)


@pytest.mark.parametrize("is_stream", [False, True])
def test_dos_07_an_answer_without_end_is_cut(tmp_path: Path, *, is_stream: bool) -> None:
    words = "x" * 50_000

    def answer(body: dict[str, Any]) -> Any:
        if body.get("stream"):
            return chat_events(words for _ in itertools.count())
        return json.dumps(chat(words * 40)).encode()

    settings = "[guards]\nmax_output_bytes = 200000\n"
    with (
        StreamingServer(answer) as server,
        gatewayed(tmp_path, f"{server.url}/v1", settings=settings) as gateway,
    ):
        read = [0]

        def heard() -> None:
            for chunk in ask(gateway.openai(), stream=True) if is_stream else [ask(gateway.openai())]:
                read[0] += len(chunk.choices[0].delta.content or "")

        with pytest.raises(openai.APIError) as refused:
            heard()
        assert refused.value.code == "content_policy"
        assert read[0] <= 200_000
        assert gateway.ended().status == "failed"


def test_two_tenants_and_nothing_crosses(tmp_path: Path, wire: WireServer) -> None:
    settings = '[cache]\ncalls = "all"\nttl = 600\n[budgets.day]\nlimit = "5"\nof = "tenant"\n'
    wire.received.clear()
    with gatewayed(tmp_path, wire.openai_url, settings=settings) as gateway:
        tenants = {"user:ann": "acme", "user:zoe": "zebra"}
        gateway.add("user:zoe", "zebra")
        chance = random.Random(7)
        plan = [
            (chance.choice(list(tenants)), chance.randrange(6), chance.random() < 0.5, chance.random() < 0.5)
            for _ in range(60)
        ]

        def one(asked: tuple[str, int, bool, bool]) -> tuple[str, str]:
            who, number, is_stream, is_keyed = asked
            text = f"secret of {tenants[who]}, number {number}"
            # Both take the same keys: each has his own.
            keyed = {"idempotency-key": f"k{number}"} if is_keyed else {}
            given = ask(
                gateway.openai(who),
                messages=[{"role": "user", "content": text}],
                stream=is_stream,
                extra_headers={**keyed, "x-surefoot-session": tenants[who]},
            )
            if is_stream:
                return text, "".join(chunk.choices[0].delta.content or "" for chunk in given)
            return text, given.choices[0].message.content

        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(_tolerant(one), plan))
        said = [found for found in results if found is not None]
        assert len(said) > 40
        assert all(answer == f"gpt-4o heard: {text}" for text, answer in said)
        assert {run.tenant for run in gateway.runs(limit=None)} == {"acme", "zebra"}
        for run in gateway.runs(limit=None):
            for call in gateway.app.recorded_calls(run.id).calls:
                assert f"secret of {run.tenant}" in json.dumps(dict(call.asked.body))
                assert call.answer is not None
                assert f"secret of {run.tenant}" in call.answer.body.decode() or call.answer.is_stream
        asked = [one.body["messages"][0]["content"] for one in wire.received]
        assert {text.split(",")[0] for text in asked} == {"secret of acme", "secret of zebra"}
        assert {account.whose for account in gateway.app.budgets()} == {"acme", "zebra"}


def _tolerant(one: Any) -> Any:
    """A key that was used for a stream is none for a whole answer: that is refused, and nothing else is."""

    def tried(asked: Any) -> Any:
        try:
            return one(asked)
        except (openai.BadRequestError, openai.ConflictError):
            return None

    return tried
