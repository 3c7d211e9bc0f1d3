"""Which stretch of a rendered text is the template's, and which came of an input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.prompts.definition import Property
from surefoot.prompts.roles import Run, Source


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of rendered text.

    `literal` is the template's; `interp` is what an expression of the template gave, from the input `source`: the names
    of several are joined by commas, and it is None where the template made the value from nothing that was given.
    `is_strict` says that the input may hold no role markers, and that its value was found to hold none.
    """

    kind: Literal["literal", "interp"]
    text: str
    source: str | None = None
    is_strict: bool = False


def segments(
    runs: Iterable[Run],
    sources: Sequence[tuple[str, ...]],
    inputs: Mapping[str, Property],
    *,
    is_strict: bool,
) -> list[Segment]:
    """The segments of runs of text, whose `sources` are names. Literal ones in a row are one."""
    found: list[Segment] = []
    names: tuple[str, ...] | None = None
    texts: list[str] = []

    def close() -> None:
        text = "".join(texts)
        texts.clear()
        if names is not None:
            strict = any(is_strict or (name in inputs and inputs[name].is_strict) for name in names)
            found.append(Segment("interp", text, ",".join(names) or None, strict))
        elif text:
            found.append(Segment("literal", text))

    for run in runs:
        if isinstance(run, Source):
            close()
            names = None if run.number is None else sources[run.number]
        elif isinstance(run, str):
            texts.append(run)
    close()
    return found
