"""Scores that are given once a trace was sent: whoever has the trace is owed them, once for each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporting import ended
from hooked import Answer, Hooked
from scored import a_case, an_experiment
from surefoot.config import load
from surefoot.ledger import DeliveryRow, Evaluations, Ledger, ScoreRecord, TakeDeliveries, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.traces.exporter import Exporter, delivery_name
from surefoot.traces.shipping import Shipping
from surefoot.traces.targets import Target

NAME = delivery_name("there")


@pytest.fixture
def scores(ledger: Ledger) -> Evaluations:
    found = Evaluations(ledger)
    found.begin(an_experiment())
    return found


def score(scores: Evaluations, run: str, value: float = 1.0) -> None:
    scores.keep([a_case(run, run, ScoreRecord("exact", value))]).wait()


def sent(ledger: Ledger, run: str) -> None:
    """As if the trace of the run had been sent."""
    ledger.submit(TellDeliveries([kept.owe(DeliveryRow(NAME, run, 1, kept.TRACE))])).result()
    for row in taken(ledger):
        ledger.submit(TellDeliveries([kept.settle(row, now_ns=5)])).result()


def taken(ledger: Ledger) -> list[DeliveryRow]:
    found: Any = ledger.submit(TakeDeliveries(NAME, 60_000_000_000, 10)).result()
    return list(found)


def test_they_are_owed_where_the_trace_is_and_nowhere_else(ledger: Ledger, scores: Evaluations) -> None:
    there, elsewhere = ended(ledger), ended(ledger)
    score(scores, elsewhere)
    sent(ledger, there)
    assert taken(ledger) == []
    score(scores, there)
    [row] = taken(ledger)
    assert (row.run_id, row.event) == (there, kept.SCORES)
    ledger.submit(TellDeliveries([kept.settle(row, now_ns=5)])).result()
    assert taken(ledger) == []
    score(scores, there, 0.5)
    assert [row.event for row in taken(ledger)] == [kept.SCORES]


def test_those_that_come_while_others_are_sent_are_sent_too(ledger: Ledger, scores: Evaluations) -> None:
    run = ended(ledger)
    sent(ledger, run)
    score(scores, run)
    [row] = taken(ledger)
    score(scores, run, 0.5)
    # Whoever took it has read the first score, and settles it now.
    ledger.submit(TellDeliveries([kept.settle(row, now_ns=5)])).result()
    [again] = taken(ledger)
    ledger.submit(TellDeliveries([kept.settle(again, now_ns=6)])).result()
    assert taken(ledger) == []


def test_they_wait_for_a_trace_that_is_owed(ledger: Ledger, scores: Evaluations) -> None:
    run, other = ended(ledger), ended(ledger)
    sent(ledger, other)
    ledger.submit(TellDeliveries([kept.owe(DeliveryRow(NAME, run, 1, kept.TRACE))])).result()
    # Whoever has it has read no score, and the receiver has no trace yet.
    [trace] = taken(ledger)
    score(scores, run)
    score(scores, other)
    assert [row.run_id for row in taken(ledger)] == [other]
    ledger.submit(TellDeliveries([kept.settle(trace, now_ns=5)])).result()
    assert [(row.run_id, row.event) for row in taken(ledger)] == [(run, kept.SCORES)]


def test_several_runs_in_one_entry(ledger: Ledger, scores: Evaluations) -> None:
    runs = [ended(ledger) for _ in range(3)]
    for run in runs:
        sent(ledger, run)
    scores.keep([a_case(run, run, ScoreRecord("exact", 1.0)) for run in runs]).wait()
    assert sorted(row.run_id for row in taken(ledger)) == sorted(runs)


def test_a_receiver_that_is_down_is_told_of_them_later(
    ledger: Ledger, scores: Evaluations, tmp_path: Path
) -> None:
    with Hooked() as server:
        (tmp_path / "surefoot.toml").write_text(f'[traces.there]\nto = "phoenix"\nurl = "{server.url("")}"\n')
        sending = Exporter(ledger, load(tmp_path, environ={}).config)
        sending.deliver()
        run = ended(ledger)
        score(scores, run)
        assert sending.deliver() == {"there": 1}
        # What was known when the trace went goes with it.
        assert [got.path for got in server.got] == ["/v1/traces", "/v1/span_annotations"]
        score(scores, run, 0.5)
        # The run ended long ago, and its trace is there: it is not behind.
        standing = sending.standing()["there"]
        assert (standing.waiting, standing.lag_seconds) == (1, 0.0)
        server.answers.append(Answer(503))
        assert sending.deliver() == {"there": 1}
        [row] = [
            kept.delivery_of(row) for row in ledger.ask(kept.told_query(NAME, run)) if row[3] == kept.SCORES
        ]
        assert (row.standing, "answered with 503" in row.error) == ("waiting", True)
        ledger.submit(TellDeliveries([kept.settle(row, now_ns=0, again_ns=0)])).result()
        again = Exporter(ledger, load(tmp_path, environ={}).config)
        assert again.deliver() == {"there": 1}
        [told] = json.loads(server.got[-1].body)["data"]
        assert told["result"]["score"] == 0.5
        assert [got.path for got in server.got].count("/v1/traces") == 1
        shipped = again.standing()["there"].shipped
        assert (shipped.runs, shipped.spans, shipped.problem) == (0, 0, "")


def test_a_receiver_of_spans_alone_is_sent_nothing_more(
    ledger: Ledger, scores: Evaluations, tmp_path: Path
) -> None:
    with Hooked() as server:
        (tmp_path / "surefoot.toml").write_text(f'[traces.there]\nurl = "{server.url("")}"\n')
        sending = Exporter(ledger, load(tmp_path, environ={}).config)
        sending.deliver()
        run = ended(ledger)
        assert sending.deliver() == {"there": 1}
        score(scores, run)
        assert sending.deliver() == {"there": 1}
        assert [got.path for got in server.got] == ["/v1/traces"]
        assert sending.standing()["there"].waiting == 0


def standings(ledger: Ledger, run: str) -> dict[str, str]:
    rows = [kept.delivery_of(row) for row in ledger.ask(kept.told_query(NAME, run))]
    return {row.event: row.standing for row in rows}


def due_now(ledger: Ledger, run: str) -> None:
    for row in map(kept.delivery_of, ledger.ask(kept.told_query(NAME, run))):
        if row.done_ns is None:
            again = kept.settle(row, now_ns=0, again_ns=0, error=row.error)
            ledger.submit(TellDeliveries([again])).result()


@pytest.mark.parametrize(
    ("to", "answer"),
    [
        ("phoenix", Answer(401)),
        ("phoenix", Answer(500)),
        ("phoenix", Answer(503)),
        ("mlflow", Answer(200, body=b"<html>")),
    ],
)
def test_spans_that_were_taken_are_not_sent_again_for_what_is_said_of_them(
    ledger: Ledger, scores: Evaluations, tmp_path: Path, to: str, answer: Answer
) -> None:
    with Hooked() as server:
        text = f'[traces.there]\nto = "{to}"\nurl = "{server.url("")}"\n'
        (tmp_path / "surefoot.toml").write_text(text)

        def deliver() -> int:
            return Exporter(ledger, load(tmp_path, environ={}).config).deliver()["there"]

        deliver()
        run, unscored = ended(ledger), ended(ledger)
        score(scores, run)
        # The spans of both, and then what is said: of both at once, and of each.
        server.answers += [Answer(), *[answer] * 3]
        assert deliver() == 2
        assert standings(ledger, run) == {kept.TRACE: "delivered", kept.SCORES: "waiting"}
        assert standings(ledger, unscored) == {kept.TRACE: "delivered"}
        server.answers.clear()
        server.answers.append(answer)
        due_now(ledger, run)
        assert deliver() == 1
        assert standings(ledger, run)[kept.SCORES] == "waiting"
        server.answers.clear()
        server.before = lambda: server.answers.append(Answer(body=b"{}"))
        due_now(ledger, run)
        assert deliver() == 1
        assert standings(ledger, run) == {kept.TRACE: "delivered", kept.SCORES: "delivered"}
        assert [got.path for got in server.got].count("/v1/traces") == 1


def test_scores_with_which_a_server_fails_keep_no_others_waiting(
    ledger: Ledger, scores: Evaluations, tmp_path: Path
) -> None:
    with Hooked() as server:
        (tmp_path / "surefoot.toml").write_text(f'[traces.there]\nto = "phoenix"\nurl = "{server.url("")}"\n')
        sending = Exporter(ledger, load(tmp_path, environ={}).config)
        sending.deliver()
        runs = [ended(ledger) for _ in range(3)]
        for run, value in zip(runs, (0.1, 0.2, 0.3), strict=True):
            score(scores, run, value)

        def answer() -> None:
            if b'"score":0.2' in server.got[-1].body:
                server.answers.append(Answer(500))

        server.before = answer
        assert sending.deliver() == {"there": 3}
        assert [standings(ledger, run)[kept.TRACE] for run in runs] == ["delivered"] * 3
        assert [standings(ledger, run).get(kept.SCORES) for run in runs] == [None, "waiting", None]


def test_a_server_that_goes_while_each_is_told_alone_keeps_the_spans(
    ledger: Ledger, scores: Evaluations, tmp_path: Path
) -> None:
    with Hooked() as server:
        (tmp_path / "surefoot.toml").write_text(f'[traces.there]\nto = "phoenix"\nurl = "{server.url("")}"\n')
        sending = Exporter(ledger, load(tmp_path, environ={}).config)
        sending.deliver()
        runs = [ended(ledger) for _ in range(3)]
        for run in runs:
            score(scores, run)
        # The spans, the scores of all, and those of the first and of the second.
        server.answers += [Answer(), Answer(500), Answer(), Answer(503)]
        assert sending.deliver() == {"there": 3}
        assert [standings(ledger, run)[kept.TRACE] for run in runs] == ["delivered"] * 3
        assert sorted(str(standings(ledger, run).get(kept.SCORES)) for run in runs) == [
            "None",
            "waiting",
            "waiting",
        ]


def test_credentials_that_no_header_carries_are_waited_for_and_not_told(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tell-nobody\n")
    with Hooked() as server:
        text = f'[mlflow]\nexperiment = "answers"\n[traces.there]\nto = "mlflow"\nurl = "{server.url("")}"\n'
        (tmp_path / "surefoot.toml").write_text(text)
        sending = Exporter(ledger, load(tmp_path, environ={}).config)
        sending.deliver()
        run = ended(ledger)
        assert sending.deliver() == {"there": 1}
        [row] = [kept.delivery_of(row) for row in ledger.ask(kept.told_query(NAME, run))]
        assert (row.standing, "header authorization" in row.error) == ("waiting", True)
        assert "tell-nobody" not in f"{row.error} {caplog.text} {sending.standing()}"
        assert server.got == []


def test_a_receiver_that_cannot_be_looked_up_is_at_fault_and_no_trace(ledger: Ledger) -> None:
    def target() -> Target:
        raise ValueError("nobody thought of that")

    run = ended(ledger)
    ledger.submit(TellDeliveries([kept.owe(DeliveryRow(NAME, run, 1, kept.TRACE))])).result()
    assert Shipping(ledger, NAME, target).send_due() == 1
    assert standings(ledger, run) == {kept.TRACE: "waiting"}


def test_for_a_receiver_of_spans_alone_no_trace_is_read_for_its_scores(
    ledger: Ledger, scores: Evaluations
) -> None:
    run = ended(ledger)
    sent(ledger, run)
    score(scores, run)
    worked: list[float] = []
    shipping = Shipping(ledger, NAME, lambda: Target("http://127.0.0.1:9/v1/traces"), rest=worked.append)
    assert shipping.send_due() == 1
    assert standings(ledger, run) == {kept.TRACE: "delivered", kept.SCORES: "delivered"}
    # It is told of each trace that was read.
    assert worked == []
