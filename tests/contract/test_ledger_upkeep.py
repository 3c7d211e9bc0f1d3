"""Verifying, pruning and moving on every engine: what works on a file works on a server, and between the two."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kept_runs import SECRET, hide, kept_ledger, kept_run
from ledgers import outcome, take_over
from postgres import Server
from surefoot.effects import drive
from surefoot.errors import BudgetExceeded, LedgerCorrupt, RunPruned
from surefoot.ledger import Append, Budget, Budgets, Freight, Keyring, Ledger, Payloads, SqliteLedger
from surefoot.ledger.anchoring import Anchor, AnchorWriter
from surefoot.ledger.exporting import export
from surefoot.ledger.importing import Imported, import_runs
from surefoot.ledger.opening import tables_of
from surefoot.ledger.postgres import PostgresLedger
from surefoot.ledger.retention import Dropped, Level, Rule, forget, prune
from surefoot.ledger.selecting import Selection
from surefoot.ledger.verifying import Verified, verify
from surefoot.values import Caller, Money
from tampering import rehashed

KEY = "00" * 32


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = of_engine(request, request.param, tmp_path / "one")
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of another application."""
    made = of_engine(request, request.param, tmp_path / "two")
    kept_run(made, '"of its own"')
    yield made
    made.close()


def of_engine(request: pytest.FixtureRequest, engine: str, folder: Path) -> Ledger:
    if engine == "sqlite":
        return kept_ledger(folder)
    server: Server = request.getfixturevalue("postgres_server")
    return PostgresLedger(server.new_database(), Payloads(Keyring(folder / "key"), privacy=hide))


def verified(ledger: Ledger, **options: Any) -> Verified:
    with closing(tables_of(ledger)) as tables:
        return verify(tables, ledger.payloads, **options)


def pruned(ledger: Ledger, what: Level, **options: Any) -> Dropped:
    is_dry = options.pop("is_dry", False)
    with closing(tables_of(ledger)) as tables:
        rule = Rule(what, time.time_ns() + 10**18, Selection(**options))
        return prune(tables, [rule], now_ns=time.time_ns(), is_dry=is_dry)


def imported(ledger: Ledger, file: Path, **options: Any) -> Imported:
    with closing(tables_of(ledger)) as tables:
        return import_runs(tables, ledger.payloads, file, now_ns=time.time_ns(), **options)


def exported(ledger: Ledger, file: Path, **options: Any) -> None:
    with closing(tables_of(ledger)) as tables:
        assert export(tables, ledger.payloads, file, made_ns=1, **options).verified.is_whole


def changed(ledger: Ledger, statement: str, *parameters: object) -> None:
    with closing(tables_of(ledger)) as tables, tables.writing() as session:
        assert session.change(statement, *parameters) > 0


def test_verifying(ledger: Ledger, tmp_path: Path) -> None:
    runs = [kept_run(ledger, tag=str(number)) for number in range(3)]
    with closing(tables_of(ledger)) as tables:
        writer = AnchorWriter(tmp_path / "heads", ledger=tables.where, made_ns=1)
        assert verify(tables, ledger.payloads, anchor=writer).is_whole
        writer.finish()
    changed(ledger, "UPDATE outcomes SET name = 'x' WHERE run_id = ? AND name = 'step-3'", runs[0])
    changed(ledger, "DELETE FROM outcomes WHERE run_id = ?", runs[1])
    changed(ledger, "DELETE FROM runs WHERE id = ?", runs[1])
    found = verified(ledger, against=Anchor(tmp_path / "heads"))
    assert {broken.run_id for broken in found.broken} == set(runs[:2])
    assert found.runs == 2


@pytest.mark.parametrize("what", ["details", "payloads", "runs"])
def test_pruning(ledger: Ledger, what: Level) -> None:
    old = kept_run(ledger, status="failed", tag="old")
    running = kept_run(ledger, status=None)
    said = pruned(ledger, what, is_dry=True)
    assert pruned(ledger, what) == said
    assert said.details == 1
    assert pruned(ledger, what).is_nothing
    assert verified(ledger).is_whole
    assert SECRET in ledger.exact(running, ledger.history(running)[2].outcome.output)
    if what == "details":
        assert take_over(ledger, old).epoch == 2
    else:
        assert said.keys == 1
        assert said.blobs == 2
        with pytest.raises(RunPruned):
            take_over(ledger, old)


