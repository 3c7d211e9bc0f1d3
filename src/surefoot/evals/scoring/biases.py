"""What sways a judge, by what it said of cases that people have labelled: the length of an answer, and its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from surefoot.errors import InvalidInput, MissingExtra
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.calibrating import Choice, LengthBias, PositionBias
    from surefoot.evals.scores import Score
    from surefoot.evals.scoring.judging import LabelledVerdict


PLACE = "inconsistent: the judge prefers whichever stands {}"
WAVERING = "inconsistent: a tie in one order, a preference in the other"
"""What a judge of pairs gives as the reason for a tie that comes of the two orders in which it was asked."""

_PLACES = {
    PLACE.format("first"): ("first", "first"),
    PLACE.format("second"): ("second", "second"),
    WAVERING: ("tie", "first"),
}
_SAME = {1.0: ("first", "second"), 0.0: ("second", "first"), 0.5: ("tie", "tie")}


def places_of(score: Score) -> tuple[str, str] | None:
    """Which place a judge of pairs preferred in the one order and in the other, by its score."""
    if isinstance(score.value, str):
        return None
    return _PLACES.get(score.reason) or _SAME.get(float(score.value))


def by_length(said: Sequence[LabelledVerdict]) -> LengthBias | str:
    """How far the judge is more lenient for longer answers, or why that cannot be told."""
    from surefoot.evals.calibrating import length_bias

    found = [
        (each.length, float(each.verdict), float(each.label))
        for each in said
        if each.length and each.verdict is not None
    ]
    if not found:
        return "the length of no labelled answer is known: call the answer `response` among its inputs"
    lengths, verdicts, labels = zip(*found, strict=True)
    try:
        return length_bias(lengths, verdicts, labels)
    except (InvalidInput, MissingExtra) as error:
        return str(error)


def by_position(said: Sequence[LabelledVerdict]) -> PositionBias | None:
    """How far a judge that compares two answers goes by their places; None of one that does not."""
    from surefoot.evals.calibrating import position_bias

    places = [each.places for each in said if each.places is not None]
    return position_bias(cast("Sequence[tuple[Choice, Choice]]", places)) if places else None


def to_json(said: Sequence[LabelledVerdict]) -> dict[str, Json]:
    """Both, and why length tells nothing where it does not."""
    length, position = by_length(said), by_position(said)
    return {
        "length_bias": None if isinstance(length, str) else length.to_json(),
        "length_unknown": length if isinstance(length, str) else "",
        "position_bias": None if position is None else position.to_json(),
    }
