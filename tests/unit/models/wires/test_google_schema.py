"""JSON schemas in the words that Gemini has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from surefoot.errors import UsageError
from surefoot.models.wires.google_schema import gemini_schema


class Part(BaseModel):
    name: Annotated[str, Field(min_length=1, pattern="^[a-z]+$", description="Its name.")]
    size: Annotated[int, Field(gt=0, le=9)] = 3


class Whole(BaseModel):
    kind: Literal["whole"]
    grade: Literal["a", "b"] | None
    level: Literal[1, 2]
    main: Part = Field(description="The main one.")
    parts: list[Part]
    by_name: dict[str, Part]
    parent: Whole | None = None


def test_a_model_of_pydantics() -> None:
    assert gemini_schema(Whole.model_json_schema(), "x") == {
        "$defs": {
            "Part": {
                "type": "object",
                "title": "Part",
                "properties": {
                    "name": {
                        "type": "string",
                        "title": "Name",
                        "description": 'Its name.\n\n(minLength: 1, pattern: "^[a-z]+$")',
                    },
                    "size": {
                        "type": "integer",
                        "title": "Size",
                        "maximum": 9,
                        "description": "(exclusiveMinimum: 0)",
                    },
                },
                "required": ["name"],
            },
            "Whole": {
                "type": "object",
                "title": "Whole",
                "properties": {
                    "kind": {"type": "string", "title": "Kind", "enum": ["whole"]},
                    "grade": {
                        "title": "Grade",
                        "anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}],
                    },
                    "level": {"type": "integer", "title": "Level", "enum": [1, 2]},
                    "main": {"description": "The main one.", "anyOf": [{"$ref": "#/$defs/Part"}]},
                    "parts": {"type": "array", "title": "Parts", "items": {"$ref": "#/$defs/Part"}},
                    "by_name": {
                        "type": "object",
                        "title": "By Name",
                        "additionalProperties": {"$ref": "#/$defs/Part"},
                    },
                    "parent": {"anyOf": [{"$ref": "#/$defs/Whole"}, {"type": "null"}]},
                },
                "required": ["kind", "grade", "level", "main", "parts", "by_name"],
            },
        },
        "$ref": "#/$defs/Whole",
    }


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"const": 4}, {"type": "integer", "enum": [4]}),
        ({"const": None}, {"type": "null"}),
        ({"const": True}, {"type": "boolean", "description": "(one of: [true])"}),
        ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        ({"enum": ["a", 1]}, {"enum": ["a", 1]}),
        ({"type": "number", "enum": [1.5, 2.5]}, {"type": "number", "enum": [1.5, 2.5]}),
        ({"allOf": [{"type": "string"}], "title": "T"}, {"type": "string", "title": "T"}),
        ({"type": ["string", "null"], "default": None}, {"type": ["string", "null"]}),
        ({"$ref": "#/$defs/A", "default": 1}, {"$ref": "#/$defs/A"}),
        ({"properties": {"not": {"const": 1}}}, {"properties": {"not": {"type": "integer", "enum": [1]}}}),
        ({"items": {"multipleOf": 2}}, {"items": {"description": "(multipleOf: 2)"}}),
    ],
)  # fmt: skip
def test_in_other_words(schema: dict[str, Any], said: dict[str, Any]) -> None:
    assert gemini_schema(schema, "x") == said


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"not": {}}, r"'not' in the JSON schema of the tool f:"),
        ({"properties": {"a": {"if": {}}}}, r"'if' in the JSON schema of the tool f\.a:"),
        (
            {"items": {"patternProperties": {}}},
            r"'patternProperties' in the JSON schema of the tool f\.items:",
        ),
        ({"anyOf": [{}, {"contains": {}}]}, r"'contains' in the JSON schema of the tool f\.anyOf\[1\]:"),
        ({"allOf": [{}, {}]}, "'allOf' of several schemas"),
        ({"enum": [{"a": 1}]}, "neither texts nor numbers"),
        ({"definitions": {}}, "'definitions'"),
    ],
)
def test_what_cannot_be_told(schema: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError, match=where):
        gemini_schema(schema, "the tool f")