def test_a_blob_that_is_taken_up_meanwhile_stays(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '"' + "shared " * 2000 + '"'
    kept_run(ledger, text)
    running = kept_run(ledger, '"x"', status=None)
    from surefoot.ledger import sweeping

    plain = sweeping._mark_referenced

    def late(*arguments: Any) -> None:
        plain(*arguments)
        freight: Freight = []
        payload = ledger.payloads.store(running, text, freight)
        ledger.submit(Append(outcome(running, 77, output=payload), freight)).wait()

    monkeypatch.setattr(sweeping, "_mark_referenced", late)
    assert pruned(ledger, "runs").blobs == 0
    assert verified(ledger).is_whole


def test_forgetting(ledger: Ledger) -> None:
    person = kept_run(ledger, principal="alice", tags={"a": "b"})
    running = kept_run(ledger, principal="alice", status=None)
    with closing(tables_of(ledger)) as tables:
        done = forget(tables, Selection(principal="alice"), now_ns=time.time_ns())
    assert (done.runs, done.unfinished) == (1, [running])
    assert (ledger.run(person).principal, ledger.run(person).tags) == ("", {})
    assert ledger.runs(tags={"a": "b"}) == []
    assert verified(ledger).is_whole


def test_moving_between_ledgers(ledger: Ledger, other: Ledger, tmp_path: Path) -> None:
    runs = [
        kept_run(ledger, tenant="acme", tags={"a": "b"}, run_key="k"),
        kept_run(ledger, status="failed"),
        kept_run(ledger, status=None),
    ]
    exported(ledger, tmp_path / "all.db", key=Keyring(tmp_path, key=KEY))
    exported(ledger, tmp_path / "redacted.db")
    assert imported(other, tmp_path / "redacted.db").added == 3
    assert verified(other).is_whole
    assert imported(other, tmp_path / "all.db", key=Keyring(tmp_path, key=KEY)).updated == 3
    again = imported(other, tmp_path / "all.db", key=Keyring(tmp_path, key=KEY))
    assert (again.kept, again.refused) == (3, [])
    found = verified(other)
    assert (found.is_whole, found.runs, found.withheld) == (True, 4, 0)
    for run_id in runs:
        assert [link.hash for link in other.history(run_id)] == [link.hash for link in ledger.history(run_id)]
        for mine, theirs in zip(ledger.history(run_id), other.history(run_id), strict=True):
            assert ledger.exact(run_id, mine.outcome.output) == other.exact(run_id, theirs.outcome.output)
            assert ledger.view(mine.outcome.output) == other.view(theirs.outcome.output)
        assert other.first_break(run_id) is None
    assert [run.id for run in other.runs(tags={"a": "b"})] == [runs[0]]
    taken = take_over(other, runs[2])
    other.submit(Append(outcome(runs[2], 90, epoch=taken.epoch), [])).wait()
    exported(other, tmp_path / "back.db", key=Keyring(tmp_path, key=KEY))
    changed(ledger, "UPDATE runs SET lease_until_ns = 0, owner = NULL WHERE id = ?", runs[2])
    back = imported(ledger, tmp_path / "back.db", key=Keyring(tmp_path, key=KEY))
    assert (back.added, back.updated, back.kept, back.refused) == (1, 1, 2, [])
    assert verified(ledger).is_whole


def test_a_writer_goes_on_while_runs_are_pruned(ledger: Ledger) -> None:
    for _ in range(30):
        kept_run(ledger)
    is_over, failures, new = threading.Event(), list[BaseException](), list[str]()

    def write() -> None:
        try:
            while not is_over.is_set() or not new:
                new.append(kept_run(ledger, status=None))
        except BaseException as error:  # noqa: BLE001  (told by the test)
            failures.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    dropped = pruned(ledger, "runs")
    is_over.set()
    writing.join()
    assert failures == []
    assert dropped.runs == 30
    found = verified(ledger)
    assert (found.is_whole, found.runs) == (True, 30 + len(new))


# Accounts of budgets


def spent(ledger: Ledger, caller: Caller, amount: int = 1, budget: str = "all") -> None:
    """A call that has cost so many cents, under a budget of runs and one of principals."""
    budgets = Budgets(
        ledger,
        [
            Budget("runs", Money.dollars(1), of="run"),
            Budget(budget, Money.dollars(1), of="principal", per="day"),
        ],
    )
    hold = drive(budgets.hold(caller, Money(amount * 10_000_000), what="the call", patience=0.0))
    drive(hold.settle(None))


def accounts(ledger: Ledger) -> set[tuple[str, str]]:
    with closing(tables_of(ledger)) as tables, tables.reading() as session:
        return {(row[0], row[1]) for row in session.rows("SELECT budget, whose FROM accounts")}


def test_accounts_go_with_runs_and_with_time(ledger: Ledger) -> None:
    old, running = kept_run(ledger), kept_run(ledger, status=None)
    for run_id in (old, running):
        spent(ledger, Caller((run_id,), ("flow",), principal="ann"))
    day = 24 * 3600 * 10**9
    with closing(tables_of(ledger)) as tables:
        some = Rule("runs", time.time_ns() + 2 * day, Selection(flow="flow"))
        said = prune(tables, [some], now_ns=time.time_ns(), is_dry=True)
        assert said.accounts == 1
        assert prune(tables, [some], now_ns=time.time_ns()) == said
    assert accounts(ledger) == {("runs", running), ("all", "ann")}
    assert pruned(ledger, "details").accounts == 0
    assert pruned(ledger, "runs", is_dry=True).accounts == 1
    assert pruned(ledger, "runs").accounts == 1
    assert accounts(ledger) == {("runs", running)}
    assert pruned(ledger, "runs").is_nothing


def test_an_account_on_which_something_is_held_stays(ledger: Ledger) -> None:
    old = kept_run(ledger)
    budgets = Budgets(ledger, [Budget("runs", Money.dollars(1), of="run"), Budget("all", Money.dollars(1))])
    hold = drive(budgets.hold(Caller((old,), ("flow",)), Money(5), what="the call", patience=0.0))
    assert pruned(ledger, "runs").accounts == 0
    assert verified(ledger).is_whole
    drive(hold.settle(None))
    assert pruned(ledger, "runs").accounts == 2


def test_a_forgotten_person_is_not_named_by_accounts_whose_sums_stay(ledger: Ledger) -> None:
    caller = Caller((kept_run(ledger, principal="alice"),), ("flow",), principal="alice")
    spent(ledger, caller, 60)
    with closing(tables_of(ledger)) as tables:
        forget(tables, Selection(principal="alice"), now_ns=time.time_ns())
    assert accounts(ledger) == {("runs", caller.run_id), ("all", "")}
    with pytest.raises(BudgetExceeded):
        spent(ledger, replace(caller, runs=("another",)), 60)


def test_an_account_that_does_not_agree_with_its_holds_is_damage(ledger: Ledger) -> None:
    spent(ledger, Caller(principal="ann"), 60)
    assert verified(ledger).is_whole
    changed(ledger, "UPDATE accounts SET held = 7 WHERE budget = 'all'")
    found = verified(ledger)
    assert not found.is_whole
    assert "budget 'all' of principal 'ann'" in found.damage[0]


def test_accounts_stay_where_they_are_when_runs_move(ledger: Ledger, other: Ledger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    spent(ledger, Caller((run_id,), ("flow",)))
    exported(ledger, tmp_path / "all.db", key=Keyring(tmp_path, key=KEY))
    assert imported(other, tmp_path / "all.db", key=Keyring(tmp_path, key=KEY)).added == 1
    assert accounts(other) == set()
    assert verified(other).is_whole


def test_what_was_edited_here_or_in_the_file_does_not_move(
    ledger: Ledger, other: Ledger, tmp_path: Path
) -> None:
    """An export under a key has MACs under it; what is imported is under the key of where it comes to."""
    key = Keyring(tmp_path / "export.key")
    whole, here, there = (kept_run(ledger, status="failed") for _ in range(3))
    edited(ledger, here)
    with closing(tables_of(ledger)) as tables:
        done = export(tables, ledger.payloads, tmp_path / "all.db", made_ns=1, key=key)
    assert [broken.run_id for broken in done.verified.broken] == [here]
    in_file = SqliteLedger(tmp_path / "all.db", Payloads(key, privacy=hide))
    assert in_file.first_break(there) is None
    edited(in_file, there)
    in_file.close()
    moved = imported(other, tmp_path / "all.db", key=key)
    assert (moved.added, {one.run_id for one in moved.refused}) == (1, {here, there})
    assert all("MAC" in one.reason for one in moved.refused)
    assert other.first_break(whole) is None
    other.open_keys(whole)
    assert take_over(other, whole).epoch == 2
    assert verified(other).is_whole


def test_a_plain_export_is_what_whoever_imports_it_vouches_for(
    ledger: Ledger, other: Ledger, tmp_path: Path
) -> None:
    run_id = kept_run(ledger, '"a"', status="failed")
    exported(ledger, tmp_path / "plain.db")
    in_file = SqliteLedger(tmp_path / "plain.db", other.payloads)
    assert in_file.first_break(run_id) is None
    # It is for reading: nobody goes on with a run in it.
    with pytest.raises(LedgerCorrupt):
        take_over(in_file, run_id)
    in_file.close()
    assert imported(other, tmp_path / "plain.db").added == 1
    assert other.first_break(run_id) is None


def edited(ledger: Ledger, run_id: str) -> None:
    changed(ledger, "UPDATE outcomes SET trust = 'trusted' WHERE run_id = ? AND kind = 'step'", run_id)
    rehashed(ledger, lambda statement, *values: changed(ledger, statement, *values), run_id)
