"""Types as JSON schemas that providers can enforce, and answers as values of these types."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from surefoot.errors import UsageError
from surefoot.models.generating.schemas import Misfit, strict_schema, untitled, wanted


class Part(BaseModel):
    """A part."""

    name: str = Field(description="What it is called.")
    title: str = "untitled"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]


class Whole(BaseModel):
    parts: list[Part]
    first: Part = Field(description="The first of them.")
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    note: str | None = None


class Tree(BaseModel):
    children: list[Tree] = []


class Free(BaseModel):
    by_name: dict[str, int]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


@dataclass
class Point:
    x: float
    tags: list[str] = field(default_factory=list)


class Movie(TypedDict):
    name: str
    year: NotRequired[int]


def objects_in(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for one in schema for found in objects_in(one)]
    if not isinstance(schema, dict):
        return []
    inside = [found for value in schema.values() for found in objects_in(value)]
    return [schema, *inside] if "properties" in schema else inside


@pytest.mark.parametrize(
    "kind", [Part, Whole, Tree, Point, Movie, list[int], int, Literal["a", "b"], Cat | Dog, list[Part]]
)
def test_what_can_be_enforced_is_asked_for_strictly(kind: Any) -> None:
    found = wanted(kind)
    assert found is not None
    schema = found.spec.schema
    assert found.spec.is_strict
    assert schema["type"] == "object"
    Draft202012Validator.check_schema(schema)
    for one in objects_in(schema):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
    text = str(schema)
    assert all(word not in text for word in ("'default'", "oneOf", "discriminator", "allOf"))


@pytest.mark.parametrize("kind", [Free, Open, dict[str, int], tuple[int, str]])
def test_what_cannot_be_enforced_is_asked_for_as_it_is(kind: Any) -> None:
    found = wanted(kind)
    assert found is not None
    assert not found.spec.is_strict
    assert found.spec.schema["type"] == "object"


def test_descriptions_stay_and_titles_of_pydantic_go() -> None:
    found = wanted(Whole)
    assert found is not None
    text = str(found.spec.schema)
    assert "What it is called." in text
    assert "The first of them." in text
    part = found.spec.schema["$defs"]["Part"]  # type: ignore[index, call-overload]
    assert list(part["properties"]) == ["name", "title"]  # type: ignore[index, call-overload, arg-type]
    assert "'title': 'Part'" not in text


def test_a_property_that_is_called_as_a_keyword_is_left_alone() -> None:
    schema: Any = {
        "type": "object",
        "title": "T",
        "properties": {
            "title": {"type": "string", "title": "Title"},
            "default": {"type": "string", "default": "x"},
        },
    }
    assert list(untitled(schema)["properties"]) == ["title", "default"]  # type: ignore[arg-type]
    strict = strict_schema(schema)
    assert strict is not None
    assert list(strict["properties"]) == ["title", "default"]  # type: ignore[arg-type]
    assert schema["title"] == "T"


def test_a_text_needs_no_schema() -> None:
    assert wanted(str) is None


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Part, '{"name": "a", "title": "b"}', Part(name="a", title="b")),
        (Part, '```json\n{"name": "a"}\n```', Part(name="a")),
        (Part, ' ```\n{"name": "a"}``` ', Part(name="a")),
        (Point, '{"x": 1, "tags": ["t"]}', Point(1.0, ["t"])),
        (Movie, '{"name": "m"}', {"name": "m"}),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (int, '{"value": 3}', 3),
        (Part | None, '{"value": null}', None),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', {"a": 1}),
    ],
)
def test_an_answer_becomes_a_value(kind: Any, text: str, value: object) -> None:
    found = wanted(kind)
    assert found is not None
    assert found.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (Part, "Sorry, I cannot.", "it is no JSON"),
        (Part, "", "it is no JSON"),
        (Part, "{}", "name: Field required"),
        (Cat, '{"kind": "cat", "lives": 10}', "lives: Input should be less than or equal to 9"),
        (Whole, '{"parts": [{}]}', "parts.0.name"),
        (list[int], "[1]", "the one field 'value'"),
        (list[int], '{"value": ["a"]}', "0: Input should be a valid integer"),
        ({"type": "object", "required": ["a"]}, "{}", "'a' is a required property"),
    ],
)
def test_a_misfit_says_what_is_wrong(kind: Any, text: str, says: str) -> None:
    found = wanted(kind)
    assert found is not None
    with pytest.raises(Misfit, match=says.replace(".", r"\.")):
        found.parse(text)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ({"type": "array"}, "has to be that of an object"),
        (Any, "x"),
        (object, "x"),
        (lambda: 1, "cannot be asked for"),
    ],
)
def test_what_is_no_type_of_an_answer(kind: Any, says: str) -> None:
    if says == "x":
        assert wanted(kind) is not None  # any JSON
        return
    with pytest.raises(UsageError, match=says):
        wanted(kind)


def test_a_schema_that_refers_to_elsewhere_is_refused_and_nothing_is_fetched() -> None:
    found = wanted({"type": "object", "properties": {"part": {"$ref": "http://127.0.0.1:9/part.json"}}})
    assert found is not None
    with pytest.raises(UsageError, match=r"refers to 'http://127\.0\.0\.1:9/part\.json', which is not in it"):
        found.parse('{"part": 1}')


@given(st.text())
def test_no_answer_breaks_the_reader(text: str) -> None:
    found = wanted(Whole)
    assert found is not None
    with suppress(Misfit):
        found.parse(text)
