"""JSON schemas in the part of JSON Schema that Gemini reads."""

from __future__ import annotations

import json
from collections.abc import Mapping

from surefoot.errors import UsageError
from surefoot.values import Json

# As the reference of `responseJsonSchema` lists them; within `$defs` and `properties` are schemas by name.
_KNOWN = frozenset(
    {
        *("$id", "$anchor", "$defs", "$ref", "type", "format", "title", "description", "enum", "required"),
        *("items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf"),
        *("properties", "additionalProperties", "propertyOrdering"),
    }
)
# Say nothing of which values fit.
_REMARKS = frozenset(
    {
        *("$schema", "$comment", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"),
        *("discriminator", "contentMediaType", "contentEncoding"),
    }
)
# Cannot be enforced, and can be said: the answer is checked against them when it is there.
_SAID = frozenset(
    {
        *("minLength", "maxLength", "pattern", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
        *("uniqueItems", "minProperties", "maxProperties"),
    }
)


def gemini_schema(schema: Mapping[str, Json], where: str) -> dict[str, Json]:
    """The schema with what Gemini refuses put in other words.

    A constant becomes an enumeration of one, an `allOf` of one schema that schema, and bounds that Gemini does not
    read (`minLength`, `pattern`, ...) a sentence of the description.

    where: whose schema it is, for the message.

    Raises `UsageError` for what cannot be put in other words, such as `not`, `if` and `patternProperties`.
    """
    return _schema(schema, where)


def _schema(schema: Mapping[str, Json], at: str) -> dict[str, Json]:
    whole: Mapping[str, Json] = _without_all_of(schema, at)
    reference = whole.get("$ref")
    has_beside = any(not name.startswith("$") and name not in _REMARKS for name in whole)
    if isinstance(reference, str) and has_beside:
        # Nothing may stand beside a reference.
        choices: list[Json] = [{"$ref": reference}]
        whole = {name: value for name, value in whole.items() if name != "$ref"}
        whole["anyOf"] = choices
    written: dict[str, Json] = {}
    said: list[str] = []
    for name, value in whole.items():
        if name in _KNOWN:
            written[name] = _keyword(name, value, at)
        elif name in _SAID:
            said.append(f"{name}: {json.dumps(value)}")
        elif name not in _REMARKS and name not in ("const", "enum"):
            raise _refused(f"the keyword {name!r}", at)
    values = [whole["const"]] if "const" in whole else whole.get("enum")
    if isinstance(values, list):
        written.pop("enum", None)
        if all(isinstance(value, bool) for value in values):
            written["type"] = "boolean"
            said.append(f"one of: {json.dumps(values)}")
        else:
            _enumerate(written, values, at)
    if said:
        before = written.get("description")
        written["description"] = f"{before}\n\n" * isinstance(before, str) + f"({', '.join(said)})"
    return written


def _keyword(name: str, value: Json, at: str) -> Json:
    if name in ("$defs", "properties") and isinstance(value, dict):
        return {key: _of(one, f"{at}.{key}") for key, one in value.items()}
    if name in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [_of(one, f"{at}.{name}[{index}]") for index, one in enumerate(value)]
    if name in ("items", "additionalProperties"):
        return _of(value, f"{at}.{name}")
    return value


def _of(value: Json, at: str) -> Json:
    return _schema(value, at) if isinstance(value, dict) else value


def _without_all_of(schema: Mapping[str, Json], at: str) -> Mapping[str, Json]:
    parts = schema.get("allOf")
    if parts is None:
        return schema
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict):
        return {**parts[0], **{name: value for name, value in schema.items() if name != "allOf"}}
    raise _refused("'allOf' of several schemas", at)


def _enumerate(written: dict[str, Json], values: list[Json], at: str) -> None:
    """Put an enumeration into the schema; Gemini has those of texts and numbers, beside which null is a type."""
    plain = [
        value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    if len(plain) + values.count(None) < len(values):
        raise _refused("an enumeration of values that are neither texts nor numbers", at)
    kinds = {_kind(value) for value in plain}
    typed: dict[str, Json] = {"type": kinds.pop()} if len(kinds) == 1 else {}
    if None not in values:
        written |= {**typed, "enum": list(plain)}
    elif plain:
        written.pop("type", None)
        written["anyOf"] = [{**typed, "enum": list(plain)}, {"type": "null"}]
    else:
        written["type"] = "null"


def _kind(value: Json) -> str:
    return "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"


def _refused(what: str, at: str) -> UsageError:
    return UsageError(
        f"google.generate_content cannot be told {what} in the JSON schema of {at}: write the type without it, "
        "and check the value in code"
    )
