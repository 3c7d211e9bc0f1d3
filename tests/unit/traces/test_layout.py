"""Where steps lie in a run's time, and which of them are kept, cut off or under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from surefoot.ledger import Entry, RunRecord, Totals
from surefoot.traces import Attempt, Span, Trace
from surefoot.traces.layout import Layout
from surefoot.values import StepStatus

S = 1_000_000_000
NIGHT = 8 * 3600 * S


def span(
    name: str, start: int, end: int | None, *, epoch: int | None = 1, status: StepStatus = "completed"
) -> Span:
    return Span(name, "", name, "step", "running" if end is None else status, 1, epoch, start, end)


def trace(attempts: list[Attempt], *spans: Span) -> Trace:
    run = RunRecord(id="01", flow="f", entry=Entry("m", "f"), status="running", created_ns=0)
    return Trace(
        run, tuple(attempts), {}, {}, None, None, spans, Totals(), 0, is_pruned=False, chain_break=None
    )


def attempt(epoch: int, start: int, end: int | None) -> Attempt:
    return Attempt(epoch, start, end, "running" if end is None else "completed")


RESUMED = trace(
    [attempt(1, 0, None), attempt(2, NIGHT, None)],
    span("kept", 0, 2 * S),
    span("failed", 0, S, status="failed"),
    span("cut", S, None, epoch=None),
    span("new", NIGHT, NIGHT + S, epoch=2),
    span("now", NIGHT + S, None, epoch=None),
)


def test_a_resumed_run_that_is_at_work() -> None:
    layout = Layout(RESUMED, now_ns=NIGHT + 2 * S, is_open=True)
    placed = {each.span.name: each for each in layout.placed()}
    assert layout.axis.at_work_ns == 4 * S
    assert [name for name, each in placed.items() if each.is_kept] == ["kept"]
    assert [name for name, each in placed.items() if each.is_cut_off] == ["cut"]
    assert {name: each.took_ns for name, each in placed.items()} == {
        "kept": 2 * S,
        "failed": S,
        "cut": None,
        "new": S,
        "now": S,
    }
    lies = {name: (each.left, each.right) for name, each in placed.items()}
    assert lies["kept"] == (0, pytest.approx(48))
    assert lies["cut"] == (pytest.approx(24), pytest.approx(48))
    assert lies["new"] == (pytest.approx(52), pytest.approx(76))
    assert lies["now"] == (pytest.approx(76), pytest.approx(100))


def test_a_run_whose_process_is_gone_ends_with_what_is_last_known() -> None:
    layout = Layout(RESUMED, now_ns=2 * NIGHT, is_open=False)
    assert layout.axis.stretches[-1].end_ns == NIGHT + S
    assert [each.span.name for each in layout.placed() if each.is_cut_off] == ["cut", "now"]


def test_a_step_is_cut_off_even_if_the_resume_came_at_once() -> None:
    resumed = trace(
        [attempt(1, 0, None), attempt(2, S, None)], span("ended", 0, S), span("cut", S - 1, None, epoch=None)
    )
    layout = Layout(resumed, now_ns=2 * S, is_open=True)
    assert len(layout.axis.stretches) == 1
    assert [each.span.name for each in layout.placed() if each.is_cut_off] == ["cut"]


def test_a_run_of_which_no_attempt_is_recorded_yet() -> None:
    begun = trace([], span("now", S, None, epoch=None))
    [placed] = Layout(begun, now_ns=2 * S, is_open=True).placed()
    assert (placed.is_cut_off, placed.took_ns) == (False, S)


def test_a_part_of_the_rows_with_their_depths() -> None:
    inner = span("inner", 1, 2)
    outer = replace(span("outer", 0, 3), children=(inner,))
    layout = Layout(trace([attempt(1, 0, 5)], outer, span("last", 4, 5)), now_ns=9, is_open=False)
    assert len(layout) == 3
    assert [(each.span.name, each.depth) for each in layout.placed(1)] == [("inner", 1), ("last", 0)]
    assert [each.span.name for each in layout.placed(0, 2)] == ["outer", "inner"]
