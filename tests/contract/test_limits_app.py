"""Calls under the real budgets, rate limits and breakers of an app, by its settings alone."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from durable import history
from faults import FaultServer
from surefoot import App, Call, effects, flow, generate, traces
from surefoot.config import load
from surefoot.errors import BreakerOpen, BudgetExceeded, ModelError, RunStopped, SurefootError, Throttled
from surefoot.ledger import Account
from surefoot.values import Caller, Demand, Money
from wire import Fault

ASKED: Any = [{"role": "user", "content": "hello"}]
SHORT = Call("openai:gpt-4o", max_tokens=50)
STORM_SECONDS = float(os.environ.get("SUREFOOT_TEST_STORM", "2"))
DAY = '[budgets.all]\nlimit = "5.00"\nper = "day"\n'


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@contextmanager
def opened(folder: Path, server: FaultServer, settings: str, **environ: str) -> Iterator[App]:
    server.mend()
    server.received.clear()
    (folder / "surefoot.toml").write_text(settings)
    known = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_MODELS_RETRY_CAP": "0.001",
        "SUREFOOT_MODELS_RETRY_RESERVE": "1000",
        "OPENAI_API_KEY": "key-of-a-test",
        "OPENAI_BASE_URL": server.openai_url,
    }
    app = App(load(folder, environ=known | environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


def account(app: App) -> Account:
    return app.budgets()[0]


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does; a test that waits in vain ends after some time."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def recorded_cost(app: App) -> Money:
    calls = [link.outcome.call for link in history(app) if link.outcome.kind == "call"]
    assert calls[-1] is not None
    assert calls[-1].cost is not None
    return calls[-1].cost


@flow
def asking() -> str:
    return generate.sync(ASKED, using=SHORT)


def test_what_is_spent_is_what_the_calls_have_cost(tmp_path: Path, server: FaultServer) -> None:
    with opened(tmp_path, server, DAY) as app:
        asking()
        first = recorded_cost(app)
        assert (account(app).spent, account(app).held) == (first, Money())
        server.fail(Fault(status=400))
        with pytest.raises(ModelError):
            asking()
        assert (account(app).spent, account(app).held) == (first, Money())
        # Outside of runs it is booked too, though nothing is recorded.
        generate.sync(ASKED, using=SHORT)
        assert (account(app).spent, account(app).held) == (first + first, Money())
        assert account(app).unsure == Money()


def test_a_call_that_is_cancelled_is_booked_though_nobody_waits_for_it(
    tmp_path: Path, server: FaultServer
) -> None:
    with opened(tmp_path, server, DAY) as app:
        server.fail(Fault("hang"))

        async def cancelled() -> Money:
            task = asyncio.ensure_future(generate(ASKED, using=SHORT))
            while not server.count():  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.005)
            held = account(app).held
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return held

        worst = asyncio.run(cancelled())
        assert worst > Money()
        until(lambda: account(app).held == Money())
        assert account(app).spent == worst


def test_a_budget_of_each_run_refuses_the_call_that_does_not_fit(tmp_path: Path, server: FaultServer) -> None:
    @flow
    def many() -> int:
        for count in range(100):
            try:
                generate.sync([{"role": "user", "content": f"call {count}"}], using=SHORT)
            except BudgetExceeded:
                return count
        return 100

    with opened(tmp_path, server, '[budgets.each]\nlimit = "0.01"\nof = "run"\n') as app:
        made = many()
        assert 0 < made < 100
        assert server.count() == made
        assert account(app).spent <= Money.dollars("0.01")
        assert account(app).held == Money()
        # The next run has its own.
        assert many() == made


def test_calls_at_a_time_never_hold_more_than_there_is(tmp_path: Path, server: FaultServer) -> None:
    @flow
    async def crowd() -> list[Any]:
        asked = [generate([{"role": "user", "content": f"call {count}"}], using=SHORT) for count in range(60)]
        return [type(each).__name__ for each in await asyncio.gather(*asked, return_exceptions=True)]

    with opened(tmp_path, server, '[budgets.all]\nlimit = "0.02"\n') as app:
        ended = asyncio.run(crowd())
        assert set(ended) == {"str", "BudgetExceeded"}
        assert account(app).spent <= Money.dollars("0.02")
        assert account(app).held == Money()
        assert server.count() == ended.count("str")


def test_a_stream_of_an_sdk_that_is_closed_early_is_booked_at_what_was_received(
    tmp_path: Path, server: FaultServer
) -> None:
    @flow
    def reading() -> int:
        http = openai.DefaultHttpxClient(verify=False)
        with openai.OpenAI(http_client=http, base_url=server.openai_url, api_key="test") as client:
            stream = client.chat.completions.create(
                model="gpt-4o", messages=ASKED, max_tokens=2_000, stream=True
            )
            with stream:
                next(iter(stream))
        return 1

    with opened(tmp_path, server, DAY) as app:
        reading()
        # 2,000 tokens would be two cents.
        assert Money() < account(app).spent < Money.dollars("0.002")
        assert account(app).held == Money()


def test_a_stream_that_is_closed_behind_its_run_is_booked_too(tmp_path: Path, server: FaultServer) -> None:
    kept: list[Any] = []

    @flow
    def leaving() -> str:
        http = openai.DefaultHttpxClient(verify=False)
        client = openai.OpenAI(http_client=http, base_url=server.openai_url, api_key="test")
        asked = client.chat.completions.create(model="gpt-4o", messages=ASKED, max_tokens=2_000, stream=True)
        kept.extend((asked, client))
        return "open"

    with opened(tmp_path, server, DAY) as app:
        leaving()
        assert account(app).held > Money()
        for each in kept:
            each.close()
        until(lambda: account(app).held == Money())
        assert Money() < account(app).spent < Money.dollars("0.002")


def test_a_limit_of_calls_at_a_time_is_kept_and_given_back(tmp_path: Path, server: FaultServer) -> None:
    with opened(tmp_path, server, "[limits.few]\nconcurrency = 2\n", SUREFOOT_MODELS_DEADLINE="5") as app:
        server.delay = 0.02
        try:

            async def crowd() -> list[str]:
                return await asyncio.gather(*(generate(ASKED, using=SHORT) for _ in range(10)))

            assert len(asyncio.run(crowd())) == 10
            server.fail(Fault("reset"), Fault(status=503), Fault("hang"))
            with pytest.raises(SurefootError):
                generate.sync(ASKED, using=Call("openai:gpt-4o", max_tokens=5, timeout=0.2))
            assert len(asyncio.run(crowd())) == 10
        finally:
            server.delay = 0.0
        assert app.policy.admission is app.rates


@pytest.mark.parametrize("client", ["generate", "sdk"])
def test_a_call_that_was_admitted_without_redis_says_so(
    client: str, tmp_path: Path, server: FaultServer
) -> None:
    @flow
    def by_sdk() -> str:
        http = openai.DefaultHttpxClient(verify=False)
        with openai.OpenAI(http_client=http, base_url=server.openai_url, api_key="test") as sdk:
            sdk.chat.completions.create(model="gpt-4o", messages=ASKED, max_tokens=5)  # type: ignore[call-overload]
        return "said"

    # Nobody listens there.
    nowhere = "redis://127.0.0.1:1"
    with opened(tmp_path, server, "[limits.few]\nconcurrency = 2\n", SUREFOOT_REDIS_URL=nowhere) as app:
        (asking if client == "generate" else by_sdk)()
        (call,) = [span.call for span in traces.trace(app.ledger, "last").walk() if span.call is not None]
        assert call.is_limited_alone
        assert "kept by this process alone" in str([*call.told_parameters()])
    with opened(tmp_path, server, "[limits.few]\nconcurrency = 2\n") as app:
        (asking if client == "generate" else by_sdk)()
        (call,) = [span.call for span in traces.trace(app.ledger, "last").walk() if span.call is not None]
        assert not call.is_limited_alone


def test_a_limit_of_requests_refuses_what_would_come_too_late(tmp_path: Path, server: FaultServer) -> None:
    settings = "[limits.slow]\nrequests_per_minute = 1\nburst = 1.0\n"
    with opened(tmp_path, server, settings, SUREFOOT_MODELS_DEADLINE="2"):
        asking()
        with pytest.raises(Throttled):
            asking()
        assert server.count() == 1


def test_without_limits_nothing_is_asked_of_them(tmp_path: Path, server: FaultServer) -> None:
    with opened(tmp_path, server, "") as app:
        assert (app.policy.budgets, app.policy.admission) == (None, None)
        asking()


def storm(server: FaultServer, flows: int, seconds: float) -> tuple[int, list[Any]]:
    """How many requests arrive while a provider is down and many flows go on asking, and what they get."""
    server._faults.extend([Fault(status=503)] * 100_000)

    @flow
    async def one(number: int) -> str:
        return await generate([{"role": "user", "content": f"flow {number}"}], using=SHORT)

    async def steadily(number: int, end: float) -> list[Any]:
        """A flow behind the other, each with a call a second, as a worker has them."""
        ended: list[Any] = []
        while time.monotonic() < end:
            try:
                ended.append(await one(number))
            except SurefootError as error:
                ended.append(error)
            await asyncio.sleep(1.0)
        return ended

    async def all_of_them() -> list[list[Any]]:
        end = time.monotonic() + seconds
        return await asyncio.gather(*(steadily(number, end) for number in range(flows)))

    ended = [each for some in asyncio.run(all_of_them()) for each in some]
    return server.count(), ended


def test_a_provider_that_is_down_gets_no_more_than_its_normal_calls(
    tmp_path: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each flow makes a call a second, of which three attempts would arrive without a breaker.

    SUREFOOT_TEST_STORM=60 is the whole minute.
    """
    with opened(tmp_path, server, "", SUREFOOT_MODELS_RETRY_RESERVE="10") as app:
        arrived, ended = storm(server, flows=200, seconds=STORM_SECONDS)
        with capsys.disabled():
            sys.stdout.write(
                f" {len(ended)} calls were made in {STORM_SECONDS:g} s, {arrived} requests arrived "
            )
        assert all(isinstance(each, (ModelError, BreakerOpen)) for each in ended)
        assert len(ended) >= 200
        assert arrived <= 1.2 * len(ended)
        # The breaker has let far fewer through than that.
        assert arrived < 200 + 40
        assert any(reading.state != "closed" for reading in app.breakers.readings())
        server.mend()


def test_a_run_that_waits_for_room_stops_when_it_is_cancelled(tmp_path: Path, server: FaultServer) -> None:
    """Blocking code too, which nobody can interrupt from outside."""
    with opened(tmp_path, server, "[limits.one]\nconcurrency = 1\n") as app:
        rates = app.rates
        assert rates is not None
        demand = Demand(Caller(), "openai", "openai", "gpt-4o")
        held = effects.drive(rates.admit(demand, patience=0.0))
        ended: list[BaseException] = []

        def waiting() -> None:
            with app.entered():
                try:
                    asking()
                except BaseException as error:  # noqa: BLE001 - it is looked at below
                    ended.append(error)

        thread = threading.Thread(target=waiting)
        thread.start()
        account = rates._accounts.ask(demand).accounts[0]
        until(lambda: bool(account.line.turns))
        app.cancel(app.ledger.runs()[0].id)
        thread.join(30)
        assert not thread.is_alive()
        assert [isinstance(error, RunStopped) for error in ended] == [True]
        assert app.ledger.runs()[0].status == "cancelled"
        assert server.count() == 0
        assert account.line.turns == []
        held.done(None)
        asking()
