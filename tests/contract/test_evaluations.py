"""What a ledger keeps of evaluations, on each engine: experiments, judged cases with scores, verdicts."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from engines import Place
from ledgers import end, start
from scored import a_case, a_metric, a_verdict, an_experiment
from surefoot.errors import InvalidInput, LedgerError, UnknownExperiment
from surefoot.ledger import (
    CaseRecord,
    Evaluations,
    Ledger,
    ScoreRecord,
    Summary,
    Totals,
    TrendBucket,
)
from surefoot.values import Money, first_id, new_id

DAY = 86_400_000_000_000


@pytest.fixture
def kept(ledger: Ledger) -> Evaluations:
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment())
    return evaluations


def test_an_experiment_comes_back_as_it_was_begun(ledger: Ledger) -> None:
    record = an_experiment(repeats=3, tenant="acme", principal="ann", kind="backtest")
    evaluations = Evaluations(ledger)
    assert evaluations.begin(record) == record
    assert evaluations.begin(replace(record, name="other")) == record, "the first one stands"
    assert Evaluations(ledger).experiment("E1") == record
    assert evaluations.begin(an_experiment("E2", begun_ns=0)).begun_ns > 10**18


def test_nothing_is_made_where_somebody_only_reads(place: Place) -> None:
    evaluations = Evaluations(place.open())
    assert evaluations.experiments() == list(evaluations.cases("E1")) == evaluations.verdicts() == []
    assert (
        evaluations.trend(metric="exact") == evaluations.scores(metric="exact") == evaluations.metrics() == []
    )
    assert evaluations.judged("E1") == (0, 0)
    assert evaluations.among("E1", ["c1"]) == evaluations.among("E1", []) == set()
    assert evaluations.spent("E1", since_ns=0) == (Money(), True)
    assert evaluations.summary("E1") == Summary(0, 0, Totals(), Totals())
    with pytest.raises(UnknownExperiment, match="no experiment yet"):
        evaluations.experiment("last")
    assert not (place.folder / "ledger.db").exists()


def test_an_experiment_is_found_by_its_beginning_and_the_newest_is_the_last(ledger: Ledger) -> None:
    evaluations = Evaluations(ledger)
    made = [new_id(), new_id()]
    for n, name in enumerate((*made, "nightly-1", "nightly-12")):
        evaluations.begin(an_experiment(name, begun_ns=n + 1, flow="answer" if n != 3 else "other"))
    assert evaluations.experiment("nightly-1").id == "nightly-1"
    assert evaluations.experiment("nightly-12").id == evaluations.experiment("last").id == "nightly-12"
    assert evaluations.experiment("last", flow="answer").id == "nightly-1"
    assert evaluations.experiment(made[1].lower()[:-1]).id == made[1]
    evaluations.begin(an_experiment("été-é", begun_ns=0))
    assert evaluations.experiment("été-").id == "été-é"
    with pytest.raises(UnknownExperiment, match="several experiments: nightly-12, nightly-1"):
        evaluations.experiment("night")
    for unknown in ("nobody", "", " ", "%", "é\x00\ud800"):
        with pytest.raises(UnknownExperiment, match="no experiment"):
            evaluations.experiment(unknown)


def test_experiments_are_listed_by_what_they_are(ledger: Ledger) -> None:
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment("A", begun_ns=1, tenant="acme"))
    evaluations.begin(an_experiment("B", begun_ns=2, kind="online", name=""))
    evaluations.begin(an_experiment("C", begun_ns=3, flow="other", dataset_version="d2"))

    def listed(**asked: Any) -> str:
        return "".join(each.id for each in evaluations.experiments(**asked))

    assert listed() == "CBA"
    assert listed(limit=2) == "CB"
    assert listed(flow="answer") == "BA"
    assert listed(kind="online") == "B"
    assert listed(name="nightly") == "CA"
    assert listed(dataset_version="d2") == "C"
    assert listed(since_ns=2, until_ns=3) == "B"
    assert listed(tenant="acme") == "A"
    assert listed(tenant="") == "CB"


def test_a_case_comes_back_with_its_scores(ledger: Ledger, kept: Evaluations) -> None:
    scores = (
        ScoreRecord("exact", value=False, reason="it is another word", scorer="s1"),
        ScoreRecord("f1", 0.25),
        ScoreRecord("judge", None, failure="the judge said no JSON", scorer="s2", judge_run="J1"),
        ScoreRecord("tone", "polite", reason="é\n“”"),
    )
    first = a_case("c1", "R1", *scores)
    failed = CaseRecord("E1", "c2", "R2", "failed", error="ValueError: no", scored_ns=9)
    kept.keep([first, failed]).wait()
    found = list(Evaluations(ledger).cases("E1"))
    assert found == [first, failed]
    assert [type(score.value) for score in found[0].scores] == [bool, float, type(None), str]
    assert kept.judged("E1") == (2, 1)
    assert kept.cases_of_run("R1") == [first]


def test_a_case_that_is_kept_again_stands_once_with_its_new_scores(kept: Evaluations) -> None:
    kept.keep([a_case("c1", "R1", ScoreRecord("exact", value=True), ScoreRecord("gone", 1.0))]).wait()
    again = a_case("c1", "R1", ScoreRecord("exact", value=False), ScoreRecord("new", 0.5))
    kept.keep([again]).wait()
    assert list(kept.cases("E1")) == [again]
    assert kept.metrics() == ["exact", "new"]
    other_run = a_case("c1", "R2", ScoreRecord("exact", value=True))
    kept.keep([other_run]).wait()
    assert list(kept.cases("E1")) == [other_run]
    assert [score.run_id for score in kept.scores(metric="exact")] == ["R2"]
    repeat = a_case("c1", "R3", repeat=2)
    kept.keep([other_run, repeat, other_run]).wait()
    assert list(kept.cases("E1")) == [other_run, repeat]


def test_cases_come_in_order_of_their_place_however_they_were_kept(kept: Evaluations) -> None:
    places = [(n * 7919) % 1000 for n in range(1000)]
    cases = [
        a_case(f"case-{1000 - place}", f"R{place}-{repeat}", place=place, repeat=repeat)
        for place in places
        for repeat in (2, 1)
    ]
    for begin in range(0, len(cases), 100):
        kept.keep(cases[begin : begin + 100])
    kept.keep([]).wait()
    read = kept.cases("E1")
    assert [(case.place, case.repeat) for case in read] == [
        (n, repeat) for n in range(1000) for repeat in (1, 2)
    ]


def test_a_bad_score_is_refused_and_takes_no_other_along(kept: Evaluations) -> None:
    with pytest.raises(InvalidInput, match="'f1' is nan"):
        kept.keep([a_case("c1", "R1", ScoreRecord("f1", float("nan")))])
    with pytest.raises(
        InvalidInput, match="'f1' is a number of thousands of digits, which cannot be averaged"
    ):
        kept.keep([a_case("c1", "R1", ScoreRecord("f1", 10**5000))])
    with pytest.raises(UnknownExperiment, match="begin it"):
        kept.keep([replace(a_case(), experiment="E2")])
    for bad in (a_case("x" * 401), a_case(""), a_case("c", "R", ScoreRecord("m" * 201, 1.0))):
        with pytest.raises(InvalidInput, match="characters"):
            kept.keep([bad])
    good = [kept.keep([a_case(f"good-{n}", f"G{n}")]) for n in range(3)]
    wrong = [
        kept.keep([a_case("bad", "B1", latency_ns=2**70)]),
        kept.keep([a_case("bad", "B2", latency_ns="soon")]),
        kept.keep([a_case("bad", "B3", repeat=None)]),
    ]
    good += [kept.keep([a_case(f"good-{n}", f"G{n}")]) for n in range(3, 6)]
    for pending in good:
        pending.wait()
    for pending in wrong:
        with pytest.raises(LedgerError, match="judged case of experiment E1 cannot be recorded"):
            pending.wait()
    assert [case.case for case in kept.cases("E1")] == [f"good-{n}" for n in range(6)]


def test_a_trend_adds_up_by_spans_of_time(kept: Evaluations) -> None:
    values: list[Any] = [(0, 0.5), (1, 0.25), (1, None), (3, 1.0), (5, 4.0)]
    kept.keep(
        [
            a_case(
                f"c{n}",
                f"R{n}",
                ScoreRecord("f1", value, failure="" if value else "no"),
                scored_ns=day * DAY + n + 1,
            )
            for n, (day, value) in enumerate(values)
        ]
    ).wait()
    assert kept.trend(metric="f1", until_ns=5 * DAY) == [
        TrendBucket(0, 1, 0, 0.5, 0.25, kinds={"eval": 1}),
        TrendBucket(DAY, 1, 1, 0.25, 0.0625, kinds={"eval": 2}),
        TrendBucket(3 * DAY, 1, 0, 1.0, 1.0, kinds={"eval": 1}),
    ]
    whole = kept.trend(metric="f1", bucket_ns=10 * DAY)
    assert whole == [TrendBucket(0, 4, 1, 5.75, 17.3125, kinds={"eval": 5})]
    assert whole[0].mean == 5.75 / 4
    assert whole[0].coverage == 0.8
    assert whole[0].variance == pytest.approx(3.015625)
    assert [score.value for score in kept.scores(metric="f1", since_ns=DAY)] == [4.0, 1.0, None, 0.25]
    assert kept.trend(metric="f1", flow="other") == kept.trend(metric="f1", kind="online") == []
    assert kept.trend(metric="nothing") == []
    with pytest.raises(InvalidInput, match="bucket_ns"):
        kept.trend(metric="f1", bucket_ns=0)


def test_a_trend_tells_verdicts_and_labels_apart(kept: Evaluations) -> None:
    cases = [
        a_case(f"c{n}", f"R{n}", ScoreRecord("ok", value=n < 3), ScoreRecord("tone", "good" if n else "bad"))
        for n in range(5)
    ]
    kept.keep(cases).wait()
    (ok,) = kept.trend(metric="ok")
    assert (ok.n, ok.total, ok.is_rate, ok.mean) == (5, 3.0, True, 0.6)
    (tone,) = kept.trend(metric="tone")
    assert (tone.n, tone.numbers, dict(tone.labels), tone.mean) == (5, 0, {"good": 4, "bad": 1}, None)


def test_scores_are_of_the_tenant_of_the_run(ledger: Ledger) -> None:
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment(kind="online"))
    mine = a_case("R1", "R1", tenant="acme")
    evaluations.keep([mine, a_case("R2", "R2", tenant="other"), a_case("R3", "R3")]).wait()
    assert list(evaluations.cases("E1", tenant="acme")) == [mine]
    assert evaluations.cases_of_run("R1", tenant="other") == []
    assert evaluations.judged("E1", tenant="acme") == (1, 0)
    assert [score.run_id for score in evaluations.scores(metric="exact", tenant="acme")] == ["R1"]
    assert [bucket.n for bucket in evaluations.trend(metric="exact", tenant="")] == [1]
    assert evaluations.metrics(tenant="nobody") == []


def test_what_is_known_of_a_metric_stays_until_its_scorer_is_another_one(kept: Evaluations) -> None:
    first, second = a_metric(), a_metric("other", place=1, direction="higher", high=1.0, labelled={})
    kept.note([second, first]).wait()
    assert kept.noted("E1") == [first, second]
    assert kept.noted("E2") == []
    # Begun again, before its judge is asked about labelled cases.
    kept.note([a_metric(labelled={}, place=2, noted_ns=8)]).wait()
    assert kept.noted("E1") == [second, a_metric(place=2, noted_ns=8)]
    kept.note([a_metric(noted_ns=3, direction="higher")]).wait()
    assert kept.noted("E1")[1].direction == "lower", "what is older does not count"
    kept.note([a_metric(scorer="another", labelled={}, noted_ns=9)]).wait()
    assert kept.noted("E1")[0] == a_metric(scorer="another", labelled={}, noted_ns=9)
    with pytest.raises(InvalidInput, match="name of a metric"):
        kept.note([a_metric("m" * 201)]).wait()


def test_verdicts_are_kept_as_they_were_and_the_newest_comes_first(ledger: Ledger) -> None:
    evaluations = Evaluations(ledger)
    one = a_verdict("V2", judged_ns=9)
    two = a_verdict(
        "V1", has_passed=True, reasons=(), gate="other", subjects={"judge": "c" * 64, "answer": "d" * 64}
    )
    assert evaluations.verdict(one) == one
    assert evaluations.verdict(two) == two
    assert evaluations.verdict(replace(one, has_passed=True)) == one, "the first one stands"
    assert evaluations.verdicts() == [two, one]
    assert evaluations.verdicts(limit=1) == [two]
    assert evaluations.verdicts(gate="release") == evaluations.verdicts(digest="bbbb") == [one]
    assert evaluations.verdicts(subject="answer") == [two, one]
    assert evaluations.verdicts(subject="judge", digest="d") == []
    assert evaluations.verdicts(subject="answer", digest="d" * 64, gate="other") == [two]
    assert evaluations.verdicts(candidate="E9") == evaluations.verdicts(tenant="acme") == []
    assert evaluations.verdict(a_verdict("V3", judged_ns=0)).judged_ns > 10**18


def test_which_of_many_cases_are_judged(ledger: Ledger, kept: Evaluations) -> None:
    cases = [f"c{n}" for n in range(1200)]
    kept.begin(an_experiment("E2"))
    odd = "it's \N{SNOWMAN} 100%"
    kept.keep([a_case(name, f"R-{name}") for name in (*cases[::3], odd)]).wait()
    kept.keep([a_case("c0", "R0b", repeat=2), replace(a_case("c1", "R1"), experiment="E2")]).wait()
    asked = Evaluations(ledger)
    assert asked.among("E1", [*cases, odd, "c", "%"]) == {*cases[::3], odd}
    assert asked.among("E2", cases) == {"c1"}
    assert asked.among("E", cases) == asked.among("E1", []) == set()
    assert asked.among("E1", ["c0", "c0", "nul\x00", "\ud800"]) == {"c0"}


def ended(ledger: Ledger, experiment: str, nanos: int, *, is_complete: bool = True) -> str:
    """A run of an experiment that has cost so much."""
    run_id = new_id()
    ledger.submit(start(run_id, tags={"experiment": experiment, "scorer": "polite"})).wait()
    totals = Totals(1, 1, cost=Money(nanos), is_cost_complete=is_complete)
    ledger.submit(replace(end(run_id), totals=totals)).wait()
    return run_id


def test_what_the_runs_of_an_experiment_have_cost_since(ledger: Ledger, kept: Evaluations) -> None:
    ledger.submit(start(new_id(), tags={"experiment": "E1"})).wait()
    assert kept.spent("E1", since_ns=0) == (Money(), True), "it has not ended"
    # More than 32 bits hold, and of other experiments.
    for nanos in (5_000_000_000, 7):
        ended(ledger, "E1", nanos)
    ended(ledger, "E12", 1)
    assert kept.spent("E1", since_ns=0) == (Money(5_000_000_007), True)
    later = time.time_ns() + DAY
    assert kept.spent("E1", since_ns=later) == (Money(), True)
    ended(ledger, "E1", 3, is_complete=False)
    assert Evaluations(ledger).spent("E1", since_ns=0) == (Money(5_000_000_010), False)
    assert kept.spent("E12", since_ns=0) == (Money(1), True)
    assert kept.spent("\ud800'", since_ns=0) == (Money(), True)


def test_the_summary_of_an_experiment_is_added_up_by_the_engine(ledger: Ledger, kept: Evaluations) -> None:
    kept.begin(an_experiment("E2"))
    kept.keep(
        [
            a_case("c1", "R1", ScoreRecord("f1", 0.5, judge_run="J1"), ScoreRecord("ok", value=True)),
            a_case("c2", "R2", ScoreRecord("f1", 0.25), ScoreRecord("ok", value=False), tenant="acme"),
            a_case("c3", "R3", ScoreRecord("f1", None, failure="no"), ScoreRecord("tone", "good")),
            CaseRecord("E1", "c4", "R4", "failed", error="ValueError: no", scored_ns=9),
            # A run may stand for cases of several experiments.
            replace(a_case("c1", "R1", ScoreRecord("f1", 9.0)), experiment="E2"),
        ]
    ).wait()
    found = Evaluations(ledger).summary("E1")
    assert (found.judged, found.failed) == (4, 1)
    assert found.totals == Totals(cost=Money(210))
    assert found.judging == Totals(cost=Money(90), is_cost_complete=False)
    assert found.by_judges == {"f1"}
    f1, ok, tone = (found.metrics[name] for name in ("f1", "ok", "tone"))
    assert (f1.n, f1.failures, f1.mean, f1.coverage) == (2, 1, 0.375, 2 / 3)
    assert f1.variance == pytest.approx(0.03125)
    assert (ok.n, ok.is_rate, ok.mean) == (2, True, 0.5)
    assert (tone.n, dict(tone.labels), tone.mean) == (1, {"good": 1}, None)
    of_tenant = kept.summary("E1", tenant="acme")
    assert (of_tenant.judged, of_tenant.metrics["f1"].mean, set(of_tenant.metrics)) == (1, 0.25, {"f1", "ok"})
    assert kept.summary("E1", tenant="nobody") == kept.summary("E3") == Summary(0, 0, Totals(), Totals())
    assert kept.summary("E2").metrics["f1"].mean == 9.0


def test_the_summary_of_production_begins_at_a_moment(ledger: Ledger) -> None:
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment(kind="online"))
    days = [f"{first_id(day * DAY)[:10]}{'Z' * 16}" for day in (1, 2, 3)]
    evaluations.keep([a_case(run, run, ScoreRecord("f1", float(n))) for n, run in enumerate(days)]).wait()
    assert [evaluations.summary("E1", first=first_id(day * DAY)).judged for day in (0, 1, 2, 3, 4)] == [
        *(3, 3, 2, 1, 0)
    ]
    assert evaluations.summary("E1", first=first_id(2 * DAY)).metrics["f1"].total == 3.0
    assert [case.case for case in evaluations.cases("E1", first=days[1])] == days[1:]
