"""Attributes in protobuf's wire form are those that OpenTelemetry's own messages are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from surefoot.traces import wire
from surefoot.traces.conventions import Value

ATTRIBUTES = trace_pb2.Span.DESCRIPTOR.fields_by_name["attributes"].number
NAME = trace_pb2.Span.DESCRIPTOR.fields_by_name["name"].number
WHOLE = 1 << 63


def read(values: dict[str, Value]) -> list[KeyValue]:
    return list(trace_pb2.Span.FromString(wire.attributes(ATTRIBUTES, values)).attributes)


def told(said: KeyValue) -> object:
    kind = said.value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return tuple(item.string_value for item in said.value.array_value.values)
    return getattr(said.value, kind)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = (
    texts
    | st.booleans()
    | st.integers(-WHOLE, WHOLE - 1)
    | st.floats(allow_nan=False)
    | st.lists(texts).map(tuple)
)


@given(st.dictionaries(texts, values))
def test_what_is_written_is_what_is_read(given: dict[str, Value]) -> None:
    found = read(given)
    assert [(said.key, told(said)) for said in found] == list(given.items())
    assert [type(told(said)) for said in found] == [type(value) for value in given.values()]


@pytest.mark.parametrize("size", [0, 1, 30, 31, 125, 126, 127, 128, 16_381, 16_384, 2**21, 2**21 + 1])
def test_a_text_of_any_length_is_whole(size: int) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    assert [told(said) for said in read({"a": text, "b": 1})] == [text, 1]
    named = trace_pb2.Span.FromString(wire.field(NAME, text.encode()))
    assert named.name == text


def test_equal_values_of_other_types_are_other_attributes() -> None:
    for value in (True, 1, 1.0, False, 0, 0.0):
        [said] = read({"a": value})
        assert told(said) == value
        assert type(told(said)) is type(value)


def test_what_protobuf_or_receivers_do_not_take_is_told_all_the_same() -> None:
    found = read({"a\x00": "b\x00", "c\ud800": "d\ud800" * 40, "e": WHOLE, "f": ("g\x00",)})
    assert [(said.key, told(said)) for said in found] == [
        ("a\N{REPLACEMENT CHARACTER}", "b\N{REPLACEMENT CHARACTER}"),
        ("c?", "d?" * 40),
        ("e", str(WHOLE)),
        ("f", ("g\N{REPLACEMENT CHARACTER}",)),
    ]
