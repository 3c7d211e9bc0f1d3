"""No bytes from outside make a reader fail in another way than its own: a few of them here, `make fuzz` more."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets import TARGETS

EXAMPLES = int(os.environ.get("SUREFOOT_TEST_FUZZ", "15"))

ODD: list[Any] = [
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    "\u0000",
    "\ud7ff",
    [],
    {},
    [None],
    {"": None},
    "9" * 400,
    [[[[]]]],
]
ODD_TEXTS = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{{",
    b"}}",
    b"{%",
    b"---\n",
    b"&a *a",
    b"!!python/name:os",
    b": ",
    b"\t",
    b"\r",
]
ODD_TEXTS += [
    b'"' * 3,
    b"[" * 200,
    b"{" * 200,
    b"'" * 5,
    b"\xe2\x80\xae",
    b"data: ",
    b"\n\n",
    b"9" * 400,
    b"$",
    b"\\u",
]


@st.composite
def changed_bytes(draw: st.DrawFn, seed: bytes) -> bytes:
    """The example with a few pieces put in, taken out or doubled."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 30)))
        piece = draw(
            st.one_of(st.sampled_from(ODD_TEXTS), st.binary(max_size=6), st.just(bytes(data[at:to]) * 2))
        )
        data[at:to] = piece
    return bytes(data)


@st.composite
def changed_tree(draw: st.DrawFn, tree: Any) -> Any:
    """The example with values in it replaced by others, whatever their type."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(ODD))
    if isinstance(tree, dict):
        return {key: draw(changed_tree(value)) for key, value in tree.items() if draw(st.integers(0, 11))}
    if isinstance(tree, list):
        return [draw(changed_tree(value)) for value in tree]
    return tree


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """An example as JSON, as lines of JSON, or as bytes, changed."""
    try:
        tree = json.loads(seed)
    except ValueError:
        tree = None
    if isinstance(tree, dict | list) and draw(st.booleans()):
        return json.dumps(draw(changed_tree(tree))).encode()
    if seed.startswith(b"event:") and draw(st.booleans()):
        parts = [
            line.removeprefix("data: ") for line in seed.decode().splitlines() if line.startswith("data: {")
        ]
        events = [draw(changed_tree(json.loads(part))) for part in parts]
        return "".join(f"event: {_type(one)}\ndata: {json.dumps(one)}\n\n" for one in events).encode()
    return draw(changed_bytes(seed))


def _type(event: Any) -> Any:
    return event.get("type") if isinstance(event, dict) else "x"


@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_what_is_malformed_is_told_as_such(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target(data.draw(st.sampled_from(target.seeds).flatmap(changed)))


@pytest.mark.parametrize("name", TARGETS)
def test_the_examples_are_well_formed(name: str) -> None:
    """Else what is made of them would be refused at the first look."""
    target = TARGETS[name]
    target.read(target.seeds[0])
