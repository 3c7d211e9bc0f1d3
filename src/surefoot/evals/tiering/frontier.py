"""Cost against quality: what each model, tier and threshold would have cost and reached, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from surefoot.evals.statistics.intervals import (
    evidence_for_mean,
    evidence_for_share,
    mean_at_least,
    share_at_least,
    student,
)
from surefoot.traces import wilson
from surefoot.values import Json

CONFIDENCE = 0.95
"""Of the intervals, and of the choice."""

Order = Literal["sequence", "any"]


@dataclass(frozen=True, slots=True)
class Target:
    """The quality that is wanted: `at_least` so much of the reference's, or absolutely."""

    at_least: float = 0.95
    is_absolute: bool = False

    def evidence(self, scores: Sequence[float], references: Sequence[float]) -> float:
        """How strongly the scores speak for reaching it."""
        if self.is_absolute:
            return evidence_for_mean(scores, self.at_least)
        return evidence_for_share(scores, references, self.at_least)

    def bound(self, scores: Sequence[float], references: Sequence[float]) -> float:
        """What the scores show of what is wanted, with the confidence of the choice."""
        if self.is_absolute:
            return mean_at_least(scores, confidence=CONFIDENCE)
        return share_at_least(scores, references, confidence=CONFIDENCE)

    def of(self, reference: str) -> str:
        """As messages call it."""
        if self.is_absolute:
            return f"a quality of {self.at_least:g}"
        return f"{self.at_least:.0%} of the quality of {reference}"

    @property
    def least_cases(self) -> int:
        """How many cases are needed at least, where all of them are answered as well as can be."""
        count = 1
        while self.evidence([1.0] * count, [1.0] * count) < 1 / (1 - CONFIDENCE) and count < 10_000:
            count += 1
        return count


@dataclass(frozen=True, slots=True)
class Option:
    """One way to answer: `costs` (nano-dollars) and `scores` (0 to 1) of each case, `escalated` for which it went up.

    `cost` is None where the price of a call is not known. `interval` is that of `quality`: Wilson's where the scores
    are passed or not, else Student's. `bound` is the share of the reference's quality, or the quality, that is shown
    with the confidence of the choice, for this option alone. `is_shown`: the wanted one is, under the correction for
    all options. `is_best`: none is both cheaper and better.
    """

    name: str
    costs: tuple[int | None, ...]
    scores: tuple[float, ...]
    escalated: tuple[bool, ...] = ()
    threshold: float | None = None
    bound: float = 0.0
    is_shown: bool = False
    is_best: bool = False

    @property
    def quality(self) -> float:
        return fmean(self.scores)

    @property
    def cost(self) -> float | None:
        """Nano-dollars for a case."""
        known = [cost for cost in self.costs if cost is not None]
        return fmean(known) if len(known) == len(self.costs) else None

    @property
    def is_rate(self) -> bool:
        """Whether its scores are passed or not, and nothing between."""
        return all(score in (0.0, 1.0) for score in self.scores)

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.is_rate:
            return wilson(round(sum(self.scores)), len(self.scores), confidence=CONFIDENCE)
        found = student(self.scores, confidence=CONFIDENCE)
        return None if found is None else (max(found[0], 0.0), min(found[1], 1.0))

    @property
    def escalation(self) -> float | None:
        """The share of the cases in which a further tier was asked; None where there are no tiers."""
        return fmean(self.escalated) if self.escalated else None

    def to_json(self) -> dict[str, Json]:
        interval = self.interval
        return {
            "option": self.name,
            "threshold": self.threshold,
            "cost_usd": None if self.cost is None else self.cost / 1e9,
            "quality": self.quality,
            "interval": None if interval is None else list(interval),
            "escalated": self.escalation,
            "bound": self.bound,
            "is_shown": self.is_shown,
            "is_on_frontier": self.is_best,
        }


