"""Any value made of known kinds comes back equal and of the very same types."""

from __future__ import annotations

import dataclasses
import enum
import math
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from surefoot.ledger.encoding import decode, digest, encode, identity


class Colour(enum.Enum):
    RED = "red"
    BLUE = (0, 0, 255)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mode(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: Any
    y: Any = None


@dataclass
class Plain:
    a: Any
    b: Any = None


@dataclass(frozen=True, slots=True)
class Frozen:
    a: Any
    b: Any = None


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    a: Any
    b: Any = None


class Label(str):  # noqa: SLOT000  (as users write them)
    """A plain subclass of a built-in type."""


class Row(dict[str, Any]):
    """One that holds parts."""


def same(one: Any, other: Any) -> bool:
    """Equality of values and of all types in them, in which NaN equals NaN and -0.0 is not 0.0."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is float:
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if kind is complex:
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(same(a, b) for a, b in pairs)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (set, frozenset)):
        return {encode(item) for item in one} == {encode(item) for item in other}
    if dataclasses.is_dataclass(kind):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, BaseModel):
        return (
            same(one.__dict__, other.__dict__)
            and same(one.__pydantic_extra__, other.__pydantic_extra__)
            and one.model_fields_set == other.model_fields_set
        )
    if kind.__name__ == "Decimal":
        return str(one) == str(other)
    if kind is range:
        return repr(one) == repr(other)  # all empty ranges are equal
    if hasattr(one, "tzinfo"):
        return repr(one) == repr(other) and one.fold == other.fold
    return bool(one == other)


zones = st.one_of(
    st.none(),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(
        [ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), timezone(timedelta(hours=1), "CET")]
    ),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["$", '"$"', "a b"])
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=5),
    st.uuids(),
    st.dates(),
    st.sampled_from([*Colour, *Level, Mode.READ, Mode.READ | Mode.WRITE, Mode(0)]),
    texts.map(Label),
    st.tuples(texts, st.integers()),
)
leaves = st.one_of(
    hashables,
    st.integers(-(2**80), 2**80),
    st.complex_numbers(),
    st.binary(max_size=5).map(bytearray),
    st.decimals(),
    st.datetimes(timezones=zones),
    st.times(timezones=st.sampled_from([None, UTC])),
    st.timedeltas(),
    st.builds(range, st.integers(), st.integers(), st.integers(1, 9)),
    texts.filter(lambda text: "\0" not in text).map(pathlib.Path),
    texts.map(pathlib.PureWindowsPath),
)


def nests(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=3)
    return st.one_of(
        lists,
        lists.map(tuple),
        st.dictionaries(texts, inner, max_size=3),
        st.dictionaries(st.just("$"), inner, max_size=1),
        st.dictionaries(hashables, inner, max_size=3),
        st.sets(hashables, max_size=3),
        st.frozensets(hashables, max_size=3),
        lists.map(deque),
        st.dictionaries(hashables, inner, max_size=3).map(OrderedDict),
        st.dictionaries(texts, lists, max_size=3).map(lambda items: defaultdict(list, items)),
        st.lists(texts, max_size=5).map(Counter),
        st.builds(Point, inner, inner),
        st.builds(Plain, inner, inner),
        st.builds(Frozen, inner, inner),
        st.builds(Model, a=inner, b=inner),
        st.builds(lambda a, extra: Model.model_validate({"a": a, "more": extra}), inner, inner),
        st.dictionaries(texts, inner, max_size=3).map(Row),
    )


values = st.recursive(leaves, nests, max_leaves=12)
relaxed = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))


@relaxed
@given(values)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert same(decode(encode(value)), value)


@relaxed
@given(values)
def test_a_value_that_came_back_encodes_and_identifies_the_same(value: object) -> None:
    text = encode(value)
    again = decode(text)
    assert encode(again) == text
    assert identity(again) == identity(value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts.filter(lambda text: text != "$"), inner, max_size=4)
    ),
    max_leaves=20,
)


@relaxed
@given(json_values)
def test_plain_json_stays_plain(value: object) -> None:
    assert orjson.loads(encode(value)) == value
    assert same(decode(encode(value)), value)


@relaxed
@given(st.dictionaries(texts, values, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_change_the_identity(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert identity(dict(items)) == identity(value)
    nested = {"nested": Plain(value, [value])}
    assert identity({"nested": Plain(dict(items), [dict(items)])}) == identity(nested)


@relaxed
@given(st.dictionaries(hashables, st.integers(), max_size=5), st.randoms(use_true_random=False))
def test_nor_does_that_of_keys_that_are_no_text(value: dict[Any, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert identity((dict(items),)) == identity((value,))
    assert identity(set(dict(items))) == identity(set(value))


@relaxed
@given(values, values)
def test_different_texts_have_different_identities(one: object, other: object) -> None:
    if identity(one) == identity(other):
        assert type(one) is type(other)
    else:
        assert not same(one, other)


def test_equal_numbers_of_different_types_are_different() -> None:
    assert len({identity(value) for value in (1, 1.0, True, "1", b"1", (1,), [1], {1})}) == 8


def test_a_digest_is_of_the_text() -> None:
    assert digest("[1]") == digest(encode([1]))
    assert digest("[1]") != digest("[2]")
    assert len(digest("")) == 16
    assert len(identity(None)) == 16
