"""Judged cases under work on the store as a whole, on each engine: pruned, forgotten, exported and imported."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import Place
from ledgers import end, started
from scored import a_case, a_metric, a_verdict, an_experiment
from surefoot.ledger import CaseRecord, Evaluations, Ledger, ScoreRecord
from surefoot.ledger.exporting import Exported, export
from surefoot.ledger.importing import Imported, import_runs
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Dropped, Rule, forget, prune
from surefoot.ledger.selecting import Selection
from surefoot.ledger.tables import Tables

SCORES = (
    ScoreRecord("exact", value=False, reason="Ada said so"),
    ScoreRecord("judge", None, failure="no JSON of Ada"),
    ScoreRecord("tone", "polite"),
)


def judged(ledger: Ledger, case: str = "c1", *, is_ended: bool = True, **rest: Any) -> CaseRecord:
    """A case of experiment E1 whose run is in the ledger."""
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment(principal="ann"))
    run_id = started(ledger, principal="ann")
    if is_ended:
        ledger.submit(end(run_id)).wait()
    kept = a_case(case, run_id, *SCORES, error="Ada", metadata={"who": "Ada"}, **rest)
    evaluations.keep([kept]).wait()
    return kept


def bare(case: CaseRecord) -> CaseRecord:
    """What is left of a case of `judged` when what was written of it is gone."""
    pruned = "why there is no value was not recorded, or was pruned with the run"
    scores = (
        ScoreRecord("exact", value=False),
        ScoreRecord("judge", None, failure=pruned),
        ScoreRecord("tone", "polite"),
    )
    return replace(case, error="", metadata={}, scores=scores)


@contextmanager
def tables(ledger: Ledger) -> Iterator[Tables]:
    with closing(tables_of(ledger)) as found:
        yield found


def pruned(ledger: Ledger, what: Any, **rest: Any) -> Dropped:
    with tables(ledger) as found:
        return prune(found, [Rule(what, time.time_ns() + 10**18)], now_ns=time.time_ns(), **rest)


@pytest.mark.parametrize("what", ["payloads", "runs"])
def test_a_pruned_run_keeps_its_numbers_and_nothing_that_was_written(ledger: Ledger, what: str) -> None:
    gone, running = judged(ledger), judged(ledger, "c2", is_ended=False)
    evaluations = Evaluations(ledger)
    before = evaluations.trend(metric="exact")
    assert pruned(ledger, what, is_dry=True).score_texts == 3
    assert list(evaluations.cases("E1")) == [gone, running]
    assert pruned(ledger, what).score_texts == 3
    assert list(evaluations.cases("E1")) == [bare(gone), running]
    assert evaluations.trend(metric="exact") == before
    assert pruned(ledger, what).score_texts == 0


def test_details_alone_leave_what_was_written(ledger: Ledger) -> None:
    kept = judged(ledger)
    assert pruned(ledger, "details").score_texts == 0
    assert list(Evaluations(ledger).cases("E1")) == [kept]


def test_what_comes_after_the_prune_goes_with_the_next(ledger: Ledger) -> None:
    """As of a judge that was at it while the run was pruned."""
    kept = judged(ledger)
    pruned(ledger, "payloads")
    Evaluations(ledger).keep([kept]).wait()
    assert list(Evaluations(ledger).cases("E1")) == [kept]
    assert pruned(ledger, "payloads", is_dry=True).score_texts == 3
    assert pruned(ledger, "payloads").score_texts == 3
    assert list(Evaluations(ledger).cases("E1")) == [bare(kept)]


def test_forgetting_takes_names_and_texts(place: Place, ledger: Ledger) -> None:
    kept = judged(ledger)
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment("E2", principal="bob"))
    with tables(ledger) as found:
        selection = Selection(principal="ann")
        dry = forget(found, selection, now_ns=time.time_ns(), is_dry=True)
        done = forget(found, selection, now_ns=time.time_ns())
    assert (dry.dropped.score_texts, done.dropped.score_texts) == (3, 3)
    assert list(evaluations.cases("E1")) == [bare(kept)]
    assert [evaluations.experiment(name).principal for name in ("E1", "E2")] == ["", "bob"]
    for table in ("experiments", "experiment_cases", "scores"):
        held = str(place.execute(f"SELECT * FROM {table}"))
        assert "Ada" not in held
        assert "ann" not in held


# Moving


def exported(ledger: Ledger, file: Path, **rest: Any) -> Exported:
    with tables(ledger) as found:
        return export(found, ledger.payloads, file, made_ns=1, is_forced=True, **rest)


def imported(ledger: Ledger, file: Path) -> Imported:
    with tables(ledger) as found:
        return import_runs(found, ledger.payloads, file, now_ns=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.db"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Ledger]:
    """Another ledger, that is there already."""
    place = Place("sqlite", tmp_path / "there")
    place.folder.mkdir()
    ledger = place.open()
    started(ledger)
    yield ledger
    ledger.close()


def test_cases_go_with_their_runs_and_bring_their_experiment(
    ledger: Ledger, there: Ledger, file: Path
) -> None:
    first, second = judged(ledger), judged(ledger, "c2")
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment("E2"))
    evaluations.keep([a_case("c9", "R9", experiment="E2")]).wait()
    evaluations.verdict(a_verdict())
    metric = a_metric()
    evaluations.note([metric, a_metric(experiment="E2")]).wait()
    done = exported(ledger, file, selection=Selection(ids=(first.run_id,)))
    assert (done.runs, done.cases, done.verified.is_whole) == (1, 1, True)
    assert (done.verified.experiments, done.verified.scores) == (1, 3)
    assert imported(there, file).cases == 1
    assert imported(there, file).cases == 0
    copy = Evaluations(there)
    assert [each.id for each in copy.experiments()] == ["E1"]
    assert copy.experiment("E1") == evaluations.experiment("E1")
    assert list(copy.cases("E1")) == [first]
    assert copy.noted("E1") == [metric]
    assert copy.noted("E2") == []
    assert copy.verdicts() == [], "nobody passes a gate by a file"
    assert exported(ledger, file).cases == 2
    assert imported(there, file).cases == 1
    assert list(copy.cases("E1")) == [first, second]
    assert copy.trend(metric="tone") == evaluations.trend(metric="tone")


def test_an_import_into_each_engine_gives_what_was_exported(
    place: Place, there: Ledger, ledger: Ledger, file: Path
) -> None:
    kept = judged(there, tenant="acme", scored_ns=10**18)
    exported(there, file)
    started(ledger)
    for _ in range(2):
        assert not imported(ledger, file).refused
    assert list(Evaluations(ledger).cases("E1")) == [kept]
    assert [score.tenant for score in Evaluations(ledger).scores(metric="exact")] == ["acme"]


def test_the_case_that_was_scored_later_stands(ledger: Ledger, there: Ledger, file: Path) -> None:
    old = judged(ledger, scored_ns=5)
    exported(ledger, file)
    imported(there, file)
    new = replace(old, scores=(ScoreRecord("new", 1.0),), scored_ns=9)
    Evaluations(there).keep([new]).wait()
    assert imported(there, file).cases == 0
    assert list(Evaluations(there).cases("E1")) == [new]
    newest = replace(old, scores=(ScoreRecord("newest", 1.0),), scored_ns=10)
    Evaluations(ledger).keep([newest]).wait()
    exported(ledger, file)
    done = imported(there, file)
    assert (done.added, done.kept, done.cases) == (0, 1, 1)
    assert list(Evaluations(there).cases("E1")) == [newest]
    assert Evaluations(there).metrics() == ["newest"]


def test_what_was_pruned_here_does_not_come_back(ledger: Ledger, there: Ledger, file: Path) -> None:
    kept = judged(ledger)
    exported(ledger, file)
    imported(there, file)
    pruned(there, "payloads")
    Evaluations(ledger).keep([replace(kept, scored_ns=10**18)]).wait()
    exported(ledger, file)
    assert imported(there, file).cases == 0
    assert list(Evaluations(there).cases("E1")) == [bare(kept)]


def test_cases_of_another_experiment_of_that_name_are_left_out(
    ledger: Ledger, there: Ledger, file: Path
) -> None:
    kept = judged(ledger)
    exported(ledger, file)
    mine = Evaluations(there).begin(an_experiment(begun_ns=77))
    done = imported(there, file)
    assert (done.added, done.cases, done.other_cases, done.refused) == (1, 0, 1, [])
    assert there.run(kept.run_id).id == kept.run_id
    assert list(Evaluations(there).cases("E1")) == []
    assert Evaluations(there).experiment("E1") == mine


LIES = {
    "a number that is none": "UPDATE scores SET number = 9e999",
    "a status": "UPDATE experiment_cases SET status = 'perfect'",
    "metadata that is no object": "UPDATE experiment_cases SET metadata = '[1]'",
    "metadata that is no JSON": "UPDATE experiment_cases SET metadata = '{'",
    "a kind": "UPDATE experiments SET kind = 'other'",
    "prompts that are a list": "UPDATE experiments SET prompts = '[]'",
    "bytes for a name": "UPDATE scores SET metric = x'00' WHERE metric = 'exact'",
    "a name that is too long": "UPDATE scores SET metric = hex(zeroblob(9000)) WHERE metric = 'exact'",
    "a text for a number": "UPDATE experiment_cases SET cost_nanos = 'free'",
    "a direction": "UPDATE experiment_metrics SET direction = 'sideways'",
    "a range that is none": "UPDATE experiment_metrics SET low = 9e999",
    "labelled cases that are a list": "UPDATE experiment_metrics SET labelled = '[]'",
    "what was said of all that is a list": "UPDATE experiment_metrics SET said = '[]'",
    "a text without an end": "UPDATE scores SET reason = replace(hex(zeroblob(100000)), '0', 'x')",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_file_that_lies_gets_nothing_in(ledger: Ledger, there: Ledger, file: Path, lie: str) -> None:
    kept = judged(there)
    Evaluations(there).note([a_metric()]).wait()
    exported(there, file, selection=Selection(ids=(kept.run_id,)))
    started(ledger)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        # As in a file that no ledger has made.
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT, WITHOUT', ') WITHOUT')")
        connection.execute("PRAGMA writable_schema = RESET")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(lie)
    done = imported(ledger, file)
    assert [refused.run_id for refused in done.refused] == [kept.run_id]
    assert "malformed" in done.refused[0].reason
    evaluations = Evaluations(ledger)
    assert (evaluations.experiments(), list(evaluations.cases("E1")), evaluations.metrics()) == ([], [], [])
    assert evaluations.noted("E1") == []
