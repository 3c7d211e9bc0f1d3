"""Declared inputs and outputs: every form in which files have them, and their JSON Schema."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from surefoot.errors import PromptError, UsageError
from surefoot.prompts.definition import Dialect, Property, PropertyType
from surefoot.texts.constraints import KEYWORDS, OF_LISTS, OF_NUMBERS, OF_TEXT, Constraints, constraints_of
from surefoot.texts.fences import STYLES, Style
from surefoot.values import Json, Trust

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_TYPES: dict[str, PropertyType] = {
    "any": "any",
    "array": "array",
    "audio": "audio",
    "bool": "boolean",
    "boolean": "boolean",
    "dict": "object",
    "double": "number",
    "file": "file",
    "float": "number",
    "image": "image",
    "int": "integer",
    "integer": "integer",
    "list": "array",
    "number": "number",
    "object": "object",
    "str": "string",
    "string": "string",
    "thread": "thread",
}
# Types of promptflow whose values it passes on unchanged; `union` says in `oneOf` or `anyOf` what it may be.
_UNCHECKED = frozenset(
    {"assistant_definition", "file_path", "prompt_template", "secret", "union", "null", "*"}
)

TRUSTS = ("trusted", "untrusted")
_MAX_DEPTH = 20


def declared(document: Document, section: str, value: Json, dialect: Dialect) -> dict[str, Property]:
    """What `inputs` or `outputs` declare, by name; `value` is the section with files taken in.

    A list of entries with a `name`, names with entries, names with a value that is the default, or a JSON Schema.

    Raises:
        PromptError: it has none of these forms, or a type is not known.
    """
    if value is None:
        return {}
    return _Section(document, section, dialect).read(value)


class _Section:
    __slots__ = ("dialect", "document", "is_schema", "section")

    def __init__(self, document: Document, section: str, dialect: Dialect) -> None:
        self.document = document
        self.section = section
        self.dialect: Dialect = dialect
        self.is_schema = False

    def read(self, value: Json) -> dict[str, Property]:
        if isinstance(value, dict):
            if value.get("type") == "object" and isinstance(value.get("properties"), dict | list):
                return self._of_schema(value)
            return {name: self.entry(name, entry, (name,)) for name, entry in value.items()}
        if isinstance(value, list):
            return self.named(value, ())
        raise self._error(
            (), f"{self.section} have to be names with their types, as in `query: {{type: string}}`"
        )

    def named(self, entries: list[Json], path: tuple[str | int, ...]) -> dict[str, Property]:
        """The entries of a list, each of which has a name or is one."""
        found: dict[str, Property] = {}
        for index, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else entry
            if not isinstance(name, str) or not name:
                raise self._error(
                    (*path, index), f"an entry of {self.section} has no name; add `name: query`"
                )
            if name in found:
                raise self._error((*path, index), f"{self.section} has {name} twice; keep one")
            found[name] = self.entry(name, entry if isinstance(entry, dict) else None, (*path, index))
        return found

    def entry(
        self, name: str, entry: Json, path: tuple[str | int, ...], *, is_listed: bool | None = None
    ) -> Property:
        """One property; `is_listed` is whether what it is in lists it as required, where that has such a list."""
        if len(path) > _MAX_DEPTH:
            raise self._error(path, f"{self.section} are nested more than {_MAX_DEPTH} deep; flatten them")
        if not isinstance(entry, dict):
            return self._shorthand(name, entry)
        kind, is_nullable = self._kind(name, entry, path)
        description, required = entry.get("description"), entry.get("required")
        is_required = self.dialect != "prompty-v2" if is_listed is None else is_listed
        enum, items = entry.get("enumValues", entry.get("enum")), entry.get("items")
        branches = entry.get("anyOf", entry.get("oneOf"))
        return Property(
            name,
            _TYPES.get(kind, "any"),
            description=description if isinstance(description, str) else "",
            is_required=required if isinstance(required, bool) else is_required,
            has_default="default" in entry,
            default=entry.get("default"),
            enum=tuple(enum) if isinstance(enum, list) else None,
            items=None if items is None else self._item(items, (*path, "items")),
            properties=self._inner(entry, path),
            is_strict=entry.get("strict") is True,
            example=entry.get("example", entry.get("sample")),
            any_of=tuple(self._item(branch, path) for branch in branches)
            if isinstance(branches, list)
            else (),
            is_nullable=is_nullable or entry.get("nullable") is True,
            rules=None if KEYWORDS.isdisjoint(entry) else self._rules(name, entry, path),
            trust=cast("Trust | None", self._one_of("trust", entry, TRUSTS, path)),
            fence=cast("Style | None", self._one_of("fence", entry, STYLES, path)),
        )

    def _one_of(
        self, key: str, entry: Mapping[str, Json], words: Sequence[str], path: tuple[str | int, ...]
    ) -> str | None:
        """One of some words, or None where nothing is said."""
        value = entry.get(key)
        if value is None or value in words:
            return cast("str | None", value)
        raise self._error(
            (*path, key), f"{key} is {value!r}; it may be {', '.join(words[:-1])} or {words[-1]}"
        )

    def _rules(self, name: str, entry: Mapping[str, Json], path: tuple[str | int, ...]) -> Constraints | None:
        try:
            return constraints_of(entry, is_schema=self.is_schema)
        except UsageError as error:
            shown = f"the {self.section.removesuffix('s')} {name}" if name else f"an item of {self.section}"
            raise self._error(path, f"{shown}: {error}") from None

    def _shorthand(self, name: str, value: Json) -> Property:
        """`name: value` declares it and gives its default, and in prompty 2.x its type; without a value only itself."""
        has_default = value is not None
        if self.dialect == "prompty-v2":
            return Property(name, type_of(value), is_required=False, has_default=has_default, default=value)
        return Property(name, has_default=has_default, default=value)

    def _item(self, value: Json, path: tuple[str | int, ...]) -> Property:
        """What an array holds: an entry without a name, or the name of a type."""
        return self.entry("", {"kind": value} if isinstance(value, str) else value, path)

    def _inner(self, entry: Mapping[str, Json], path: tuple[str | int, ...]) -> dict[str, Property]:
        inner, required = entry.get("properties"), entry.get("required")
        if isinstance(inner, list):
            return self.named(inner, (*path, "properties"))
        if not isinstance(inner, dict):
            return {}
        names = required if isinstance(required, list) else None
        return {
            name: self.entry(
                name, part, (*path, "properties", name), is_listed=None if names is None else name in names
            )
            for name, part in inner.items()
        }

    def _of_schema(self, schema: dict[str, Json]) -> dict[str, Property]:
        self.is_schema = True
        # In a JSON Schema what is not listed as required need not be given.
        required = schema.get("required")
        return self._inner({**schema, "required": required if isinstance(required, list) else []}, ())

    def _kind(self, name: str, entry: Mapping[str, Json], path: tuple[str | int, ...]) -> tuple[str, bool]:
        kind, is_nullable = entry.get("kind", entry.get("type")), False
        if isinstance(kind, list):
            is_nullable = "null" in kind
            named = [part for part in kind if part != "null"]
            kind = named[0] if len(named) == 1 else "any"
        if kind is None:
            kind = "object" if "properties" in entry else "array" if "items" in entry else self._ruled(entry)
        if not isinstance(kind, str) or (kind not in _TYPES and kind not in _UNCHECKED):
            near = difflib.get_close_matches(str(kind), _TYPES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known types: {', '.join(sorted(_TYPES))}"
            shown = f"the {self.section.removesuffix('s')} {name}" if name else f"an item of {self.section}"
            raise self._error(path, f"{shown} has the unknown type {kind}; {hint}")
        return kind, is_nullable

    def _ruled(self, entry: Mapping[str, Json]) -> str:
        """The type for which an entry has rules that names none: they would say nothing of all others.

        In a JSON Schema that is what they mean.
        """
        if self.is_schema:
            return "any"
        kinds = (("string", OF_TEXT), ("number", OF_NUMBERS), ("array", OF_LISTS))
        found = [kind for kind, keys in kinds if not entry.keys().isdisjoint(keys)]
        return found[0] if len(found) == 1 else "any"

    def _error(self, path: tuple[str | int, ...], problem: str) -> PromptError:
        return PromptError(f"{self.document.place(self.section, *path)}: {problem}")


def type_of(value: Json) -> PropertyType:
    """The type that a value has by itself; `any` for none at all."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "any"


