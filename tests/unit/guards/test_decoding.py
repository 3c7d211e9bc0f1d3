"""What a text says in other spellings, how deep that goes and when it is too much."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.guards.detecting.decoding import BYTES, readings_of

SAID = "meet me at the old bridge at nine"


def test_a_plain_text_has_one_reading():
    readings = readings_of(
        "Meet me at the old bridge, at nine. It has 12 arches, 3 of them closed; see a-b_c."
    )
    assert [reading.spelling for reading in readings.all] == [""]
    assert not readings.is_too_large


@pytest.mark.parametrize(
    "ordinary",
    [
        "/usr/local/lib/python3.11/site-packages/surefoot/guards",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "------------------------------------------------",
        "| 1 | 2 | 3 | 4 |",
    ],
)
def test_what_only_looks_encoded_is_read_as_no_text(ordinary):
    assert not {"base64", "hex"} & {one.spelling for one in readings_of(ordinary).all}


def test_a_reading_says_how_it_was_spelled():
    twice = base64.b64encode(SAID.encode().hex().encode()).decode()
    assert {reading.spelling: reading.text for reading in readings_of(twice).all}["base64 hex"] == SAID


def test_pieces_of_one_spelling_are_read_together():
    pieces = " and ".join(base64.b64encode(f"{SAID} {number}".encode()).decode() for number in range(200))
    found = [reading for reading in readings_of(pieces).all if reading.spelling == "base64"]
    assert len(found) == 1
    assert found[0].text.count(SAID) == 200


def test_beginning_and_end_of_a_text_that_is_too_large_are_looked_at():
    hidden = base64.b64encode(SAID.encode()).decode()
    readings = readings_of("x " * BYTES + hidden)
    assert readings.is_too_large
    assert SAID in [reading.text for reading in readings.all]


def test_what_is_decoded_is_at_most_as_much_as_the_budget():
    readings = readings_of(base64.b64encode(b"word " * 1000).decode() + " " + "%41%42%43" * 300, budget=9000)
    assert sum(len(reading.text) for reading in readings.all) <= 18_000


@given(
    st.text(
        st.one_of(st.sampled_from("abc 10%\\xu&#;=+/-\n\u200b\U000e0041\ufe0f"), st.characters()),
        max_size=400,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_odd_to_be_read(text):
    readings = readings_of(text)
    assert readings.all[0].text == text
    assert len({reading.text for reading in readings.all}) == len(readings.all)
