"""Recorded values as plain JSON: what classes held, without the classes."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

from surefoot.ledger import encode
from surefoot.traces import Failure, plain
from surefoot.traces.plain import failure_in, parsed


@dataclass(frozen=True)
class Point:
    x: int
    y: object


class Pair(NamedTuple):
    left: int
    right: str


class Shape(BaseModel):
    name: str
    corners: list[Point]


class Colour(enum.Enum):
    RED = "red"


class Label(str):
    """A class of the user's own that is a string."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        ("text", "text"),
        ([1, {"a": [True, 2.5]}], [1, {"a": [True, 2.5]}]),
        ({"$": "a price"}, {"$": "a price"}),
        ({"$": ["dataclass", "x:Y", {}]}, {"$": ["dataclass", "x:Y", {}]}),
        (Point(1, (2, 3)), {"x": 1, "y": [2, 3]}),
        (Pair(1, "b"), {"left": 1, "right": "b"}),
        (Shape(name="s", corners=[Point(0, None)]), {"name": "s", "corners": [{"x": 0, "y": None}]}),
        (Label("marked"), "marked"),
        ({1: "a", "b": 2}, {"1": "a", "b": 2}),
        (OrderedDict(a=1), {"a": 1}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (deque([1, 2], maxlen=3), [1, 2]),
        ({3, 1}, [1, 3]),
        (b"\x00\x01", "base64:AAE="),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=1, milliseconds=500), "60.5 s"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("a/b"), "a/b"),
        (2**70, 2**70),
        (float("nan"), "nan"),
        (ValueError("wrong"), "ValueError: wrong"),
        (KeyError("k"), "KeyError: 'k'"),
    ],
    ids=repr,
)
def test_a_recorded_value_reads_as_what_it_held(value: object, shown: object) -> None:
    assert plain(parsed(encode(value))) == shown


def test_a_time_keeps_its_text() -> None:
    assert str(plain(parsed(encode(datetime(2026, 1, 2, 3, tzinfo=UTC))))).startswith("2026-01-02T03:00")


def test_an_enum_reads_as_its_value_or_name() -> None:
    assert plain(parsed(encode(Colour.RED))) in ("red", "RED")


def test_a_kind_that_is_not_known_keeps_its_parts() -> None:
    assert plain({"$": ["of the future", 1, {"$": ["tuple", 2]}]}) == {"of the future": [1, [2]]}


def test_a_tag_that_is_cut_short_is_shown_and_not_an_error() -> None:
    assert plain({"$": ["dataclass"]}) == {"dataclass": []}


def test_a_text_that_redaction_broke_stands_for_itself() -> None:
    assert parsed('{"a": [secret]}') == '{"a": [secret]}'


def test_a_failure_is_told_with_what_led_to_it() -> None:
    error = RuntimeError("outer")
    error.__cause__ = OSError(2, "No such file")
    found = failure_in(parsed(encode(error)))
    assert found is not None
    assert (found.type, str(found)) == ("builtins:RuntimeError", "RuntimeError: outer")
    assert found.cause == Failure("builtins:FileNotFoundError", "[Errno 2] No such file")


@pytest.mark.parametrize("tree", [None, 1, "x", [], {}, {"$": ["tuple", 1]}])
def test_other_data_is_no_failure(tree: object) -> None:
    assert failure_in(tree) is None  # type: ignore[arg-type]
