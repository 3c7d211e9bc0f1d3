"""A comparison in words: one line that says what it comes to, and figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from surefoot.evals.comparing.comparison import Comparison, Contrast, Level, Ratio
from surefoot.evals.statistics import Interval

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"


def headline(comparison: Comparison) -> str:
    """What it comes to, in one line: what got worse before what improved, then what cannot be told."""
    overall = [each for each in comparison.contrasts if each.effect is not None]
    worse = [each for each in overall if each.effect == "worse"]
    improved = [each for each in overall if each.effect == "improved"]
    unclear = [each for each in overall if each.effect == "too few cases"]
    sliced = [each for one in comparison.slices for each in one.contrasts if each.effect == "worse"]
    shifted = [each for each in comparison.contrasts if each.has_shifted]
    parts: list[str] = []
    if worse:
        parts.append(f"worse: {_changes(worse)}")
    if sliced:
        parts.append(f"worse in slices: {', '.join(f'{each.metric} ({each.slice})' for each in sliced)}")
    if improved:
        parts.append(f"improved: {_changes(improved)}")
    if shifted:
        parts.append(f"other labels: {', '.join(each.metric for each in shifted)}")
    if unclear:
        parts.append(f"too few cases to tell: {', '.join(each.metric for each in unclear)}")
    equivalent = [each.metric for each in overall if each.effect == "equivalent"]
    if equivalent:
        parts.append(f"equivalent: {', '.join(equivalent)}")
    return "; ".join(parts) if parts else "nothing can be compared"


def _changes(contrasts: Sequence[Contrast]) -> str:
    return ", ".join(f"{each.metric} {signed(each.delta, each.kind)}" for each in contrasts)


def number(value: float | None, kind: str = "mean") -> str:
    """`0.812`, `81.2%` of a rate, `-` of nothing."""
    if value is None:
        return "-"
    return f"{value:.1%}" if kind == "rate" else _plain(value)


def signed(value: float | None, kind: str = "mean") -> str:
    """A difference with its sign; that of a rate in percentage points."""
    if value is None:
        return "-"
    text = f"{abs(value) * 100:.1f} pt" if kind == "rate" else _plain(abs(value))
    is_nothing = not any(digit in text for digit in "123456789")
    return text if is_nothing else f"{'+' if value > 0 else MINUS}{text}"


def _plain(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def between(interval: Interval | None, kind: str = "mean") -> str:
    """`-0.11 to -0.03`; `unknown` where an end is infinite."""
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "unknown"
    low, high = signed(interval.low, kind), signed(interval.high, kind)
    return f"{low.removesuffix(' pt')} to {high}"


def p_value(value: float | None) -> str:
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def coverage(level: Level) -> str:
    """`all` where every row has a score, else `118/120`."""
    if not level.applicable:
        return "none"
    return "all" if not level.failures else f"{level.scored}/{level.applicable}"


def coverages(contrast: Contrast) -> str:
    """That of both arms, baseline first as in a change."""
    ours, theirs = coverage(contrast.candidate), coverage(contrast.baseline)
    return ours if ours == theirs else f"{theirs} \N{RIGHTWARDS ARROW} {ours}"


def labels_of(level: Level, most: int = 4) -> str:
    """`yes 61%, no 39%`."""
    shown = [f"{label} {share:.0%}" for label, share in list(level.labels.items())[:most]]
    more = len(level.labels) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "-"


def figure(value: float | None, ratio: Ratio) -> str:
    """Dollars, seconds or tokens per run."""
    if value is None:
        return "-"
    match ratio.figure:
        case "cost":
            return f"${value:.6f}" if value < 0.01 else f"${value:,.4f}"
        case "latency":
            return f"{value * 1e3:,.0f} ms" if value < 1 else f"{value:,.2f} s"
        case _:
            return f"{value:,.0f}"


def spent(comparison: Comparison) -> list[Ratio]:
    """The figures that say something: a model that costs nothing has no cost to compare."""
    return [each for each in comparison.ratios if each.candidate or each.baseline]


def multiple(ratio: Ratio) -> str:
    """`x1.18`; `-` where the baseline is 0."""
    return "-" if ratio.ratio is None else f"{TIMES}{ratio.ratio:.2f}"


def multiples(ratio: Ratio) -> str:
    """The interval of a ratio."""
    found = ratio.interval
    if found is None or not math.isfinite(found.high):
        return "unknown" if ratio.ratio is not None else "-"
    return f"{TIMES}{found.low:.2f} to {TIMES}{found.high:.2f}"


def effect(contrast: Contrast) -> str:
    """The effect class, or what stands in its place."""
    if contrast.omitted:
        return "not compared"
    if contrast.kind == "labels":
        return "other labels" if contrast.has_shifted else "no shift shown"
    return contrast.effect or "-"


def hint(contrast: Contrast) -> str:
    """What would tell more where there are too few cases."""
    if contrast.effect != "too few cases":
        return ""
    parts: list[str] = []
    if contrast.detectable is not None:
        shown = signed(contrast.detectable, contrast.kind).removeprefix("+")
        parts.append(f"{contrast.n} cases can show a difference of {shown}")
    if contrast.needed is not None:
        parts.append(f"to show {signed(contrast.delta, contrast.kind)} takes about {contrast.needed:,}")
    return "; ".join(parts)


def counted_failures(contrast: Contrast) -> str:
    """What failures there are and what they count as; empty where there are none."""
    parts = [
        f"{level.failures} in the {which} ({next(iter(level.reasons))})"
        for which, level in (("candidate", contrast.candidate), ("baseline", contrast.baseline))
        if level.failures
    ]
    return f"rows without a score count as the worst: {', '.join(parts)}" if parts else ""


def shifted(contrast: Contrast) -> str:
    """Labels before and after."""
    was, now = labels_of(contrast.baseline), labels_of(contrast.candidate)
    return f"{was} \N{RIGHTWARDS ARROW} {now}: {effect(contrast)} (p {p_value(contrast.adjusted_p)})"


def cases_alone(comparison: Comparison) -> str:
    """How many cases are in one arm only; empty where all are paired."""
    parts = [
        f"{len(cases)} only in the {which}"
        for which, cases in (("candidate", comparison.only_candidate), ("baseline", comparison.only_baseline))
        if cases
    ]
    return ", ".join(parts)


def carried(contrast: Contrast) -> str:
    """By what the figures are corrected, or why they are not; empty where no judge's error is known."""
    found = contrast.as_judged
    if found is None:
        return (
            "" if not contrast.uncorrected else f"not corrected for the judge's error: {contrast.uncorrected}"
        )
    return (
        f"corrected for the judge's error: sensitivity {found.sensitivity:.2f}, specificity {found.specificity:.2f} "
        f"over {found.labelled} labelled cases"
    )


def as_judged(contrast: Contrast) -> list[str]:
    """The judge's own verdicts as cells of a table: baseline, candidate, change, interval."""
    found, kind = contrast.as_judged, contrast.kind
    if found is None:
        return []
    levels = [number(found.baseline, kind), number(found.candidate, kind)]
    return [*levels, signed(found.delta, kind), between(found.interval, kind)]
