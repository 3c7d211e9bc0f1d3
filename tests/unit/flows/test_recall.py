"""Which record a claim of a resumed run means: the rule by itself."""

from __future__ import annotations

from collections.abc import Container
from hashlib import blake2b
from typing import Any

import pytest

from surefoot.flows.lanes import beside, family, family_below
from surefoot.flows.recall import Identity, Place, Recall, Record, ScopeRecall, key_in_lane
from surefoot.ledger import Outcome


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def identity(name: str, input: object = 1) -> Identity:
    return (name, digest(repr(input)))


def outcome(name: str, input: object = 1, *, occurrence: int = 0, lane: int = 0, **rest: Any) -> Outcome:
    given: dict[str, Any] = {
        "run_id": "r",
        "key": digest(f"{name}{input!r}{occurrence}{lane}{rest.get('path', b'')!r}"),
        "path": b"",
        "parent_attempt": 1,
        "kind": "step",
        "attempt": 1,
        "epoch": 1,
        "status": "completed",
        "started_ns": 1,
        "ended_ns": 2,
    }
    return Outcome(name=name, digest=digest(repr(input)), occurrence=occurrence, lane=lane, **(given | rest))


def scope(*outcomes: Outcome) -> ScopeRecall:
    return ScopeRecall([Record(one) for one in outcomes])


def taken(recall: ScopeRecall, name: str, lane: int, input: object = 1) -> tuple[int, int] | None:
    """Occurrence and lane of the record that a claim gets; a claim that gets none is placed as new work."""
    record = recall.match(identity(name, input), lane)
    if record is None:
        recall.place(identity(name, input), lane)
        return None
    return record.outcome.occurrence, record.outcome.lane


def test_equal_calls_in_line_get_their_records_in_order() -> None:
    recall = scope(*(outcome("a", occurrence=n) for n in range(3)))
    assert [taken(recall, "a", 0) for _ in range(4)] == [(0, 0), (1, 0), (2, 0), None]


def test_a_lane_gets_its_own_record_whoever_asks_first() -> None:
    recall = scope(outcome("a", occurrence=0, lane=1), outcome("a", occurrence=1, lane=2))
    assert taken(recall, "a", 2) == (1, 2)
    assert taken(recall, "a", 1) == (0, 1)


def test_a_lane_that_was_under_way_does_not_take_what_another_has_done() -> None:
    """Lane 1 was in its first call at the crash, lane 2 had got an answer to an equal one."""
    recall = scope(outcome("a", occurrence=1, lane=2))
    assert taken(recall, "a", 1) is None
    assert taken(recall, "a", 2) == (1, 2)


def test_a_lane_that_replays_without_a_pause_does_not_run_into_the_next_one() -> None:
    recall = scope(*(outcome("a", occurrence=n, lane=lane) for n, lane in [(0, 1), (1, 2), (3, 2)]))
    assert taken(recall, "a", 1) == (0, 1)
    assert taken(recall, "a", 1) is None
    assert taken(recall, "a", 2) == (1, 2)
    assert taken(recall, "a", 2) == (3, 2)


def test_new_work_keeps_the_place_of_the_gap_that_the_crash_left() -> None:
    recall = scope(outcome("a", occurrence=1, lane=2))
    assert recall.match(identity("a"), 1) is None
    assert recall.place(identity("a"), 1) == Place(occurrence=0, lane=1, index=0)


def test_new_work_behind_records_of_its_lane_goes_on_counting() -> None:
    recall = scope(outcome("a", occurrence=0), outcome("a", occurrence=1))
    assert [taken(recall, "a", 0) for _ in range(2)] == [(0, 0), (1, 0)]
    assert recall.match(identity("a"), 0) is None
    assert recall.place(identity("a"), 0) == Place(occurrence=2, lane=0, index=2)


def test_a_new_run_numbers_by_asking() -> None:
    recall = scope()
    for n, lane in enumerate([0, 1, 0, 2]):
        assert recall.match(identity("a"), lane) is None
        assert recall.place(identity("a"), lane).occurrence == n
        assert recall.place(identity("b"), lane).occurrence == n


# What people do to a flow between crash and resume.


def test_a_loop_that_became_parallel_finds_its_records() -> None:
    recall = scope(*(outcome("a", item, lane=0) for item in range(3)))
    assert [taken(recall, "a", 1 + item, item) for item in range(4)] == [(0, 0), (0, 0), (0, 0), None]


