"""SDK clients under budgets, rate limits and breakers: what is held, what is settled, and that all of it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from durable import history
from faults import FAULTS, FaultServer
from limited import Limited, limited
from surefoot import flow, scripted, wrap
from surefoot.errors import BreakerOpen, BudgetExceeded, Throttled, UnboundedCall
from surefoot.values import Money
from wire import Fault

MESSAGES: Any = [{"role": "user", "content": "hello"}]
SDKS = ("openai", "anthropic")


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


def client_of(sdk: str, server: FaultServer, *, is_async: bool = False, timeout: float | None = None) -> Any:
    vendor: Any = openai if sdk == "openai" else anthropic
    # Without encryption there is no need for certificates, which take their time to load.
    http = (vendor.DefaultAsyncHttpxClient if is_async else vendor.DefaultHttpxClient)(verify=False)
    name = {"openai": "OpenAI", "anthropic": "Anthropic"}[sdk]
    url = server.openai_url if sdk == "openai" else server.anthropic_url
    more: Any = {} if timeout is None else {"timeout": timeout}
    kind = getattr(vendor, f"Async{name}" if is_async else name)
    return kind(base_url=url, api_key="test", http_client=http, **more)


def asked(sdk: str, client: Any, *, is_streamed: bool = False, **more: Any) -> Any:
    if sdk == "openai":
        return client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=is_streamed, **{"max_tokens": 2_000, **more}
        )
    return client.messages.create(
        model="claude-sonnet-5", messages=MESSAGES, stream=is_streamed, **{"max_tokens": 2_000, **more}
    )


def called(
    under: Limited,
    sdk: str,
    *,
    is_async: bool = False,
    is_streamed: bool = False,
    timeout: float | None = None,
    most: int | None = None,
    **more: Any,
) -> Any:
    """What a run of one call came to: how many events a stream had, an answer, or the exception.

    `most` is after how many events the reader leaves the stream.
    """

    @flow
    def sync_flow() -> int:
        with client_of(sdk, under.server, timeout=timeout) as client:
            found = asked(sdk, client, is_streamed=is_streamed, **more)
            if not is_streamed:
                return 1
            count = 0
            with found:
                for _ in found:
                    count += 1
                    if count == most:
                        break
            return count

    @flow
    async def async_flow() -> int:
        async with client_of(sdk, under.server, is_async=True, timeout=timeout) as client:
            found = await asked(sdk, client, is_streamed=is_streamed, **more)
            if not is_streamed:
                return 1
            count = 0
            async with found:
                async for _ in found:
                    count += 1
                    if count == most:
                        break
            return count

    try:
        return asyncio.run(async_flow()) if is_async else sync_flow()
    except Exception as error:  # noqa: BLE001 - whatever a user would see
        return error


def recorded_call(under: Limited) -> Any:
    return next(link.outcome for link in history(under.app) if link.outcome.kind == "call")


EACH = pytest.mark.parametrize(
    ("sdk", "is_async"),
    [(sdk, is_async) for sdk in SDKS for is_async in (False, True)],
    ids=lambda each: each if isinstance(each, str) else ("async" if each else "sync"),
)


# Before the call


@EACH
def test_what_we_refuse_reaches_the_user_as_our_own_error(
    tmp_path: Path, server: FaultServer, sdk: str, is_async: bool
) -> None:
    with limited(tmp_path, server, limit=10) as under:
        error = called(under, sdk, is_async=is_async)
        assert isinstance(error, BudgetExceeded)
        assert (error.budget, error.limit) == ("test", 10)
        assert (recorded_call(under).status, recorded_call(under).call.cost) == ("failed", Money(0))
        under.check_clean()
    with limited(tmp_path / "2", server, room=0, SUREFOOT_MODELS_DEADLINE="0.05") as under:
        assert isinstance(called(under, sdk, is_async=is_async), Throttled)
        under.check_clean()
    with limited(tmp_path / "3", server, after=0) as under:
        error = called(under, sdk, is_async=is_async)
        assert isinstance(error, BreakerOpen)
        assert error.breaker.endswith("at 127.0.0.1")
        under.check_clean()
    assert server.count() == 0


def test_a_call_without_a_price_is_refused(under: Limited) -> None:
    error = called(under, "openai", extra_body={"model": "nobodys-model"})
    assert isinstance(error, UnboundedCall)
    assert '[prices."openai:nobodys-model"]' in str(error)
    assert under.server.count() == 0


@EACH
def test_a_cap_is_put_on_requests_that_have_none_and_replays_keep_working(
    tmp_path: Path, server: FaultServer, sdk: str, is_async: bool
) -> None:
    del is_async
    is_broken = [True]

    @flow
    def capped() -> str:
        with client_of(sdk, server) as client:
            if sdk == "openai":
                found = client.responses.create(model="gpt-4o", input="hello")
            else:
                found = asked("anthropic", client)
        if is_broken:
            raise RuntimeError("behind it")
        return type(found).__name__

    with limited(tmp_path, server, cap=33) as under:
        with pytest.raises(RuntimeError):
            capped()
        body = server.received[0].body
        limit = body["max_output_tokens"] if sdk == "openai" else body["max_tokens"]
        assert limit == (33 if sdk == "openai" else 2_000)
        record = json.loads(under.app.ledger.view(recorded_call(under).output))
        assert record.get("output_cap") == (33 if sdk == "openai" else None)
        assert "max_output_tokens" not in under.app.ledger.view(recorded_call(under).inputs)
        is_broken.clear()
        assert under.app.resume(under.app.ledger.run("last").id, flow=capped)
        assert server.count() == 1
        under.check_clean()


# What is settled


@EACH
def test_an_answer_is_settled_at_its_cost(under: Limited, sdk: str, is_async: bool) -> None:
    assert called(under, sdk, is_async=is_async) == 1
    cost = recorded_call(under).call.cost.nanos
    assert under.account.booked == [cost]
    assert 0 < cost < under.first_worst
    assert under.fuses.words == [(f"{sdk} at 127.0.0.1", "succeeded")]
    assert under.gate.tokens == [recorded_call(under).call.usage.total]
    assert under.gate.demands[0].endpoint == under.server.url.removeprefix("http://")
    under.check_clean()


@EACH
def test_refusals_and_failures_of_the_server_cost_nothing(under: Limited, sdk: str, is_async: bool) -> None:
    under.server.fail(Fault(status=400))
    assert isinstance(called(under, sdk, is_async=is_async), Exception)
    assert (under.account.booked, under.fuses.said()) == ([0], ["succeeded"])
    under.server.break_down(Fault(status=500))
    assert isinstance(called(under, sdk, is_async=is_async), Exception)
    assert (under.account.booked, under.fuses.said()[1:]) == ([0, 0], ["failed"] * 3)
    under.check_clean()


@EACH
def test_a_retry_behind_a_429_holds_nothing_more(under: Limited, sdk: str, is_async: bool) -> None:
    under.server.fail(Fault(status=429, headers={"retry-after": "0"}))
    assert called(under, sdk, is_async=is_async) == 1
    assert [what for what, _ in under.account.log] == ["held", "booked"]
    assert under.fuses.said() == ["dropped", "succeeded"]
    assert [status for status, _ in under.gate.answers] == [429, 200]
    under.check_clean()


@EACH
def test_a_retry_behind_an_attempt_that_may_have_been_paid_holds_as_much_again(
    under: Limited, sdk: str, is_async: bool
) -> None:
    under.server.fail(Fault("reset"))
    assert called(under, sdk, is_async=is_async) == 1
    worst = under.first_worst
    assert [amount for what, amount in under.account.log if what == "held"] == [worst, worst]
    assert under.account.booked == [worst + recorded_call(under).call.cost.nanos]
    under.check_clean()


@EACH
def test_what_was_sent_and_not_answered_costs_the_most_that_it_can(
    under: Limited, sdk: str, is_async: bool
) -> None:
    under.server.fail(Fault("hang"))
    assert isinstance(called(under, sdk, is_async=is_async, timeout=0.3), Exception)
    assert under.account.booked == [under.first_worst]
    assert (under.fuses.said(), under.gate.tokens) == (["failed"], [None])
    under.check_clean()


@EACH
def test_a_stream_that_is_closed_early_is_settled_at_what_was_received(
    under: Limited, sdk: str, is_async: bool
) -> None:
    count = called(under, sdk, is_async=is_async, is_streamed=True, most=2)
    assert count == 2
    assert 0 < under.account.booked[0] < under.first_worst / 2
    assert under.fuses.said() == ["succeeded"]
    assert under.fuses.answered == 1
    under.check_clean()


@EACH
def test_a_stream_that_breaks_is_settled_at_what_was_received(
    under: Limited, sdk: str, is_async: bool
) -> None:
    under.server.fail(Fault("cut", after=700))
    assert isinstance(called(under, sdk, is_async=is_async, is_streamed=True), Exception)
    assert 0 < under.account.booked[0] < under.first_worst
    assert under.fuses.said() == ["failed"]
    under.check_clean()


@EACH
def test_a_stream_is_settled_at_its_end_with_or_without_a_count(
    under: Limited, sdk: str, is_async: bool
) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if sdk == "openai" else {}
    called(under, sdk, is_async=is_async, is_streamed=True, **more)
    cost = recorded_call(under).call.cost.nanos
    assert under.account.booked == [cost]
    if sdk == "openai":
        called(under, sdk, is_async=is_async, is_streamed=True)
        # Nobody counted the tokens: what was said bounds them.
        assert cost < under.account.booked[1] < under.first_worst / 2
    under.check_clean()


def test_a_stream_holds_its_permit_until_its_last_byte(under: Limited) -> None:
    @flow
    def reading() -> list[int]:
        seen: list[int] = []
        with client_of("openai", under.server) as client:
            stream = asked("openai", client, is_streamed=True)
            seen.append(under.gate.inside)
            for _ in stream:
                pass
            seen.append(under.gate.inside)
        return seen

    assert reading() == [1, 0]
    under.check_clean()


def test_a_stream_that_is_dropped_gives_its_permit_back(under: Limited) -> None:
    @flow
    def dropping() -> list[int]:
        seen: list[int] = []
        with client_of("openai", under.server) as client:
            stream = asked("openai", client, is_streamed=True)
            next(iter(stream))
            seen.append(under.gate.inside)
            del stream
            gc.collect()
            seen.append(under.gate.inside)
        return seen

    assert dropping() == [1, 0]
    assert under.fuses.under_way == 0


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_cancelled_task_hangs_nowhere_and_leaves_nothing(under: Limited, is_streamed: bool) -> None:
    under.server.fail(Fault("drip", delay=0.2) if is_streamed else Fault("hang"))

    @flow
    async def cancelled() -> str:
        async with client_of("openai", under.server, is_async=True) as client:

            async def read() -> None:
                found = await asked("openai", client, is_streamed=is_streamed)
                async for _ in found:
                    pass

            task = asyncio.ensure_future(read())
            while under.server.count() < 1 or (is_streamed and not under.fuses.answered):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return "over"

    assert asyncio.run(cancelled()) == "over"
    if is_streamed:
        assert 0 < under.account.booked[0] < under.first_worst
    else:
        assert under.account.booked == [under.first_worst]
    assert under.fuses.said() == ["dropped"]
    under.check_clean()


def test_a_stream_that_is_closed_behind_its_run_is_settled_all_the_same(under: Limited) -> None:
    kept: list[Any] = []

    @flow
    def leaving() -> str:
        client = client_of("openai", under.server)
        kept.extend((client, asked("openai", client, is_streamed=True)))
        return "left open"

    leaving()
    assert under.account.booked == []
    kept[1].close()
    assert len(under.account.booked) == 1
    kept[0].close()
    under.check_clean()


def test_a_wrapped_client_is_held_and_settled_outside_runs(under: Limited) -> None:
    with client_of("openai", under.server) as client:
        wrapped = wrap(client)
        asked("openai", wrapped)
        for _ in asked("openai", wrapped, is_streamed=True):
            pass
    assert [what for what, _ in under.account.log] == ["held", "booked"] * 2
    assert all(0 < booked < under.first_worst for booked in under.account.booked)
    under.check_clean()


def test_a_script_answers_where_nothing_has_a_price_or_room(tmp_path: Path, server: FaultServer) -> None:
    with limited(tmp_path, server, room=0, after=0) as under:
        with scripted(["from the script", "once more"]):
            assert called(under, "openai", extra_body={"model": "nobodys-model"}) == 1
            assert called(under, "openai") == 1
        assert not any(under.account.booked)
        assert server.count() == 0
        under.check_clean()


# Every fault


def _forms() -> Iterator[Any]:
    forms = [(sdk, a, s) for sdk in SDKS for a in (False, True) for s in (False, True)]
    for index, name in enumerate(FAULTS):
        for sdk, is_async, is_streamed in (forms[index * 3 % 8], forms[(index * 3 + 5) % 8]):
            how = ("async" if is_async else "sync", "stream" if is_streamed else "whole")
            yield pytest.param(name, sdk, is_async, is_streamed, id=f"{name}-{sdk}-{'-'.join(how)}")


@pytest.mark.parametrize(("name", "sdk", "is_async", "is_streamed"), list(_forms()))
def test_after_every_fault_nothing_is_held_and_nobody_is_inside(
    under: Limited, name: str, sdk: str, is_async: bool, is_streamed: bool
) -> None:
    case = FAULTS[name]
    under.server.break_down(case.fault)
    called(under, sdk, is_async=is_async, is_streamed=is_streamed, timeout=case.timeout)
    assert under.server.count() >= 1
    under.check_clean()
    assert len(under.fuses.words) == len(under.gate.tokens) == under.server.count()
    assert len(under.account.booked) == 1
    held = sum(amount for what, amount in under.account.log if what == "held")
    assert 0 <= under.account.booked[0] <= held


def test_many_threads_share_one_gate_and_none_is_left_inside(tmp_path: Path, server: FaultServer) -> None:
    with limited(tmp_path, server, room=3) as under:
        server.fail(*[Fault(status=503) if index % 5 == 0 else Fault("drip") for index in range(40)])

        def work(index: int) -> None:
            with under.app.entered():
                called(under, "openai", is_streamed=index % 2 == 0)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        under.check_clean()
        assert len(under.account.booked) == 20
        assert under.gate.most_inside <= 3
