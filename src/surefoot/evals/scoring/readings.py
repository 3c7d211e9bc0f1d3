"""Reading what scorers ask for: out of a flow's output, out of the case, and out of steps of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from surefoot.errors import InvalidInput

Reader = str | Callable[[Any], object]
"""How something is found: a path in the output as in `context_used.text` (a list is read item by item), a path that
begins with `$inputs`, `$expected`, `$metadata`, `$output` or `$steps.NAME` (the output of the run's newest step of that
name), or a function of the output."""

STEPS = "$steps"
_ROOTS = ("$inputs", "$expected", "$metadata", "$output", STEPS)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text and the document that it is from."""

    text: str
    source: str


class Steps(Protocol):
    """The steps of a run, as they are recorded."""

    def names(self) -> list[str]:
        """Of those that have completed, each once."""
        ...

    def output(self, name: str) -> object:
        """Of the newest completed one. Raises `InvalidInput` where there is none."""
        ...

    def inputs(self, name: str) -> Mapping[str, object]:
        """Of the newest completed one, by parameter. Raises `InvalidInput` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Grounds:
    """Where readings may begin."""

    output: object
    inputs: Mapping[str, object]
    expected: object
    metadata: Mapping[str, object]
    steps: Steps | None = None


def check(reads: Mapping[str, Reader]) -> None:
    """Raise `InvalidInput` for a path that begins nowhere."""
    for name, reader in reads.items():
        if not isinstance(reader, str) or not reader.startswith("$"):
            continue
        root, _, rest = reader.partition(".")
        if root not in _ROOTS:
            raise InvalidInput(
                f"{name!r} is read at {reader!r}: a path begins with {', '.join(_ROOTS)}, or with a part of the output"
            )
        if root == STEPS and not rest:
            raise InvalidInput(
                f"{name!r} is read at {reader!r}: name the step, as in $steps.retrieve_context"
            )


def read(grounds: Grounds, reader: Reader) -> object:
    """What a reader names. Raises `InvalidInput` where it is not there."""
    if callable(reader):
        return reader(grounds.output)
    root, _, rest = reader.partition(".")
    found: object
    match root:
        case "$inputs":
            found, at = grounds.inputs, "the case's inputs"
        case "$expected":
            found, at = grounds.expected, "what is expected"
        case "$metadata":
            found, at = grounds.metadata, "the case's metadata"
        case "$steps":
            return _of_step(grounds.steps, rest)
        case "$output":
            found, at = grounds.output, "the output"
        case _:
            found, at, rest = grounds.output, "the output", reader
    return _along(found, rest, at)


def _of_step(steps: Steps | None, path: str) -> object:
    """The output of a step, or what lies in it: names of steps may hold dots, and the longest that fits counts."""
    if steps is None:
        raise InvalidInput(f"$steps.{path}: there is no run whose steps could be read")
    known, parts = set(steps.names()), path.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in known:
            return _along(steps.output(name), ".".join(parts[count:]), f"the output of step {name}")
    return steps.output(parts[0])


def _along(found: object, path: str, at: str) -> object:
    for part in path.split(".") if path else ():
        found = _each(found, part, at)
        at = f"{at}.{part}"
    return found


def _each(value: object, part: str, at: str) -> object:
    if isinstance(value, list | tuple):
        return [_step(item, part, at) for item in cast("list[object]", value)]
    return _step(value, part, at)


def _step(value: object, part: str, at: str) -> object:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, object]", value)
        if part in mapping:
            return mapping[part]
        raise InvalidInput(f"{at} has no {part!r}: it has {', '.join(map(str, mapping)) or 'nothing'}")
    try:
        found: object = getattr(value, part)
    except AttributeError:
        raise InvalidInput(f"{at} is {type(value).__name__} and has no {part!r}") from None
    return found
