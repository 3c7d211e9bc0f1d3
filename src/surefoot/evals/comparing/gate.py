"""Gates: the rules by which a comparison passes or fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.comparing.comparing import MIN_SLICE, compare
from surefoot.evals.comparing.comparison import Comparison, Figure
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.statistics import Direction
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.comparing.verdict import Verdict

TooFew = Literal["fail", "pass"]

MIN_CASES = 20
"""Pairs below which nothing is judged, where a gate does not say so itself."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which values a number has to be; None is no bound."""

    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class MetricRules:
    """What a gate asks of one metric.

    at_least, at_most: of its level in the candidate, over all of its cases, a failure counting as the worst.
    improved: it has to be shown to be better.
    non_inferior: it has to be shown to be worse by less than this, if it is worse at all.
    no_worse: it must not be shown to be worse. With few cases hardly anything can be shown: see `min_cases`.
    margin: the difference that does not matter; that of `non_inferior` by default.
    direction: which way it gets better, where the scorer does not say so.
    coverage: the share of rows that need a score, in both arms where they are compared; the gate's by default.
    min_cases: pairs below which it is not judged; the gate's by default.
    labels: for a metric of labels: of the share of each in the candidate.
    lines: on which line of its file each of them stands.
    """

    at_least: float | None = None
    at_most: float | None = None
    improved: bool = False
    non_inferior: float | None = None
    no_worse: bool = False
    margin: float | None = None
    direction: Direction | None = None
    coverage: float | None = None
    min_cases: int | None = None
    labels: Mapping[str, Bounds] = field(default_factory=dict[str, Bounds])
    lines: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)

    @property
    def is_relative(self) -> bool:
        """Whether it asks for a baseline."""
        return self.improved or self.no_worse or self.non_inferior is not None

    @property
    def says_something(self) -> bool:
        return self.is_relative or self.at_least is not None or self.at_most is not None or bool(self.labels)


@dataclass(frozen=True, slots=True)
class FigureRules:
    """What a gate asks of cost (dollars), latency (seconds) or tokens, per run and on average.

    max_ratio: how many times the baseline's it may be, at most; `at_most`: how much in the candidate.
    """

    max_ratio: float | None = None
    at_most: float | None = None
    lines: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)


@dataclass(frozen=True, slots=True)
class SliceRules:
    """Which slices have to hold, too: those of the values of one key of the cases' metadata.

    rules: `no_worse`: no metric of the gate is shown to be worse in any of them; `all`: all rules of the metrics hold
        in each, but that none has to have improved.
    min_cases: values with fewer pairs are not judged.
    values: those that have to be judged: one that has too few cases is one that fails, unless `on_too_few` is `pass`.
    """

    rules: Literal["no_worse", "all"] = "no_worse"
    min_cases: int = MIN_SLICE
    values: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules by which a comparison passes or fails.

    coverage: the share of rows of each metric that need a score.
    min_cases: pairs below which nothing is judged.
    unpaired: `fail`: every case of the baseline has to be in the candidate, too, and the candidate may not have been
        stopped before its last case.
    on_too_few: what becomes of a rule that so few cases can neither show to hold nor to be broken.
    margin: the difference that does not matter, of metrics that do not name their own.
    file: where it was read from, which is no part of its rules.
    """

    metrics: Mapping[str, MetricRules] = field(default_factory=dict[str, MetricRules])
    figures: Mapping[Figure, FigureRules] = field(default_factory=dict[Figure, FigureRules])
    slices: Mapping[str, SliceRules] = field(default_factory=dict[str, SliceRules])
    alpha: float = 0.05
    coverage: float = 1.0
    min_cases: int = MIN_CASES
    unpaired: TooFew = "fail"
    on_too_few: TooFew = "fail"
    margin: float | None = None
    name: str = "gate"
    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)

    def __post_init__(self) -> None:
        if not any(rules.says_something for rules in self.metrics.values()) and not self.figures:
            raise InvalidInput(
                f"the gate {self.name!r} has no rule, so that everything would pass: give at least one metric a rule, "
                "as in `metrics: {exact_match: {no_worse: true}}`"
            )

    @classmethod
    def load(cls, path: str | Path, *, name: str = "") -> Gate:
        """The gate of a YAML file; it is named after the file, unless `name` says otherwise.

        Raises `ConfigError` with the file and line of everything that is wrong in it.
        """
        from surefoot.evals.comparing.gatefile import load

        return load(Path(path), name=name)

    @property
    def digest(self) -> str:
        """The SHA-256 of its rules as hex: what a comment, an order or a file's name changes does not change it."""
        text = json.dumps(self.rules(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def rules(self) -> dict[str, Json]:
        """The rules as data, defaults included."""
        return {
            "alpha": self.alpha,
            "coverage": self.coverage,
            "min_cases": self.min_cases,
            "unpaired": self.unpaired,
            "on_too_few": self.on_too_few,
            "margin": self.margin,
            "metrics": {name: _plain(rules) for name, rules in self.metrics.items()},
            "figures": {str(name): _plain(rules) for name, rules in self.figures.items()},
            "slices": {name: _plain(rules) for name, rules in self.slices.items()},
        }

    def compare(self, candidate: Experiment, baseline: Experiment) -> Comparison:
        """The comparison by the gate's margins, directions, slices and alpha. Raises as `compare` does."""
        known = {metric.name for each in (candidate, baseline) for metric in each.metrics}
        asked = {name: rules for name, rules in self.metrics.items() if name in known}
        margins = {name: margin for name in asked if (margin := self.margin_of(name)) is not None}
        directions: dict[str, Direction] = {
            name: rules.direction for name, rules in asked.items() if rules.direction is not None
        }
        return compare(
            candidate,
            baseline,
            margins=margins,
            alpha=self.alpha,
            slices=tuple(self.slices),
            directions=directions,
            min_slice={key: rules.min_cases for key, rules in self.slices.items()},
            default_margin=self.margin,
        )

    def judge(self, candidate: Experiment, baseline: Experiment) -> Verdict:
        """Compare, and say whether it passes. Raises as `compare` does."""
        from surefoot.evals.comparing.verdict import judged

        return judged(self, self.compare(candidate, baseline))

    def margin_of(self, metric: str) -> float | None:
        """The difference that does not matter for a metric, as far as the gate says so."""
        rules = self.metrics.get(metric)
        if rules is None:
            return self.margin
        named = rules.margin if rules.margin is not None else rules.non_inferior
        return named if named is not None else self.margin


def _plain(rules: MetricRules | FigureRules | SliceRules) -> dict[str, Json]:
    """The fields of rules that differ from their defaults, but for their places."""
    made: dict[str, Json] = {}
    plain = type(rules)()
    for each in fields(rules):
        value: object = getattr(rules, each.name)
        if each.name in ("lines", "line") or value == getattr(plain, each.name):
            continue
        if isinstance(value, Mapping):
            bounds = cast("Mapping[str, Bounds]", value)
            made[each.name] = {
                label: {"at_least": one.at_least, "at_most": one.at_most} for label, one in bounds.items()
            }
        elif isinstance(value, tuple):
            made[each.name] = [*cast("tuple[str, ...]", value)]
        elif isinstance(value, bool | int | float | str):
            made[each.name] = value
    return made