def test_a_parallel_part_that_became_a_loop_finds_its_records() -> None:
    recall = scope(*(outcome("a", item, lane=1 + item) for item in range(3)))
    assert [taken(recall, "a", 0, item) for item in range(4)] == [(0, 1), (0, 2), (0, 3), None]


@pytest.mark.parametrize("done", [(1, 2, 3), (1, 2), (2, 3)])
def test_an_item_in_front_of_the_others_does_not_shift_them(done: tuple[int, ...]) -> None:
    recall = scope(*(outcome("a", item, lane=item) for item in done))
    asked = {item: taken(recall, "a", 1 + n, item) for n, item in enumerate([9, 1, 2, 3])}
    assert {item for item, got in asked.items() if got} == set(done)


def test_an_item_that_is_gone_does_not_shift_the_others() -> None:
    """The first item was the poisonous one: it never finished, and was taken out."""
    recall = scope(outcome("a", 2, lane=2), outcome("a", 3, lane=3))
    assert taken(recall, "a", 1, 2) == (0, 2)
    assert taken(recall, "a", 2, 3) == (0, 3)


def test_items_in_another_order_find_their_records() -> None:
    recall = scope(*(outcome("a", item, lane=item) for item in (1, 2, 3)))
    assert [taken(recall, "a", n, item) for n, item in [(1, 3), (2, 1), (3, 2)]] == [(0, 3), (0, 1), (0, 2)]


# What stops a run.


def test_changed_inputs_are_found_in_the_lane() -> None:
    recall = scope(outcome("a", 1), outcome("b", 2, lane=1))
    assert taken(recall, "a", 0, 5) is None
    found = recall.changed_in_lane(identity("a", 5), digest("5"), 0)
    assert found is not None
    assert found.outcome.name == "a"


def test_a_new_name_for_the_same_inputs_is_found_in_the_lane() -> None:
    recall = scope(outcome("a", 1))
    assert taken(recall, "renamed", 0, 1) is None
    found = recall.changed_in_lane(identity("renamed", 1), digest("1"), 0)
    assert found is not None
    assert found.outcome.name == "a"


@pytest.mark.parametrize(
    "harmless",
    [
        outcome("a", 1, is_pure=True),
        outcome("a", 1, kind="call"),
        outcome("a", 1, status="failed", retry_at_ns=5),
        outcome("b", 7),
    ],
)
def test_pure_steps_calls_failed_attempts_and_others_stop_nothing(harmless: Outcome) -> None:
    recall = scope(harmless)
    assert taken(recall, "a", 0, 5) is None
    assert recall.changed_in_lane(identity("a", 5), digest("5"), 0) is None


def test_what_was_asked_for_stops_nothing() -> None:
    recall = scope(outcome("a", 1))
    assert taken(recall, "a", 0, 1) == (0, 0)
    assert taken(recall, "a", 0, 2) is None
    assert recall.changed_in_lane(identity("a", 2), digest("2"), 0) is None
    assert recall.unclaimed() == []


def test_another_item_of_a_fan_out_is_a_new_item() -> None:
    recall = scope(outcome("a", 1, lane=1), outcome("a", 2, lane=2))
    assert taken(recall, "a", 1, 7) is None
    assert recall.changed_in_lane(identity("a", 7), digest("7"), 1) is None


INSIDE = key_in_lane(digest("the enclosing step"), 0)


def test_a_step_that_moved_into_another_is_found_around_it() -> None:
    recall = Recall([outcome("a", 1, lane=3)])
    found = recall.moved(identity("a", 1), INSIDE, lane=0, lanes={b"": 3}, open_keys=())
    assert found is not None
    assert found.outcome.path == b""


def test_what_a_parallel_lane_did_around_has_not_moved_inside() -> None:
    recall = Recall([outcome("a", 1, lane=3)])
    assert recall.moved(identity("a", 1), INSIDE, lane=0, lanes={b"": 2}, open_keys=()) is None


def test_what_an_ended_attempt_did_around_is_done_anew() -> None:
    failed = outcome("outer", 1, status="failed", retry_at_ns=1)
    child = outcome("a", 1, path=failed.key, parent_attempt=1)
    recall = Recall([child, failed])
    deeper = failed.key + INSIDE
    assert recall.moved(identity("a", 1), deeper, lane=0, lanes={b"": 0, failed.key: 0}, open_keys=()) is None


