"""The shape of the settings as paths: which keys exist, what each expects, and what a value is called."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from surefoot.config.model import Config
from surefoot.config.secret import Secret, SecretText
from surefoot.config.section import Section

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A place in the settings that holds keys: a section, or a table with names of the user's own."""

    section: type[Section] | None = None
    entry: Table | Leaf | None = None

    def child(self, key: str) -> Table | Leaf | None:
        """The place under `key`, or None if there is no such key."""
        if self.section is None:
            return self.entry
        info = self.section.model_fields.get(key)
        return None if info is None else place_of(info.annotation)

    def names(self) -> list[str]:
        """The keys with a fixed name; a table with names of the user's own has none."""
        return [] if self.section is None else list(self.section.model_fields)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A place that holds one value of the given type."""

    type: Any


def place_of(annotation: Any) -> Table | Leaf:
    """The place that a field of this annotation makes."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Table(section=annotation)
    if get_origin(annotation) in (dict, Mapping):
        return Table(entry=place_of(get_args(annotation)[1]))
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    # How a value is read matters to pydantic alone.
    return Leaf(get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation)


_LONGEST_SHOWN = 60

ROOT = Table(section=Config)


def find(path: Iterable[str]) -> Table | Leaf | None:
    """The place that a path of keys leads to, or None."""
    place: Table | Leaf | None = ROOT
    for key in path:
        if not isinstance(place, Table):
            return None
        place = place.child(key)
    return place


def dotted(path: Iterable[str | int]) -> str:
    """`models.aliases.gpt-4o`; a key with other characters is quoted as TOML has it."""
    return ".".join(part if _is_bare(part) else f'"{part}"' for part in map(str, path))


def _is_bare(key: str) -> bool:
    return key != "" and all(character.isalnum() or character in "-_" for character in key)


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known name that `key` was most likely meant to be."""
    found = difflib.get_close_matches(key.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def as_table(value: object) -> dict[str, Any] | None:
    """A TOML table as such, or None if the value is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def expectation(place: Table | Leaf) -> str:
    """What a place expects, in words: `a whole number`, `one of "full", "normal"`."""
    if isinstance(place, Table):
        return "a table"
    kind = place.type
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    words: dict[Any, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Path: "a path",
        Secret: "a secret by reference",
        SecretText: "text",
        Decimal: "an amount of dollars",
        tuple[str, ...]: "a list of texts",
    }
    return words[kind]


def description_of(value: object) -> str:
    """A value as an error names it: its kind, and itself where it is short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= _LONGEST_SHOWN else f"a text of {len(value)} characters"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return f"a {type(value).__name__}"
