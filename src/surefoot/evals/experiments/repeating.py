"""Cases that are run several times: averages within a case first, and how far its repeats differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from surefoot.evals.scores import Value
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Flakiness:
    """How far the repeats of one case differ in a metric, over the `of` cases that it applies to more than once.

    `cases` are those whose verdict differs between repeats: passed and not passed, two labels, or a score and a
    failure. Numbers are no verdicts: `spread` is the mean over cases of their sample standard deviation, None where no
    case has two numbers.
    """

    metric: str
    cases: tuple[str, ...]
    of: int
    spread: float | None = None

    @property
    def share(self) -> float | None:
        """The share of cases whose verdict differs, 0 to 1; None of none."""
        return len(self.cases) / self.of if self.of else None

    def to_json(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "cases": list(self.cases),
            "of": self.of,
            "share": self.share,
            "spread": self.spread,
        }


def mean_of_cases(pairs: Iterable[tuple[str, float]]) -> float | None:
    """The mean over cases of the mean over a case's repeats; None of nothing."""
    by_case: dict[str, list[float]] = {}
    for case, value in pairs:
        by_case.setdefault(case, []).append(value)
    if not by_case:
        return None
    return math.fsum(math.fsum(values) / len(values) for values in by_case.values()) / len(by_case)


def flakiness_of(metric: str, said: Mapping[str, Sequence[Value | None]]) -> Flakiness:
    """How flaky a metric is, by what it said of each case's repeats; None is a failure."""
    several = {case: values for case, values in said.items() if len(values) > 1}
    flaky = [case for case, values in several.items() if len({_verdict(value) for value in values}) > 1]
    spreads = [sd for values in several.values() if (sd := _deviation(values)) is not None]
    return Flakiness(
        metric, tuple(flaky), len(several), math.fsum(spreads) / len(spreads) if spreads else None
    )


def _verdict(value: Value | None) -> object:
    """What is compared: of a number only that it is there."""
    if value is None:
        return "failed", ""
    if isinstance(value, bool):
        return "verdict", value
    return ("label", value) if isinstance(value, str) else ("number", "")


def _deviation(values: Sequence[Value | None]) -> float | None:
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) < 2:
        return None
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
