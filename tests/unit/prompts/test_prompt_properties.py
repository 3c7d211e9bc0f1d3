"""Declared inputs and outputs in every form, and the JSON Schema of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from surefoot.errors import PromptError
from surefoot.prompts import Property, load
from surefoot.prompts.properties import schema_of

V2 = "model: m\n"


def inputs(folder: Path, front: str, section: str = "inputs") -> dict[str, Property]:
    path = folder / "p.prompty"
    path.write_text(f"---\n{front}\n---\nuser:\nhi\n")
    return dict(getattr(load(path), section))


def test_every_field_of_an_entry(tmp_path: Path) -> None:
    front = (
        "inputs:\n  - name: a\n    kind: string\n    description: D\n    required: true\n    default: x\n"
        "    example: y\n    enumValues: [x, y]\n    strict: true\n    nullable: true\n"
    )
    assert inputs(tmp_path, V2 + front)["a"] == Property(
        "a",
        "string",
        description="D",
        is_required=True,
        has_default=True,
        default="x",
        example="y",
        enum=("x", "y"),
        is_strict=True,
        is_nullable=True,
    )


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        *[
            ("float", "number"),
            ("double", "number"),
            ("int", "integer"),
            ("bool", "boolean"),
            ("list", "array"),
        ],
        *[("dict", "object"), ("str", "string"), ("secret", "any"), ("file_path", "any"), ("union", "any")],
        *[(kind, kind) for kind in ("thread", "image", "file", "audio", "array", "object", "any")],
    ],
)
def test_kinds_of_every_dialect(tmp_path: Path, kind: str, meant: str) -> None:
    assert inputs(tmp_path, f"{V2}inputs: [{{name: a, kind: {kind}}}]")["a"].type == meant
    assert inputs(tmp_path, f"inputs: {{a: {{type: {kind}}}}}")["a"].type == meant


def test_nested_kinds(tmp_path: Path) -> None:
    front = (
        "inputs:\n  - name: people\n    kind: array\n    items:\n      kind: object\n      properties:\n"
        "        - {name: name, kind: string, required: true}\n        - {name: tags, kind: array, items: string}\n"
    )
    people = inputs(tmp_path, V2 + front)["people"]
    assert people.items is not None
    assert people.items.properties == {
        "name": Property("name", "string", is_required=True),
        "tags": Property("tags", "array", is_required=False, items=Property("", "string", is_required=False)),
    }


def test_unions(tmp_path: Path) -> None:
    front = "inputs: [{name: a, kind: union, anyOf: [{kind: string}, {kind: array, items: {kind: integer}}]}]"
    found = inputs(tmp_path, V2 + front)["a"]
    assert [part.type for part in found.any_of] == ["string", "array"]
    assert schema_of({"a": found})["properties"] == {
        "a": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}
    }


def test_a_value_alone(tmp_path: Path) -> None:
    values = "inputs: {a: Jane, b: 3, c: 1.5, d: true, e: [1], f: }"
    found = inputs(tmp_path, values)
    assert [(entry.type, entry.default, entry.is_required) for entry in found.values()] == [
        *[("string", "Jane", False), ("integer", 3, False), ("number", 1.5, False), ("boolean", True, False)],
        *[("array", [1], False), ("any", None, False)],
    ]
    assert found["a"].has_default
    assert not found["f"].has_default
    older = inputs(tmp_path, f"sample: {{}}\n{values}")
    assert older["a"] == Property("a", has_default=True, default="Jane")
    assert older["f"] == Property("f")
    assert inputs(tmp_path, V2 + "inputs: [question, context]") == {
        name: Property(name, is_required=False) for name in ("question", "context")
    }


def test_a_json_schema(tmp_path: Path) -> None:
    front = (
        "inputs:\n  type: object\n  required: [a]\n  properties:\n    a: {type: [string, 'null']}\n"
        "    b: {type: object, properties: {c: {type: integer}, d: {}}, required: [c]}\n"
    )
    found = inputs(tmp_path, V2 + front)
    assert found["a"] == Property("a", "string", is_required=True, is_nullable=True)
    assert not found["b"].is_required
    assert found["b"].properties["c"] == Property("c", "integer", is_required=True)
    assert found["b"].properties["d"] == Property("d", "any", is_required=False)


def test_an_input_may_be_called_type(tmp_path: Path) -> None:
    assert inputs(tmp_path, "inputs: {type: {type: string}}") == {"type": Property("type", "string")}


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("inputs: 3", ":3:1: inputs have to be names with their types"),
        ("outputs: text", ":3:1: outputs have to be names with their types"),
        ("inputs: [{kind: string}]", ":3:10: an entry of inputs has no name"),
        ("inputs:\n  - {name: a, kind: string}\n  - {name: a}", ":5:5: inputs has a twice; keep one"),
        (
            "inputs:\n  - name: a\n    kind: strin",
            ":4:5: the input a has the unknown type strin; did you mean string?",
        ),
        ("inputs:\n  a:\n    kind: 3", ":4:3: the input a has the unknown type 3; known types: any, array"),
        (
            "inputs:\n  a:\n    kind: array\n    items: {kind: x9}",
            ":6:5: an item of inputs has the unknown type x9",
        ),
        (
            "outputs:\n  a:\n    kind: object\n    properties:\n      - {kind: string}",
            ":7:9: an entry of outputs",
        ),
        (f"inputs: {{a: {'{kind: array, items: ' * 25}string{'}' * 26}", "nested more than 20 deep"),
    ],
)
def test_a_declaration_that_is_none(tmp_path: Path, front: str, said: str) -> None:
    with pytest.raises(PromptError) as caught:
        inputs(tmp_path, V2 + front)
    assert said in str(caught.value)


OUTPUTS = """\
outputs:
  - {name: city, kind: string, required: true, description: Where, enumValues: [Rome, Oslo]}
  - {name: temperature, kind: float, required: true}
  - name: wind
    kind: object
    properties:
      - {name: speed, kind: float, required: true}
      - {name: gusts, kind: array, items: {kind: integer}}
  - {name: note, kind: string, enumValues: [a, b]}
