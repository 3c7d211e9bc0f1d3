"""The type that an answer is wanted as: its JSON schema for the provider, and the way from its text to a value."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import FunctionType
from typing import Any, cast

from surefoot.errors import InvalidInput, UsageError
from surefoot.models.generating.asking import OutputSpec
from surefoot.models.wires.saying import said_instead
from surefoot.texts.patterns import compiled, json_schema_keywords
from surefoot.values import Json

Schema = dict[str, Json]

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_NOT_ENFORCED = frozenset(
    {
        *("allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"),
        *("prefixItems", "contains", "uniqueItems", "propertyNames"),
    }
)
_SAID = frozenset({"minLength", "maxLength"})
_VALUE = "value"
"""The field in which a value travels that is no object, as providers take objects only."""


class _Unsaid:
    """See `UNSAID`."""

    def __repr__(self) -> str:
        return "what the prompt declares, else str"


UNSAID = _Unsaid()
"""The type of an answer of which the code says nothing: it is for the prompt to say."""


class Misfit(Exception):
    """An answer is not of the type that is wanted; the message says how, for the model and for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A type of answer: what the provider is told, and how the text becomes the value (`Misfit` where it does not).

    `fields` are those that an answer has to have, None where it is no object.
    """

    spec: OutputSpec
    parse: Callable[[str], Any]
    fields: tuple[str, ...] | None = None


def wanted(kind: object) -> Wanted | None:
    """How an answer of that type is asked for; None for `str`, which is any answer.

    kind: a type that pydantic knows (a model, dataclass, TypedDict, `list[int]`, ...), or a JSON schema as a mapping,
    by which an answer stays plain JSON.

    Raises `UsageError` for what has no JSON schema.
    """
    if kind is str:
        return None
    if isinstance(kind, Mapping):
        return _by_schema(cast("Mapping[str, Json]", kind))
    try:
        return _by_type(kind)
    except TypeError:  # not hashable
        return _by_type.__wrapped__(kind)


@lru_cache(maxsize=512)
def _by_type(kind: Any) -> Wanted:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    name = getattr(kind, "__name__", "") or str(kind)
    if isinstance(kind, FunctionType):
        raise UsageError(f"an answer cannot be asked for as {name}, which is a function: give a type")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = cast("Schema", adapter.json_schema())
    except PydanticUserError as error:
        raise UsageError(
            f"an answer cannot be asked for as {name}: {str(error).splitlines()[0]}; use a pydantic model, "
            "a dataclass, a TypedDict, a type of plain data, or a JSON schema"
        ) from None
    whole = _resolved(schema, schema)
    is_object = whole.get("type") == "object"

    def parse(text: str) -> Any:
        data = _json_of(text)
        if not is_object:
            if not isinstance(data, dict) or _VALUE not in data:
                raise Misfit(f"it has to be an object with the one field {_VALUE!r}")
            data = cast("dict[str, Json]", data)[_VALUE]
        try:
            return adapter.validate_json(_dumped(data))
        except ValidationError as error:
            raise Misfit(
                "; ".join(
                    f"{'.'.join(map(str, problem['loc'])) or 'the answer'}: {problem['msg']}"
                    for problem in error.errors(include_url=False, include_input=False)
                )
            ) from error

    fields = _required(whole) if is_object else None
    return Wanted(_spec(name, schema if is_object else _wrapped(schema)), parse, fields)


def _by_schema(schema: Mapping[str, Json]) -> Wanted:
    if schema.get("type") != "object":
        raise UsageError('the JSON schema of an answer has to be that of an object: {"type": "object", ...}')
    given: Schema = copy.deepcopy(dict(schema))
    _mapped(given, _with_fast_patterns)

    def parse(text: str) -> Json:
        from jsonschema import Draft202012Validator, validators
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        data = _json_of(text)
        # A schema refers to what is in it: without a registry of its own the library would fetch what is elsewhere.
        empty: Registry[Any] = Registry()
        # A pattern of its own would search in time without bound.
        kind = cast("Any", validators).extend(Draft202012Validator, json_schema_keywords())
        check = kind(given, registry=empty).iter_errors
        try:
            problems = [f"{error.json_path}: {error.message}" for error in check(data)]
        except Unresolvable as error:
            raise UsageError(
                f"the JSON schema of the answer refers to {error.ref!r}, which is not in it: put that under $defs"
            ) from None
        if problems:
            raise Misfit("; ".join(problems))
        return cast("Json", data)

    title = schema.get("title")
    return Wanted(_spec(title if isinstance(title, str) else "answer", given), parse, _required(given))


def by_outputs(schema: Mapping[str, Json], *, name: str, is_strict: bool | None) -> Wanted:
    """How the outputs that a prompt declares are asked for: as an object by the schema, of plain JSON.

    is_strict: whether the schema, as it is, is one that providers hold a model to; None where that is to be seen.
    """
    found = _by_schema(schema)
    spec = found.spec
    if is_strict is not None:
        told = said_instead(schema, _SAID) if is_strict else dict(schema)
        spec = replace(spec, schema=told, is_strict=is_strict)
    return replace(found, spec=replace(spec, name=name))


def by_names(names: Sequence[str]) -> Wanted:
    """How any JSON object is asked for, of which the fields of these names are the answer; all of it without names."""

    def parse(text: str) -> Json:
        data = _json_of(text)
        if not isinstance(data, dict):
            raise Misfit("it has to be a JSON object")
        found = cast("Schema", data)
        missing = [name for name in names if name not in found]
        if missing:
            raise Misfit(f"it has no {', '.join(missing)}, but {', '.join(found) or 'nothing'}")
        return {name: found[name] for name in names} if names else found

    return Wanted(OutputSpec("answer", None, is_strict=False), parse)


def _spec(name: str, schema: Schema) -> OutputSpec:
    strict = strict_schema(schema)
    label = _NO_NAME.sub("_", name).strip("_")[:64] or "answer"
    return OutputSpec(label, untitled(schema) if strict is None else strict, is_strict=strict is not None)


def _required(schema: Schema) -> tuple[str, ...]:
    names = schema.get("required")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _wrapped(schema: Schema) -> Schema:
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    whole: Schema = {"type": "object", "properties": {_VALUE: inner}, "required": [_VALUE]}
    return whole | ({"$defs": schema["$defs"]} if "$defs" in schema else {})


def strict_schema(schema: Mapping[str, Json]) -> Schema | None:
    """The schema in the form that providers enforce while they decode: each object has all of its properties, and no
    others. None where the schema says what that form cannot say (free keys, conditions).

    The length of texts, to which no decoder is held, is said in descriptions."""
    try:
        strict = cast("Schema", _strict(dict(schema), dict(schema), frozenset()))
    except _NotStrict:
        return None
    return said_instead(strict, _SAID)


def untitled(schema: Mapping[str, Json]) -> Schema:
    """The schema without the titles that pydantic adds, which are tokens that say nothing."""
    return cast("Schema", _mapped(dict(schema), _without_title))


class _NotStrict(Exception):
    pass


def _strict(schema: Json, root: Schema, inside: frozenset[str]) -> Json:
    if not isinstance(schema, dict):
        return schema
    if not _NOT_ENFORCED.isdisjoint(schema):
        return _strict(_without_all_of(schema), root, inside)
    reference = schema.get("$ref")
    if isinstance(reference, str) and len(schema) > 1:
        # Beside a reference nothing may stand, so what is referred to is put in its place.
        if reference in inside:
            return {"$ref": reference}
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return _strict({**_resolved({"$ref": reference}, root), **beside}, root, inside | {reference})
    found: Schema = {}
    for name, value in schema.items():
        match name:
            case "title" | "default" | "discriminator":
                pass
            case "properties" | "$defs":
                found[name] = {key: _strict(one, root, inside) for key, one in cast("Schema", value).items()}
            case "anyOf" | "oneOf":
                found["anyOf"] = [_strict(one, root, inside) for one in cast("list[Json]", value)]
            case "items":
                found[name] = _strict(value, root, inside)
            case _:
                found[name] = value
    if found.get("type") == "object" or "properties" in found:
        if found.get("additionalProperties") not in (None, False) or not found.get("properties"):
            raise _NotStrict
        found["additionalProperties"] = False
        found["required"] = list(cast("Schema", found["properties"]))
    return found


def _without_all_of(schema: Schema) -> Schema:
    """The one schema of an `allOf` in its place, as pydantic wraps references. Raises `_NotStrict` for others."""
    parts = schema.get("allOf")
    rest = {name: value for name, value in schema.items() if name != "allOf"}
    if isinstance(parts, list) and len(parts) == 1 and _NOT_ENFORCED.isdisjoint(rest):
        return {**cast("Schema", parts[0]), **rest}
    raise _NotStrict


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema itself, or what it refers to within the document."""
    for _ in range(20):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        node: Json = root
        for part in reference.removeprefix("#/").split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        schema = node if isinstance(node, dict) else {}
    return schema