def moved_out(recall: Recall, *, lane: int = 0, open_keys: Container[bytes] = ()) -> Record | None:
    return recall.moved(identity("a", 1), b"", lane=lane, lanes={}, open_keys=open_keys)


def test_a_step_that_moved_out_is_found_inside() -> None:
    assert moved_out(Recall([outcome("a", 1, path=INSIDE)])) is not None


def test_what_lies_inside_of_a_step_of_another_lane_has_not_moved_out() -> None:
    recall = Recall([outcome("a", 1, path=INSIDE)])
    assert moved_out(recall, lane=1) is None


def test_a_step_under_way_may_still_ask_for_what_lies_inside() -> None:
    recall = Recall([outcome("a", 1, path=INSIDE)])
    assert moved_out(recall, open_keys={INSIDE: object()}) is None


def test_children_of_a_step_that_is_over_and_asked_for_are_settled() -> None:
    parent = outcome("outer", 1)
    recall = Recall([outcome("a", 1, path=parent.key), parent])
    recall.scope((b"", 1)).match(identity("outer", 1), 0)
    assert moved_out(recall) is None


def test_children_of_a_step_that_is_over_and_not_asked_for_may_have_moved_out() -> None:
    parent = outcome("outer", 1)
    recall = Recall([outcome("a", 1, path=parent.key), parent])
    assert moved_out(recall) is not None
    assert moved_out(recall, lane=1) is None


def test_what_an_ended_attempt_did_inside_has_not_moved_out() -> None:
    failed = outcome("outer", 1, status="failed", retry_at_ns=1)
    recall = Recall([outcome("a", 1, path=failed.key), failed])
    assert moved_out(recall) is None


def test_children_of_a_failed_attempt_do_not_count_for_the_next_one() -> None:
    failed = outcome("outer", 1, status="failed", retry_at_ns=1)
    child = outcome("a", 1, path=failed.key, parent_attempt=1)
    recall = Recall([child, failed])
    assert recall.scope((failed.key, 2)).match(identity("a", 1), 0) is None
    assert recall.scope((failed.key, 1)).match(identity("a", 1), 0) is not None


def test_only_the_latest_attempt_of_a_step_counts() -> None:
    first = outcome("a", 1, status="failed", retry_at_ns=1)
    second = outcome("a", 1, attempt=2)
    record = Recall([first, second]).scope((b"", 1)).match(identity("a", 1), 0)
    assert record is not None
    assert record.outcome.attempt == 2


def test_a_user_key_identifies_in_place_of_the_inputs() -> None:
    recall = scope(outcome("a", 1, user_key="invoice-17"))
    assert recall.match(("a", "invoice-17"), 0) is not None


def below(lane: int, number: int) -> int:
    """A lane that `lane` has begun."""
    return family_below(lane) << 40 | number


def test_lanes_know_the_lane_that_began_them() -> None:
    assert family(7) == family_below(0) == 0
    assert family(below(7, 3)) == family_below(7) != 0
    assert family(below(below(7, 3), 2)) == family_below(below(7, 3)) != family_below(7)
    assert below(family_below(7), 3) < 2**63


def test_a_lane_beside_another_was_begun_by_the_same() -> None:
    lane = below(7, 3)
    assert beside(lane) != lane
    assert family(beside(lane)) == family(lane)
    assert beside(lane) == beside(lane)


def same_code(*outcomes: Outcome) -> ScopeRecall:
    return ScopeRecall([Record(one) for one in outcomes], is_same_code=True)


def test_while_the_code_is_the_same_a_lane_takes_nothing_of_another() -> None:
    """Lane 2 had asked first, and lane 1 was in its first call at the crash: the order of asking says nothing."""
    recall = same_code(outcome("a", occurrence=0, lane=2))
    assert taken(recall, "a", 1) is None
    assert taken(recall, "a", 2) == (0, 2)


def test_lanes_that_have_shifted_show_that_the_code_is_another() -> None:
    """What the file of the flow does not tell: a module that it imports may have changed."""
    recall = same_code(outcome("a", 1, lane=1), outcome("a", 2, lane=2))
    assert [taken(recall, "a", 1 + n, item) for n, item in enumerate([9, 1, 2])] == [None, (0, 1), (0, 2)]


def test_a_lane_that_has_begun_others_is_known_again() -> None:
    recall = same_code(outcome("a", 1, lane=below(1, 1)), outcome("b", 1, occurrence=0, lane=2))
    assert taken(recall, "b", 1) is None
    assert taken(recall, "b", 2) == (0, 2)
