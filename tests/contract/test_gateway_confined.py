"""The gateway where every run is confined: who may use which connections by it, in the words of both SDKs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from gatewayed import Gatewayed, gatewayed
from surefoot.access import LOCAL
from surefoot.errors import SurefootError
from wire import Fault, WireServer

MESSAGES: Any = [{"role": "user", "content": "How high is it?"}]
TOOL = {
    "name": "measure",
    "description": "Measures.",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
SETTINGS = """
confine = true

[budgets.day]
limit = "{limit}"
of = "tenant"

[cache]
calls = "all"
ttl = 600

[limits.few]
of = "tenant"
only = "slow"
requests_per_minute = 1
"""


def chat(gateway: Gatewayed, who: str, **more: Any) -> Any:
    return gateway.openai(who).chat.completions.create(
        **{"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 50, **more}
    )


def streamed(gateway: Gatewayed, who: str) -> str:
    chunks = chat(gateway, who, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def with_tools(gateway: Gatewayed, who: str) -> Any:
    answer = chat(gateway, who, tools=[{"type": "function", "function": TOOL}])
    return answer.choices[0].message.tool_calls[0].function.name


def embedded(gateway: Gatewayed, who: str) -> Any:
    return (
        gateway.openai(who).embeddings.create(model="text-embedding-3-small", input=["a"]).data[0].embedding
    )


def responded(gateway: Gatewayed, who: str) -> str:
    client = gateway.openai(who)
    return client.responses.create(model="gpt-4o", input="How high?", max_output_tokens=50).output_text


def message(gateway: Gatewayed, who: str, **more: Any) -> Any:
    return gateway.anthropic(who).messages.create(
        **{"model": "claude-sonnet-5", "max_tokens": 50, "messages": MESSAGES, **more}
    )


def message_streamed(gateway: Gatewayed, who: str) -> str:
    client = gateway.anthropic(who)
    with client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES) as stream:
        return stream.get_final_text()


OF_OPENAI: dict[str, Callable[[Gatewayed, str], Any]] = {
    "chat": chat,
    "stream": streamed,
    "tools": with_tools,
    "embeddings": embedded,
    "responses": responded,
}
OF_ANTHROPIC: dict[str, Callable[[Gatewayed, str], Any]] = {"messages": message, "stream": message_streamed}


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


def confined(folder: Any, wire: WireServer, *, limit: str = "5") -> Any:
    settings = SETTINGS.format(limit=limit)
    return gatewayed(folder, wire.openai_url, wire.anthropic_url, access=settings)


@pytest.fixture(scope="module")
def gateway(wire: WireServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gatewayed]:
    with confined(tmp_path_factory.mktemp("gateway"), wire) as gateway:
        gateway.add("user:main", "acme", on="acme/shop/connection:main")
        gateway.add("user:claude", "acme", on="acme/shop/connection:claude")
        gateway.add("user:runner", "acme", role="runner")
        yield gateway


@pytest.fixture(autouse=True)
def forgotten(wire: WireServer) -> None:
    wire.received.clear()


@pytest.mark.parametrize("what", [*OF_OPENAI, *(f"anthropic {name}" for name in OF_ANTHROPIC)])
def test_somebody_uses_the_connections_of_his_grants(gateway: Gatewayed, what: str) -> None:
    ask = OF_OPENAI.get(what) or OF_ANTHROPIC[what.rpartition(" ")[2]]
    assert ask(gateway, "user:ann")
    run = gateway.ended()
    assert (run.status, run.principal, run.tenant) == ("completed", "user:ann", "acme")
    # Its run is bound by what he may, however it is gone on with.
    assert run.tags["confined"].startswith("service:flow/gateway@")


@pytest.mark.parametrize("what", OF_OPENAI)
def test_without_the_connection_a_client_of_openai_is_told_403(
    gateway: Gatewayed, wire: WireServer, what: str
) -> None:
    before = len(gateway.runs(limit=None))
    with pytest.raises(openai.PermissionDeniedError) as denied:
        OF_OPENAI[what](gateway, "user:claude")
    assert (denied.value.status_code, denied.value.code) == (403, "permission_denied")
    assert "connection:main" in denied.value.message
    assert not wire.received
    assert len(gateway.runs(limit=None)) == before
    last = next(iter(gateway.app.access.audit.rows(limit=1)))
    assert (last.who, last.action, last.decision) == ("user:claude", "connection:use", "denied")
    assert last.resource == "acme/shop/connection:main"


@pytest.mark.parametrize("what", OF_ANTHROPIC)
def test_without_the_connection_a_client_of_anthropic_is_told_403(
    gateway: Gatewayed, wire: WireServer, what: str
) -> None:
    with pytest.raises(anthropic.PermissionDeniedError) as denied:
        OF_ANTHROPIC[what](gateway, "user:main")
    said: Any = denied.value.body
    assert (said["type"], said["error"]["type"]) == ("error", "permission_error")
    assert said["error"]["code"] == "permission_denied"
    assert not wire.received


def test_whoever_may_run_flows_alone_uses_no_connection_himself(gateway: Gatewayed, wire: WireServer) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        chat(gateway, "user:runner")
    assert not wire.received


def test_a_token_has_no_more_than_its_scopes(gateway: Gatewayed, wire: WireServer) -> None:
    issue = gateway.app.access.tokens.issue
    gateway.tokens["reading"], _ = issue("user:ann", by=LOCAL, scopes=("run:read", "trace:read"))
    gateway.tokens["using"], _ = issue("user:ann", by=LOCAL, scopes=("connection:use",))
    with pytest.raises(openai.PermissionDeniedError, match="token is not for connection:use"):
        chat(gateway, "reading")
    with pytest.raises(anthropic.PermissionDeniedError):
        message(gateway, "reading")
    assert not wire.received
    assert chat(gateway, "using", messages=[{"role": "user", "content": "scopes"}])


def test_a_grant_that_is_taken_back_is_one_no_more(gateway: Gatewayed, wire: WireServer) -> None:
    gateway.add("user:gone", "acme", on="acme/shop/connection:main")
    assert chat(gateway, "user:gone", messages=[{"role": "user", "content": "before"}])
    gateway.app.access.people.revoke("user:gone", "caller", "acme/shop/connection:main", by=LOCAL)
    with pytest.raises(openai.PermissionDeniedError):
        chat(gateway, "user:gone", messages=[{"role": "user", "content": "after"}])
    assert len(wire.received) == 1


def test_a_run_that_waits_under_a_key_is_bound_by_what_he_may_by_then(
    gateway: Gatewayed, wire: WireServer
) -> None:
    """Its client went before the answer, and asks again when the grant is gone: nothing more is asked for him."""
    gateway.add("user:late", "acme", on="acme/shop/connection:main")
    wire.fail(Fault("reset"))
    own: dict[str, Any] = {
        "messages": [{"role": "user", "content": "late"}],
        "extra_headers": {"idempotency-key": "late"},
    }
    with pytest.raises(openai.InternalServerError):
        chat(gateway, "user:late", **own)
    failed = gateway.ended()
    assert (failed.status, failed.principal) == ("failed", "user:late")
    gateway.app.access.people.revoke("user:late", "caller", "acme/shop/connection:main", by=LOCAL)
    with pytest.raises(openai.PermissionDeniedError):
        chat(gateway, "user:late", **own)
    # Nor by whoever goes on with the run itself.
    with gateway.app.entered(), pytest.raises(SurefootError, match="connection:main"):
        gateway.app.resume(failed.id)
    assert gateway.app.ledger.run(failed.id).status == "failed"
    assert len(wire.received) == 1


def test_answers_of_one_organisation_are_given_to_no_other(gateway: Gatewayed, wire: WireServer) -> None:
    gateway.add("user:bea", "acme")
    gateway.add("user:eve", "other")
    asked: Any = [{"role": "user", "content": "the same of both"}]
    assert chat(gateway, "user:ann", messages=asked)
    assert chat(gateway, "user:bea", messages=asked)
    assert len(wire.received) == 1
    # Whole or streamed, and whatever model the other organisation asks: it is asked anew.
    assert chat(gateway, "user:eve", messages=asked)
    assert len(wire.received) == 2
    assert list(chat(gateway, "user:eve", messages=asked, stream=True))
    for who in ("user:ann", "user:eve"):
        client = gateway.openai(who)
        client.embeddings.create(model="text-embedding-3-small", input=["the same"])
        message(gateway, who, messages=asked)
    paths = [one.path for one in wire.received]
    assert sum("embeddings" in path for path in paths) == 2
    assert sum("messages" in path for path in paths) == 2


def test_budgets_and_limits_come_typed_in_both_clients(tmp_path: Any, wire: WireServer) -> None:
    with confined(tmp_path, wire, limit="0.0001") as gateway:
        for ask in (chat, with_tools, streamed, responded):
            with pytest.raises(openai.APIStatusError) as refused:
                ask(gateway, "user:ann")
            assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
            assert int(refused.value.response.headers["retry-after"]) > 0
        for tell in (message, message_streamed):
            with pytest.raises(anthropic.APIStatusError) as other:
                tell(gateway, "user:ann")
            said: Any = other.value.body
            assert (other.value.status_code, said["error"]["code"]) == (402, "budget_exceeded")
            assert said["type"] == "error"
        assert not wire.received
        assert all(account.held.nanos == 0 for account in gateway.app.budgets())


def test_a_limit_comes_typed_in_both_clients(tmp_path: Any, wire: WireServer) -> None:
    from dataclasses import replace

    with confined(tmp_path, wire) as gateway:
        policy = gateway.app.policy
        # A second for each call, in which no room comes up.
        gateway.app.policy = replace(policy, retries=replace(policy.retries, deadline=1.0))
        gateway.add("user:sam", "slow")
        assert chat(gateway, "user:sam")
        with pytest.raises(openai.RateLimitError) as refused:
            chat(gateway, "user:sam", messages=[{"role": "user", "content": "more"}])
        assert refused.value.code == "rate_limit_exceeded"
        assert int(refused.value.response.headers["retry-after"]) > 0
        with pytest.raises(anthropic.RateLimitError) as other:
            message(gateway, "user:sam")
        said: Any = other.value.body
        assert (said["error"]["type"], said["error"]["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert len(wire.received) == 1


def test_what_is_the_gateway_s_own_is_known_by_its_code_and_not_by_its_name(gateway: Gatewayed) -> None:
    from surefoot import flow, generate
    from surefoot.access import Principal
    from surefoot.errors import AccessDenied

    @flow(name="gateway", uses=("connection:*", "model:*"))
    def another(text: str) -> str:
        return generate.sync([{"role": "user", "content": text}], using="main:gpt-4o")

    with (
        gateway.app.acting(Principal("user:ann", "acme")),
        pytest.raises(AccessDenied, match=r"not published|may not flow:run"),
    ):
        gateway.app.run(another, {"text": "x"})


def test_the_guards_ask_their_judge_for_whoever_it_is(tmp_path: Any, wire: WireServer) -> None:
    settings = 'confine = true\n[guards]\ninjection = "flag"\njudge = "claude:claude-sonnet-5"\n'
    with gatewayed(tmp_path, wire.openai_url, wire.anthropic_url, access=settings) as gateway:
        gateway.add("user:main", "acme", on="acme/shop/connection:main")
        assert chat(gateway, "user:main")
        assert [one.path for one in wire.received] == ["/v1/messages", "/v1/chat/completions"]
        with pytest.raises(anthropic.PermissionDeniedError):
            message(gateway, "user:main")