def _mapped(schema: Json, change: Callable[[Schema], Schema]) -> Json:
    """Each schema within a schema, changed from the inside out. Names of properties are no keywords."""
    if isinstance(schema, list):
        return [_mapped(one, change) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for name, value in schema.items():
        if name in ("properties", "$defs", "patternProperties") and isinstance(value, dict):
            found[name] = {key: _mapped(member, change) for key, member in value.items()}
        elif name in ("enum", "const", "default", "examples"):
            found[name] = value
        else:
            found[name] = _mapped(value, change)
    return change(found)


def _with_fast_patterns(schema: Schema) -> Schema:
    """The schema itself. Raises `UsageError` for a pattern whose time could grow faster than the text."""
    free = schema.get("patternProperties")
    for pattern in (schema.get("pattern"), *(free if isinstance(free, dict) else ())):
        if isinstance(pattern, str):
            try:
                compiled(pattern)
            except InvalidInput as error:
                raise UsageError(f"the JSON schema of an answer: {error}") from None
    return schema


def _without_title(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "title"}


def _json_of(text: str) -> Any:
    """The JSON value of an answer; models that are not held to JSON like to put it into a fence."""
    import orjson

    fenced = _FENCE.fullmatch(text)
    try:
        return orjson.loads(fenced["inside"] if fenced else text)
    except orjson.JSONDecodeError as error:
        raise Misfit(f"it is no JSON ({error})") from error


def _dumped(data: Any) -> bytes:
    import orjson

    return orjson.dumps(data)
