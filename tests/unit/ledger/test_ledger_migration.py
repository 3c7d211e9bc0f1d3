"""A ledger that an earlier version wrote goes on with this one, and nothing of it is lost."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledgers import open_ledger, outcome, start, take_over
from scored import a_case, an_experiment
from surefoot.ledger import Append, Evaluations, Prompts, SqliteLedger
from surefoot.ledger.exporting import export
from surefoot.ledger.opening import tables_of
from surefoot.ledger.schema import VERSION
from surefoot.ledger.verifying import verify
from surefoot.values import new_id

COMPLETED, RUNNING = "01JCV1COMPLETED00000000000", "01JCV1RUNNING0000000000000"
KEY = "11" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    shutil.copy(Path(__file__).parent / "files" / "v1.db", tmp_path / "ledger.db")
    ledger = open_ledger(tmp_path, key=KEY)
    yield ledger
    ledger.close()


def migrated(ledger: SqliteLedger) -> SqliteLedger:
    """The first write brings the tables to this version."""
    ledger.submit(start(new_id())).wait()
    assert ledger.format() == VERSION
    return ledger


def test_the_file_is_one_of_version_one() -> None:
    connection = sqlite3.connect(f"file:{Path(__file__).parent / 'files' / 'v1.db'}?mode=ro", uri=True)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_runs_outcomes_and_payloads_are_what_they_were(ledger: SqliteLedger) -> None:
    migrated(ledger)
    run = ledger.run(COMPLETED)
    assert (run.status, run.tenant, run.principal, run.run_key) == ("completed", "acme", "ann", "invoice-17")
    assert run.tags == {"team": "a", "case": "7"}
    assert (run.deadline_ns, run.pruned_ns) == (None, None)
    outputs = [ledger.exact(COMPLETED, link.outcome.output) for link in ledger.history(COMPLETED)[1:4]]
    assert outputs == ['"plain"', '"a secret word"', '"' + "x" * 9000 + '"']
    assert ledger.first_break(COMPLETED) is None
    assert ledger.first_break(RUNNING) is None
    assert ledger.check() == "ok"


def test_runs_are_found_by_what_has_an_index_now(ledger: SqliteLedger) -> None:
    migrated(ledger)
    assert [run.id for run in ledger.runs(tags={"case": "7", "team": "a"})] == [COMPLETED]
    assert [run.id for run in ledger.runs(principal="ann")] == [COMPLETED]
    assert [run.id for run in ledger.runs(run_key="invoice-17", tenant="acme")] == [COMPLETED]
    assert ledger.runs(tags={"case": "8"}) == []


def test_an_unfinished_run_goes_on(ledger: SqliteLedger) -> None:
    assert take_over(ledger, RUNNING).epoch == 2
    ledger.submit(Append(outcome(RUNNING, 2, epoch=2), [])).wait()
    assert [link.outcome.name for link in ledger.history(RUNNING)] == ["flow", "step-1", "step-2"]
    assert ledger.first_break(RUNNING) is None
    assert [message.id for message in ledger.messages([RUNNING])] == ["v1-1"]


def test_a_file_that_is_only_read_before_the_first_write(ledger: SqliteLedger) -> None:
    assert ledger.run(COMPLETED).status == "completed"
    assert {run.id for run in ledger.runs(limit=10)} == {COMPLETED, RUNNING}
    assert [run.id for run in ledger.runs(tags={"case": "7"})] == [COMPLETED]
    assert [message.id for message in ledger.messages([RUNNING])] == ["v1-1"]


# Format 5, the last one without experiments

JUDGED, GOING = "01JCV5COMPLETED00000000000", "01JCV5RUNNING0000000000000"


@pytest.fixture
def fifth(tmp_path: Path) -> Iterator[SqliteLedger]:
    shutil.copy(Path(__file__).parent / "files" / "v5.db", tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
    ledger = open_ledger(tmp_path, key=KEY)
    yield ledger
    ledger.close()


def test_runs_of_format_five_can_be_judged(fifth: SqliteLedger) -> None:
    evaluations = Evaluations(fifth)
    assert evaluations.experiments() == []
    assert fifth.format() == VERSION
    assert [label.label for label in Prompts(fifth).labels("p")] == ["production"]
    assert {text.text for text in Prompts(fifth).texts("p")} == {"hello"}
    assert [run.id for run in fifth.runs(without_tag="experiment")] == [GOING]
    begun = evaluations.begin(an_experiment())
    kept = a_case("7", JUDGED)
    evaluations.keep([kept]).wait()
    assert (evaluations.experiment("last"), list(evaluations.cases("E1"))) == (begun, [kept])
    assert [fifth.first_break(run) for run in (JUDGED, GOING)] == [None, None]
    assert fifth.exact(JUDGED, fifth.outcomes(JUDGED)[1].output) == '"the key is hunter22"'
    assert take_over(fifth, GOING).epoch == 2


def test_work_on_the_whole_store_brings_the_file_forward(fifth: SqliteLedger, tmp_path: Path) -> None:
    with closing(tables_of(fifth)) as tables:
        done = export(tables, fifth.payloads, tmp_path / "out.db", made_ns=1)
        assert verify(tables, fifth.payloads).is_whole
    assert (done.runs, done.cases, done.verified.is_whole) == (2, 0, True)