@dataclass(frozen=True, slots=True)
class Frontier:
    """The options, the dearest and most careful one first, and the `recommended` one, if there is one.

    `reference` is the one that the others are compared with.
    """

    flow: str
    metric: str
    cases: int
    target: Target
    reference: str
    options: tuple[Option, ...]
    recommended: Option | None
    experiment: str = ""
    warnings: tuple[str, ...] = ()
    signal: str = ""

    @property
    def advice(self) -> str:
        """What to do, in a sentence."""
        wanted, chosen = self.target.of(self.reference), self.recommended
        if chosen is None or chosen.name == self.reference:
            least = self.target.least_cases
            more = f": {least} cases are needed at least" if self.cases < least else ""
            kept = f"keep {self.reference}" if chosen is not None else "none can be recommended"
            return f"no other option is shown to reach {wanted} over {self.cases} cases{more}; {kept}"
        return f"{chosen.name}: at least {wanted}, with {CONFIDENCE:.0%} confidence"

    @property
    def saving(self) -> float | None:
        """Which share of the reference's cost the recommended option costs."""
        reference = next(each for each in self.options if each.name == self.reference)
        if self.recommended is None or self.recommended.cost is None or not reference.cost:
            return None
        return self.recommended.cost / reference.cost

    def to_json(self) -> dict[str, Json]:
        return {
            "flow": self.flow,
            "metric": self.metric,
            "cases": self.cases,
            "experiment": self.experiment,
            "at_least": self.target.at_least,
            "is_absolute": self.target.is_absolute,
            "confidence": CONFIDENCE,
            "reference": self.reference,
            "signal": self.signal,
            "options": [option.to_json() for option in self.options],
            "recommended": None if self.recommended is None else self.recommended.name,
            "saving": self.saving,
            "advice": self.advice,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured of an answer, at which cost (nano-dollars)."""

    check: str
    is_passed: bool
    value: float | None
    cost: int | None

    def is_passed_at(self, signal: str, threshold: float | None) -> bool:
        """Whether it would be passed if the threshold of this signal were another."""
        if self.check != signal or threshold is None:
            return self.is_passed
        return self.value is not None and self.value >= threshold - 1e-9


@dataclass(frozen=True, slots=True)
class Climb:
    """What a tier did in one of the ladders of a run: the cost of its answer, and of each check."""

    asking: int | None
    findings: tuple[Finding, ...] = ()
    is_answered: bool = True

    def at(self, signal: str, threshold: float | None) -> tuple[bool, int | None]:
        """Whether its answer would be taken, and the cost of finding out: no check is made behind one that fails."""
        cost = self.asking
        for finding in self.findings:
            cost = _sum(cost, finding.cost)
            if not finding.is_passed_at(signal, threshold):
                return False, cost
        return self.is_answered, cost

    @property
    def cost(self) -> int | None:
        """Of the answer and all checks."""
        return _sum(self.asking, *(finding.cost for finding in self.findings))


@dataclass(frozen=True, slots=True)
class Tried:
    """One case answered by one tier or model alone: its score (0 to 1), and what the whole run has cost."""

    score: float
    cost: int | None
    climbs: tuple[Climb, ...] = ()

    @property
    def rest(self) -> int | None:
        """What the run has cost beside the tier: that is paid once, whichever tiers are asked."""
        inside = _sum(*(climb.cost for climb in self.climbs))
        return None if self.cost is None or inside is None else max(self.cost - inside, 0)


def _sum(*costs: int | None) -> int | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


GRIDS: Mapping[str, Sequence[float]] = {
    "confidence": (
        *(0.999, 0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92),
        *(0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5),
    ),
    "agreement": (1.0, 0.8, 0.75, 0.67, 0.6, 0.5, 0.4, 0.33),
    "judge": (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
}
"""The thresholds that are tried, from the most careful one on. They are fixed: were they chosen by the data, the choice
among them would not be the one that is corrected for."""


def signal_in(tiers: Sequence[Sequence[Tried]]) -> str:
    """The measured check whose threshold is tried: the first that tiers but the last have; empty where none has."""
    for tried in (each for tier in tiers[:-1] for each in tier):
        for finding in (one for climb in tried.climbs for one in climb.findings):
            if finding.check in GRIDS:
                return finding.check
    return ""


def of_tiers(tiers: Sequence[Sequence[Tried]], names: Sequence[str], *, signal: str) -> list[Option]:
    """The options that a ladder has, the most careful first: its last tier alone, then the ladder at each threshold
    from the highest on (as it is, where nothing is measured), then each of the other tiers alone.

    tiers: each tier's cases, in the same order.
    """
    options = [_alone(tiers[-1], names[-1])]
    thresholds: Sequence[float | None] = GRIDS.get(signal, (None,))
    for threshold in thresholds:
        name = "the ladder as it is" if threshold is None else f"{signal} >= {threshold:g}"
        option = ladder(tiers, name, signal=signal, threshold=threshold)
        if (
            len(options) == 1
            or option.escalated != options[-1].escalated
            or option.scores != options[-1].scores
        ):
            options.append(option)
    options += [_alone(tiers[place], names[place]) for place in range(len(tiers) - 2, -1, -1)]
    return options


def _alone(tried: Sequence[Tried], name: str) -> Option:
    costs = [_sum(each.rest, *(climb.asking for climb in each.climbs)) for each in tried]
    return Option(name, tuple(costs), tuple(each.score for each in tried))


def ladder(tiers: Sequence[Sequence[Tried]], name: str, *, signal: str, threshold: float | None) -> Option:
    """What the ladder would have done at a threshold. A case goes up where any of its ladders does."""
    costs: list[int | None] = []
    scores: list[float] = []
    escalated: list[bool] = []
    for tries in zip(*tiers, strict=True):
        cost: int | None = 0
        for place, tried in enumerate(tries):
            is_last = place == len(tries) - 1
            ends = [climb.at(signal, threshold) for climb in tried.climbs]
            # A run that failed before its ladder said anything is one that goes up.
            is_taken = bool(ends) and all(is_accepted for is_accepted, _ in ends)
            spent = _sum(*(spent for _, spent in ends)) if ends else tried.cost
            cost = _sum(cost, spent)
            if is_taken or is_last:
                costs.append(_sum(cost, tried.rest if ends else 0))
                scores.append(tried.score)
                escalated.append(place > 0)
                break
    return Option(name, tuple(costs), tuple(scores), tuple(escalated), threshold)


def of_models(tried: Sequence[Sequence[Tried]], names: Sequence[str]) -> list[Option]:
    """The options where each is a model of its own: the last first, which is the reference."""
    return [
        Option(name, tuple(each.cost for each in tries), tuple(each.score for each in tries))
        for name, tries in reversed(list(zip(names, tried, strict=True)))
    ]


def judged(options: Sequence[Option], target: Target, *, order: Order) -> list[Option]:
    """The options with what is shown of them, the first of them being the reference."""
    references, best = options[0].scores, _undominated(options)
    found = shown(options, target, order=order)
    return [
        replace(
            option,
            # Of a share of its own the reference has all.
            bound=target.bound(option.scores, references) if place or target.is_absolute else 1.0,
            is_shown=place in found,
            is_best=place in best,
        )
        for place, option in enumerate(options)
    ]


def shown(options: Sequence[Option], target: Target, *, order: Order) -> set[int]:
    """Which of the options are shown to reach the target, by their places; the first one is the reference.

    The chance that any of them does not reach it in truth is 1 - CONFIDENCE at most, so that the cheapest can be chosen
    without optimism, on the same cases:

    sequence: they are tested in the given order, which the scores have no part in, up to the first that is not shown;
        Bauer, "Multiple testing in clinical trials", Statistics in Medicine 10 (1991), and for thresholds Angelopoulos
        et al., "Learn then Test" (2021).
    any: each is tested, the strongest evidence first, at a level that is divided among those left; Holm, "A Simple
        Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    references, enough = options[0].scores, 1 / (1 - CONFIDENCE)
    # The reference reaches a share of its own quality, if that is 1 at most.
    is_given = not target.is_absolute and target.at_least <= 1
    found = {0} if is_given else set[int]()
    evidence = {
        place: target.evidence(option.scores, references)
        for place, option in enumerate(options)
        if place not in found
    }
    ranked = list(evidence) if order == "sequence" else sorted(evidence, key=lambda place: -evidence[place])
    for number, place in enumerate(ranked):
        divided = 1 if order == "sequence" else len(ranked) - number
        if evidence[place] < enough * divided:
            break
        found.add(place)
    return found


def _undominated(options: Sequence[Option]) -> set[int]:
    """The options that no other is cheaper and as good as, or better and as cheap as (Pareto's frontier)."""

    def is_beaten(one: Option) -> bool:
        return any(
            other.cost is not None
            and one.cost is not None
            and other.cost <= one.cost
            and other.quality >= one.quality
            and (other.cost, -other.quality) != (one.cost, -one.quality)
            for other in options
        )

    return {
        place for place, option in enumerate(options) if option.cost is not None and not is_beaten(option)
    }


def recommended(options: Sequence[Option]) -> Option | None:
    """The cheapest of those that are shown to reach the target, of two the better one; None where none is, or where
    costs are not known."""
    shown = [option for option in options if option.is_shown]
    if not shown or any(option.cost is None for option in shown):
        return None
    return min(shown, key=lambda option: (option.cost or 0.0, -option.quality))
