"""What becomes of judged cases in a fault, on each engine: killed and racing processes, cuts, secrets, a full disk."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

import postgres
from engines import Place
from ledgers import started
from scored import a_case, a_metric, a_verdict, an_experiment
from surefoot.errors import InvalidInput, LedgerCorrupt, LedgerError, LedgerFull
from surefoot.ledger import Evaluations, Ledger, PostgresLedger, ScoreRecord, SqliteLedger
from surefoot.ledger.opening import tables_of
from surefoot.ledger.verifying import verify


@pytest.fixture
def kept(ledger: Ledger) -> Evaluations:
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment())
    return evaluations


RACING = """
from scored import a_case, an_experiment
from surefoot.ledger import Evaluations, ScoreRecord
evaluations = Evaluations(place.open())
evaluations.begin(an_experiment())
print("ready", flush=True)
sys.stdin.readline()
me = sys.argv[1]
order = range(60) if me == "ann" else range(59, -1, -1)
for turn in range(5):
    for start in range(0, 60, 20):
        some = [order[n] for n in range(start, start + 20)]
        evaluations.keep([
            a_case(f"c{n}", f"{me}-{n}-{turn}", ScoreRecord("exact", n % 2 == 0), ScoreRecord(me, 1.0), place=n)
            for n in some
        ])
evaluations.keep([]).wait()
"""


def test_processes_that_judge_the_same_cases_leave_each_once_with_its_own_scores(
    place: Place, kept: Evaluations
) -> None:
    racers = [place.in_child(RACING, name) for name in ("ann", "bob", "cid")]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        _, said = racer.communicate(timeout=60)
        assert racer.returncode == 0, said
    cases = list(kept.cases("E1"))
    assert [case.case for case in cases] == [f"c{n}" for n in range(60)]
    for case in cases:
        who = case.run_id.partition("-")[0]
        assert {score.metric for score in case.scores} == {"exact", who}
    (bucket,) = kept.trend(metric="exact")
    assert (bucket.n, bucket.total) == (60, 30.0)


KILLED = """
import os, signal
from scored import a_case
from surefoot.ledger import Evaluations
evaluations = Evaluations(place.open())
for n in range(5):
    evaluations.keep([a_case(f"c{n}", f"R{n}", place=n)]).wait()
pending = evaluations.keep([a_case("late", "R9", place=9)])
if sys.argv[1] == "after":
    pending.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_is_killed_leaves_what_it_waited_for(
    place: Place, kept: Evaluations, moment: str
) -> None:
    child = place.in_child(KILLED, moment)
    child.communicate(timeout=60)
    assert child.returncode == -9
    there = [case.case for case in kept.cases("E1")]
    assert there == [f"c{n}" for n in range(5)] + ["late"] * (moment == "after")
    # Whoever goes on judges what is missing, and perhaps what is there.
    kept.keep([a_case(f"c{n}", f"R{n}", place=n) for n in range(5)])
    kept.keep([a_case("late", "R9", place=9)]).wait()
    assert [case.case for case in kept.cases("E1")] == [*(f"c{n}" for n in range(5)), "late"]
    assert kept.trend(metric="exact")[0].n == 6