"""


def test_the_schema_of_outputs(tmp_path: Path) -> None:
    schema = schema_of(inputs(tmp_path, V2 + OUTPUTS, "outputs"))
    assert schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where", "enum": ["Rome", "Oslo"]},
            "temperature": {"type": "number"},
            "wind": {
                "type": "object",
                "properties": {
                    "speed": {"type": "number"},
                    "gusts": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["speed"],
                "additionalProperties": False,
            },
            "note": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["city", "temperature"],
        "additionalProperties": False,
    }
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"city": "Rome", "temperature": 3, "wind": {"speed": 1.5, "gusts": [1]}})
    assert not validator.is_valid({"city": "Paris", "temperature": 3})
    assert not validator.is_valid({"city": "Rome", "temperature": 3, "more": 1})


def test_the_strict_schema_asks_for_every_property(tmp_path: Path) -> None:
    schema = schema_of(inputs(tmp_path, V2 + OUTPUTS, "outputs"), is_strict=True)
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["city", "temperature", "wind", "note"]
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert properties["note"] == {"type": ["string", "null"], "enum": ["a", "b", None]}
    wind = properties["wind"]
    assert isinstance(wind, dict)
    assert (wind["type"], wind["required"]) == (["object", "null"], ["speed", "gusts"])
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"city": "Oslo", "temperature": 3, "wind": None, "note": None})
    assert not validator.is_valid({"city": "Oslo", "temperature": 3})
    assert schema_of({"x": Property("x", "image"), "y": Property("y", "array")}, is_strict=True)[
        "properties"
    ] == {
        "x": {"type": "string"},
        "y": {"type": "array", "items": {"type": "string"}},
    }


def test_outputs_of_the_first_version(tmp_path: Path) -> None:
    found = inputs(
        tmp_path, "sample: {}\noutputs: {answer: {type: string}, score: {type: double}}", "outputs"
    )
    assert found == {"answer": Property("answer", "string"), "score": Property("score", "number")}
