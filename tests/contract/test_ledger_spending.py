"""What calls have used is added up by the engine, from an index alone, and nothing is counted twice or left out."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest

from engines import Place
from ledgers import end, outcome, start
from surefoot.ledger import Append, EndRun, Ledger, Payload, Spending, Spent, Totals, rows
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Rule, prune
from surefoot.values import CallFacts, Money, PromptRef, Usage, new_id

DAY = 86_400_000_000_000


def facts(
    model: str = "gpt-4o", cost: int | None = 1_000, provider: str = "openai", **rest: Any
) -> CallFacts:
    usage = rest.get("usage", Usage(100, 20, 10, 4))
    return CallFacts(provider, model, model, usage, None if cost is None else Money(cost))


def called(ledger: Ledger, *calls: CallFacts, row: dict[str, Any] | None = None, **run: Any) -> str:
    """A run that has made these calls."""
    run_id = new_id()
    ledger.submit(start(run_id, **run)).wait()
    for n, call in enumerate(calls, 1):
        given = {"kind": "call", "name": "openai.chat", "call": call} | (row or {})
        ledger.submit(Append(outcome(run_id, n, **given), [])).wait()
    ledger.submit(Append(outcome(run_id, 99), [])).wait()
    return run_id


def prune_whole(ledger: Ledger) -> None:
    """Drop all but the rows of runs that have ended."""
    with closing(tables_of(ledger)) as tables:
        prune(tables, [Rule("runs", time.time_ns() + 10**18)], now_ns=time.time_ns())


def test_nothing_is_recorded_yet(ledger: Ledger) -> None:
    assert ledger.spent(Spending(("flow",))) == []


def test_calls_are_added_up_in_groups(ledger: Ledger) -> None:
    called(ledger, facts(), facts("gpt-4o-mini", 7), tenant="acme", principal="ann")
    called(ledger, facts(), facts(cost=None), tenant="other")
    found = {spent.keys: spent for spent in ledger.spent(Spending(("tenant", "served_model")))}
    assert found[("acme", "gpt-4o")] == Spent(
        ("acme", "gpt-4o"), 0, 1, 0, 0, 0, Usage(100, 20, 10, 4), Money(1000)
    )
    assert found[("acme", "gpt-4o-mini")].cost == Money(7)
    unpriced = found[("other", "gpt-4o")]
    assert (unpriced.calls, unpriced.unpriced, unpriced.cost) == (2, 1, Money(1000))
    (total,) = ledger.spent(Spending())
    assert (total.keys, total.calls, total.cost, total.usage) == ((), 4, Money(2007), Usage(400, 80, 40, 16))


def test_what_came_from_the_cache_cost_nothing(ledger: Ledger) -> None:
    called(ledger, facts(), row={"is_cached": True})
    called(ledger, facts())
    (total,) = ledger.spent(Spending())
    assert (total.calls, total.cached, total.cost, total.usage) == (2, 1, Money(1000), Usage(100, 20, 10, 4))


def test_failed_calls_count_with_what_they_cost(ledger: Ledger) -> None:
    called(ledger, facts(cost=500), facts(cost=None, usage=Usage()), row={"status": "failed"})
    (total,) = ledger.spent(Spending())
    assert (total.calls, total.failed, total.unpriced, total.cost) == (2, 2, 1, Money(500))


def test_a_window_and_days_go_by_the_end_of_the_call(ledger: Ledger) -> None:
    for day in (10, 10, 11, 12):
        called(ledger, facts(), row={"ended_ns": day * DAY + 5})
    found = ledger.spent(Spending(span_ns=DAY))
    assert {spent.began_ns // DAY: spent.calls for spent in found} == {10: 2, 11: 1, 12: 1}
    some = ledger.spent(Spending(span_ns=DAY, since_ns=11 * DAY + 5, until_ns=12 * DAY + 5))
    assert [(spent.began_ns, spent.calls) for spent in some] == [(11 * DAY, 1)]


def test_prompts_and_runs_narrow_it_down(ledger: Ledger) -> None:
    prompt = PromptRef("summary", "2", "d" * 64)
    called(ledger, facts(), row={"prompt": prompt}, tenant="acme")
    called(ledger, facts(), tenant="other")
    keys = ("prompt_name", "prompt_version")
    found = ledger.spent(Spending(keys, where={"tenant": "acme"}))
    assert [spent.keys for spent in found] == [("summary", "2")]
    assert {spent.keys for spent in ledger.spent(Spending(keys))} == {("summary", "2"), (None, None)}
    assert ledger.spent(Spending(where={"flow": "another"})) == []


def test_a_pruned_run_leaves_its_sums(ledger: Ledger) -> None:
    run_id = called(ledger, facts(), facts(cost=None), tenant="acme")
    totals = Totals(1, 2, Usage(200, 40, 20, 8), Money(1000), is_cost_complete=False)
    ledger.submit(EndRun(end(run_id).outcome, [], "completed", totals)).wait()
    called(ledger, facts(), tenant="acme")
    prune_whole(ledger)
    found = {spent.is_pruned: spent for spent in ledger.spent(Spending(("tenant", "served_model")))}
    assert found[False].keys == ("acme", "gpt-4o")
    pruned = found[True]
    assert (pruned.keys, pruned.calls, pruned.cost) == (("acme", None), 2, Money(1000))
    assert (pruned.usage, pruned.unpriced) == (Usage(200, 40, 20, 8), 1)


@pytest.mark.parametrize("columns", [("served_model", "prompt_name"), ("flow", "tenant")])
def test_the_rows_of_calls_are_not_touched(place: Place, columns: Any) -> None:
    ledger = place.open()
    called(ledger, facts(), row={"output": Payload(f'"{"x" * 1500}"')})
    # So many that reading all of the table would be the worse way.
    multiply(place, 4000)
    join = "JOIN" if place.engine == "postgres" else "CROSS JOIN"
    query, values = Spending(columns, span_ns=DAY, since_ns=5).of_calls(join)
    explain = "EXPLAIN" if place.engine == "postgres" else "EXPLAIN QUERY PLAN"
    plan = " ".join(str(row[-1]) for row in place.execute(f"{explain} {query}", *values))
    if place.engine == "postgres":
        assert "Index Only Scan using outcomes_calls" in plan
    else:
        assert "c USING COVERING INDEX outcomes_calls (ended_ns>?)" in plan
        assert "SCAN runs" not in plan


def multiply(place: Place, times: int) -> None:
    """The call of the ledger over and over."""
    columns = rows.OUTCOME_COLUMNS
    numbers = "generate_series(1001, 1000 + ?::bigint) AS g(n)"
    key = "decode(lpad(to_hex(n), 32, '0'), 'hex')"
    if place.engine == "sqlite":
        numbers = (
            "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < ?) SELECT n FROM g)"
        )
        key = "randomblob(16)"
    copied = columns.replace("run_id, key,", f"run_id, {key},")
    place.execute(
        f"INSERT INTO outcomes ({columns}) SELECT {copied} FROM outcomes, {numbers} WHERE kind = 'call'",
        times,
    )
    place.execute("VACUUM ANALYZE outcomes" if place.engine == "postgres" else "ANALYZE")
