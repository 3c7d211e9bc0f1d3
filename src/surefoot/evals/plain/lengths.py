"""Scorers of length: so many characters or words at least, or at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import text_of
from surefoot.evals.plain.normalising import words
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Unit = Literal["chars", "words"]


def length(
    *, least: int | None = None, most: int | None = None, unit: Unit = "chars"
) -> Callable[[str], Score]:
    """A scorer: whether the response is within these lengths, both included.

    unit: `chars` are characters (code points); of `words` each letter of a script without spaces is one.

    Raises `InvalidInput` for limits that nothing could keep.
    """
    if unit not in ("chars", "words"):
        raise InvalidInput(f"lengths are counted in chars or words, and not in {unit!r}")
    if least is None and most is None:
        raise InvalidInput("there is no length to keep: name least or most")
    if min(least or 0, most or 0) < 0 or (least is not None and most is not None and least > most):
        raise InvalidInput(
            f"no text has at least {least} and at most {most} {unit}: name limits from 0, in order"
        )

    def length(response: str) -> Score:
        text = text_of(response, "the response")
        count = len(text) if unit == "chars" else len(words(text, "unicode"))
        if most is not None and count > most:
            return Score(value=False, reason=f"it has {count:,} {unit}, {count - most:,} more than {most:,}")
        if least is not None and count < least:
            return Score(
                value=False, reason=f"it has {count:,} {unit}, {least - count:,} less than {least:,}"
            )
        return Score(value=True)

    ends = [f"{end}_{unit}:{limit}" for end, limit in (("min", least), ("max", most)) if limit is not None]
    return scaled(length, name=",".join(ends))
