"""`surefoot trend`: a metric over time, with what it came to in each hour or day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.evals.alerting import Alert, Side
    from surefoot.evals.trending import By, Span, Trend
    from surefoot.ledger import Evaluations, ExperimentKind
    from surefoot.values import Json

_S = 1_000_000_000
_SIGNS = "▁▂▃▄▅▆▇█"
_PLAIN_SIGNS = "_.-=+*#@"
_GAP = " "
_WIDEST = 60
_LABELS = 4
_FORMATS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d"}


@documented(
    example="surefoot trend faithfulness --flow answer --since 30d\n"
    "surefoot trend exact_match --by hour --since 24h --kind online\n"
    "surefoot trend faithfulness --kind online --since 24h --fail-below 0.8\n"
    "surefoot trend"
)
@click.argument("metric", required=False)
@click.option("--flow", help="Only scores of runs of this flow.")
@click.option(
    "--since",
    default="30d",
    show_default=True,
    metavar="WINDOW|DATE",
    help="Scores that were given in this time: 24h, 7d, 2w, from a date on, or `all`.",
)
@click.option("--until", metavar="WINDOW|DATE", help="Scores that were given before this.")
@click.option(
    "--by",
    type=click.Choice(["hour", "day"]),
    default="day",
    show_default=True,
    help="The spans of time, counted in UTC.",
)
@click.option(
    "--kind",
    type=click.Choice(["eval", "backtest", "online"]),
    help="Only scores of experiments of this kind; `online` are those of production.",
)
@click.option("--tenant", help="Only scores of runs of this tenant.")
@click.option(
    "--fail-below",
    type=float,
    metavar="X",
    help="Exit with 1 where the value over all of the time is below X, or where there is none.",
)
@click.option(
    "--fail-above", type=float, metavar="X", help="The same for metrics that are better when they are lower."
)
@json_option
@json_errors
def command(  # noqa: PLR0917
    metric: str | None,
    flow: str | None,
    since: str,
    until: str | None,
    by: By,
    kind: ExperimentKind | None,
    tenant: str | None,
    fail_below: float | None,
    fail_above: float | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show a METRIC over time: its mean, or the share that passed, over all scores of each span of time.

    N are runs with a score. A run to which the metric applies and that has none is never left out in silence: it lowers
    COVERAGE. A score of production counts when its run ended, any other when it was given. 95% is the interval of the
    value, by Wilson for shares and by Student's t for means; it takes the runs to be independent of each other. The
    mean of a span says what was scored in it: where the questions changed, the metric may have stayed the same. Without
    METRIC, the metrics that have scores are listed. With --fail-below the exit code is 1 where the value is below, and
    a line says whether that is more than chance.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.since import since_ns
    from surefoot.evals.trending import trend
    from surefoot.ledger import Evaluations

    app, now_ns = App.current(), time.time_ns()
    evaluations = Evaluations(app.ledger)
    if metric is None:
        if fail_below is not None or fail_above is not None:
            raise click.UsageError("--fail-below and --fail-above hold a metric: name it")
        return _list(evaluations, flow or "", tenant, as_json=as_json, where=app.ledger.where)
    found = trend(
        evaluations,
        metric,
        flow=flow or "",
        kind=kind,
        tenant=tenant,
        since_ns=None if since == "all" else since_ns(since, now_ns, zone=UTC),
        until_ns=None if until is None else since_ns(until, now_ns, option="--until", zone=UTC),
        by=by,
    )
    if not found.spans:
        _refuse_unknown(evaluations, metric)
    alerts = _alerts(found, fail_below, fail_above)
    if as_json:
        told: dict[str, Json] = {"alerts": [each.to_json() for each in alerts]} if alerts else {}
        screen.print_json({**found.to_json(), **told})
    elif not found.spans:
        screen.err().print(
            f"no such scores of {metric} since {since} (ledger {app.ledger.where})", soft_wrap=True
        )
    else:
        show(found)
    if not as_json:
        _tell(alerts)
    return 1 if any(each.is_raised for each in alerts) else 0


def _alerts(found: Trend, below: float | None, above: float | None) -> list[Alert]:
    from surefoot.evals.alerting import alert

    asked: list[tuple[Side, float | None]] = [("below", below), ("above", above)]
    return [alert(found, bound, side=side) for side, bound in asked if bound is not None]


def _tell(alerts: Sequence[Alert]) -> None:
    """A line for each bound; on stderr where it is broken, so that cron sends it."""
    from surefoot.cli import screen

    for each in alerts:
        console = screen.err() if each.is_raised else screen.out()
        style = (
            ("bold red" if each.is_shown else "yellow")
            if each.is_raised
            else ("green" if each.is_shown else "yellow")
        )
        console.print(screen.styled((screen.harmless(each.words), style)), soft_wrap=True)


def _list(evaluations: Evaluations, flow: str, tenant: str | None, *, as_json: bool, where: str) -> int:
    from surefoot.cli import screen

    found = evaluations.metrics(flow, tenant=tenant)
    if as_json:
        screen.print_json({"metrics": list(found)})
    elif found:
        for name in found:
            screen.out().print(screen.harmless(name), soft_wrap=True)
    else:
        screen.err().print(
            f"no metric has scores yet: `surefoot eval` gives some (ledger {where})", soft_wrap=True
        )
    return 0


def _refuse_unknown(evaluations: Evaluations, metric: str) -> None:
    """Raise `InvalidInput` for a metric of which there has never been a score; the likely one is named."""
    from difflib import get_close_matches

    from surefoot.errors import InvalidInput

    known = evaluations.metrics()
    if metric in known:
        return
    near = get_close_matches(metric, known, 1)
    hint = f"did you mean {near[0]}?" if near else "`surefoot trend` lists the metrics that have some"
    raise InvalidInput(f"no score of a metric {metric!r} was ever recorded: {hint}")


def show(found: Trend) -> None:
    """The table, and one line of signs above it."""
    from surefoot.cli import screen
    from surefoot.cli.words import counted

    console = screen.out()
    of = f" of {found.flow}" if found.flow else ""
    title = f"{of} by {found.by} (UTC), {counted(found.whole.n + found.whole.failures, 'run')}"
    console.print(
        screen.styled((screen.harmless(found.metric), "bold"), screen.harmless(title)), soft_wrap=True
    )
    line = sparkline(found, width=min(console.width, _WIDEST), signs=_signs(console.encoding))
    if line:
        console.print(line, soft_wrap=True)
    console.print()
    table = [_titles(found), *(_cells(span, found) for span in found.spans)]
    if len(found.spans) > 1:
        table.append(["all", *_cells(found.whole, found)[1:]])
    for row, cells in enumerate(_aligned(table)):
        is_bold = row == 0 or (len(found.spans) > 1 and row == len(table) - 1)
        console.print(screen.styled((cells, "bold" if is_bold else "")), soft_wrap=True)
    if len(found.kinds) > 1:
        parts = ", ".join(f"{count:,} {name}" for name, count in found.kinds.items())
        text = f"\nscores of different kinds of experiments together ({parts}): --kind shows one of them"
        console.print(screen.styled((text, "yellow")))


def sparkline(found: Trend, *, width: int, signs: str) -> str:
    """The values from the lowest to the highest, each as a sign; a gap where there is none. Empty for labels.

    Where there are more spans than columns, each column is the mean of several.
    """
    values = [span.value for span in found.spans]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    room = max(width - len(_number(low, found)) - len(_number(high, found)) - 2, 10)
    columns = [_mean(part) for part in _parts(values, room)]
    # Values that are all the same lie in the middle.
    scale = high - low
    drawn = "".join(
        _GAP if value is None else signs[min(int((value - low) / scale * 8), 7) if scale else 3]
        for value in columns
    )
    return f"{_number(low, found)} {drawn} {_number(high, found)}"


def _parts(values: Sequence[float | None], most: int) -> list[Sequence[float | None]]:
    count = min(len(values), most)
    edges = [place * len(values) // count for place in range(count + 1)]
    return [values[start:end] for start, end in pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _signs(encoding: str) -> str:
    try:
        _SIGNS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_SIGNS
    return _SIGNS


def _titles(found: Trend) -> list[str]:
    value = {"rate": "PASSED", "mean": "MEAN", "labels": "LABELS"}[found.kind]
    first = found.by.upper()
    return (
        [first, value, "N", "COVERAGE"] if found.kind == "labels" else [first, value, "95%", "N", "COVERAGE"]
    )


def _cells(span: Span, found: Trend) -> list[str]:
    began = datetime.fromtimestamp(span.began_ns / _S, UTC).strftime(_FORMATS[found.by])
    coverage = "-" if span.coverage is None else f"{span.coverage:.0%}"
    if found.kind == "labels":
        return [began, _labels(span), f"{span.n:,}", coverage]
    value = "-" if span.value is None else _number(span.value, found)
    interval = "-"
    if span.low is not None and span.high is not None:
        interval = f"{_number(span.low, found)} to {_number(span.high, found)}"
    return [began, value, interval, f"{span.n:,}", coverage]


def _labels(span: Span) -> str:
    from surefoot.cli import screen

    shown = [f"{screen.harmless(label)} {count:,}" for label, count in list(span.labels.items())[:_LABELS]]
    shown += [f"{len(span.labels) - _LABELS} more"] * (len(span.labels) > _LABELS)
    return ", ".join(shown) or "-"


def _number(value: float, found: Trend) -> str:
    return f"{value:.1%}" if found.kind == "rate" else f"{value:,.3f}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: the first column to the left, figures to the right, labels to the left."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    is_labels = table[0][1] == "LABELS"
    lines: list[str] = []
    for row in table:
        cells = [
            cell.ljust(width) if at == 0 or (is_labels and at == 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
