"""What is known of a place that uses a prompt, whether from its code or from a run that came by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from surefoot.prompts.selecting import split
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.fitting.project import Project

Way: TypeAlias = Literal["generate", "render", "messages", "load"]
"""How a prompt is used. `load`: it is fetched, and what becomes of it is told by other uses or not known."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as far as it is known: its JSON type (`string`, `integer`, ..., `null`; empty: not known).

    `value` is the value itself where `is_literal`. `is_needed`: of a field that is read, whether nothing else stands in
    for it.
    """

    type: str = ""
    is_literal: bool = False
    value: Json = None
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Use:
    """One place that uses a prompt.

    `file` is relative to the project where it is inside, for a notebook `name.ipynb:cell 3`; `line` counts from 1.
    `reference` is as the place has it; of a file that is loaded by its path, `path` is the path. Where neither can be
    told, `unknown` says why. `inputs` are the names that are given; `is_open`: further ones may be, whose names are
    not known. `output` are the fields that are read from the answer, None where that is not known, `kind` the type
    that was asked for, as written. `function` is the function around it, empty in a module's own body; `flows` are
    those that can come by, as far as calls can be followed.

    Of a use by a run: `digest` is what it used, `run_id` and `used_ns` are of the last time.
    """

    way: Way
    file: str
    line: int
    reference: str = ""
    path: str = ""
    unknown: str = ""
    inputs: Mapping[str, Given] = field(default_factory=dict[str, Given])
    is_open: bool = False
    output: Mapping[str, Given] | None = None
    kind: str = ""
    function: str = ""
    flows: tuple[str, ...] = ()
    origin: Literal["code", "run"] = "code"
    digest: str = ""
    run_id: str = ""
    used_ns: int = 0

    @property
    def place(self) -> str:
        """`file:line`, or the run where the place is not known."""
        return f"{self.file}:{self.line}" if self.file else f"run {self.run_id}"


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be looked at: a file that cannot be parsed, files beyond a bound."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """The uses of prompts in the code of a project, by file and line.

    `left` is what was not looked at, `paths` are the files there are. `unseen` are file and line of the calls that are
    named like those of a prompt, where the code does not tell on what they are called. `project` is the code itself,
    for whoever asks something else of it.
    """

    uses: tuple[Use, ...] = ()
    left: tuple[Left, ...] = ()
    paths: frozenset[str] = frozenset()
    unseen: frozenset[tuple[str, int]] = frozenset()
    project: Project | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """Who uses a prompt: a flow, or code of which no flow is known, and from where."""

    flow: str
    function: str
    file: str
    line: int
    reference: str


def name_in(reference: str) -> str:
    """The name of the prompt that a reference names."""
    return split(reference)[0]


def concerned(uses: Iterable[Use], name: str, label: str, *, default: str) -> list[Use]:
    """The uses of a prompt for which it counts where a label of it points.

    default: the label that a reference without `@` means.
    """
    meant = {f"{name}@{label}", *([name] if label == default else [])}
    return [use for use in uses if use.reference in meant]


def users(name: str, uses: Iterable[Use]) -> list[User]:
    """Who uses the prompt of this name, by flow and place."""
    found = {
        User(flow, use.function, use.file, use.line, use.reference): None
        for use in uses
        if use.reference and name_in(use.reference) == name
        for flow in use.flows or ("",)
    }
    return sorted(found, key=lambda user: (user.flow == "", user.flow, user.file, user.line))
