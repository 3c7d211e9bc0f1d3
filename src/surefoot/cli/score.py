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
    read them. The exit code is 1 where scorers failed or runs could not be read. With --watch it is 0 after Ctrl-C, and
    --json prints a line for each pass.
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
    from surefoot.cli import screen, words

    if not as_json:
        names = ", ".join(scoring.sample.name for scoring in scorings)
        screen.err().print(
            f"Scoring {screen.harmless(names)} every {every:g} s (Ctrl-C ends it)", soft_wrap=True
        )
    scored, is_first = 0, True
    with suppress(KeyboardInterrupt):
        while True:
            for scoring in scorings:
                scored += _one_of_many(scoring, limit, as_json=as_json, is_first=is_first)
            is_first = False
            sys.stdout.flush()
            time.sleep(every)
    if not as_json:
        # Below the ^C that the terminal shows.
        screen.err().print(
            f"\nended: {words.counted(scored, 'run')} scored; the next call goes on", soft_wrap=True
        )
    return 0


def _one_of_many(scoring: Scoring, limit: int | None, *, as_json: bool, is_first: bool) -> int:
    """A pass of several; how many runs were scored. One in which nothing happened is shown only as the first."""
    from surefoot.cli import screen
    from surefoot.errors import WorldError

    try:
        found = scoring.score(limit=limit)
    except WorldError as error:
        said = screen.harmless(f"{scoring.sample.name}: {error}")
        screen.err().print(screen.styled((said, "yellow")), soft_wrap=True)
        return 0
    if as_json:
        screen.print_text(json.dumps(found.to_json(), default=str))
    elif is_first or found.scored or found.busy or found.left_out or found.stopped:
        _print(found)
    return found.scored


def _print(found: Pass) -> None:
    """What a pass came to: one line of counts, one for each metric, then what is missing and why."""
    from surefoot.cli import screen, words
    from surefoot.cli.eval_page import alike

    console = screen.out()
    head = f"{found.name}: {words.counted(found.scored, 'run')} scored"
    parts = [f"{head}, {found.known:,} before" if found.known else head]
    parts += [f"{found.busy:,} with another process"] if found.busy else []
    parts += [
        f"{found.sampled:,} of {words.counted(found.runs, 'run')} of {found.flow} completed and in the sample"
        if found.runs
        else f"no run of {found.flow} to look at"
    ]
    parts += [f"judges {words.total_cost(found.judging)}"] if found.judging.calls else []
    text = screen.styled(screen.terms(console, map(screen.harmless, parts)).replace("\n", "\n  "))
    text.stylize("bold", 0, len(screen.harmless(found.name)))
    console.print(text, soft_wrap=True)
    width = max((len(metric.name) for metric in found.metrics), default=0)
    for metric in found.metrics:
        row = metric.in_words()
        lacking = f"  (scored {row.coverage})" if metric.failures else ""
        console.print(screen.harmless(f"  {row.metric:<{width}}  {row.value}{lacking}"), soft_wrap=True)
    reasons = alike(found.failures)
    for reason, count in reasons[:_REASONS]:
        said = screen.brief(
            screen.harmless(f"{words.counted(count, 'run')}: {reason}"), max(2 * console.width - 12, 40)
        )
        console.print(screen.styled(("  failed: ", "red"), said), soft_wrap=True)
    if len(reasons) > _REASONS:
        more = (
            f"  and {words.counted(len(reasons) - _REASONS, 'more reason')} (surefoot runs --status failed)"
        )
        console.print(screen.styled((more, "dim")), soft_wrap=True)
    for reason, count in found.left_out.items():
        console.print(
            screen.styled((f"  left out: {words.counted(count, 'run')} {reason}", "yellow")), soft_wrap=True
        )
    for told in (*([found.stopped] if found.stopped else []), *found.warnings):
        console.print(screen.styled((f"  {screen.harmless(told)}", "yellow")), soft_wrap=True)
