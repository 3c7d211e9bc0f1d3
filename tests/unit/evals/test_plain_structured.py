"""JSON: whether it is any, fits a schema, equals what is expected. Every difference is named by its path."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from surefoot.errors import InvalidInput
from surefoot.evals.plain import is_json, json_equal, json_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@dataclass(frozen=True)
class Place:
    city: str
    rooms: tuple[int, ...] = ()


class Order(BaseModel):
    id: int
    place: str


@given(JSON)
def test_everything_equals_itself_as_data_and_as_text(value: object) -> None:
    for scorer in (json_equal(), json_equal(lists="any"), json_equal(lists="any", tolerance=0.1)):
        assert (
            scorer(value if not isinstance(value, str) else json.dumps(value), json.dumps(value)).value
            is True
        )
    assert is_json(json.dumps(value)).value is True


@given(st.lists(JSON, max_size=5), st.randoms())
def test_in_any_order_a_shuffled_list_is_the_same(items: list[object], random: st.DataObject) -> None:
    mixed = list(items)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert json_equal(lists="any")(mixed, items).value is True
    assert json_equal(lists="any", tolerance=1e-9)(mixed, items).value is True


@pytest.mark.parametrize(
    ("output", "expected", "settings", "reason"),
    [
        ('{"a": 1}', {"a": 1.0}, {}, ""),
        ({"a": True}, {"a": 1}, {}, "$.a: true and not 1"),
        ({"a": None}, {}, {}, "$.a: not expected"),
        ({}, {"a": None}, {}, "$.a: missing"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, {}, "$.a.b[1]: 2 and not 3"),
        ([1], [1, 2], {}, "$[1]: missing, 2 is expected"),
        ([1, 2], [1], {}, "$[1]: 2 is not expected"),
        ([2, 1], [1, 2], {}, "$[0]: 2 and not 1; $[1]: 1 and not 2"),
        ([2, 1], [1, 2], {"lists": "any"}, ""),
        ([1, 1, 2], [1, 2, 2], {"lists": "any"}, "$: 2 is missing; $: 1 is not expected"),
        ({"id": 7, "x": 1}, {"id": 8, "x": 1}, {"ignore": ["$.id"]}, ""),
        ({"x": 1}, {"id": 8, "x": 1}, {"ignore": ["$.id"]}, ""),
        ({"i": [{"at": 1}, {"at": 2}]}, {"i": [{"at": 3}, {"at": 4}]}, {"ignore": ["$.i[*].at"]}, ""),
        ({"i": [{"at": 1}, {"at": 2}]}, {"i": [{"at": 1}, {"at": 4}]}, {"ignore": ["$.i[1].at"]}, ""),
        ({"a.b": 1}, {"a.b": 2}, {"ignore": ["$['a.b']"]}, ""),
        ({"n": 0.30000000000000004}, {"n": 0.3}, {"tolerance": 1e-9}, ""),
        ({"n": 10**400}, {"n": 1.5}, {"tolerance": 1}, None),
        # 1 is near both; only 2 is near 3.
        ([1, 2], [3, 2], {"lists": "any", "tolerance": 1}, ""),
        (Place("Oslo", (1, 2)), {"city": "Oslo", "rooms": [1, 2]}, {}, ""),
        (Order(id=1, place="Oslo"), {"id": 1, "place": "Oslo"}, {}, ""),
        ("Oslo", '"Oslo"', {}, None),
        ('"Oslo"', '"Oslo"', {}, ""),
        ("NaN", "1", {}, None),
        ("", "1", {}, None),
    ],
)
def test_what_differs_is_named(
    output: object, expected: object, settings: dict[str, object], reason: str | None
) -> None:
    said = json_equal(**settings)(output, expected)  # type: ignore[arg-type]
    assert said.value is (reason == "")
    if reason is not None:
        assert said.reason == reason


def test_many_differences_are_cut() -> None:
    said = json_equal()(list(range(100)), list(range(1, 101)))
    assert said.reason.count(";") == 3
    assert said.reason.endswith("and more")


def test_a_fence_is_no_json() -> None:
    said = is_json('```json\n{"a": 1}\n```')
    assert said.value is False
    assert "code fence" in said.reason


@pytest.mark.parametrize("path", ["id", "$id", "$.", "$[x]", "$.a..b", "$.a["])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="is no path"):
        json_equal(ignore=[path])


@pytest.mark.parametrize("expected", ["not json", "", object(), {"a": float("nan")}])
def test_an_expected_value_that_is_no_json_is_refused(expected: object) -> None:
    with pytest.raises(InvalidInput, match="cannot be compared as JSON"):
        json_equal()({}, expected)


@pytest.mark.parametrize("settings", [{"lists": "sorted"}, {"tolerance": -1}, {"tolerance": float("inf")}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        json_equal(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [150, 500, 100_000])
def test_deep_json_is_an_answer_like_any_other(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for said in (
        json_equal()(deep, "[]"),
        json_equal(lists="any")(deep, "[[]]"),
        is_json(deep),
        json_schema({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}})(deep),
    ):
        assert isinstance(said.value, bool)
        assert len(said.reason) < 1_000


def test_huge_json_takes_no_time_to_speak_of() -> None:
    rows = [{"id": number, "name": f"row {number}"} for number in range(3_000)]
    began = time.process_time()
    assert json_equal()(json.dumps(rows), rows).value is True
    assert json_equal(lists="any")(json.dumps(rows[::-1]), rows).value is True
    assert json_schema({"items": {"required": ["id"]}})(rows).value is True
    assert time.process_time() - began < 10


# Schemas

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "n": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('{"city": "Oslo"}', ""),
        ({"city": "Oslo", "n": 2}, ""),
        ('{"city": "oslo"}', "$.city: 'oslo' does not match '^[A-Z]'"),
        ({"n": 0}, "$.n: 0 is less than the minimum of 1; $: 'city' is a required property"),
        ("Oslo", "'Oslo' is no JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_schemas(output: object, reason: str) -> None:
    said = json_schema(SCHEMA)(output)
    assert (said.value, said.reason) == (not reason, reason)


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    scorer = json_schema(file)
    assert scorer({"city": "Oslo"}).value is True
    assert scorer.__name__ == f"json_schema:{file}"


@pytest.mark.parametrize("text", [None, "{", "[]", '{"type": "text"}', "\ufffe"])
def test_a_file_that_holds_no_schema_is_refused(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"schema"):
        json_schema(file)


def test_a_schema_fetches_nothing() -> None:
    scorer = json_schema({"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(InvalidInput, match="which is not in it"):
        scorer({})


def test_no_answer_makes_a_schema_slow() -> None:
    began = time.monotonic()
    json_schema({"pattern": "^(a+)+$"})(json.dumps("a" * 50_000 + "b"))
    assert time.monotonic() - began < 20
    named = json_schema(
        {"patternProperties": {"^(b+)+$": {"type": "integer"}}, "additionalProperties": False}
    )
    assert named({"bbb": 1}).value is True
    assert named({"b" * 50_000 + "!": 1}).value is False
    assert time.monotonic() - began < 20


def test_an_expression_that_could_be_slow_is_an_error() -> None:
    for schema in ({"pattern": "^(?!x)"}, {"properties": {"a": {"patternProperties": {"(?=a)": {}}}}}):
        with pytest.raises(InvalidInput, match=r"schema: .*look-around is not in RE2"):
            json_schema(schema)('"y"')
