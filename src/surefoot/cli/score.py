"""`surefoot score`: a sample of the runs of production, scored once each."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.evals.online import Pass, Scoring

_REASONS = 3


@documented(
    example="surefoot score\nsurefoot score support --limit 50\nsurefoot score --watch 60\n"
    "surefoot trend faithfulness --kind online --since 24h --fail-below 0.8"
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--watch",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Go on: look for runs that have completed since, every so many seconds.",
)
@click.option("--limit", type=click.IntRange(min=1), help="So many runs of each NAME at most, in one pass.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="So many runs are judged at a time.",
)
@json_option
@json_errors
def command(
    names: tuple[str, ...],
    watch: float | None,
    limit: int | None,
    concurrency: int,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Score the sample of runs of production that [online.NAME] in surefoot.toml declares; without NAME, all of them.

    Completed runs are scored once each, however often and from however many machines this is called, and a judgement
    that was killed goes on where its record ends. Runs of evaluations, of scorers and of backtests, and forks, are left
    out. What runs were asked and have answered is read exactly, in memory; kept are scores, and reasons as people may
    read them. The exit code is 1 where scorers failed or runs could not be read. With --watch, --json prints a line for
    each pass.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.evals.online import Scoring, declared

    screen.show_warnings()
    with closing(App.current()) as app, app.entered():
        samples = declared(app, names)
        if watch is not None:
            return _watch(
                [Scoring(each, concurrency=concurrency) for each in samples], watch, limit, as_json=as_json
            )
        found: list[Pass] = []
        for sample in samples:
            with _counting(sample.name, is_silent=as_json) as count:
                found.append(Scoring(sample, concurrency=concurrency, on_row=count).score(limit=limit))
            if not as_json:
                _print(found[-1])
    if as_json:
        screen.print_json({"passes": [each.to_json() for each in found]})
    return 1 if any(each.failures or each.left_out for each in found) else 0


@contextmanager
def _counting(name: str, *, is_silent: bool) -> Generator[Callable[[object], None]]:
    """On a terminal, how many runs are scored by now."""
    from surefoot.cli import screen

    bars = screen.bars(screen.err())
    bars.disable = bars.disable or is_silent
    with bars:
        task = bars.add_task(f"scoring {screen.harmless(name)}", total=None)
        yield lambda _row: bars.advance(task)


def _watch(scorings: Sequence[Scoring], every: float, limit: int | None, *, as_json: bool) -> int:
    """Pass after pass until Ctrl-C. What the world does to one is told, and tried again in the next."""
    from surefoot.cli import screen

    if not as_json:
        names = ", ".join(scoring.sample.name for scoring in scorings)
        screen.err().print(
            f"Scoring {screen.harmless(names)} every {every:g} s (Ctrl-C ends it)", soft_wrap=True
        )
    with suppress(KeyboardInterrupt):
        while True:
            for scoring in scorings:
                _one_of_many(scoring, limit, as_json=as_json)
            sys.stdout.flush()
            time.sleep(every)
    return 0


def _one_of_many(scoring: Scoring, limit: int | None, *, as_json: bool) -> None:
    from surefoot.cli import screen
    from surefoot.errors import WorldError

    try:
        found = scoring.score(limit=limit)
    except WorldError as error:
        said = screen.harmless(f"{scoring.sample.name}: {error}")
        screen.err().print(screen.styled((said, "yellow")), soft_wrap=True)
        return
    if as_json:
        screen.print_text(json.dumps(found.to_json(), default=str))
    elif found.scored or found.busy or found.left_out or found.stopped:
        _print(found)


def _print(found: Pass) -> None:
    """What a pass came to: one line of counts, one for each metric, then what is missing and why."""
    from surefoot.cli import screen, words

    console = screen.out()
    parts = [f"{found.scored:,} scored"]
    parts += [f"{found.known:,} before"] if found.known else []
    parts += [f"{found.busy:,} with another process"] if found.busy else []
    of = f" of {found.sampled:,} in the sample of {words.counted(found.runs, 'run')} of {found.flow}"
    judged = f", judges {words.total_cost(found.judging)}" if found.judging.calls else ""
    console.print(
        screen.styled(
            (screen.harmless(found.name), "bold"), screen.harmless(f": {', '.join(parts)}{of}{judged}")
        ),
        soft_wrap=True,
    )
    for metric in found.metrics:
        # The figures alone are short; beside them stands how many runs have them.
        row = metric.in_words()
        console.print(screen.harmless(f"  {row.metric}  {row.value}  scored {row.coverage}"), soft_wrap=True)
    for reason, count in list(found.failures.items())[:_REASONS]:
        said = screen.brief(screen.harmless(f"{words.counted(count, 'run')}: {reason}"), console.width - 10)
        console.print(screen.styled(("  failed: ", "red"), said))
    for reason, count in found.left_out.items():
        console.print(
            screen.styled((f"  left out: {words.counted(count, 'run')} {reason}", "yellow")), soft_wrap=True
        )
    for told in (*([found.stopped] if found.stopped else []), *found.warnings):
        console.print(screen.styled((f"  {screen.harmless(told)}", "yellow")), soft_wrap=True)
