"""The time axis."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.traces.axis import axis

times = st.lists(
    st.tuples(st.integers(0, 10**15), st.integers(0, 10**12)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    min_size=1,
    max_size=30,
)


@given(times)
def test_later_is_never_further_left_and_all_of_it_is_on_the_axis(intervals) -> None:
    scale = axis(intervals)
    moments = sorted(moment for interval in intervals for moment in interval)
    places = [scale.left(moment) for moment in moments]
    assert all(early <= late + 1e-9 for early, late in pairwise(places))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in places)
    assert places[0] == pytest.approx(0)
    assert scale.stretches[-1].right == pytest.approx(100)


@given(times)
def test_ticks_are_few_and_in_order(intervals) -> None:
    ticks = list(axis(intervals).ticks())
    assert ticks[0].at_work_ns == 0
    assert len({tick.at_work_ns for tick in ticks}) <= 6
    assert [tick.left for tick in ticks] == sorted(tick.left for tick in ticks)


def test_a_night_between_two_seconds_of_work_is_a_narrow_break() -> None:
    second, night = 10**9, 8 * 3600 * 10**9
    scale = axis([(0, second), (night, night + second)])
    assert [stretch.left for stretch in scale.stretches] == [0, pytest.approx(52)]
    assert scale.at_work_ns == 2 * second
    assert [(before.end_ns, after.start_ns) for before, after in scale.breaks] == [(second, night)]
    assert scale.left(night // 2) == pytest.approx(52)


def test_what_overlaps_or_touches_is_one_stretch() -> None:
    assert [(s.start_ns, s.end_ns) for s in axis([(5, 9), (0, 5), (2, 3)]).stretches] == [(0, 9)]


def test_work_that_took_no_time_has_room_all_the_same() -> None:
    scale = axis([(7, 7)])
    assert scale.stretches[0].width == pytest.approx(100)
    assert [tick.left for tick in scale.ticks()] == [0]
