"""JSON from outside: what is refused, where it stands, and that all else is read as ever."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.texts import jsontext


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000 + "]" * 100_000, "line 1, column 101: it is nested more than 100 deep; flatten it"),
        ('{"a":' * 100_000, "line 1, column 501: it is nested more than 100 deep; flatten it"),
        ("[1,\n  " + "9" * 1_001 + "]", "line 2, column 3: a number has more than 1,000 digits"),
        ("0." + "1" * 1_000, "line 1, column 1: a number has more than 1,000 digits"),
        ("1e999", "line 1, column 1: a number is too large"),
        ("[1, NaN]", "line 1, column 5: NaN is no value of JSON; write null, or a text"),
        ('{"a": -Infinity}', "line 1, column 7: -Infinity is no value of JSON; write null, or a text"),
        (
            '{"a": {"b": 1}, "b": 2, "b": 3}',
            "line 1, column 25: the key 'b' stands twice in one object; keep one",
        ),
        ('{"a": "a", "\\u0061": 1}', "line 1, column 12: the key 'a' stands twice in one object; keep one"),
        ('["\\ud800"]', "line 1, column 3: there is half of a character; write both"),
        ('["\udcff"]', "line 1, column 3: there is half of a character; write both"),
        ('{"\\udfff": 1}', "line 1, column 3: there is half of a character; write both"),
        ("[1,]", "line 1, column 4: "),
        ("", "line 1, column 1: expecting value"),
        ('{"a": 1} x', "line 1, column 10: extra data"),
    ],
)
def test_what_is_no_json_or_too_much_of_it(text: str, said: str) -> None:
    with pytest.raises(jsontext.NoJson) as caught:
        jsontext.read(text)
    assert str(caught.value).startswith(said)


def test_what_is_at_the_bound_is_read() -> None:
    assert jsontext.read("[" * 100 + "]" * 100)
    assert jsontext.read("9" * 1_000) == int("9" * 1_000)
    assert jsontext.read(json.dumps({"brackets": "[" * 500, "half": "\\ud800"})) == {
        "brackets": "[" * 500,
        "half": "\\ud800",
    }
    assert jsontext.read('"\\ud83d\\ude00"') == "😀"


data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(data, st.booleans())
def test_what_json_can_say_comes_back(value: object, is_ascii: bool) -> None:
    assert jsontext.read(json.dumps(value, ensure_ascii=is_ascii, indent=1)) == value


@given(st.text() | st.text(st.sampled_from('{}[]",:\\0189-.eEtrufalsn ud')))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = jsontext.read(text)
    except jsontext.NoJson:
        return
    assert json.loads(text) == value or (isinstance(value, float) and math.isnan(value))
