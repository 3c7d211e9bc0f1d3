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
