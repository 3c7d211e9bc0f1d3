"""`surefoot stats`: latency, errors, retries, tokens and cost of a flow, per step and call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.traces import FlowStats, Quantiles, RunStats, StepStats
    from surefoot.values import Json, Money

_S = 1_000_000_000


By = Literal["step", "model", "prompt", "tier"]


@documented(example="surefoot stats SummarizationWorkflow --since 24h --by prompt")
@click.argument("flow")
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WINDOW|DATE",
    help="Runs that began in this time: 30m, 1h, 7d, 2w, or from a date on.",
)
@click.option(
    "--by",
    type=click.Choice(get_args(By)),
    default="step",
    show_default=True,
    help="A line for each step, or for the model calls of each model, prompt version or tier.",
)
@json_option
def command(flow: str, since: str, by: By, as_json: bool) -> int:  # noqa: FBT001
    """Show how FLOW has done: latency, errors, retries, tokens and cost, per step and model call.

    Percentiles are exact, interpolated between the closest ranks. The tokens and cost of a step are those of the calls
    inside of it. Columns in which nothing stands are left out. With --json all of it is told, whatever it is by.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.since import since_ns
    from surefoot.traces import shadows, stats
    from surefoot.traces.shadows import NAME

    now_ns, ledger = time.time_ns(), App.current().ledger
    found = stats(ledger, flow, since_ns=since_ns(since, now_ns), now_ns=now_ns)
    is_shadowed = any(step.series.name == NAME for step in found.steps)
    seen = shadows(ledger, flow, since_ns=found.since_ns) if is_shadowed else None
    if as_json:
        figures: dict[str, Json] = stats_json(found)
        if seen is not None:
            figures["shadows"] = seen.to_json()
        screen.print_json(figures)
        return 0
    print_stats(found, by)
    if seen is not None and seen.shadows:
        screen.out().print(screen.styled(("shadows  ", "bold"), str(seen)), soft_wrap=True)
    return 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table, of a step, a call, what calls have in common, or the runs themselves."""

    name: str
    kind: str
    version: str
    taken: str
    count: int
    error_rate: float
    retries: int
    cached: int
    degraded: int
    latency: Quantiles | None
    first_token: Quantiles | None
    tokens: tuple[int, int, int, int]
    cost: str


def print_stats(found: FlowStats, by: By = "step") -> None:
    """The runs in words, then the table."""
    from surefoot.cli import screen, words

    console, runs = screen.out(), found.runs
    standings = ", ".join(f"{count:,} {status}" for status, count in sorted(runs.standings.items()))
    parts = [words.counted(runs.count, "run"), standings or "none began in this time"]
    if runs.resumed:
        parts.append(f"{runs.resumed:,} resumed")
    console.print(
        screen.styled((found.flow, "bold"), f"  since {words.clock(found.since_ns)}"), soft_wrap=True
    )
    console.print(screen.terms(console, parts), soft_wrap=True)
    if not runs.count:
        return
    console.print()
    counted = {"step": found.steps, "model": found.models, "prompt": found.prompts, "tier": found.tiers}[by]
    lines = [_run_line(runs, "run" if by == "step" else ""), *map(_step_line, counted)]
    columns = [Column(by.upper(), lambda line: line.name, is_always=True, is_text=True), *COLUMNS]
    shown = [column for column in columns if column.is_always or any(column.read(line) for line in lines)]
    rows = [[column.title for column in shown], *([column.read(line) for column in shown] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = console.width if console.is_terminal else sum(widths) + 2 * len(widths)
    for number, block in enumerate(blocks(widths, room)):
        if number:
            console.print()
        for row in rows:
            cells = [
                row[column].ljust(widths[column])
                if shown[column].is_text
                else row[column].rjust(widths[column])
                for column in block
            ]
            style = "bold" if row is rows[0] else ""
            console.print(screen.styled(("  ".join(cells).rstrip(), style)), soft_wrap=True)


def blocks(widths: Sequence[int], room: int, *, kept: int = 1) -> list[list[int]]:
    """The columns of each part of a table that is too wide, as indices; the first `kept` begin every part."""
    parts = [list(range(kept))]
    for column in range(kept, len(widths)):
        used = sum(widths[other] + 2 for other in parts[-1])
        if len(parts[-1]) > kept and used + widths[column] > room:
            parts.append(list(range(kept)))
        parts[-1].append(column)
    return parts


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table; one in which every cell is empty is left out unless it is shown always."""

    title: str
    read: Callable[[Line], str]
    is_always: bool = False
    is_text: bool = False


def _count(read: Callable[[Line], int]) -> Callable[[Line], str]:
    return lambda line: f"{number:,}" if (number := read(line)) else ""


def _time(
    of: Callable[[Line], Quantiles | None], which: Callable[[Quantiles], float]
) -> Callable[[Line], str]:
    def shown(line: Line) -> str:
        from surefoot.cli.words import duration

        found = of(line)
        return "" if found is None else duration(round(which(found)))

    return shown


