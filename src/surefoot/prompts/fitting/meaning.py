"""The things that an expression can stand for, as far as code tells."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from surefoot.prompts.fitting.scopes import Module, Place, Scope


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that is imported from outside the project: its dotted name, for Surefoot's own the part in the door."""

    dotted: str
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is known."""

    value: str


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path that is known, `Path(...)` or `__file__`; relative ones count from the working directory."""

    value: Path


@dataclass(frozen=True, slots=True)
class Loaded:
    """A prompt that was fetched: by reference or by path, or `unknown` says why neither can be told."""

    reference: str = ""
    path: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the project, or a method."""

    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the project, or `is_instance`, an object of it."""

    scope: Scope
    is_instance: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A module of the project."""

    module: Module


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A display, comprehension, number or lambda: a value, and neither text nor a prompt."""

    node: ast.expr
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a call of `generate` or of a prompt's method gives."""

    call: ast.Call
    way: str


@dataclass(frozen=True, slots=True)
class Other:
    """What cannot be told, and why."""

    why: str


Meaning: TypeAlias = "Symbol | Text | FilePath | Loaded | Function | Class | Whole | Literal | Result | Other"

DOOR = frozenset(
    {
        "Call",
        "Prompty",
        "Reply",
        "Router",
        "Text",
        "Tiered",
        "Workflow",
        "endorse",
        "flow",
        "generate",
        "prompt",
    }
    | {"step", "trusted", "wait_for"}
)
"""The names in the door of Surefoot that matter here."""


def ours(dotted: str) -> Symbol:
    """A name of Surefoot by its part in the door, whichever of its modules it is taken from."""
    parts = dotted.split(".")
    at = max((at for at, part in enumerate(parts) if part in DOOR), default=0)
    if parts[at:] == ["generate"] and at and parts[at - 1] == "Prompty":
        at -= 1
    return Symbol(".".join(parts[at:] if at else parts), is_ours=True)


def joined(left: Meaning, op: ast.operator, right: Meaning) -> Meaning | None:
    """Two texts, or a path and a name, put together; None for others."""
    match left, op, right:
        case Text(value=first), ast.Add(), Text(value=second):
            return Text(first + second)
        case FilePath(value=folder), ast.Div(), Text(value=name):
            return FilePath(folder / name)
        case _:
            return None


def why_not(one: Meaning) -> str:
    """Why something is no known reference."""
    if isinstance(one, Other):
        return one.why
    if isinstance(one, Loaded):
        return one.unknown
    if isinstance(one, Symbol):
        return f"`{one.dotted.removeprefix('builtins.')}` is not defined in the project"
    return "it is no text that is written down"


def is_none(one: Meaning) -> bool:
    """Whether it is None, as it is written."""
    return isinstance(one, Literal) and isinstance(one.node, ast.Constant) and one.node.value is None
