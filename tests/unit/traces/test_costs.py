"""Costs in groups: names, days of a time zone, order, sums."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ledgers import open_ledger, outcome, start
from surefoot.errors import InvalidInput
from surefoot.ledger import Append, SqliteLedger
from surefoot.traces import FACETS, costs
from surefoot.values import CallFacts, Money, PromptRef, Usage, new_id

BERLIN = ZoneInfo("Europe/Berlin")


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def called(ledger: SqliteLedger, model: str, cost: int | None, at: str, prompt: str = "") -> None:
    run_id = new_id()
    ledger.submit(start(run_id, tenant="acme")).wait()
    provider, _, name = model.partition(":")
    served = model if provider == "local" else name
    row = outcome(
        run_id,
        1,
        kind="call",
        ended_ns=ns(at),
        call=CallFacts(provider, name, served, Usage(10, 0, 5), None if cost is None else Money(cost)),
        prompt=PromptRef(prompt, "2", "d" * 64) if prompt else None,
    )
    ledger.submit(Append(row, [])).wait()


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    ledger = open_ledger(tmp_path)
    called(ledger, "openai:gpt-4o", 500, "2026-03-28T22:30+00:00", "summary")
    called(ledger, "openai:gpt-4o", 700, "2026-03-28T23:30+00:00")
    # In Berlin this is after midnight, by an hour more than the night before.
    called(ledger, "local:smollm2", 0, "2026-03-29T22:10+00:00")
    called(ledger, "vllm:llama", None, "2026-04-01T00:00+00:00")
    return ledger


def test_models_are_named_and_the_dearest_comes_first(ledger: SqliteLedger) -> None:
    found = costs(ledger)
    assert found.by == ("model",)
    assert [(row.group["model"], row.cost.nanos, row.unpriced) for row in found.rows] == [
        ("openai:gpt-4o", 1200, 0),
        ("local:smollm2", 0, 0),
        ("vllm:llama", 0, 1),
    ]
    assert (found.total.calls, found.total.cost, found.total.is_complete) == (4, Money(1200), False)
    assert found.total.usage == Usage(40, 0, 20)


def test_days_are_those_of_the_zone(ledger: SqliteLedger) -> None:
    utc = costs(ledger, "day")
    assert [(row.group["day"], row.calls) for row in utc.rows] == [
        ("2026-03-28", 2),
        ("2026-03-29", 1),
        ("2026-04-01", 1),
    ]
    berlin = costs(ledger, "day", zone=BERLIN)
    assert [(row.group["day"], row.calls) for row in berlin.rows] == [
        ("2026-03-28", 1),
        ("2026-03-29", 1),
        ("2026-03-30", 1),
        ("2026-04-01", 1),
    ]
    kolkata = costs(ledger, "day", zone=ZoneInfo("Asia/Kolkata"))
    assert [row.group["day"] for row in kolkata.rows] == ["2026-03-29", "2026-03-30", "2026-04-01"]
    assert [row.group["month"] for row in costs(ledger, "month").rows] == ["2026-03", "2026-04"]


def test_several_facets_and_what_a_call_does_not_have(ledger: SqliteLedger) -> None:
    found = costs(ledger, ("prompt", "tenant", "provider"), until_ns=ns("2026-03-29T00:00+00:00"))
    assert [tuple(row.group.values()) for row in found.rows] == [
        ("", "acme", "openai"),
        ("summary@2", "acme", "openai"),
    ]
    assert costs(ledger, "flow", flow="another").rows == ()


@pytest.mark.parametrize("facet", FACETS)
def test_every_facet_adds_up_to_the_same(ledger: SqliteLedger, facet: str) -> None:
    found = costs(ledger, facet)  # type: ignore[arg-type]
    assert sum(row.cost.nanos for row in found.rows) == found.total.cost.nanos == 1200
    assert sum(row.calls for row in found.rows) == found.total.calls == 4


@pytest.mark.parametrize("by", ["colour", (), ("model", "model")])
def test_what_costs_are_not_known_by(ledger: SqliteLedger, by: str) -> None:
    with pytest.raises(InvalidInput, match="costs"):
        costs(ledger, by)  # type: ignore[arg-type]


def test_an_empty_ledger_has_no_costs(tmp_path: Path) -> None:
    found = costs(open_ledger(tmp_path), ("flow", "day"), zone=UTC)
    assert (found.rows, found.total.calls, found.total.cost) == ((), 0, Money(0))
