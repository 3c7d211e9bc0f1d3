"""What webhooks are told, as each engine keeps it: owed once, taken by one, settled by whoever has it."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import pytest

from engines import Place
from ledgers import end, start, take_over
from surefoot.errors import LedgerError
from surefoot.ledger import Change, DeliveryRow, EndRow, Ledger, TakeDeliveries, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Rule, prune
from surefoot.values import new_id

MINUTE = 60_000_000_000
FIRST = DeliveryRow("crm", "01A", 1, "run.completed", next_ns=5)


def tell(ledger: Ledger, *changes: Change) -> None:
    ledger.submit(TellDeliveries(changes)).result()


def take(
    ledger: Ledger, webhook: str = "crm", *, lease_ns: int = MINUTE, most: int = 10
) -> list[DeliveryRow]:
    return cast("list[DeliveryRow]", ledger.submit(TakeDeliveries(webhook, lease_ns, most)).result())


def told(ledger: Ledger, run_id: str = "01A") -> list[DeliveryRow]:
    return [kept.delivery_of(row) for row in ledger.ask(kept.told_query("crm", run_id))]


def ends(ledger: Ledger, after: int = 0, most: int = 100) -> list[EndRow]:
    return [kept.end_of(row) for row in ledger.ask(kept.ends_query(after, most=most))]


def listed(ledger: Ledger, standing: Any, **rest: Any) -> list[DeliveryRow]:
    found = ledger.ask(kept.deliveries_query(webhook="crm", standing=standing, **rest))
    return [kept.delivery_of(row) for row in found]


def ended(ledger: Ledger, **rest: Any) -> str:
    run_id = new_id()
    ledger.submit(start(run_id, **rest)).wait()
    ledger.submit(end(run_id)).wait()
    return run_id


def test_nothing_is_there_before_the_first_webhook(ledger: Ledger) -> None:
    assert ends(ledger) == told(ledger) == ledger.ask(kept.mark_query("crm")) == []
    assert take(ledger) == []


def test_what_is_owed_is_owed_once(ledger: Ledger) -> None:
    tell(ledger, kept.owe(FIRST), kept.owe(FIRST))
    tell(ledger, kept.owe(replace(FIRST, next_ns=9)), kept.owe(replace(FIRST, event="run.failed")))
    assert told(ledger) == [FIRST, replace(FIRST, event="run.failed")]


def test_what_one_has_taken_nobody_else_gets(ledger: Ledger) -> None:
    second = replace(FIRST, run_id="01B", next_ns=4)
    tell(ledger, kept.owe(FIRST), kept.owe(second), kept.owe(replace(FIRST, webhook="other")))
    taken = take(ledger, most=1)
    assert [(one.run_id, one.tries) for one in taken] == [("01B", 1)]
    assert taken[0].next_ns > time.time_ns() + MINUTE // 2
    assert [one.run_id for one in take(ledger)] == ["01A"]
    assert take(ledger) == []
    assert [one.webhook for one in take(ledger, "other")] == ["other"]


def test_what_is_settled_is_over(ledger: Ledger) -> None:
    tell(ledger, kept.owe(FIRST))
    [taken] = take(ledger, lease_ns=0)
    tell(ledger, kept.settle(taken, now_ns=77))
    assert [(one.standing, one.done_ns) for one in told(ledger)] == [("delivered", 77)]
    assert take(ledger) == []
    tell(ledger, kept.again(told(ledger)[0], now_ns=1))
    assert take(ledger) == []


def test_whoever_has_lost_a_delivery_settles_nothing(ledger: Ledger) -> None:
    tell(ledger, kept.owe(FIRST))
    [slow] = take(ledger, lease_ns=-1)
    [quick] = take(ledger)
    assert (slow.tries, quick.tries) == (1, 2)
    tell(ledger, kept.settle(slow, now_ns=5, error="it timed out"))
    assert [one.standing for one in told(ledger)] == ["waiting"]
    tell(ledger, kept.settle(quick, now_ns=6))
    tell(ledger, kept.settle(slow, now_ns=7, again_ns=8, error="it timed out"))
    assert [(one.standing, one.done_ns) for one in told(ledger)] == [("delivered", 6)]


def test_what_has_arrived_has_arrived_whoever_has_it_by_now(ledger: Ledger) -> None:
    tell(ledger, kept.owe(FIRST))
    [slow] = take(ledger, lease_ns=-1)
    [quick] = take(ledger)
    tell(ledger, kept.settle(slow, now_ns=5))
    tell(ledger, kept.settle(quick, now_ns=6, again_ns=7, error="it timed out"))
    assert [(one.standing, one.done_ns, one.error) for one in told(ledger)] == [("delivered", 5, "")]


def test_what_has_failed_is_due_again_and_then_given_up(ledger: Ledger) -> None:
    tell(ledger, kept.owe(FIRST))
    [taken] = take(ledger)
    tell(ledger, kept.settle(taken, now_ns=5, again_ns=6, error="status 503 \x00" + "x" * 900))
    [waiting] = listed(ledger, "waiting")
    assert (waiting.next_ns, waiting.error[:12], len(waiting.error)) == (6, "status 503 \ufffd", 500)
    assert listed(ledger, "given up") == []
    [taken] = take(ledger)
    tell(ledger, kept.settle(taken, now_ns=7, error="status 410"))
    assert listed(ledger, "waiting") == []
    [given_up] = listed(ledger, "given up", run_id="01A")
    assert (given_up.standing, given_up.tries, given_up.error) == ("given up", 2, "status 410")
    assert listed(ledger, "given up", run_id="01B") == []
    tell(ledger, kept.again(given_up, now_ns=8))
    assert [(one.run_id, one.tries) for one in take(ledger)] == [("01A", 1)]


def test_a_webhook_is_told_of_what_ends_from_its_beginning_on(ledger: Ledger) -> None:
    def mark() -> kept.Mark:
        [row] = ledger.ask(kept.mark_query("crm"))
        return kept.mark_of(row)

    ended(ledger)
    tell(ledger, kept.begin("crm", now_ns=50))
    begun = mark()
    assert (begun.name, begun.at_ns, begun.begun_ns) == ("", 50, 50)
    assert ends(ledger, begun.seq) == []
    run_id = ended(ledger, tenant="acme", tags={"team": "a"})
    tell(ledger, kept.begin("crm", now_ns=60))
    assert mark() == begun
    [found] = ends(ledger, begun.seq)
    assert (found.run_id, found.epoch, found.status, found.is_child) == (run_id, 1, "completed", False)
    assert (found.tenant, found.tags) == ("acme", {"team": "a"})
    tell(ledger, kept.looked("crm", found, now_ns=70), kept.looked("crm", replace(found, seq=1), now_ns=65))
    assert mark() == kept.Mark(found.seq, f"{run_id} 1", 70, 50)
    assert take(ledger) == []
    places = kept.places_query(begun.seq, until=found.seq, since_ns=found.ended_ns, most=5)
    assert ledger.ask(places) == [(found.seq, run_id, 1)]
    late = kept.places_query(begun.seq, until=found.seq, since_ns=found.ended_ns + 1, most=5)
    assert ledger.ask(late) == ledger.ask(kept.ends_query(0, since_ns=found.ended_ns + 1, most=5)) == []
    assert [kept.end_of(row) for row in ledger.ask(kept.ends_at_query([found.seq]))] == [found]


def test_how_far_a_webhook_has_looked_is_nothing_that_it_is_told(ledger: Ledger) -> None:
    """Whoever tried it again would have the webhook look behind all ends that there will ever be."""
    tell(ledger, kept.begin("crm", now_ns=50))
    ended(ledger)
    [found] = ends(ledger)
    tell(ledger, kept.looked("crm", found, now_ns=70))
    mark = ledger.ask(kept.mark_query("crm"))
    assert listed(ledger, "waiting") == listed(ledger, "given up") == told(ledger, "") == []
    tell(ledger, kept.again(DeliveryRow("crm", "", 0, "looked"), now_ns=80))
    assert take(ledger) == []
    assert ledger.ask(kept.mark_query("crm")) == mark


def test_each_attempt_at_a_run_has_an_end_of_its_own(ledger: Ledger) -> None:
    run_id = new_id()
    ledger.submit(start(run_id)).wait()
    failed = end(run_id)
    failed.outcome.status = "failed"
    ledger.submit(replace(failed, status="failed", error="E: x")).wait()
    taken = take_over(cast("Any", ledger), run_id)
    ledger.submit(end(run_id, epoch=taken.epoch)).wait()
    assert [(one.epoch, one.status) for one in ends(ledger)] == [(1, "failed"), (2, "completed")]
    first = DeliveryRow("crm", run_id, 1, "run.failed")
    assert [row[1] for row in ledger.ask(kept.ended_query(first))] == ["failed"]


def test_a_child_is_known_for_one(ledger: Ledger) -> None:
    parent = ended(ledger)
    ended(ledger, parent_run=parent, run_key=f"{parent}/ab")
    ended(ledger, parent_run=parent, run_key="mine")
    assert [one.is_child for one in ends(ledger)] == [False, True, False]


def test_runs_that_wait(ledger: Ledger) -> None:
    run_id = new_id()
    ledger.submit(start(run_id)).wait()
    ledger.submit(replace(end(run_id), status="waiting")).wait()
    ended(ledger)
    found = [kept.end_of(row) for row in ledger.ask(kept.waits_query("", most=5))]
    assert [(one.run_id, one.epoch, one.status) for one in found] == [(run_id, 1, "waiting")]
    assert ledger.ask(kept.waits_query(run_id, most=5)) == []


def test_all_changes_are_there_or_none(ledger: Ledger) -> None:
    bad = Change("INSERT INTO deliveries (webhook, run_id) VALUES (?, ?)", ("crm", "01C"))
    with pytest.raises(LedgerError, match="what webhooks are to be told cannot be recorded"):
        tell(ledger, kept.owe(FIRST), bad)
    assert told(ledger) == []


def test_a_run_that_is_pruned_takes_its_deliveries_along(ledger: Ledger) -> None:
    run_id = ended(ledger)
    tell(ledger, kept.begin("crm", now_ns=5), kept.owe(replace(FIRST, run_id=run_id)), kept.owe(FIRST))
    with closing(tables_of(ledger)) as tables:
        prune(tables, [Rule("runs", time.time_ns() + MINUTE)], now_ns=time.time_ns())
    assert told(ledger, run_id) == []
    assert len(told(ledger)) == len(ledger.ask(kept.mark_query("crm"))) == 1


def test_what_a_pruned_run_was_still_owed_for_is_counted_by_name(ledger: Ledger) -> None:
    runs = [ended(ledger) for _ in range(3)]
    owed = [replace(FIRST, run_id=run) for run in runs]
    traces = [replace(one, webhook="traces/desk") for one in owed[:2]]
    tell(ledger, kept.begin("crm", now_ns=5), *map(kept.owe, [*owed, *traces]))
    [told_already] = take(ledger, most=1)
    tell(ledger, kept.settle(told_already, now_ns=6))
    before = ledger.ask(kept.mark_query("crm"))
    rule = Rule("runs", time.time_ns() + MINUTE)
    with closing(tables_of(ledger)) as tables:
        would = prune(tables, [rule], now_ns=7, is_dry=True)
        assert ledger.ask(kept.lost_query("crm")) == []
        dropped = prune(tables, [rule], now_ns=7)
    assert would.untold == dropped.untold == {"crm": 2, "traces/desk": 2}
    # The next time it is added to, and what payloads alone are dropped of is still told.
    later = ended(ledger)
    tell(ledger, kept.owe(replace(FIRST, run_id=later)))
    with closing(tables_of(ledger)) as tables:
        assert prune(tables, [replace(rule, what="payloads")], now_ns=8).untold == {}
        assert prune(tables, [rule], now_ns=9).untold == {"crm": 1}
    assert ledger.ask(kept.lost_query("crm")) == [(3,)]
    assert ledger.ask(kept.lost_query("traces/desk")) == [(2,)]
    assert ledger.ask(kept.lost_query("other")) == []
    # It is neither owed nor given up, and is no place that was looked at.
    assert ledger.ask(kept.mark_query("crm")) == before
    assert ledger.ask(kept.given_up_query("crm")) == [(0,)]
    assert take(ledger) == take(ledger, "traces/desk") == []


def test_two_prunes_at_once_count_each_run_once(place: Place) -> None:
    ledger = place.open()
    runs = [ended(ledger) for _ in range(60)]
    tell(ledger, *(kept.owe(replace(FIRST, run_id=run)) for run in runs))
    found: list[dict[str, int]] = []

    def pruning() -> None:
        with closing(tables_of(place.open())) as tables:
            found.append(prune(tables, [Rule("runs", time.time_ns() + MINUTE)], now_ns=time.time_ns()).untold)

    threads = [threading.Thread(target=pruning) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.get("crm", 0) for one in found) == 60
    assert ledger.ask(kept.lost_query("crm")) == [(60,)]


def test_two_processes_share_what_is_due(place: Place) -> None:
    ledgers = [place.open(), place.open()]
    tell(ledgers[0], *(kept.owe(replace(FIRST, run_id=f"01{n:03}")) for n in range(60)))
    taken: list[list[str]] = [[], []]

    def work(ledger: Ledger, mine: list[str]) -> None:
        while found := take(ledger, most=7):
            mine += [one.run_id for one in found]
            tell(ledger, *(kept.settle(one, now_ns=9) for one in found))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(ledgers, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken[0] + taken[1]) == [f"01{n:03}" for n in range(60)]
    assert listed(ledgers[1], "waiting") == []


def test_ends_are_found_without_reading_what_was_recorded(place: Place) -> None:
    ledger = place.open()
    ended(ledger)
    if place.engine == "sqlite":
        plan = place.execute(f"EXPLAIN QUERY PLAN {kept.ends_query(0, most=5)[0]}", 0, 0, 5)
        assert "outcomes_ends" in str(plan)
        plan = place.execute(f"EXPLAIN QUERY PLAN {kept.due_query('crm', now_ns=1, most=5)[0]}", "crm", 1, 5)
        assert "deliveries_due" in str(plan)
        assert "TEMP B-TREE" not in str(plan)
    else:
        [(count,)] = place.execute(
            "SELECT count(*) FROM pg_indexes WHERE indexname IN ('outcomes_ends', 'deliveries_due')"
        )
        assert count == 2
