"""What a gate says of a comparison: a ruling for each rule, with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from surefoot.evals.comparing.comparison import Comparison, Contrast, Level, Ratio, Slice
from surefoot.evals.comparing.gate import FigureRules, Gate, MetricRules, SliceRules
from surefoot.evals.comparing.wording import between, carried, figure, multiple, multiples, number, signed
from surefoot.evals.statistics import non_inferior
from surefoot.values import Json

Standing = Literal["passed", "failed", "not judged"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of one rule. `subject` is a metric, a figure, or empty for a rule of the gate as a whole.

    `line` is where the rule stands in the gate's file, 0 where it is a default.
    """

    rule: str
    subject: str
    standing: Standing
    reason: str
    slice: str = ""
    line: int = 0

    @property
    def name(self) -> str:
        where = f" [{self.slice}]" if self.slice else ""
        return f"{self.subject}{where}: {self.rule}" if self.subject else f"{self.rule}{where}"

    def to_json(self) -> dict[str, Json]:
        return {
            "rule": self.rule,
            "subject": self.subject,
            "slice": self.slice,
            "standing": self.standing,
            "reason": self.reason,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a comparison passes a gate: it does if no rule fails."""

    gate: Gate
    comparison: Comparison
    rulings: tuple[Ruling, ...]

    @property
    def has_passed(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[Ruling, ...]:
        return tuple(each for each in self.rulings if each.standing == "failed")

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line for each rule that failed."""
        return tuple(f"{each.name}: {each.reason}" for each in self.failed)

    @property
    def headline(self) -> str:
        """`gate NAME passed: 7 rules hold`, or how many of them fail."""
        count, failed = len(self.rulings), len(self.failed)
        open_ = sum(each.standing == "not judged" for each in self.rulings)
        left = f", {open_} not judged" if open_ else ""
        named = "gate" if self.gate.name == "gate" else f"gate {self.gate.name}"
        if failed:
            return f"{named} failed: {failed} of {count} rules do not hold{left}"
        held = count - open_
        return f"{named} passed: {held} rule{'s hold' if held != 1 else ' holds'}{left}"

    def to_json(self) -> dict[str, Json]:
        return {
            "gate": self.gate.name,
            "file": self.gate.file,
            "digest": self.gate.digest,
            "has_passed": self.has_passed,
            "rulings": [each.to_json() for each in self.rulings],
        }


def judged(gate: Gate, comparison: Comparison) -> Verdict:
    """Judge a comparison that was made by the gate's own margins, directions and slices (`Gate.compare`)."""
    rulings = [*_pairing(gate, comparison)]
    for metric, rules in gate.metrics.items():
        rulings += _Metric(gate, metric, rules).overall(comparison)
    for figured, asked in gate.figures.items():
        rulings += _figure(gate, asked, comparison.ratio(figured))
    for key, sliced in gate.slices.items():
        rulings += _slices(gate, key, sliced, comparison)
    return Verdict(gate, comparison, tuple(rulings))


def _pairing(gate: Gate, comparison: Comparison) -> Iterator[Ruling]:
    missing = comparison.only_baseline
    # Two that were run together end at the same case, so that none is alone.
    if gate.unpaired == "fail" and comparison.candidate.stopped:
        yield Ruling(
            "every case of the candidate is judged",
            "",
            "failed",
            f"{comparison.candidate.stopped}. Or say `unpaired: pass`",
            line=gate.lines.get("unpaired", 0),
        )
    if gate.unpaired == "fail" and missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        yield Ruling(
            "every case of the baseline is in the candidate",
            "",
            "failed",
            f"{len(missing)} are not ({shown}): evaluate the candidate over all of them, or say `unpaired: pass`",
            line=gate.lines.get("unpaired", 0),
        )


@dataclass(frozen=True, slots=True)
class _Metric:
    """The rules of one metric, held against its contrast over all cases or in a slice."""

    gate: Gate
    metric: str
    rules: MetricRules

    def overall(self, comparison: Comparison) -> Iterator[Ruling]:
        found = next((each for each in comparison.contrasts if each.metric == self.metric), None)
        if found is None or found.omitted:
            known = ", ".join(each.metric for each in comparison.contrasts)
            why = (
                found.omitted
                if found is not None
                else f"neither experiment was scored by it; there are {known}"
            )
            yield self._ruling("is measured in both arms", "failed", why)
            return
        yield from self._coverage(found)
        yield from self._levels(found)
        yield from self._labels(found.candidate)
        yield from self._changes(found)

    def within(self, found: Contrast, sliced: SliceRules) -> Iterator[Ruling]:
        """In a slice: that it is not shown to be worse, or all that is asked of it."""
        if found.omitted:
            return
        if sliced.rules == "all":
            yield from self._levels(found)
            if self.rules.non_inferior is not None:
                yield self._non_inferior(found, self.rules.non_inferior)
        yield self._no_worse(found)

    def _coverage(self, found: Contrast) -> Iterator[Ruling]:
        least = self.rules.coverage if self.rules.coverage is not None else self.gate.coverage
        arms = {"candidate": found.candidate}
        if self.rules.is_relative:
            arms["baseline"] = found.baseline
        line = self.rules.lines.get("coverage") or self.gate.lines.get("coverage", 0)
        for which, level in arms.items():
            share = level.coverage or 0.0
            is_enough = share >= least
            reason = f"{level.scored} of {level.applicable} rows of the {which} have a score"
            if not is_enough and level.reasons:
                why, count = next(iter(level.reasons.items()))
                reason += (
                    f"; {count} without: {why}. Go on with `--experiment` and `--retry-failed`, or ask for "
                    "less by `coverage`"
                )
            rule = f"coverage of the {which} at least {least:.4g}"
            yield self._ruling(rule, "passed" if is_enough else "failed", reason, line=line)

    def _levels(self, found: Contrast) -> Iterator[Ruling]:
        for key, bound in (("at_least", self.rules.at_least), ("at_most", self.rules.at_most)):
            if bound is None:
                continue
            value, cases, rule = found.candidate.overall, found.candidate.cases, f"{key} {bound:g}"
            if value is None:
                yield self._ruling(rule, "failed", f"its {found.kind} has no level", found, key=key)
            elif (few := self._few(cases)) is not None:
                yield self._ruling(rule, _on_few(self.gate), few, found, key=key)
            else:
                holds = value >= bound if key == "at_least" else value <= bound
                reason = f"it is {value:.4g} over {cases} cases{_failures(found.candidate)}{_carried(found)}"
                yield self._ruling(rule, "passed" if holds else "failed", reason, found, key=key)

    def _labels(self, level: Level) -> Iterator[Ruling]:
        for label, bounds in self.rules.labels.items():
            share = level.labels.get(label, 0.0)
            is_enough = bounds.at_least is None or share >= bounds.at_least
            holds = is_enough and (bounds.at_most is None or share <= bounds.at_most)
            asked = [f"at_least {bounds.at_least:g}"] if bounds.at_least is not None else []
            asked += [f"at_most {bounds.at_most:g}"] if bounds.at_most is not None else []
            yield self._ruling(
                f"label {label} {' and '.join(asked)}",
                "passed" if holds else "failed",
                f"{share:.1%} of the paired cases have it",
                key="labels",
            )

    def _changes(self, found: Contrast) -> Iterator[Ruling]:
        if self.rules.is_relative and found.kind == "labels":
            yield self._ruling(
                "is better or worse", "failed", "labels have no better and no worse: use `labels`"
            )
            return
        if self.rules.improved:
            yield self._improved(found)
        if self.rules.non_inferior is not None:
            yield self._non_inferior(found, self.rules.non_inferior)
        if self.rules.no_worse:
            yield self._no_worse(found)

    def _improved(self, found: Contrast) -> Ruling:
        few = self._few(found.n)
        if few is not None or found.effect == "too few cases":
            told = few or _too_few(found, "neither that it improved nor that it did not is shown")
            return self._ruling("improved", _on_few(self.gate), told, found, key="improved")
        standing: Standing = "passed" if found.effect == "improved" else "failed"
        return self._ruling(
            "improved", standing, f"it is {found.effect}: {_told(found)}", found, key="improved"
        )

    def _non_inferior(self, found: Contrast, margin: float) -> Ruling:
        rule, few, interval = f"non_inferior by {margin:g}", self._few(found.n), found.interval
        if few is not None or interval is None:
            return self._ruling(
                rule, _on_few(self.gate), few or "nothing is known", found, key="non_inferior"
            )
        if non_inferior(interval, margin=margin, direction=found.direction):
            return self._ruling(rule, "passed", _told(found), found, key="non_inferior")
        best = interval.high if found.direction == "higher" else -interval.low
        if best <= -margin:
            reason = f"it is worse by more than that: {_told(found)}"
            return self._ruling(rule, "failed", reason, found, key="non_inferior")
        reason = _too_few(found, "it may be worse by more than that")
        return self._ruling(rule, _on_few(self.gate), reason, found, key="non_inferior")

    def _no_worse(self, found: Contrast) -> Ruling:
        few = None if found.slice else self._few(found.n)
        if few is not None:
            return self._ruling("no_worse", _on_few(self.gate), few, found, key="no_worse")
        if found.effect == "worse":
            return self._ruling("no_worse", "failed", f"it is worse: {_told(found)}", found, key="no_worse")
        return self._ruling("no_worse", "passed", _told(found), found, key="no_worse")

    def _few(self, cases: int) -> str | None:
        least = self.rules.min_cases if self.rules.min_cases is not None else self.gate.min_cases
        return None if cases >= least else f"too few cases: {cases}, and min_cases is {least}"

    def _ruling(
        self,
        rule: str,
        standing: Standing,
        reason: str,
        found: Contrast | None = None,
        *,
        key: str = "",
        line: int = 0,
    ) -> Ruling:
        place = line or self.rules.lines.get(key, 0) or min(self.rules.lines.values(), default=0)
        return Ruling(rule, self.metric, standing, reason, found.slice if found is not None else "", place)


def _told(found: Contrast) -> str:
    was, now = number(found.baseline.paired, found.kind), number(found.candidate.paired, found.kind)
    change, interval = signed(found.delta, found.kind), between(found.interval, found.kind)
    return f"{was} to {now}, {change} ({interval}) over {found.n} cases{_carried(found)}"


def _carried(found: Contrast) -> str:
    """That it is not what the judge itself says."""
    return f", {carried(found)}" if found.as_judged is not None else ""


def _too_few(found: Contrast, what: str) -> str:
    more = "" if found.needed is None else f"; about {found.needed:,} cases would show this difference"
    return f"too few cases: {what}: {_told(found)}{more}"


def _failures(level: Level) -> str:
    if not level.failures:
        return ""
    return f", {level.failures} rows without a score counted as the worst ({next(iter(level.reasons))})"


def _figure(gate: Gate, asked: FigureRules, found: Ratio) -> Iterator[Ruling]:
    for key, bound in (("max_ratio", asked.max_ratio), ("at_most", asked.at_most)):
        if bound is None:
            continue
        standing, reason = _spent(gate, key, bound, found)
        yield Ruling(f"{key} {bound:g}", found.figure, standing, reason, line=asked.lines.get(key, 0))


def _spent(gate: Gate, key: str, bound: float, found: Ratio) -> tuple[Standing, str]:
    """Whether a figure keeps to a bound, and why."""
    if found.candidate is None:
        return "failed", f"it is not known: {found.note or 'no case has it'}"
    if found.figure == "cost" and found.left_out:
        return "failed", f"it is not known of all cases: {found.note}; set [prices]"
    if found.n < gate.min_cases:
        return _on_few(gate), f"too few cases: {found.n}, and min_cases is {gate.min_cases}"
    over = f"over {found.n} cases{f'; {found.note}' if found.note else ''}"
    now = figure(found.candidate, found)
    if key == "at_most":
        return ("passed" if found.candidate <= bound else "failed"), f"{now} per run {over}"
    ratio = found.ratio
    if ratio is None:
        # Nothing, where there was nothing before, is no more than before.
        ratio = 1.0 if found.candidate == 0 else math.inf
    told = f"{figure(found.baseline, found)} to {now} per run, {multiple(found)} ({multiples(found)}) {over}"
    return ("passed" if ratio <= bound else "failed"), told


def _on_few(gate: Gate) -> Standing:
    return "failed" if gate.on_too_few == "fail" else "not judged"


def _slices(gate: Gate, key: str, sliced: SliceRules, comparison: Comparison) -> Iterator[Ruling]:
    found = {each.value: each for each in comparison.slices if each.key == key}
    on_few = _on_few(gate)
    for value in sliced.values:
        if value not in found:
            yield Ruling("is there", "", on_few, "no paired case is in it", f"{key}={value}", sliced.line)
    for value, one in found.items():
        if one.is_too_small:
            standing: Standing = on_few if value in sliced.values else "not judged"
            reason = f"too few cases: {one.n}, and min_cases of the slice is {sliced.min_cases}"
            yield Ruling("holds in the slice", "", standing, reason, one.name, sliced.line)
        else:
            yield from _slice(gate, one, sliced)


def _slice(gate: Gate, one: Slice, sliced: SliceRules) -> Iterator[Ruling]:
    for found in one.contrasts:
        rules = gate.metrics.get(found.metric)
        if rules is not None and found.kind != "labels":
            yield from _Metric(gate, found.metric, rules).within(found, sliced)
