"""Traces to receivers in the background: at least once, whatever dies, and never in the way of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import Place
from exporting import SECOND, SENDER, arrived, due_now, ended, exporter, finish, rows, until
from ledgers import take_over
from receiver import Receiver, Reply
from surefoot.ledger import DeliveryRow, EndRow, Ledger, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Rule, prune
from surefoot.tracecontext import span_id, trace_id
from surefoot.traces import Trace, otlp
from surefoot.traces.sampling import Following, delivery_name, drawn
from surefoot.traces.shipping import Shipping
from surefoot.traces.targets import Target
from surefoot.values import new_id


def test_what_ends_after_the_begin_is_sent_once_and_nothing_before(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver:
        ended(ledger)
        sending = exporter(ledger, tmp_path, receiver)
        assert sending.deliver() == {"there": 0}
        runs = [ended(ledger) for _ in range(3)]
        assert sending.deliver() == {"there": 3}
        assert sending.deliver() == {"there": 0}
        # Another process, or this one after a restart.
        assert exporter(ledger, tmp_path, receiver).deliver() == {"there": 0}
        assert sorted(arrived(receiver)) == sorted(trace_id(run) for run in runs)
    standing = sending.standing()["there"]
    assert (standing.waiting, standing.lag_seconds, standing.shipped.runs) == (0, 0.0, 3)


def test_it_runs_beside_the_runs_and_sends_the_last_ones_when_it_is_closed(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.start()
        first = ended(ledger)
        until(receiver.spans)
        rest = [ended(ledger) for _ in range(20)]
        sending.close(wait=30)
        assert sorted(set(arrived(receiver))) == sorted(trace_id(run) for run in [first, *rest])


def test_a_receiver_that_is_down_gets_all_of_it_later_and_holds_nobody_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
    runs = [ended(ledger) for _ in range(3)]
    # Nothing listens there any more; what was not tried beside the first is not lost either.
    assert sending.deliver() == {"there": 3}
    standing = sending.standing()["there"]
    assert standing.waiting == 3
    assert standing.shipped.failures == 1
    assert "nothing listens there" in standing.shipped.problem
    assert all(rows(ledger, run)[0].error for run in runs)
    with Receiver() as receiver:
        again = exporter(ledger, tmp_path, receiver)
        for run in runs:
            due_now(ledger, run)
        assert again.deliver() == {"there": 3}
        assert sorted(arrived(receiver)) == sorted(trace_id(run) for run in runs)


def test_it_waits_as_long_as_the_receiver_asks(ledger: Ledger, tmp_path: Path) -> None:
    for status in (429, 503):
        with Receiver() as receiver:
            sending = exporter(ledger, tmp_path, receiver)
            sending.deliver()
            run = ended(ledger)
            receiver.answer(Reply(status, {"retry-after": "600"}))
            asked_ns = time.time_ns()
            assert sending.deliver() == {"there": 1}
            [row] = rows(ledger, run)
            assert row.next_ns >= asked_ns + 600 * SECOND
            # The next one is not tried either: the receiver as a whole asked to be left alone.
            later = ended(ledger)
            assert sending.deliver() == {"there": 0}
            assert len(receiver.arrived) == 1
            for one in (run, later):
                due_now(ledger, one)
            assert exporter(ledger, tmp_path, receiver).deliver() == {"there": 2}


def test_a_trace_that_is_not_taken_is_noted_alone_and_the_others_arrive(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        runs = [ended(ledger) for _ in range(3)]
        # The batch, then each alone: the second is the one.
        receiver.answer(Reply(400), Reply(200), Reply(400, {}, b"no"), Reply(200))
        sending.deliver()
        standing = sending.standing()["there"]
        assert (standing.waiting, standing.shipped.refused, standing.shipped.runs) == (0, 1, 2)
        failed = [run for run in runs if rows(ledger, run)[0].standing == "given up"]
        assert len(failed) == 1
        assert "answered with 400 (no)" in rows(ledger, failed[0])[0].error
        assert len(set(arrived(receiver))) == 2
        # Whoever mends the receiver lets it be sent again.
        ledger.submit(
            TellDeliveries([kept.again(rows(ledger, failed[0])[0], now_ns=time.time_ns())])
        ).result()
        assert sending.deliver() == {"there": 1}
        assert sorted(set(arrived(receiver))) == sorted(trace_id(run) for run in runs)


def test_wrong_credentials_keep_all_of_it(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
        receiver.answer(Reply(401))
        sending.deliver()
        assert rows(ledger, run)[0].standing == "waiting"
        assert "credentials are missing or wrong" in sending.standing()["there"].shipped.problem
        due_now(ledger, run)
        exporter(ledger, tmp_path, receiver).deliver()
        assert arrived(receiver) == [trace_id(run)]


def test_a_resumed_run_is_sent_again_under_the_same_ids(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger, "failed")
        sending.deliver()
        taken = take_over(ledger, run)  # type: ignore[arg-type]
        finish(ledger, run, epoch=taken.epoch)
        sending.deliver()
        assert [(span.trace_id, span.span_id) for span in receiver.spans()] == [
            (trace_id(run), span_id(run))
        ] * 2


def test_a_run_that_was_pruned_meanwhile_is_told_of_and_not_tried_for_ever(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
        ledger.submit(
            TellDeliveries([kept.owe(DeliveryRow(delivery_name("there"), new_id(), 1, kept.TRACE))])
        ).result()
        sending.deliver()
        assert arrived(receiver) == [trace_id(run)]
        assert sending.standing()["there"].shipped.gone == 1
        assert sending.deliver() == {"there": 0}


def test_what_is_pruned_before_it_was_sent_is_counted_and_nothing_of_it_is_sent(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        receiver.answer(Reply(503))
        lost = [ended(ledger) for _ in range(3)]
        sending.deliver()
        standing = sending.standing()["there"]
        assert (standing.waiting, standing.failing, standing.lost) == (3, 3, 0)
        with closing(tables_of(ledger)) as tables:
            prune(tables, [Rule("runs", time.time_ns() + SECOND)], now_ns=time.time_ns())
        standing = sending.standing()["there"]
        assert (standing.waiting, standing.failing, standing.lost) == (0, 0, 3)
        # Somebody who had seen its end before has noted it only now.
        late = DeliveryRow(delivery_name("there"), lost[0], 1, kept.TRACE)
        ledger.submit(TellDeliveries([kept.owe(late)])).result()
        again = exporter(ledger, tmp_path, receiver)
        assert again.deliver() == {"there": 1}
        assert arrived(receiver) == []
        assert rows(ledger, lost[0])[0].standing == "given up"
        assert again.standing()["there"].not_taken == 1


def test_a_trace_that_cannot_be_told_holds_up_no_other_one(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = otlp.spans_of

    def spans_of(trace: Trace, *, now_ns: int, joins: bool) -> Iterator[Any]:
        if trace.run.id == broken:
            raise ValueError("a value that nobody thought of")
        return real(trace, now_ns=now_ns, joins=joins)

    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        runs = [ended(ledger) for _ in range(3)]
        broken = runs[1]
        monkeypatch.setattr(otlp, "spans_of", spans_of)
        assert sending.deliver() == {"there": 3}
        assert sorted(set(arrived(receiver))) == sorted(trace_id(run) for run in runs if run != broken)
        assert "ValueError: a value that nobody thought of" in rows(ledger, broken)[0].error
        assert sending.standing()["there"].waiting == 0


def test_after_each_trace_and_each_batch_it_may_rest(ledger: Ledger, tmp_path: Path) -> None:
    worked: list[float] = []
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        for _ in range(3):
            ended(ledger)
        sending._lookout.look()
        target = Target(f"{receiver.url}/v1/traces")
        shipping = Shipping(ledger, delivery_name("there"), lambda: target, rest=worked.append)
        assert shipping.send_due() == 3
        assert len(worked) == 4
        assert min(worked) > 0


def test_nobody_is_kept_away_for_longer_than_an_hour(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
        receiver.answer(Reply(503, {"retry-after": "999999999"}))
        sending.deliver()
        assert rows(ledger, run)[0].next_ns <= time.time_ns() + 3_600 * SECOND


def test_killed_in_the_middle_of_a_request_it_arrives_later_under_the_same_ids(
    place: Place, tmp_path: Path
) -> None:
    ledger = place.open()
    with Receiver() as receiver:
        sending = exporter(ledger, place.folder, receiver)
        sending.deliver()
        process = place.in_child(SENDER)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"

        receiver.before = process.kill
        run = ended(ledger)
        process.wait(30)
        until(lambda: receiver.arrived)
        receiver.before = lambda: None
        [row] = rows(ledger, run)
        assert row.done_ns is None
        # Its time is not over yet: nobody else sends it before.
        assert sending.deliver() == {"there": 0}
        due_now(ledger, run)
        assert sending.deliver() == {"there": 1}
        assert {(span.trace_id, span.span_id) for span in receiver.spans()} == {(trace_id(run), span_id(run))}
        process.communicate(timeout=60)


def test_two_processes_share_the_work(place: Place, tmp_path: Path) -> None:
    ledger = place.open()
    with Receiver() as receiver:
        exporter(ledger, place.folder, receiver).deliver()
        children = [place.in_child(SENDER) for _ in range(2)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
        runs = [ended(ledger) for _ in range(100)]
        until(lambda: len(arrived(receiver)) >= 100)
        for child in children:
            child.communicate(timeout=60)
        assert sorted(arrived(receiver)) == sorted(trace_id(run) for run in runs)


def test_what_is_taken_is_told_by_digest_and_failures_and_slow_runs_always_are() -> None:
    parents = {"child": "first", "grandchild": "child"}
    following = Following("there", lambda run: parents.get(run, ""), flows=("an*",), sample=0.3, slow=2.0)

    def one(run_id: str, **rest: Any) -> EndRow:
        given: dict[str, Any] = {
            "seq": 1, "epoch": 1, "status": "completed", "began_ns": 0, "ended_ns": SECOND, "flow": "answer",
            "tenant": "", "is_child": False,
        }  # fmt: skip
        return EndRow(run_id=run_id, **(given | rest))

    ids = [new_id() for _ in range(2000)]
    taken = {run for run in ids if following.event(one(run)) is not None}
    assert taken == {run for run in ids if drawn(run) < 0.3}
    assert 500 < len(taken) < 700
    assert taken < {run for run in ids if replace(following, sample=0.5).event(one(run)) is not None}
    left = next(run for run in ids if run not in taken)
    assert following.event(one(left, status="failed")) == kept.TRACE
    assert following.event(one(left, status="cancelled")) == kept.TRACE
    assert following.event(one(left, ended_ns=2 * SECOND)) == kept.TRACE
    assert following.event(one(left, status="failed", flow="other")) is None
    # A child goes with the run that all of it began with.
    first = following.event(one("first"))
    assert following.event(one("child", parent="first")) == first
    assert following.event(one("grandchild", parent="child")) == first
