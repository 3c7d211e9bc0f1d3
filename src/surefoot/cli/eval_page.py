"""An experiment as people read it in a terminal: metrics, worst cases, cost and time; and its forecast."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.evals import Experiment, Forecast, Row
    from surefoot.evals.experiments.forecasting import Expectation

_OWN = re.compile(r"run [0-9A-Z]{26}|[0-9.]+ m?s\b|after [0-9]+ attempts?|[0-9]+ attempts? in|request \S+")
"""What is each failure's own in a reason that many have."""
_WORST = 5
_FAILURES = 3
_FLAKY = 8


def print_experiment(console: Console, result: Experiment, *, hint: str = "") -> None:
    """The metrics as a table, then cost and time, then the worst cases."""
    from rich.table import Table

    from surefoot.cli import screen, words

    cases = words.counted(len({row.case for row in result.rows}), "case")
    times = f", each {result.repeats} times" if result.repeats > 1 else ""
    head = f"{result.name or result.flow}: {cases} of {result.dataset}{times}"
    version = f"  flow {result.flow}{f' {result.flow_version}' if result.flow_version else ''}"
    console.print(screen.styled((head, "bold"), (f"{version}, dataset {result.dataset_version}", "dim")))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, justify in (("METRIC", "left"), ("VALUE", "right"), ("N", "right"), ("COVERAGE", "right")):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    rows = result.table()
    for row, metric in zip(rows, result.metrics, strict=True):
        style = "yellow" if metric.failures or metric.withheld or _is_doubtful(metric.agreement) else ""
        table.add_row(row.metric, row.value, row.n, row.coverage, style=style)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(screen.styled((f"{row.metric}: {row.note}", "yellow")))
    _print_judges(console, result)
    idle = [metric.name for metric in result.metrics if metric.coverage is None and metric.scope == "case"]
    if idle and result.rows:
        told = f"{', '.join(idle)}: no case has what is compared with; is it in another column? --map expected=COLUMN"
        console.print(screen.styled((told, "yellow")), soft_wrap=True)
    _print_flaky(console, result)
    _print_failures(console, result)
    _print_worst(console, result, hint)
    _print_figures(console, result)


def _is_doubtful(agreement: object) -> bool:
    return bool(getattr(agreement, "is_near_chance", False))


def _print_judges(console: Console, result: Experiment) -> None:
    """What judges say of labelled cases, and what sways them."""
    from surefoot.cli import screen
    from surefoot.evals.scoring import biases

    for metric in result.metrics:
        found = metric.agreement
        if found is None:
            continue
        positives = found.true_positive + found.false_negative
        negatives = found.true_negative + found.false_positive
        failed = f", {found.failed} without a verdict" if found.failed else ""
        counts = (
            f"labelled true: {found.true_positive} of {positives} judged true; "
            f"labelled false: {found.true_negative} of {negatives} judged false{failed}"
        )
        lines = [counts]
        if found.said:
            lines.append(f"length of the answer: {biases.by_length(found.said)}")
            position = biases.by_position(found.said)
            lines += [f"position: {position}"] if position is not None else []
        for line in lines:
            said = screen.harmless(f"  {metric.name}: {line}")
            console.print(screen.styled((said, "dim")), soft_wrap=True)


def _print_flaky(console: Console, result: Experiment) -> None:
    """How far repeats of a case differ."""
    from surefoot.cli import screen, words

    if result.repeats == 1:
        return
    cases = len({row.case for row in result.rows})
    flaky = result.flaky
    if not flaky:
        console.print(screen.styled((f"flaky: none of {words.counted(cases, 'case')}", "dim")))
        return
    by_metric = ", ".join(f"{each.metric} {len(each.cases)}" for each in result.flakiness if each.cases)
    shown = ", ".join(flaky[:_FLAKY]) + (f" and {len(flaky) - _FLAKY} more" if len(flaky) > _FLAKY else "")
    said = f"{len(flaky)} of {words.counted(cases, 'case')} differ between repeats"
    said = f"{said} ({by_metric or 'their runs'}): {shown}"
    console.print(screen.styled(("flaky: ", "yellow"), screen.harmless(said)), soft_wrap=True)


def print_forecast(console: Console, found: Forecast) -> None:
    """What an evaluation may use, in one line, why something is not known, and what a comparison can show."""
    from surefoot.cli import screen

    console.print(screen.styled(("forecast ", "dim"), forecast_words(found)), soft_wrap=True)
    if (shown := _detectable_words(found)) is not None:
        console.print(screen.styled((f"  {shown}", "dim")), soft_wrap=True)
    for reason in found.unknown:
        console.print(screen.styled((f"  {reason}", "dim")), soft_wrap=True)


def forecast_words(found: Forecast) -> str:
    """`1,000 rows, 2,000 calls, 480k to 510k tokens, $1.20 to $1.35, about 2 min, by 50 former runs`.

    Where nothing is recorded of a part, it is named after the rows, and the figures are those of the others.
    """
    from surefoot.cli import words
    from surefoot.cli.costs import compact

    known = found.known if found.known.parts else found
    sample = min((part.sample for part in known.parts), default=0)
    is_partial = bool(found.without) and known is not found
    rest = f", without {', '.join(found.without)}: " if is_partial else ", "
    rows = f"{found.rows:,} row{'' if found.rows == 1 else 's'}{rest}"
    parts = [
        _between(known.calls, "calls", lambda value: f"{round(value):,}"),
        _between(known.tokens, "tokens", lambda value: compact(round(value))),
        _cost_words(known),
        "time unknown" if known.seconds is None else f"about {words.duration(round(known.seconds * 1e9))}",
    ]
    by = f", by {words.counted(sample, 'former run')}" if sample else ""
    return rows + ", ".join(parts) + by


