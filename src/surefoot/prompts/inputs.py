"""Inputs against what a prompt declares and uses, with every mistake in one error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from surefoot.errors import InvalidInput
from surefoot.prompts.definition import Prompt, Property, PropertyType

_EXPECTED: dict[PropertyType, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def fitted(
    prompt: Prompt, given: Mapping[str, object], *, used: AbstractSet[str], needed: AbstractSet[str]
) -> dict[str, object]:
    """The values to render with: what is given, and the defaults of the rest.

    `used` are the names in the template, `needed` those that it cannot do without.

    Raises:
        InvalidInput: names what is missing, unknown or of the wrong type, and what was given.
    """
    declared = prompt.inputs
    known = set(declared) | used | set(prompt.sample)
    mistakes = [f"{name} is missing" for name in _missing(declared, given, needed)]
    for name, value in given.items():
        if name not in known:
            mistakes.append(_unknown(name, sorted(known)))
        elif name in declared and not fits(declared[name], value):
            expected = _EXPECTED[declared[name].type]
            mistakes.append(f"{name}: expected {expected}, got {type(value).__name__}")
    if mistakes:
        raise InvalidInput(
            f"prompt {prompt.label} cannot be rendered: {'; '.join(mistakes)} "
            f"(given: {', '.join(given) or 'nothing'}; it takes: {', '.join(sorted(known)) or 'nothing'})"
        )
    defaults = {name: entry.default for name, entry in declared.items() if entry.has_default}
    return {**defaults, **given}


def _missing(
    declared: Mapping[str, Property], given: Mapping[str, object], needed: AbstractSet[str]
) -> list[str]:
    required = [name for name, entry in declared.items() if entry.is_required and not entry.has_default]
    undeclared = sorted(name for name in needed if name not in declared)
    return [name for name in (*required, *undeclared) if name not in given]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is unknown" + (f", did you mean {near[0]}?" if near else "")


def fits(entry: Property, value: object) -> bool:
    """Whether a value is of the declared type; None fits what need not be given."""
    if value is None and (not entry.is_required or (entry.has_default and entry.default is None)):
        return True
    match entry.type:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, Sequence) and not isinstance(value, str | bytes)
        case "object":
            return isinstance(value, Mapping)
        case _:
            return True