def schema_of(properties: Mapping[str, Property], *, is_strict: bool = False) -> dict[str, Json]:
    """The JSON Schema of an object with these properties, and no other.

    `is_strict` is the form that providers ask for who hold a model to it: every property is required, and one that
    need not be given may be null.
    """
    required = [name for name, entry in properties.items() if is_strict or entry.is_required]
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {name: _schema(entry, is_strict=is_strict) for name, entry in properties.items()},
    }
    if required:
        schema["required"] = cast("Json", required)
    return {**schema, "additionalProperties": False}


def _schema(entry: Property, *, is_strict: bool, is_named: bool = True) -> dict[str, Json]:
    may_be_null = entry.is_nullable or (is_strict and is_named and not entry.is_required)
    schema: dict[str, Json] = {}
    if entry.any_of:
        schema["anyOf"] = [_schema(part, is_strict=is_strict, is_named=False) for part in entry.any_of]
    elif entry.type in ("string", "integer", "number", "boolean", "array"):
        schema["type"] = entry.type
    elif entry.type == "object":
        schema = schema_of(entry.properties, is_strict=is_strict)
        if not entry.properties:
            # It may have whatever keys, which no strict schema can say.
            schema = {"type": "object"} if not is_strict else schema
    elif entry.type != "any":
        # A picture, recording, document or thread stands in JSON as the text that names it.
        schema["type"] = "string"
    if entry.type == "array" and not entry.any_of:
        item = entry.items or Property("", "string" if is_strict else "any")
        schema["items"] = _schema(item, is_strict=is_strict, is_named=False)
    if entry.description:
        schema["description"] = entry.description
    if entry.rules is not None:
        schema |= entry.rules.schema()
    if entry.enum is not None:
        schema["enum"] = list(entry.enum)
    return _nullable(schema) if may_be_null else schema


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    branches = schema.get("anyOf")
    if isinstance(branches, list):
        return {**schema, "anyOf": [*branches, {"type": "null"}]}
    if "type" not in schema:
        return schema
    enum = schema.get("enum")
    if isinstance(enum, list) and None not in enum:
        schema = {**schema, "enum": [*enum, None]}
    return {**schema, "type": [schema["type"], "null"]}
