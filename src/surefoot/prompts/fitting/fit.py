"""Whether a version of a prompt fits the places that use it. Decided here; nothing is read or asked."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from surefoot.prompts.definition import FIRST_VERSION, Names, Prompt, Property
from surefoot.prompts.fitting.uses import Given, Use

_TAKES = {
    "string": frozenset({"string"}),
    "integer": frozenset({"integer"}),
    "number": frozenset({"integer", "number"}),
    "boolean": frozenset({"boolean"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
}
"""The JSON types that fit a declared one; to other declarations everything may fit."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a version does not fit a use of it, and what mends that."""

    prompt: str
    use: Use
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.use.place}: {self.prompt} {self.problem}; {self.mend}"


@dataclass(slots=True)
class _Fitting:
    """One version under the eyes of one use after the other.

    `before` is what uses have so far, where that is known, and `had` are the names in its template.
    """

    prompt: Prompt
    names: Names
    before: Prompt | None = None
    had: Names | None = None
    takes: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.takes = sorted({*self.prompt.inputs, *self.names.used, *self.prompt.sample})

    def of(self, use: Use) -> Iterator[Misfit]:
        for problem, mend in (*self._inputs(use), *self._outputs(use)):
            yield Misfit(self.prompt.label, use, problem, mend)

    def _inputs(self, use: Use) -> Iterator[tuple[str, str]]:
        if use.way == "load":
            return
        if not use.is_open and (missing := self._missing(use.inputs)) and not self._has_sample(use):
            named = _listed(missing)
            what = "is" if len(missing) == 1 else "are"
            yield (
                f"requires {named}, which {what} not given here",
                f"give {named} there, or let the prompt declare a default",
            )
        for name, given in use.inputs.items():
            if name not in self.takes:
                near = difflib.get_close_matches(name, self.takes, n=1)
                hint = f"did it mean `{near[0]}`? " if near else ""
                others = f"it takes {_listed(self.takes)}" if self.takes else "it takes nothing"
                yield (
                    f"does not take `{name}`, which is given here ({others})",
                    f"{hint}take it out there, or let the prompt take it",
                )
            elif name in self.prompt.inputs:
                yield from self._input(self.prompt.inputs[name], given)

    def _missing(self, given: Mapping[str, Given]) -> list[str]:
        declared = self.prompt.inputs
        required = [name for name, one in declared.items() if one.is_needed]
        required += sorted(self._undeclared())
        return [name for name in required if name not in given]

    def _undeclared(self) -> frozenset[str]:
        names = self.names.needed - self.prompt.inputs.keys()
        if self.prompt.dialect == "short":
            return names
        # Elsewhere what is not given leaves a hole, which calls may have meant so far; one that is new they have not.
        return names - self.had.used if self.had is not None else frozenset()

    def _has_sample(self, use: Use) -> bool:
        """Whether the sample is meant: in older dialects it is, where nothing at all is given."""
        return not use.inputs and self.prompt.dialect in FIRST_VERSION and bool(self.prompt.sample)

    def _input(self, declared: Property, given: Given) -> Iterator[tuple[str, str]]:
        if not _fits(declared, given):
            shown = json.dumps(given.value, ensure_ascii=False) if given.is_literal else given.type
            yield (
                f"declares `{declared.name}` as {declared.type}, and {_short(shown)} is given here",
                f"give {_article(declared.type)} there, or declare another type in the prompt",
            )
        elif declared.enum is not None and given.is_literal and given.value not in declared.enum:
            allowed = ", ".join(json.dumps(one, ensure_ascii=False) for one in declared.enum)
            shown = json.dumps(given.value, ensure_ascii=False)
            yield (
                f"allows `{declared.name}` to be one of {_short(allowed)}, and {_short(shown)} is given here",
                "give one of them there, or add it in the prompt",
            )
        elif declared.rules is not None and given.is_literal:
            found = declared.rules.mistake(given.value)
            if found is not None:
                yield (
                    f"has the rule `{found.rule}` for `{declared.name}`, and what is given here {found.problem}",
                    "give another value there, or change the rule in the prompt",
                )

    def _outputs(self, use: Use) -> Iterator[tuple[str, str]]:
        outputs = self.prompt.outputs
        had: Mapping[str, Property] = self.before.outputs if self.before is not None else {}
        reader = use.kind or "the code"
        for name, read in (use.output or {}).items():
            declared = outputs.get(name)
            if declared is None:
                was = "no longer declares" if name in had else "does not declare"
                if read.is_needed and (outputs or name in had):
                    others = f"its outputs are {_listed(outputs)}" if outputs else "it has no outputs"
                    yield (
                        f"{was} the output `{name}`, which {reader} reads ({others})",
                        "declare it in the prompt, or read another one there",
                    )
                continue
            if read.type and not _answers(declared, read):
                yield (
                    f"declares the output `{name}` as {declared.type}, and {reader} reads {_article(read.type)}",
                    "let the two agree",
                )
            elif read.is_needed and not declared.is_required and name in had and had[name].is_required:
                yield (
                    f"no longer requires the output `{name}`, which {reader} cannot do without",
                    "require it in the prompt, or let the code do without it",
                )


def misfits(
    prompt: Prompt,
    uses: Iterable[Use],
    *,
    names: Names,
    before: Prompt | None = None,
    had: Names | None = None,
) -> list[Misfit]:
    """What of a version does not fit the uses of it, use by use.

    names: those of its template.
    before: the version that they use so far; what it declared as its outputs is then missed where it is read.
    had: the names of its template; a name that is new in this one is then missed where it is not given.

    Of a use whose reference is not known nothing is told, and only of what it is known to give.
    """
    fitting = _Fitting(prompt, names, before, had)
    return [misfit for use in uses if not use.unknown for misfit in fitting.of(use)]


def _fits(declared: Property, given: Given) -> bool:
    if given.type == "null":
        may_be_none = declared.has_default and declared.default is None
        return may_be_none or not declared.is_required or declared.is_nullable or declared.type not in _TAKES
    wanted = _TAKES.get(declared.type)
    return not given.type or wanted is None or given.type in wanted


def _answers(declared: Property, read: Given) -> bool:
    """Whether an output can be read as a type: a whole number as a number, not the other way round."""
    wanted = _TAKES.get(read.type)
    return wanted is None or declared.type not in _TAKES or declared.type in wanted


def _listed(names: Iterable[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _article(type_: str) -> str:
    return f"an {type_}" if type_[0] in "aio" else f"a {type_}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
