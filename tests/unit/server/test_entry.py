"""Who gets in: addresses, names, rates, and what is answered where it cannot be told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_provider import IdentityProvider, identity_provider
from letting_in import ORGANISATION, OTHER, Town, client_of, real_server, server_of, triage
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load
from surefoot.errors import ConfigError
from surefoot.server.entry.address import Addresses, neighbourhood
from surefoot.server.entry.hosts import Hosts
from surefoot.server.entry.knocking import Knocking
from surefoot.server.entry.rates import Rates
from surefoot.values import RunTags


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


# Addresses


def address(client: str | None, forwarded: list[str], *trusted: str) -> str:
    scope: dict[str, Any] = {
        "type": "http",
        "client": None if client is None else (client, 1),
        "headers": [(b"x-forwarded-for", one.encode()) for one in forwarded],
    }
    return Addresses(trusted).of(scope)


@pytest.mark.parametrize(
    ("client", "forwarded", "trusted", "found"),
    [
        ("203.0.113.9", ["198.51.100.1"], [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9, 10.0.0.2"], ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", [], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["x"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, x"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.3"], ["10.0.0.0/8"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], ["10.0.0.0/8"], "2001:db8::1"),
        ("fd00::1", ["198.51.100.1"], ["fd00::/8"], "198.51.100.1"),
        (None, ["198.51.100.1"], ["10.0.0.0/8"], ""),
        (None, ["198.51.100.1, 203.0.113.9"], ["unix"], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], ["unix"], "203.0.113.9"),
    ],
)
def test_an_address_is_what_a_trusted_proxy_has_seen(
    client: str | None, forwarded: list[str], trusted: list[str], found: str
) -> None:
    assert address(client, forwarded, *trusted) == found


@given(st.text(max_size=200))
def test_whatever_is_said_of_the_way_it_is_an_address(said: str) -> None:
    found = address("10.0.0.1", [said.encode("utf-8", "replace").decode("latin-1")], "10.0.0.1")
    assert neighbourhood(found)


def test_a_network_of_somebody_is_one_sender() -> None:
    assert neighbourhood("2001:db8:1:2:3::4") == neighbourhood("2001:db8:1:2:9::9")
    assert neighbourhood("2001:db8:1:2:3::4") != neighbourhood("2001:db8:1:3::4")
    assert neighbourhood("203.0.113.9") != neighbourhood("203.0.113.10")


def test_the_names_of_the_server() -> None:
    hosts = Hosts(["api.acme.example", "*.in.acme.example"])
    assert "api.acme.example:8443" in hosts
    assert "API.ACME.example" in hosts
    assert "b.a.in.acme.example" in hosts
    for other in (
        "in.acme.example",
        "evil-in.acme.example",
        "api.acme.example.",
        "api.acme.example:x",
        "a b",
        "",
    ):
        assert other not in hosts
    assert "whatever.example" in Hosts(["*"])
    assert "what ever" not in Hosts(["*"])


# Rates


def test_a_rate_is_a_burst_and_a_pace() -> None:
    clock = Clock()
    rates = Rates(60, share=0.1, clock=clock)
    turns = [rates.take("ann") for _ in range(8)]
    assert [turn.remaining for turn in turns] == [5, 4, 3, 2, 1, 0, 0, 0]
    assert [turn.wait > 0 for turn in turns] == [False] * 6 + [True] * 2
    assert turns[-1].headers() == {
        "ratelimit-limit": "60",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "6",
        "retry-after": "1",
    }
    assert rates.take("bob").wait == 0
    # Who asked in vain has not made it later for himself.
    clock.now += 1.0
    assert rates.take("ann").wait == 0
    assert rates.take("ann").wait > 0
    clock.now += 60
    assert rates.take("ann").remaining == 5


def test_what_is_given_back_can_be_taken_again() -> None:
    rates = Rates(60, share=0.1, clock=Clock())
    for _ in range(50):
        turn = rates.take("ann")
        assert turn.wait == 0
        rates.give_back("ann", turn)
    assert rates.take("ann").remaining == 5


def test_good_tokens_cost_no_turn_and_bad_ones_do() -> None:
    clock = Clock()
    knocking = Knocking(Rates(3, share=1.0, clock=clock), clock=clock)
    for _ in range(20):
        turn = knocking.turn("203.0.113.9", "good")
        knocking.was_good("203.0.113.9", "good", turn)
    for _ in range(3):
        turn = knocking.turn("203.0.113.9", "bad")
        assert turn is not None
        assert turn.wait == 0
    late = knocking.turn("203.0.113.9", "bad")
    assert late is not None
    assert late.wait == pytest.approx(20)
    assert knocking.turn("203.0.113.9", "good") is None
    assert (knocking.turn("203.0.113.10", "bad") or late).wait == 0
    # A token that has ended is looked for like any other, and so is one that nobody has shown for an hour.
    knocking.was_bad("good")
    assert knocking.turn("203.0.113.9", "good") is not None
    knocking.was_good("203.0.113.9", "good", None)
    clock.now += 3601
    assert knocking.turn("203.0.113.9", "good") is not None


# Answers


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def town(tmp_path: Path, provider: IdentityProvider) -> Iterator[Town]:
    budget = {
        "SUREFOOT_BUDGETS_SMALL_OF": "principal",
        "SUREFOOT_BUDGETS_SMALL_PER": "day",
        "SUREFOOT_BUDGETS_SMALL_LIMIT": "0",
    }
    app = App(load(tmp_path, environ={**budget, **provider.environ}))
    try:
        with app.entered():
            yield Town(app)
    finally:
        app.close()


def test_who_has_no_money_left_begins_nothing(town: Town) -> None:
    with real_server(town.app, triage) as server, client_of(server, headers=town.bearer("runner")) as web:
        refused = web.post("/flows/triage/runs", json={"inputs": {"text": "a"}})
        assert refused.status_code == 402
        assert refused.json()["budget"] == "small"
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert web.get("/runs").status_code == 200
    assert town.app.ledger.runs(principal="user:runner") == []


def test_where_nobody_can_say_whose_a_token_is_it_is_not_said_to_be_bad(
    town: Town, provider: IdentityProvider
) -> None:
    token = provider.token("viewer", ORGANISATION)
    headers = {"authorization": f"Bearer {token}"}
    provider.is_away = True
    with client_of(server_of(town.app, bad_tokens_per_minute=60)) as web:
        for _ in range(30):
            answer = web.get("/flows", headers=headers)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert token not in answer.text
        assert web.get("/flows", headers=town.bearer("runner")).status_code == 200
        provider.is_away = False
        end_at = time.monotonic() + 60
        while (answer := web.get("/flows", headers=headers)).status_code == 503:
            assert time.monotonic() < end_at
            time.sleep(2)
        assert answer.json()["who"] == "user:viewer"


def test_who_is_of_another_organisation_by_his_provider_than_is_recorded_opens_nothing(
    town: Town, provider: IdentityProvider
) -> None:
    """Whom acme has recorded under a name is not whoever bears it elsewhere: neither is taken for the other."""
    headers = {"authorization": f"Bearer {provider.token('viewer', OTHER, 'admins')}"}
    with client_of(server_of(town.app)) as web:
        assert web.get("/flows", headers=headers).status_code == 401
        own = {"authorization": f"Bearer {provider.token('viewer', ORGANISATION)}"}
        assert web.get("/flows", headers=own).json()["organisation"] == ORGANISATION
        assert web.get(f"/runs/{town.runs[OTHER]}", headers=own).status_code == 404
        # Of somebody who is not recorded it counts, and he has no role.
        unknown = {"authorization": f"Bearer {provider.token('passer-by', OTHER)}"}
        assert web.get("/flows", headers=unknown).status_code == 403


def test_an_owner_who_is_anybody_can_still_be_somebody(town: Town) -> None:
    with client_of(server_of(town.app, owner_is_anybody=True)) as web:
        assert web.get("/flows").json()["who"] == LOCAL.who
        assert web.get("/flows", headers=town.bearer("viewer")).json()["who"] == "user:viewer"
        assert web.get("/flows", headers={"authorization": "Bearer x"}).status_code == 401


def test_runs_of_somebody_are_of_his_organisation(town: Town) -> None:
    town.app.run(triage, {"text": "a"}, tags=RunTags(tenant="", principal="user:local"))
    unnamed = town.app.ledger.run("last").id
    with client_of(server_of(town.app)) as web:
        assert web.get(f"/runs/{unnamed}", headers=town.bearer("admin")).status_code == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRUSTED_PROXIES", '["proxy"]'), ("ORIGINS", '["app.example"]'), ("ORIGINS", '["https://a.example/"]')],
)
def test_settings_that_would_mean_nothing_are_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"serve.{name.lower()}"):
        load(tmp_path, environ={f"SUREFOOT_SERVE_{name}": value})
