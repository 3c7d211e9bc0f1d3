"""`generate` and `embed` under budgets, rate limits and breakers: what is held, what is settled, and that all ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable import history
from faults import FAULTS, FaultServer
from limited import DOLLAR, Limited, limited
from surefoot import Call, Fallback, embed, flow, generate, scripted
from surefoot.errors import (
    BreakerOpen,
    BudgetExceeded,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    RequestRefused,
    SurefootError,
    Throttled,
    UnboundedCall,
)
from surefoot.traces import read_call
from surefoot.values import Money
from wire import Fault, echo

ASKED = [{"role": "user", "content": "hello"}]
GPT = "openai:gpt-4o"
SHORT = Call(GPT, max_tokens=50)


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def under(tmp_path: Path, server: FaultServer) -> Iterator[Limited]:
    with limited(tmp_path, server) as under:
        yield under


@flow
def asking(using: Any = SHORT) -> str:
    return generate.sync(ASKED, using=using)


def recorded_call(under: Limited) -> Any:
    return next(link.outcome for link in history(under.app) if link.outcome.kind == "call")


# Before the call


def test_a_call_that_does_not_fit_is_refused_before_anything_is_sent(
    tmp_path: Path, server: FaultServer
) -> None:
    with limited(tmp_path, server, limit=10) as under:
        with pytest.raises(BudgetExceeded):
            asking()
        assert server.count() == 0
        outcome = recorded_call(under)
        assert (outcome.status, outcome.call.cost) == ("failed", Money(0))
        assert under.gate.demands == []
        under.check_clean()
        # The refusal ended the run, so a resume asks again, and only then is anything sent.
        under.account.limit = DOLLAR
        run = under.app.ledger.run("last")
        assert under.app.resume(run.id, flow=asking)
        assert server.count() == 1
        under.check_clean()


def test_a_flow_that_survives_a_refusal_replays_it(tmp_path: Path, server: FaultServer) -> None:
    is_broken = [True]

    @flow
    def careful() -> str:
        try:
            generate.sync(ASKED, using=Call(GPT, max_tokens=5_000))
        except BudgetExceeded as refused:
            answer = f"{refused.budget} {refused.asked > 0} {generate.sync(ASKED, using=SHORT)}"
        if is_broken:
            raise RuntimeError("after it")
        return answer

    with limited(tmp_path, server, limit=10_000_000) as under:
        with pytest.raises(RuntimeError):
            careful()
        assert (server.count(), under.account.log[0][0]) == (1, "refused")
        is_broken.clear()
        under.account.limit = DOLLAR
        run = under.app.ledger.run("last")
        answer = under.app.resume(run.id, flow=careful)
        assert str(answer).startswith("test True gpt-4o heard")
        assert server.count() == 1


@pytest.mark.parametrize(
    ("using", "named"),
    [
        ("proxy:some-model", '[prices."openai-compatible:some-model"]'),
        ("openai:nobodys-model", "[prices."),
    ],
)
def test_a_model_without_a_price_is_refused_and_the_setting_is_named(
    under: Limited, using: str, named: str
) -> None:
    with pytest.raises(UnboundedCall, match="a budget needs to know") as raised:
        asking(Call(using, max_tokens=5))
    assert named in str(raised.value)
    assert under.server.count() == 0
    assert recorded_call(under).call.cost == Money(0)


def test_a_call_that_nothing_bounds_is_refused_and_what_would_bound_it_is_named(
    tmp_path: Path, server: FaultServer
) -> None:
    prices = '[prices."proxy:*"]\ninput = "1"\noutput = "2"\n'
    with limited(tmp_path, server, prices=prices) as under:
        with pytest.raises(UnboundedCall, match=r"set max_completion_tokens in the call, or cap_output"):
            asking(Call("proxy:some-model"))
        assert server.count() == 0
        assert asking(Call("proxy:some-model", max_tokens=5))
        assert server.count() == 1
        under.check_clean()


def test_a_cap_is_put_on_requests_that_have_none_and_is_in_the_record(
    tmp_path: Path, server: FaultServer
) -> None:
    with limited(tmp_path, server, cap=40) as under:
        assert asking(Call(GPT))
        assert server.received[0].body["max_completion_tokens"] == 40
        outcome = recorded_call(under)
        ledger = under.app.ledger
        assert "max_completion_tokens" not in ledger.view(outcome.inputs)
        assert json.loads(ledger.view(outcome.output))["output_cap"] == 40
        shown = shown_parameters(under)
        assert "40 (cap_output of a budget)" in shown
        # One that has a limit is left alone.
        asking(Call(GPT, max_tokens=7))
        assert server.received[1].body["max_completion_tokens"] == 7
        asking(Call("anthropic:claude-sonnet-5"))
        asking(Call("google:gemini-2.5-flash"))
        assert server.received[3].body["generationConfig"]["maxOutputTokens"] == 40
        under.check_clean()


def shown_parameters(under: Limited) -> str:
    """The parameters of the last call, as people see them."""
    found = recorded_call(under)
    ledger = under.app.ledger
    call = read_call(
        found.name, found.call, json.loads(ledger.view(found.inputs)), json.loads(ledger.view(found.output))
    )
    return " ".join(f"{told.name}={told.value}" for told in call.told_parameters())


def test_the_identity_of_a_capped_call_is_that_of_the_request_as_it_was_made(
    tmp_path: Path, server: FaultServer
) -> None:
    is_broken = [True]

    @flow
    def two() -> str:
        first = generate.sync(ASKED, using=GPT)
        if is_broken:
            raise RuntimeError("between")
        return first

    with limited(tmp_path, server, cap=40) as under:
        with pytest.raises(RuntimeError):
            two()
        is_broken.clear()
        under.account.cap = 99
        assert under.app.resume(under.app.ledger.run("last").id, flow=two)
        assert server.count() == 1


def test_nothing_is_asked_of_a_budget_that_is_not_about_the_caller(under: Limited) -> None:
    under.account.is_binding = False
    assert asking(Call("proxy:no-price"))
    assert under.account.log == []
    under.check_clean()


# What is settled


def outcome_of(under: Limited, using: Any, *, is_async: bool) -> Any:
    """The answer, or the error."""

    @flow
    def sync_flow() -> str:
        return generate.sync(ASKED, using=using)

    @flow
    async def async_flow() -> str:
        return await generate(ASKED, using=using)

    try:
        return asyncio.run(async_flow()) if is_async else sync_flow()
    except SurefootError as error:
        return error


BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH
def test_an_answer_is_settled_at_its_cost(under: Limited, is_async: bool) -> None:
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), str)
    cost = recorded_call(under).call.cost
    assert 0 < cost.nanos < under.first_worst
    assert under.account.booked == [cost.nanos]
    assert under.fuses.said() == ["succeeded"]
    assert under.gate.tokens == [recorded_call(under).call.usage.total]
    demand = under.gate.demands[0]
    assert (demand.provider, demand.endpoint, demand.model) == ("openai", "main", "gpt-4o")
    assert demand.caller.flow.endswith("flow")
    assert 50 < demand.tokens < 120
    assert under.fuses.words[0][0] == "openai at main"
    under.check_clean()


@BOTH
def test_a_refusal_costs_nothing(under: Limited, is_async: bool) -> None:
    under.server.fail(Fault(status=400))
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), RequestRefused)
    assert under.account.booked == [0]
    assert (under.fuses.said(), under.gate.tokens) == (["succeeded"], [0])
    under.check_clean()


@BOTH
def test_a_retry_behind_a_429_holds_nothing_more(under: Limited, is_async: bool) -> None:
    under.server.fail(Fault(status=429, headers={"retry-after": "0", "x-ratelimit-limit-requests": "60"}))
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), str)
    assert [what for what, _ in under.account.log] == ["held", "booked"]
    assert under.account.booked == [recorded_call(under).call.cost.nanos]
    assert under.fuses.said() == ["dropped", "succeeded"]
    status, headers = under.gate.answers[0]
    assert (status, headers["x-ratelimit-limit-requests"]) == (429, "60")
    assert len(under.gate.demands) == 2
    under.check_clean()


@BOTH
def test_a_server_that_fails_costs_nothing_and_tells_the_breaker(under: Limited, is_async: bool) -> None:
    under.server.break_down(Fault(status=500))
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), ModelUnavailable)
    assert [what for what, _ in under.account.log] == ["held", "booked"]
    assert under.account.booked == [0]
    assert under.fuses.said() == ["failed"] * 3
    under.check_clean()


@BOTH
def test_what_was_never_sent_costs_nothing(under: Limited, is_async: bool) -> None:
    assert isinstance(
        outcome_of(under, Call("gone:gpt-4o", max_tokens=5), is_async=is_async), ModelUnavailable
    )
    assert under.account.booked == [0]
    assert under.fuses.said() == ["failed"] * 3
    assert under.gate.tokens == [0] * 3
    under.check_clean()


@BOTH
def test_what_was_sent_and_not_answered_costs_the_most_that_it_can(under: Limited, is_async: bool) -> None:
    under.server.fail(Fault("hang"))
    error = outcome_of(under, Call(GPT, max_tokens=50, timeout=0.3), is_async=is_async)
    assert isinstance(error, ModelTimeout)
    assert under.account.booked == [under.first_worst]
    assert under.fuses.said() == ["failed"]
    assert under.gate.tokens == [None]
    under.check_clean()


@BOTH
def test_a_retry_behind_an_attempt_that_may_have_been_paid_holds_as_much_again(
    under: Limited, is_async: bool
) -> None:
    under.server.fail(Fault("reset"))
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), str)
    worst = under.first_worst
    assert [entry for entry in under.account.log if entry[0] == "held"] == [("held", worst)] * 2
    assert under.account.booked == [worst + recorded_call(under).call.cost.nanos]
    under.check_clean()


@BOTH
def test_attempts_that_may_all_have_been_paid_are_all_booked(under: Limited, is_async: bool) -> None:
    under.server.break_down(Fault("reset"))
    assert isinstance(outcome_of(under, SHORT, is_async=is_async), ModelUnavailable)
    assert under.account.booked == [3 * under.first_worst]
    under.check_clean()


@BOTH
def test_a_retry_for_which_nothing_is_left_is_not_made(
    tmp_path: Path, server: FaultServer, is_async: bool
) -> None:
    with limited(tmp_path, server) as under:
        outcome_of(under, SHORT, is_async=is_async)
        worst = under.first_worst
    with limited(tmp_path / "second", server, limit=worst + 10) as under:
        server.break_down(Fault("reset"))
        error = outcome_of(under, SHORT, is_async=is_async)
        assert isinstance(error, BudgetExceeded)
        assert server.count() == 1
        # It may have been paid all the same.
        assert under.account.booked == [worst]
        assert recorded_call(under).call.cost is None
        under.check_clean()


@BOTH
def test_a_stream_that_breaks_is_settled_at_what_was_received(under: Limited, is_async: bool) -> None:
    under.server.fail(Fault("error_event"))
    heard: list[str] = []
    error = outcome_of(under, Call(GPT, max_tokens=4_000, stream=heard.append), is_async=is_async)
    assert isinstance(error, ModelUnavailable)
    assert heard
    # Some words of 4,000 tokens, and the prompt.
    assert 0 < under.account.booked[0] < under.first_worst / 10
    assert under.account.booked[0] >= len("".join(heard)) * 10_000 / 4
    assert under.fuses.said() == ["failed"]
    assert under.fuses.answered == 1
    under.check_clean()


def test_a_stream_of_a_model_that_thinks_unseen_is_settled_at_the_most(under: Limited) -> None:
    under.server.fail(Fault("error_event"))
    error = outcome_of(under, Call("openai:gpt-5", max_tokens=4_000, stream=lambda _: None), is_async=False)
    assert isinstance(error, ModelUnavailable)
    assert under.account.booked == [under.first_worst]


def test_an_error_of_the_code_that_reads_a_stream_is_none_of_the_server(under: Limited) -> None:
    def hear(_: str) -> None:
        raise KeyError("mine")

    @flow
    def reading() -> str:
        return generate.sync(ASKED, using=Call(GPT, max_tokens=4_000, stream=hear))

    with pytest.raises(KeyError, match="mine"):
        reading()
    assert under.fuses.said() == ["dropped"]
    assert 0 < under.account.booked[0] < under.first_worst / 10
    under.check_clean()


def test_a_cancelled_call_is_booked_at_the_most_and_hangs_nowhere(under: Limited) -> None:
    under.server.fail(Fault("hang"))

    async def cancelled() -> None:
        task = asyncio.ensure_future(generate(ASKED, using=SHORT))
        while under.server.count() < 1:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert under.account.booked == [under.first_worst]
    assert under.fuses.said() == ["dropped"]
    assert under.gate.tokens == [None]
    under.check_clean()


def test_a_call_that_is_cancelled_while_it_waits_for_room_costs_nothing(
    tmp_path: Path, server: FaultServer
) -> None:
    with limited(tmp_path, server, room=0) as under:

        async def cancelled() -> None:
            task = asyncio.ensure_future(generate(ASKED, using=SHORT))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        assert (server.count(), under.account.booked) == (0, [0])
        under.check_clean()


def test_a_call_that_finds_no_room_before_its_deadline_is_not_made(
    tmp_path: Path, server: FaultServer
) -> None:
    with limited(tmp_path, server, room=0, SUREFOOT_MODELS_DEADLINE="0.05") as under:
        with pytest.raises(Throttled):
            asking()
        assert (server.count(), under.account.booked) == (0, [0])
        assert recorded_call(under).call.cost == Money(0)
        under.check_clean()


@BOTH
def test_outside_a_run_calls_are_held_and_settled_too(under: Limited, is_async: bool) -> None:
    answer = asyncio.run(generate(ASKED, using=SHORT)) if is_async else generate.sync(ASKED, using=SHORT)
    assert answer
    assert [what for what, _ in under.account.log] == ["held", "booked"]
    assert 0 < under.account.booked[0] < under.first_worst
    under.check_clean()


@pytest.mark.parametrize(
    "model",
    [
        GPT,
        "openai-responses:gpt-4o",
        "anthropic:claude-sonnet-5",
        "google:gemini-2.5-flash",
        "azure:gpt-4o",
        "proxy:some-model",
    ],
)
@pytest.mark.parametrize("text", ["hello", "ﷺ漢字🙂\n" * 200, ""])
def test_what_a_call_costs_is_below_what_was_held_on_every_wire(
    tmp_path: Path, server: FaultServer, model: str, text: str
) -> None:
    settings = (
        '[prices."proxy:*"]\ninput = "1"\noutput = "2"\n'
        f'[connections.openai-responses]\nprovider = "openai"\napi = "responses"\nbase_url = "{server.openai_url}"\n'
        f'[connections.azure]\nprovider = "azure"\napi_version = "2024-10-21"\nbase_url = "{server.azure_url}"\n'
        'api_key = "${env:OPENAI_API_KEY}"\n'
    )
    with limited(tmp_path, server, prices=settings) as under:
        asked = [{"role": "system", "content": "Be short."}, {"role": "user", "content": text or "x"}]
        server.reply = lambda *_: "a short answer"
        try:
            generate.sync(asked, using=Call(model, max_tokens=400))
        finally:
            server.reply = echo
        assert 0 < under.account.booked[0] < under.first_worst
        under.check_clean()


def test_embeddings_are_held_and_settled(under: Limited) -> None:
    embed.sync(["one", "two"], using="openai:text-embedding-3-small")
    assert under.account.booked[0] > 0
    assert under.account.booked[0] <= under.first_worst
    under.check_clean()


# Every fault


def _forms() -> Iterator[Any]:
    models = (GPT, "anthropic:claude-sonnet-5", "google:gemini-2.5-flash")
    forms = [(model, a, s) for model in models for a in (False, True) for s in (False, True)]
    for index, name in enumerate(FAULTS):
        for model, is_async, is_streamed in (forms[index * 5 % 12], forms[(index * 5 + 7) % 12]):
            how = ("async" if is_async else "sync", "stream" if is_streamed else "whole")
            yield pytest.param(name, model, is_async, is_streamed, id=f"{name}-{model}-{'-'.join(how)}")


@pytest.mark.parametrize(("name", "model", "is_async", "is_streamed"), list(_forms()))
def test_after_every_fault_nothing_is_held_and_nobody_is_inside(
    under: Limited, name: str, model: str, is_async: bool, is_streamed: bool
) -> None:
    case = FAULTS[name]
    under.server.break_down(case.fault)
    hear = (lambda _: None) if is_streamed else None
    using = Call(model, max_tokens=60, stream=hear, timeout=case.timeout)
    outcome_of(under, using, is_async=is_async)
    assert under.server.count() >= 1
    under.check_clean()
    assert len(under.fuses.words) == len(under.gate.tokens) == under.server.count()
    assert len(under.account.booked) == 1
    # Never above what was held for it.
    held = sum(amount for what, amount in under.account.log if what == "held")
    assert 0 <= under.account.booked[0] <= held


# Breakers


@BOTH
def test_an_open_breaker_keeps_calls_from_the_server_and_a_fallback_asks_the_next(
    tmp_path: Path, server: FaultServer, is_async: bool
) -> None:
    with limited(tmp_path, server, after=3) as under:
        server.break_down(Fault(status=503))
        assert isinstance(outcome_of(under, SHORT, is_async=is_async), ModelUnavailable)
        assert server.count() == 3
        server.mend()
        refused = outcome_of(under, SHORT, is_async=is_async)
        assert isinstance(refused, BreakerOpen)
        assert server.count() == 3
        assert recorded_call(under).call.cost == Money(0)
        both = Fallback([SHORT, Call("anthropic:claude-sonnet-5", max_tokens=20)])
        assert "claude" in outcome_of(under, both, is_async=is_async)
        assert server.count() == 4
        under.check_clean()


def test_a_breaker_that_opens_between_attempts_ends_them(tmp_path: Path, server: FaultServer) -> None:
    with limited(tmp_path, server, after=2) as under:
        server.break_down(Fault(status=503))
        refused = outcome_of(under, SHORT, is_async=False)
        assert isinstance(refused, BreakerOpen)
        assert "was answered with 503" in refused.__notes__[0]
        assert server.count() == 2
        under.check_clean()


# Fakes


def test_a_script_needs_no_price_and_no_room(tmp_path: Path, server: FaultServer) -> None:
    with limited(tmp_path, server, room=0, after=0) as under:

        @flow
        def told() -> str:
            return generate.sync(ASKED)

        with scripted(["from the script"]):
            assert told() == "from the script"
        assert server.count() == 0
        under.check_clean()


# A storm


def test_a_provider_that_is_down_is_not_stormed_by_many_flows(tmp_path: Path, server: FaultServer) -> None:
    """200 flows at a time, each a call after another: with a breaker far fewer arrive than are made."""
    with limited(tmp_path, server, after=20, SUREFOOT_MODELS_RETRY_RESERVE="10") as under:
        server.break_down(Fault(status=503))
        server._faults.extend([Fault(status=503)] * 2_000)

        @flow
        async def one() -> str:
            return await generate(ASKED, using=SHORT)

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(one() for _ in range(200)), return_exceptions=True)

        ended = asyncio.run(all_of_them())
        assert all(isinstance(error, (ModelError, BreakerOpen)) for error in ended)
        # A normal window has one call of each flow: 1.2 times as many may arrive at the most.
        assert server.count() <= 1.2 * 200
        began = server.count()
        again = asyncio.run(all_of_them())
        assert all(isinstance(error, BreakerOpen) for error in again)
        assert server.count() == began
        under.check_clean()
