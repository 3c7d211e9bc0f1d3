"""The tree of a run that goes on."""

from __future__ import annotations

import pytest

from surefoot.flows import StepClosed, StepOpened
from surefoot.traces.live import Tree

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def opened(key: bytes, name: str, *, path: bytes = b"", attempt: int = 1) -> StepOpened:
    return StepOpened("R", key, "step", name, len(path) // 16, attempt, path)


def test_what_is_inside_of_a_step_stands_below_it() -> None:
    tree = Tree[StepClosed]()
    inside_b = opened(C, "in b", path=B)
    for now_ns, event in enumerate((opened(A, "a"), opened(B, "b"), inside_b, opened(A, "a"))):
        tree.row(event, now_ns)
    assert [(row.name, row.depth, row.begun_ns) for row in tree.walk()] == [
        ("a", 0, 0),
        ("b", 0, 1),
        ("in b", 1, 2),
    ]


def test_what_is_told_of_an_attempt_finds_its_row_again() -> None:
    tree = Tree[StepClosed]()
    row = tree.row(opened(A, "a"), 1)
    assert tree.row(opened(A, "a"), 2) is row
    assert tree.row(opened(A, "a", attempt=2), 3) is not row
    assert [(row.attempt, row.begun_ns) for row in tree.walk()] == [(1, 1), (2, 3)]


@pytest.mark.parametrize("outer", [B, C])
def test_what_comes_after_a_further_attempt_is_inside_of_that_one(outer: bytes) -> None:
    tree = Tree[StepClosed]()
    for attempt in (1, 2):
        tree.row(opened(outer, "outer", attempt=attempt), attempt)
        tree.row(opened(A, "inner", path=outer, attempt=attempt), attempt)
    assert [(row.name, row.attempt) for row in tree.walk()] == [
        ("outer", 1),
        ("inner", 1),
        ("outer", 2),
        ("inner", 2),
    ]


def test_what_is_inside_of_a_step_that_nothing_was_told_of_stands_at_the_top() -> None:
    tree = Tree[StepClosed]()
    tree.row(opened(A, "inner", path=B), 1)
    assert [row.name for row in tree.walk()] == ["inner"]