COLUMNS: Sequence[Column] = (
    Column("KIND", lambda line: line.kind, is_text=True),
    Column("VERSION", lambda line: line.version, is_text=True),
    Column("COUNT", lambda line: f"{line.count:,}", is_always=True),
    Column("ERRORS", lambda line: f"{line.error_rate:.1%}" if line.error_rate else "", is_always=True),
    Column("RETRIES", _count(lambda line: line.retries)),
    Column("TAKEN", lambda line: line.taken),
    Column("CACHE HITS", _count(lambda line: line.cached)),
    Column("DEGRADED", _count(lambda line: line.degraded)),
    Column("P50", _time(lambda line: line.latency, lambda found: found.p50), is_always=True),
    Column("P95", _time(lambda line: line.latency, lambda found: found.p95), is_always=True),
    Column("P99", _time(lambda line: line.latency, lambda found: found.p99), is_always=True),
    Column("FIRST P50", _time(lambda line: line.first_token, lambda found: found.p50)),
    Column("FIRST P95", _time(lambda line: line.first_token, lambda found: found.p95)),
    Column("IN", _count(lambda line: line.tokens[0])),
    Column("CACHED IN", _count(lambda line: line.tokens[1])),
    Column("OUT", _count(lambda line: line.tokens[2])),
    Column("REASONING", _count(lambda line: line.tokens[3])),
    Column("COST", lambda line: line.cost),
)


def _step_line(step: StepStats) -> Line:
    usage, series = step.usage, step.series
    match series.kind:
        case "model":
            name = f"{series.name} → {series.model}" if series.model else series.name
        case "tier":
            name = f"{series.name} tier {series.tier} {series.model}".strip()
        case _:
            name = f"{series.name} {series.model}".rstrip()
    return Line(
        name=name,
        kind=series.kind if series.kind in ("step", "call", "flow") else "",
        version=series.version,
        taken="" if step.taken is None else f"{step.taken / step.count:.1%}",
        count=step.count,
        error_rate=step.error_rate,
        retries=step.retries,
        cached=step.cached,
        degraded=step.degraded,
        latency=step.latency,
        first_token=step.first_token,
        tokens=(usage.input, usage.cached, usage.output, usage.reasoning),
        cost=_cost(step.cost, is_complete=step.is_cost_complete, has_calls=usage.total > 0),
    )


def _run_line(runs: RunStats, kind: str) -> Line:
    usage = runs.usage
    return Line(
        name="(whole runs)",
        kind=kind,
        version="",
        taken="",
        count=runs.count,
        error_rate=runs.error_rate,
        retries=0,
        cached=0,
        degraded=runs.degraded,
        latency=runs.latency,
        first_token=None,
        tokens=(usage.input, usage.cached, usage.output, usage.reasoning),
        cost=_cost(runs.cost, is_complete=runs.is_cost_complete, has_calls=runs.calls > 0),
    )


def _cost(cost: Money, *, is_complete: bool, has_calls: bool) -> str:
    if is_complete:
        return str(cost) if has_calls else ""
    return f"{cost}+" if cost.nanos else "?"


def stats_json(found: FlowStats) -> dict[str, Json]:
    """All figures; times in seconds, rates from 0 to 1."""
    runs = found.runs
    return {
        "flow": found.flow,
        "since": found.since_ns / _S,
        "until": found.until_ns / _S,
        "runs": {
            "count": runs.count,
            "by_status": dict(runs.standings),
            "failed": runs.failed,
            "error_rate": runs.error_rate,
            "resumed": runs.resumed,
            "degraded": runs.degraded,
            "latency": _quantiles(runs.latency),
            "calls": runs.calls,
            **_spent(runs),
        },
        "steps": [_step_json(step) for step in found.steps],
        "models": [
            {"model": one.series.name, "served": one.series.model or None, **_figures_json(one)}
            for one in found.models
        ],
        "prompts": [
            {"prompt": one.series.name, "version": one.series.version, **_figures_json(one)}
            for one in found.prompts
        ],
        "tiers": [
            {
                "step": one.series.name,
                "tier": one.series.tier,
                "model": one.series.model,
                "taken": one.taken,
                **_figures_json(one),
            }
            for one in found.tiers
        ],
    }


def _step_json(step: StepStats) -> dict[str, Json]:
    return {
        "name": step.series.name,
        "kind": step.series.kind,
        "model": step.series.model or None,
        **_figures_json(step),
    }


def _figures_json(step: StepStats) -> dict[str, Json]:
    return {
        "count": step.count,
        "attempts": step.attempts,
        "retries": step.retries,
        "failed": step.failed,
        "error_rate": step.error_rate,
        "cached": step.cached,
        "degraded": step.degraded,
        "latency": _quantiles(step.latency),
        "first_token": _quantiles(step.first_token),
        **_spent(step),
    }


def _spent(figures: RunStats | StepStats) -> Mapping[str, Json]:
    from surefoot.cli.words import usage_json

    return {
        "tokens": usage_json(figures.usage),
        "cost_usd": figures.cost.nanos / _S,
        "cost_nanos": figures.cost.nanos,
        "is_cost_complete": figures.is_cost_complete,
    }


def _quantiles(found: Quantiles | None) -> Json:
    return None if found is None else {"p50": found.p50 / _S, "p95": found.p95 / _S, "p99": found.p99 / _S}
