"""Whether a judge that compares two answers prefers the one that it is shown first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.statistics import Interval, mcnemar_p
from surefoot.traces import wilson
from surefoot.values import Json

Choice = Literal["first", "second", "tie"]
"""Which of the two answers a judge prefers, by the place in which it was shown."""


@dataclass(frozen=True, slots=True)
class PositionBias:
    """What a judge says of `n` pairs of answers, each asked in both orders.

    `consistent` pairs got the same verdict in both orders: the same answer, or twice a tie. In `first` both verdicts
    were for the place shown first, whichever answer stood there, in `second` for the other; the rest (`wavering`) is a
    tie in one order only. `follows` is the share of pairs in which the verdict follows the position, 0 to 1, with its
    interval (Wilson's). `p`: how surprising so uneven numbers of `first` and `second` are, if no place is preferred.
    """

    n: int
    consistent: int
    first: int
    second: int
    interval: Interval
    p: float

    @property
    def follows(self) -> float:
        return (self.first + self.second) / self.n

    @property
    def wavering(self) -> int:
        return self.n - self.consistent - self.first - self.second

    def __str__(self) -> str:
        low, high = self.interval.low, self.interval.high
        return (
            f"{self.first + self.second} of {self.n} verdicts follow the position ({self.follows:.0%}, {low:.0%} to "
            f"{high:.0%}): {self.first} for the first place, {self.second} for the second"
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "consistent": self.consistent,
            "first": self.first,
            "second": self.second,
            "wavering": self.wavering,
            "follows": self.follows,
            "interval": self.interval.to_json(),
            "p": self.p,
        }


def position_bias(verdicts: Sequence[tuple[Choice, Choice]], *, confidence: float = 0.95) -> PositionBias:
    """How far the verdicts of a judge follow the position.

    verdicts: for each pair of answers the place that the judge preferred in the one order, and in the other.

    Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS (2023), ask in both orders, too.
    Raises `InvalidInput` for no pair, and for a verdict that names no place.
    """
    if not verdicts:
        raise InvalidInput("there is no pair that was judged in both orders: give at least one")
    if strange := [each for pair in verdicts for each in pair if each not in ("first", "second", "tie")]:
        raise InvalidInput(f"{strange[0]!r} is no place: say 'first', 'second' or 'tie'")
    # Who prefers the same answer in both orders names another place in each.
    same = {("first", "second"), ("second", "first"), ("tie", "tie")}
    first, second = verdicts.count(("first", "first")), verdicts.count(("second", "second"))
    bounds = wilson(first + second, len(verdicts), confidence=confidence)
    return PositionBias(
        n=len(verdicts),
        consistent=sum(pair in same for pair in verdicts),
        first=first,
        second=second,
        interval=Interval(*bounds),
        p=mcnemar_p(first, second),
    )