def test_threads_that_keep_cases_at_once_lose_none(kept: Evaluations) -> None:
    def keep(who: int) -> None:
        for n in range(25):
            kept.keep([a_case(f"c{n}-{who}", f"R{n}-{who}")]).wait()

    threads = [threading.Thread(target=keep, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.judged("E1") == (200, 0)
    assert kept.trend(metric="exact")[0].n == 200


def test_a_server_that_is_killed_meanwhile_has_each_case_once(tmp_path: Any) -> None:
    with postgres.private_server() as server:
        place = Place("postgres", tmp_path, server.new_database())
        ledger = place.open()
        evaluations = Evaluations(ledger)
        evaluations.begin(an_experiment())
        pending = [evaluations.keep([a_case(f"c{n}", f"R{n}", place=n)]) for n in range(300)]
        ledger.nudge()
        server.kill()
        server.start()
        pending += [evaluations.keep([a_case(f"c{n}", f"R{n}", place=n)]) for n in range(300)]
        for one in pending:
            one.wait()
        assert [case.place for case in evaluations.cases("E1")] == list(range(300))
        assert evaluations.trend(metric="exact")[0].n == 300
        ledger.close()


def test_what_is_written_again_after_a_cut_is_the_same(place: Place, ledger: Ledger) -> None:
    """As after a connection that was cut before the answer came: the driver's end of it is dropped."""
    if not isinstance(ledger, PostgresLedger):
        pytest.skip("a file is not cut off")
    evaluations = Evaluations(ledger)
    begun = evaluations.begin(an_experiment())
    case, verdict = a_case(), a_verdict()
    for _ in range(2):
        evaluations.keep([case]).wait()
        assert evaluations.verdict(verdict) == verdict
        assert evaluations.begin(replace(begun, name="other")) == begun
        place.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert list(evaluations.cases("E1")) == [case]
    assert evaluations.verdicts() == [verdict]


def test_a_full_disk_takes_a_case_with_its_scores_or_neither(ledger: Ledger, kept: Evaluations) -> None:
    if not isinstance(ledger, SqliteLedger):
        pytest.skip("the disk of a server is its own")
    connection = ledger._connection
    assert connection is not None
    kept.keep([a_case()]).wait()
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    long = [ScoreRecord(f"m{n}", 1.0, reason="x" * 10_000) for n in range(20)]
    with pytest.raises(LedgerFull):
        kept.keep([a_case("c1", "R2", *long)]).wait()
    assert [case.run_id for case in kept.cases("E1")] == ["R1"]
    assert kept.metrics() == ["exact"]
    connection.execute("PRAGMA max_page_count = 1000000")
    kept.keep([a_case("c1", "R2", *long)]).wait()
    assert [len(case.scores) for case in kept.cases("E1")] == [20]


def hide(found: str) -> str | None:
    return found.replace("hunter22", "***") if "hunter22" in found else None


def test_no_secret_gets_into_what_people_read(place: Place) -> None:
    ledger = place.open(privacy=hide)
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment(settings={"key": "hunter22"}))
    scores = (
        ScoreRecord("label", "it is hunter22", reason="said hunter22"),
        ScoreRecord("none", None, failure="no hunter22"),
        ScoreRecord("number", 0.5, reason="plain"),
    )
    kept = a_case("c1", "R1", *scores, error="hunter22!", metadata={"who": "hunter22", "n": 1})
    evaluations.keep([kept]).wait()
    evaluations.verdict(a_verdict(reasons=("hunter22 got worse", "plain")))
    (case,) = evaluations.cases("E1")
    assert case.scores == (
        ScoreRecord("label", "it is ***", reason="said ***"),
        ScoreRecord("none", None, failure="no ***"),
        ScoreRecord("number", 0.5, reason="plain"),
    )
    assert (case.error, case.metadata) == ("***!", {"who": "***", "n": 1})
    assert evaluations.experiment("E1").settings == {"key": "***"}
    assert evaluations.verdicts()[0].reasons == ("*** got worse", "plain")
    for table in ("experiments", "experiment_cases", "scores", "verdicts"):
        assert "hunter22" not in str(place.execute(f"SELECT * FROM {table}"))


def test_metadata_that_a_mask_has_broken_is_left_out(place: Place) -> None:
    ledger = place.open(privacy=lambda text: text.replace('"', "") if "break" in text else None)
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment())
    evaluations.keep([a_case(metadata={"break": "it"})]).wait()
    assert [dict(case.metadata) for case in evaluations.cases("E1")] == [{}]


def test_texts_from_anywhere_are_taken_and_have_a_length(kept: Evaluations) -> None:
    odd = "a\x00b\ud800é"
    scores = (
        ScoreRecord("m", odd * 400, reason=odd),
        ScoreRecord("none", None, failure="f" * 50_000),
    )
    metadata: dict[str, Any] = {odd: [odd, 2**70, float("nan"), None], "é": {"n": 1}}
    kept.keep([a_case("c1", "R1", *scores, error=odd, metadata=metadata)]).wait()
    (case,) = kept.cases("E1")
    label, none = case.scores
    assert isinstance(label.value, str)
    assert (len(label.value), len(none.failure)) == (300, 20_000)
    clean = "a\ufffdb\\ud800é"
    assert case.metadata == {clean: [clean, str(2**70), None, None], "é": {"n": 1}}
    assert [score.value for score in kept.scores(metric="m")] == [label.value]
    for named in (a_case(odd, "R1"), a_case("c1", "R1", ScoreRecord(f"m{odd}", 1.0))):
        with pytest.raises(InvalidInput, match="in which is a NUL or half of a character"):
            kept.keep([named])


def test_a_damaged_case_is_told(place: Place, kept: Evaluations) -> None:
    kept.keep([a_case()]).wait()
    place.execute("UPDATE experiment_cases SET metadata = '[1'")
    place.execute("UPDATE experiments SET settings = '7'")
    with pytest.raises(LedgerCorrupt, match=r"evaluations is damaged"):
        list(kept.cases("E1"))
    with pytest.raises(LedgerCorrupt, match=r"evaluations is damaged"):
        kept.experiments()


def test_verify_finds_scores_of_nothing(place: Place, ledger: Ledger, kept: Evaluations) -> None:
    started(ledger)
    kept.keep([a_case("c1", "R1"), a_case("c2", "R2")]).wait()
    with closing(tables_of(ledger)) as tables:
        whole = verify(tables, ledger.payloads)
        assert (whole.is_whole, whole.experiments, whole.scores) == (True, 1, 2)
        place.execute("DELETE FROM experiment_cases WHERE case_id = 'c1'")
        kept.note([a_metric()]).wait()
        place.execute("DELETE FROM experiments")
        found = verify(tables, ledger.payloads)
    assert found.damage == [
        "1 judged case of experiments that are not there",
        "1 score of cases that are not there",
        "1 metric of experiments that are not there",
    ]


def test_a_ledger_that_is_away_says_so(tmp_path: Any) -> None:
    with postgres.private_server() as server:
        url = server.new_database()
    ledger = Place("postgres", tmp_path, url).open()
    with pytest.raises(LedgerError, match="cannot be reached"):
        Evaluations(ledger).experiments()
    with pytest.raises(LedgerError, match="cannot be reached"):
        Evaluations(ledger).begin(an_experiment())
    ledger.close()