def _cost_words(known: Forecast) -> str:
    """The cost of what has a price, and what has none."""
    from surefoot.cli.costs import rounded

    priced = known.priced
    if not priced.parts:
        return "cost unknown"
    told = _between(priced.cost_nanos, "", lambda value: rounded(round(value)))
    others = ", ".join(known.beyond(priced))
    return f"{told} without {others}" if others else told


def _detectable_words(found: Forecast) -> str | None:
    from surefoot.cli import words

    if (smallest := found.detectable) is None:
        return None
    cases, metrics = words.counted(found.paired, "case"), words.counted(found.metrics, "metric")
    if math.isinf(smallest):
        return (
            f"{cases} and {metrics} may show nothing where the verdict of one case in five changes: add cases"
        )
    points = f"{smallest * 100:.0f} points"
    return f"{cases} and {metrics} show differences from {points} on, where one verdict in five changes"


def _between(found: Expectation | None, noun: str, shown: Callable[[float], str]) -> str:
    if found is None:
        return f"{noun} unknown"
    low, high = shown(found.p50), shown(found.p95)
    return f"{low} {noun}".strip() if low == high else f"{low} to {high} {noun}".strip()


def alike(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons with their counts, the most frequent first; those that differ by an id or a time alone are one."""
    found: dict[str, tuple[str, int]] = {}
    for reason, count in reasons.items():
        first, before = found.get(_OWN.sub("", reason), (reason, 0))
        found[_OWN.sub("", reason)] = first, before + count
    return sorted(found.values(), key=lambda each: -each[1])


def _print_failures(console: Console, result: Experiment) -> None:
    """The reasons why metrics do not cover all cases, each once."""
    from surefoot.cli import screen, words

    reasons: dict[str, tuple[str, set[str], dict[str, None]]] = {}
    for metric in result.metrics:
        for failure in metric.failures:
            alike = reasons.setdefault(_OWN.sub("", failure.reason), (failure.reason, set(), {}))
            alike[1].add(failure.run_id)
            alike[2][metric.name] = None
    most = sorted(reasons.values(), key=lambda each: -len(each[1]))
    for reason, runs, metrics in most[:_FAILURES]:
        of = "" if len(metrics) == len(result.metrics) else f" of {', '.join(metrics)}"
        said = screen.harmless(f"{words.counted(len(runs), 'case')}{of}: {reason}")
        console.print(screen.styled(("failed: ", "red"), screen.brief(said, max(2 * console.width - 8, 40))))
    if len(most) > _FAILURES:
        told = f"  and {words.counted(len(most) - _FAILURES, 'more reason')} (--json)"
        console.print(screen.styled((told, "dim")))


def _print_worst(console: Console, result: Experiment, hint: str) -> None:
    from surefoot.cli import screen

    worst = result.worst(_WORST)
    if not worst:
        return
    width = max(len(row.case) for row in worst)
    lower = {metric.name for metric in result.metrics if metric.direction == "lower"}
    console.print(screen.styled((f"worst cases{hint}", "bold")))
    for row in worst:
        said = screen.brief(lacking(row, lower), max(console.width - width - 32, 20))
        console.print(f"  {row.case:<{width}}  {row.run_id}  {said}", soft_wrap=True)


def lacking(row: Row, lower: Collection[str] = ()) -> str:
    """What a case did not reach, in a few words; of metrics that are better when `lower` nothing."""
    if row.status == "failed":
        return f"failed: {row.error}"
    parts = [f"{name} failed" for name in row.failures]
    parts += [f"not {name}" for name, score in row.scores.items() if score.value is False]
    for name, score in row.scores.items():
        # Seconds and dollars are no share of anything.
        if isinstance(score.value, float) and score.value < 1 and name not in lower:
            parts.append(f"{name} {score.value:.2f}")
    return ", ".join(parts)


def _print_figures(console: Console, result: Experiment) -> None:
    """Experiment, tokens, cost, time: what the cases used, and beside it what judges did."""
    from surefoot.cli import screen, words

    latency = result.latency
    terms = words.totals_terms(result.totals)
    if latency.p50 is not None and latency.p95 is not None:
        p50, p95 = (words.duration(round(seconds * 1e9)) for seconds in (latency.p50, latency.p95))
        terms.append(f"p50 {p50}, p95 {p95} per case")
    terms.append(f"{words.duration(round(result.elapsed_s * 1e9))} in all")
    console.print(screen.styled(("experiment ", "dim"), result.id, (_standing(result), "dim")))
    console.print(screen.styled((screen.terms(console, terms, indent="  "), "dim")))
    if result.judging.calls:
        used = screen.terms(console, ["judges", *words.totals_terms(result.judging)[1:]], indent="  ")
        console.print(screen.styled((used, "dim")))
    for warning in result.warnings:
        console.print(screen.styled((f"  {warning}", "yellow")))


def _standing(result: Experiment) -> str:
    parts = [f"{len(result.failed)} failed"] if result.failed else []
    parts += [f"{result.reused} of {len(result.rows)} cases from the record"] if result.reused else []
    return f"  {', '.join(parts)}" if parts else ""


def hint_of(app: App) -> str:
    """Where `surefoot show` finds the runs, if that is not here."""
    from surefoot.app import App

    root = app.settings.root
    if App.current().settings.root == root:
        return " (surefoot show RUN)"
    folder = root.relative_to(Path.cwd()) if root.is_relative_to(Path.cwd()) else root
    return f" (cd {folder} && surefoot show RUN)"
