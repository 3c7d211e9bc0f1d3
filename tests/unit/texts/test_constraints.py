"""Rules as YAML files write them: read, held against values, told as JSON Schema."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from surefoot.errors import UsageError
from surefoot.texts.constraints import Constraints, constraints_of
from surefoot.values import Json


def of(**entry: Json) -> Constraints:
    found = constraints_of(entry)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("entry", "value", "rule", "said"),
    [
        ({"maxLength": 2}, "abc", "max", "has 3 characters, and may have 2"),
        ({"minLength": 2}, "a", "min", "has 1 character, and needs 2"),
        ({"pattern": "[a-z]+"}, "ab1", "pattern", "does not match"),
        ({"allow": ["a"]}, "b", "allow", "is none of 'a'"),
        ({"hosts": ["ok.example"]}, "https://evil.example", "hosts", "another host"),
        ({"minimum": 1}, 0, "minimum", "has to be 1 or more"),
        ({"maximum": 1000}, 1000.5, "maximum", "has to be 1,000 or less"),
        ({"exclusiveMinimum": 0}, 0, "exclusiveMinimum", "has to be more than 0"),
        ({"exclusiveMaximum": 1}, 1, "exclusiveMaximum", "has to be less than 1"),
        ({"multipleOf": 0.1}, 0.25, "multipleOf", "has to be a multiple of 0.1"),
        ({"multipleOf": 5}, 12, "multipleOf", "has to be a multiple of 5"),
        ({"minimum": 0}, float("nan"), "minimum", "has to be 0 or more"),
        ({"multipleOf": 0.5}, float("inf"), "multipleOf", "has to be a multiple"),
        # Beyond what a float can hold, of the number or of the parts.
        ({"multipleOf": 2.5}, 10**400 + 1, "multipleOf", "has to be a multiple of 2.5"),
        ({"multipleOf": 0.75}, 1e308, "multipleOf", "has to be a multiple of 0.75"),
        ({"maxItems": 1}, ["a", "b"], "maxItems", "has 2 items, and may have 1"),
        ({"minItems": 1}, (), "minItems", "has 0 items, and needs 1"),
    ],
)
def test_a_rule_that_is_broken(entry: dict[str, Json], value: object, rule: str, said: str) -> None:
    found = of(**entry).mistake(value, "x")
    assert found is not None
    assert (found.rule, found.field) == (rule, "x")
    assert said in found.problem


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ({"multipleOf": 0.1}, 0.3),
        ({"multipleOf": 0.1}, 10**400),
        ({"multipleOf": 1e-10}, 1e308),
        ({"maxLength": 2}, 12345),
        ({"minimum": 5}, True),
        ({"minimum": 5}, "1"),
        ({"maxItems": 1}, "abc"),
        ({"minimum": 1, "maximum": 3}, 2),
    ],
)
def test_what_passes_and_what_a_rule_says_nothing_of(entry: dict[str, Json], value: object) -> None:
    assert of(**entry).mistake(value) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"maxLength": "5"}, "maxLength is '5'"),
        ({"minItems": -1}, "minItems is -1"),
        ({"maximum": True}, "maximum is True"),
        ({"multipleOf": 0}, "multipleOf is 0"),
        ({"pattern": 5}, "pattern is 5"),
        ({"pattern": "(?=a)"}, "look-around is not in RE2"),
        ({"allow": "a"}, "allow has to be a list"),
        ({"hosts": [1]}, "hosts has to be a list"),
        ({"minLength": 3, "maxLength": 2}, "no text has both"),
    ],
)
def test_a_rule_that_is_none(entry: dict[str, Json], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        constraints_of(entry)


def test_a_pattern_is_of_the_whole_and_in_a_json_schema_of_a_part() -> None:
    assert of(pattern="b").mistake("abc") is not None
    schema = constraints_of({"pattern": "b"}, is_schema=True)
    assert schema is not None
    assert schema.mistake("a\nbc") is None
    assert schema.mistake("ac") is not None
    anchored = constraints_of({"pattern": "^b$"}, is_schema=True)
    assert anchored is not None
    assert anchored.mistake("b") is None
    assert anchored.mistake("abc") is not None
    # Written into a mapping that is none, it means the same.
    again = constraints_of(schema.written())
    assert again is not None
    assert again.mistake("a\nbc") is None


def test_no_rules() -> None:
    assert constraints_of({"type": "string", "description": "Words.", "maxLength": None}) is None


numbers = st.integers(-50, 50) | st.floats(-50, 50)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(3, 6),
            "minimum": numbers,
            "maximum": numbers,
            "exclusiveMinimum": numbers,
            "exclusiveMaximum": numbers,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(2, 3),
        },
    ).filter(bool),
    numbers | st.text(max_size=8) | st.lists(st.just(1), max_size=5),
)
def test_the_rules_are_those_of_the_json_schema(entry: dict[str, Json], value: object) -> None:
    rules = of(**entry)
    is_valid = Draft202012Validator(cast("dict[str, object]", rules.schema())).is_valid(value)
    half = isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value)
    assert half or (rules.mistake(value) is None) == is_valid
