"""Inputs against what a prompt declares and uses, with every mistake in one error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.mistakes import Mistake
from surefoot.prompts import media, threads
from surefoot.prompts.definition import FIRST_VERSION, Dialect, Prompt, Property, PropertyType
from surefoot.prompts.roles import claimed

if TYPE_CHECKING:
    from surefoot.prompts.types import Types

_log = scope.logger("surefoot.prompts")

# What fills these is more than text.
RICH_TYPES: frozenset[PropertyType] = frozenset({"thread", "image", "file", "audio"})
_MOST_WARNED = 1_000


class Inputs:
    """What a prompt takes. `used` are the names in its template, `needed` those that it cannot do without."""

    def __init__(self, prompt: Prompt, *, used: AbstractSet[str], needed: AbstractSet[str]) -> None:
        declared = prompt.inputs
        self._prompt = prompt
        self._known = set(declared) | used | set(prompt.sample)
        self._required = [name for name, entry in declared.items() if entry.is_needed]
        self._required += sorted(name for name in needed if name not in declared)
        self._defaults = {name: entry.default for name, entry in declared.items() if entry.has_default}
        self._rich = {name: entry.type for name, entry in declared.items() if entry.type in RICH_TYPES}
        self._strict = [name for name, entry in declared.items() if entry.is_strict or prompt.is_strict]
        if prompt.is_strict:
            self._strict += sorted(used - set(declared))
        self._unnamed = [name for name in self._rich if name not in used]
        self._blank = {name: "" for name in self._rich if name not in self._defaults}
        self._types: Types | None = None
        self._has_types = any(_is_checked(entry) for entry in declared.values())
        self._warned: set[str] = set()

    def fitted(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values to render with: what is given, and the defaults of the rest.

        Raises:
            InvalidInput: names what is missing, unknown, of the wrong type or not allowed, and what was given.
            PromptError: the sample is needed and could not be read.
        """
        given = self._with_sample(given)
        mistakes = [
            Mistake("", "missing", f"{name} is missing") for name in self._required if name not in given
        ]
        unknown = [name for name in given if name not in self._known]
        if unknown and self._prompt.dialect in FIRST_VERSION:
            self.warn(*(f"{_unknown(name, sorted(self._known))} and has no effect" for name in unknown))
        else:
            mistakes += [Mistake("", "unknown", _unknown(name, sorted(self._known))) for name in unknown]
        if self._has_types:
            mistakes += self._checker().mistakes(given)
        values = {**self._blank, **self._defaults, **given}
        if self._rich or self._prompt.dialect == "promptflow":
            mistakes += self._put_rich(values)
        if self._strict:
            mistakes += self._forged(values)
        if mistakes:
            raise InvalidInput(
                f"prompt {self._prompt.label} cannot be rendered: {'; '.join(map(str, mistakes))} "
                f"(given: {', '.join(given) or 'nothing'}; "
                f"it takes: {', '.join(sorted(self._known)) or 'nothing'})",
                mistakes=mistakes,
            )
        return values

    def unplaced(self, values: Mapping[str, object]) -> list[threads.Thread]:
        """The threads among the values that the template does not name."""
        found = [values[name] for name in self._unnamed]
        return [value for value in found if isinstance(value, threads.Thread)]

    def warn(self, *problems: str) -> None:
        """Say each of these once."""
        for problem in problems:
            if problem not in self._warned:
                # Callers can give any number of names that are unknown.
                if len(self._warned) >= _MOST_WARNED:
                    self._warned.clear()
                self._warned.add(problem)
                _log.warning("%s: prompt %s: %s", self._prompt.at(1), self._prompt.label, problem)

    def _with_sample(self, given: Mapping[str, object]) -> Mapping[str, object]:
        """Older dialects fall back on the sample: promptflow where nothing is given, prompty 0.x for each value."""
        dialect = self._prompt.dialect
        if dialect not in FIRST_VERSION or (dialect == "promptflow" and given):
            return given
        is_needed = any(name not in given for name in self._required)
        sample = self._prompt.usable_sample() if is_needed else self._prompt.sample
        if not sample:
            return given
        taken = [name for name in sample if name not in given]
        if taken:
            self.warn(f"the sample stands in for what is not given: {', '.join(taken)}")
        return {**sample, **given}

    def _checker(self) -> Types:
        if self._types is None:
            from surefoot.prompts.types import Types

            self._types = Types(self._prompt.inputs, is_strict=self._prompt.dialect not in FIRST_VERSION)
        return self._types

    def _put_rich(self, values: dict[str, object]) -> list[Mistake]:
        """Replace what stands for pictures, recordings, documents and threads by these; what is wrong with them."""
        mistakes = self._put_written(values) if self._prompt.dialect == "promptflow" else []
        for name, kind in self._rich.items():
            value = values[name]
            # Of an array of numbers, say, each would be compared.
            if value is None or (isinstance(value, str) and not value):
                values[name] = ""
                continue
            if kind != "thread" and name in self._unnamed:
                self.warn(f"the template has no place for {name}, which is left out")
            try:
                values[name] = threads.thread(value) if kind == "thread" else media.medium(value, kind)
            except (threads.ThreadError, media.MediumError) as error:
                mistakes.append(Mistake(name, "type", str(error)))
        return mistakes

    def _put_written(self, values: dict[str, object]) -> list[Mistake]:
        """Replace texts that promptflow takes for pictures."""
        mistakes: list[Mistake] = []
        for name, value in values.items():
            try:
                if isinstance(value, str) and value.startswith("data:image/"):
                    values[name] = media.written(value, self._prompt) or value
                elif isinstance(value, Mapping) and self._rich.get(name) == "image":
                    table = cast("Mapping[str, object]", value)
                    values[name] = media.written_table(table, self._prompt) or value
            except media.MediumError as error:
                mistakes.append(Mistake(name, "type", str(error)))
        return mistakes

    def _forged(self, values: Mapping[str, object]) -> list[Mistake]:
        mistakes: list[Mistake] = []
        for name in self._strict:
            entry = self._prompt.inputs.get(name)
            # A property that is strict refuses what begins as a marker; a strict prompt, what would be one.
            is_alone = entry is None or not entry.is_strict
            role = _claim(values.get(name), self._prompt.dialect, is_alone=is_alone)
            if role:
                said = f"{name} is strict, and a line of its value looks like a role marker (`{role}:`)"
                mistakes.append(Mistake("", "strict", said))
        return mistakes


def _claim(value: object, dialect: Dialect, *, is_alone: bool, depth: int = 0) -> str:
    if isinstance(value, str):
        return claimed(value, dialect, is_alone=is_alone)
    if depth > 20:
        return ""
    if isinstance(value, Mapping):
        inner = [*cast("Mapping[object, object]", value).values()]
    elif isinstance(value, Sequence) and not isinstance(value, bytes | threads.Thread):
        inner = [*cast("Sequence[object]", value)]
    else:
        return ""
    return next(
        (role for item in inner if (role := _claim(item, dialect, is_alone=is_alone, depth=depth + 1))), ""
    )


def _is_checked(entry: Property) -> bool:
    return entry.type not in ("any", *RICH_TYPES) or entry.enum is not None or entry.rules is not None


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is unknown" + (f", did you mean {near[0]}?" if near else "")
