"""Whether a metric over time is below or above a bound, and whether that is shown or may be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.trending import CONFIDENCE, Trend
from surefoot.values import Json

Side = Literal["below", "above"]
Standing = Literal["held", "broken", "unscored"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What a bound says of a metric over the whole of a time.

    It is `broken` where the value lies beyond the bound, and `is_shown` where the whole interval does, or on the other
    hand where the whole interval lies within it. It is `unscored` where nothing has a value: a metric that nobody
    measures any more holds no bound.
    """

    standing: Standing
    side: Side
    bound: float
    value: float | None
    is_shown: bool
    words: str

    @property
    def is_raised(self) -> bool:
        return self.standing != "held"

    def to_json(self) -> dict[str, Json]:
        return {
            "standing": self.standing,
            "side": self.side,
            "bound": self.bound,
            "value": self.value,
            "is_shown": self.is_shown,
            "words": self.words,
        }


def alert(found: Trend, bound: float, *, side: Side = "below") -> Alert:
    """Hold a metric against a bound. Raises `InvalidInput` for labels, which have no value."""
    whole = found.whole
    if found.kind == "labels":
        raise InvalidInput(
            f"{found.metric} has labels and no value that could be {side} {bound:g}: name another metric"
        )
    if whole.value is None:
        failed = f", and {whole.failures:,} failed" if whole.failures else ""
        words = f"{found.metric}: no score in this time{failed}, so that nothing says that it is not {side} {bound:g}"
        return Alert("unscored", side, bound, None, is_shown=False, words=words)

    def number(value: float) -> str:
        return f"{value:.1%}" if found.kind == "rate" else f"{value:,.3f}"

    is_broken = whole.value < bound if side == "below" else whole.value > bound
    interval, is_shown = "its interval is unknown", False
    if whole.low is not None and whole.high is not None:
        interval = f"{CONFIDENCE:.0%} interval {number(whole.low)} to {number(whole.high)}"
        beyond = whole.high < bound if side == "below" else whole.low > bound
        within = whole.low >= bound if side == "below" else whole.high <= bound
        is_shown = beyond if is_broken else within
    parts = [
        f"{found.metric} is {number(whole.value)} over {whole.n:,} run{'' if whole.n == 1 else 's'}",
        interval,
    ]
    if is_broken:
        parts.append(
            f"{side} {number(bound)}: "
            + ("more than chance" if is_shown else "it may be chance, more runs would tell")
        )
    else:
        parts.append(
            f"not {side} {number(bound)}"
            + ("" if is_shown else ", but the interval reaches there: it may be")
        )
    if whole.coverage is not None and whole.coverage < 1:
        parts.append(f"coverage {whole.coverage:.0%}")
    return Alert(
        "broken" if is_broken else "held", side, bound, whole.value, is_shown=is_shown, words="; ".join(parts)
    )
