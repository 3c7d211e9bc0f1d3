"""Gates as YAML files, read strictly: everything that is wrong in one error, each with its file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from surefoot.config import GateSettings
from surefoot.errors import ConfigError, InvalidInput, PromptError
from surefoot.evals.comparing.comparing import MIN_SLICE
from surefoot.evals.comparing.comparison import Figure
from surefoot.evals.comparing.gate import (
    MIN_CASES,
    Bounds,
    FigureRules,
    Gate,
    MetricRules,
    SliceRules,
    TooFew,
)
from surefoot.evals.statistics import Direction
from surefoot.prompts import yamltext
from surefoot.values import Json

MOST_BYTES = 1_000_000

FIGURES: tuple[Figure, ...] = ("cost", "latency", "tokens")
TOP = (
    *("name", "description", "alpha", "coverage", "min_cases", "unpaired", "on_too_few", "margin"),
    *("metrics", "slices"),
    *FIGURES,
)
METRIC = (
    *("at_least", "at_most", "improved", "non_inferior", "no_worse"),
    *("margin", "direction", "coverage", "min_cases", "labels"),
)
FIGURE = ("max_ratio", "at_most")
SLICE = ("rules", "min_cases", "values")

_ELSEWHERE = {
    "min": "at_least",
    "minimum": "at_least",
    "threshold": "at_least",
    "max": "at_most",
    "maximum": "at_most",
    "better": "improved",
    "not_worse": "no_worse",
    "noninferior": "non_inferior",
    "significance": "alpha",
}
"""What other tools call it."""

T = TypeVar("T", bound=str)
Keys = tuple[str, ...]

_RULES = ("at_least", "at_most", "improved", "non_inferior", "no_worse", "labels")
_FAIL_OR_PASS: tuple[TooFew, ...] = ("fail", "pass")
_DIRECTIONS: tuple[Direction, ...] = ("higher", "lower")
_SLICED: tuple[Literal["no_worse", "all"], ...] = ("no_worse", "all")


def load(path: Path, *, name: str = "") -> Gate:
    """The gate of a file. Raises `ConfigError`."""
    path = path.expanduser()
    return read(_text(path), where=_shown(path), name=name, stem=path.stem)


def find(reference: str, gates: Mapping[str, GateSettings], *, folder: Path | None = None) -> Gate:
    """The gate of this name in the settings, or in this file, from `folder` or else the working directory.

    A file that the settings name has the name that it has there. Raises `ConfigError`.
    """
    if reference in gates:
        return load(gates[reference].file, name=reference)
    path = (folder or Path()) / Path(reference).expanduser()
    if not path.exists() and not path.suffix:
        near = difflib.get_close_matches(reference, list(gates), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(gates) or 'none'}"
        raise ConfigError(
            f"no gate is called {reference!r} in the settings, and there is no such file; {hint}"
        )
    same = (name for name, settings in gates.items() if settings.file.absolute() == path.absolute())
    return load(path, name=next(same, ""))


def read(text: str, *, where: str, name: str = "", stem: str = "gate") -> Gate:
    """The gate of a YAML text; `where` is its file. Raises `ConfigError`."""
    try:
        document = yamltext.read(text, where=where)
    except PromptError as error:
        raise ConfigError(str(error)) from None
    reading = _Reading(document)
    try:
        gate = reading.gate(where, name, stem)
    except InvalidInput as error:
        raise ConfigError(f"{where}:1:1: {error}") from None
    if gate is None:
        raise ConfigError("\n".join(reading.mistakes))
    return gate


def _shown(path: Path) -> str:
    """The path from the working directory, where it is inside."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(
                f"{path} is larger than {MOST_BYTES:,} bytes, which no gate is: name the right file"
            )
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no gate {path}: write one, such as `metrics: {{exact_match: {{no_worse: true}}}}`"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the gate {path} cannot be read: {error.strerror}; check its permissions"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the gate {path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


class _Reading:
    """Takes a document apart, and notes what is wrong in it."""

    def __init__(self, document: yamltext.Document) -> None:
        self.document = document
        self.mistakes: list[str] = []

    def gate(self, where: str, name: str, stem: str) -> Gate | None:
        """The gate, or None where there are mistakes. Raises `InvalidInput` for one without rules."""
        data = self.document.data
        self._known((), data, TOP)
        named = self._text(("name",)) or stem
        self._text(("description",))
        metrics = {each: self._metric(("metrics", each)) for each in self._table(("metrics",))}
        figures: dict[Figure, FigureRules] = {each: self._figure((each,)) for each in FIGURES if each in data}
        slices = self._slices()
        alpha = self._number(("alpha",), low=0, high=0.5, is_open=True)
        coverage = self._number(("coverage",), low=0, high=1)
        min_cases = self._whole(("min_cases",))
        unpaired: TooFew | None = self._choice(("unpaired",), _FAIL_OR_PASS)
        on_too_few: TooFew | None = self._choice(("on_too_few",), _FAIL_OR_PASS)
        margin = self._number(("margin",), low=0)
        lines = {key: self.document.line(key) for key in data}
        if self.mistakes:
            return None
        return Gate(
            metrics=metrics,
            figures=figures,
            slices=slices,
            alpha=0.05 if alpha is None else alpha,
            coverage=1.0 if coverage is None else coverage,
            min_cases=MIN_CASES if min_cases is None else min_cases,
            unpaired=unpaired or "fail",
            on_too_few=on_too_few or "fail",
            margin=margin,
            name=name or named,
            file=where,
            lines=lines,
        )

    # Parts

    def _metric(self, path: Keys) -> MetricRules:
        rules = self._table(path)
        self._known(path, rules, METRIC)
        made = MetricRules(
            at_least=self._number((*path, "at_least")),
            at_most=self._number((*path, "at_most")),
            improved=self._flag((*path, "improved")),
            non_inferior=self._number((*path, "non_inferior"), low=0, is_open=True),
            no_worse=self._flag((*path, "no_worse")),
            margin=self._number((*path, "margin"), low=0),
            direction=self._choice((*path, "direction"), _DIRECTIONS),
            coverage=self._number((*path, "coverage"), low=0, high=1),
            min_cases=self._whole((*path, "min_cases")),
            labels={
                label: self._bounds((*path, "labels", label)) for label in self._table((*path, "labels"))
            },
            lines=self._lines(path, rules),
        )
        self._ordered(path, made.at_least, made.at_most)
        # A rule that is false is one that somebody turned off; a key that is unknown is told of already.
        is_silent = set(rules) <= set(METRIC) - set(_RULES)
        if not made.says_something and is_silent and self._is_table(path):
            self._wrong(path, "has no rule: give it one of " + ", ".join(_RULES))
        return made

    def _bounds(self, path: Keys) -> Bounds:
        self._known(path, self._table(path), ("at_least", "at_most"))
        bounds = Bounds(
            self._number((*path, "at_least"), low=0, high=1), self._number((*path, "at_most"), low=0, high=1)
        )
        if bounds == Bounds() and self._is_table(path):
            self._wrong(path, "has no bound: give it at_least or at_most, a share from 0 to 1")
        self._ordered(path, bounds.at_least, bounds.at_most)
        return bounds

    def _figure(self, path: Keys) -> FigureRules:
        rules = self._table(path)
        self._known(path, rules, FIGURE)
        made = FigureRules(
            max_ratio=self._number((*path, "max_ratio"), low=0, is_open=True),
            at_most=self._number((*path, "at_most"), low=0),
            lines=self._lines(path, rules),
        )
        if made == FigureRules() and not set(rules) & set(FIGURE) and self._is_table(path):
            self._wrong(path, "has no rule: give it max_ratio, as in 1.1, or at_most")
        return made

    def _slices(self) -> dict[str, SliceRules]:
        given = self.document.data.get("slices")
        if isinstance(given, list):
            named = [key for key in given if isinstance(key, str)]
            if len(named) < len(given):
                self._wrong(("slices",), "is a list of keys of the cases' metadata, or a mapping of them")
            return {key: SliceRules(line=self.document.line("slices")) for key in named}
        made: dict[str, SliceRules] = {}
        for key in self._table(("slices",)):
            path = ("slices", key)
            rules = self._table(path, may_be_empty=True)
            self._known(path, rules, SLICE)
            chosen: Literal["no_worse", "all"] | None = self._choice((*path, "rules"), _SLICED)
            least = self._whole((*path, "min_cases"))
            made[key] = SliceRules(
                rules=chosen or "no_worse",
                min_cases=MIN_SLICE if least is None else least,
                values=self._values((*path, "values")),
                line=self.document.line(*path),
            )
        return made

    # Values

    def _at(self, path: Keys) -> Json:
        found: Json = self.document.data
        for key in path:
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        return found

    def _has(self, path: Keys) -> bool:
        holder = self._at(path[:-1]) if path[:-1] else self.document.data
        return isinstance(holder, dict) and path[-1] in holder

    def _is_table(self, path: Keys) -> bool:
        return isinstance(self._at(path), dict)

    def _table(self, path: Keys, *, may_be_empty: bool = False) -> Mapping[str, Json]:
        found = self._at(path)
        if isinstance(found, dict):
            return found
        if self._has(path) and not (found is None and may_be_empty):
            self._wrong(path, f"is {_said(found)}: write keys and values below it")
        return {}

    def _number(
        self, path: Keys, *, low: float | None = None, high: float | None = None, is_open: bool = False
    ) -> float | None:
        if not self._has(path):
            return None
        found = self._at(path)
        if isinstance(found, bool) or not isinstance(found, int | float):
            self._wrong(path, f"is {_said(found)}: write a number, as in 0.85")
            return None
        is_low = low is not None and (found < low or (is_open and found == low))
        is_high = high is not None and (found > high or (is_open and found == high))
        if is_low or is_high:
            self._wrong(path, f"is {found}: {_range(low, high, is_open=is_open)}")
        return float(found)

    def _whole(self, path: Keys) -> int | None:
        if not self._has(path):
            return None
        found = self._at(path)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            self._wrong(path, f"is {_said(found)}: write a whole number from 1 up")
            return None
        return found

    def _flag(self, path: Keys) -> bool:
        found = self._at(path)
        if self._has(path) and not isinstance(found, bool):
            self._wrong(path, f"is {_said(found)}: write true or false")
        return found is True

    def _choice(self, path: Keys, choices: tuple[T, ...]) -> T | None:
        if not self._has(path):
            return None
        found = self._at(path)
        for choice in choices:
            if found == choice:
                return choice
        near = difflib.get_close_matches(str(found), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        self._wrong(path, f"is {_said(found)}: write one of {', '.join(choices)}{hint}")
        return None

    def _text(self, path: Keys) -> str:
        found = self._at(path)
        if self._has(path) and (not isinstance(found, str) or not found.strip()):
            self._wrong(path, f"is {_said(found)}: write a text")
        return found if isinstance(found, str) else ""

    def _values(self, path: Keys) -> tuple[str, ...]:
        found = self._at(path)
        if self._has(path) and not (
            isinstance(found, list) and all(isinstance(each, str | int | float | bool) for each in found)
        ):
            self._wrong(path, f"is {_said(found)}: write a list of values, as in [billing, refunds]")
            return ()
        return tuple(str(each) for each in found) if isinstance(found, list) else ()

    def _lines(self, path: Keys, rules: Iterable[str]) -> dict[str, int]:
        return {key: self.document.line(*path, key) for key in rules}

    # Mistakes

    def _known(self, path: Keys, table: Mapping[str, Json], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                near = _ELSEWHERE.get(key) or next(iter(difflib.get_close_matches(key, known, n=1)), "")
                is_near = near in known
                hint = f"did you mean {near}?" if is_near else f"there are {', '.join(known)}"
                self._wrong((*path, key), f"is no key of a gate here; {hint}")

    def _ordered(self, path: Keys, least: float | None, most: float | None) -> None:
        if least is not None and most is not None and least > most:
            self._wrong(path, f"can never hold: at_least {least} is more than at_most {most}")

    def _wrong(self, path: Keys, problem: str) -> None:
        self.mistakes.append(f"{self.document.place(*path)}: {'.'.join(path)} {problem}")


def _said(value: Json) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _range(low: float | None, high: float | None, *, is_open: bool) -> str:
    if high is None:
        return f"it has to be {'more than' if is_open else 'at least'} {low}"
    return f"it has to lie between {low} and {high}"
