"""`surefoot backtest`: recorded runs once more with something changed, beside what they were."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from surefoot.cli.gating import Gating, gate_options
from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.evals import Progress
    from surefoot.evals.backtesting import Forecast, Wanted


@documented(
    example="surefoot backtest flow.py:answer --runs 'last 7 days' --scorer token_f1 \\\n"
    "    --change prompt:answer@candidate --gate gate.yaml"
)
@click.argument("what")
@click.argument("named", nargs=-1, metavar="[RUN]...")
@click.option("--runs", "period", metavar="PERIOD", help="Runs of this time, as in 'last 7 days'.")
@click.option("--since", metavar="TIME", help="Runs that began in this time: 30m, 1h, 7d, 2w or a date.")
@click.option("--until", metavar="TIME", help="Runs that began before this.")
@click.option("--where", "tags", multiple=True, metavar="TAG=VALUE", help="Runs with this tag.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many of them.")
@click.option("--sample", type=click.IntRange(min=1), help="So many of them, drawn by --seed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which runs a sample draws.")
@click.option("--failed", is_flag=True, help="Runs that failed, too.")
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="CHANGE",
    help="What is different: prompt:NAME@VERSION, model:MODEL=OTHER, step:NAME or input:NAME=VALUE.",
)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="NAME[:ARGS]",
    help="A built-in scorer, beside the declared ones.",
)
@click.option(
    "--judge-model",
    metavar="MODEL",
    default="",
    help="The model that judges built-in scorers such as faithfulness; else [models] default.",
)
@click.option("--judge", is_flag=True, help="Ask the declared judges too; each run costs a model call more.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="So many runs at a time; 4, or 16 of an async flow."
)
@click.option("--max-cost", metavar="DOLLARS", help="Begin no further run once so much is paid.")
@click.option(
    "--experiment",
    metavar="ID",
    help="Go on with this backtest, its runs and its changes; `last` is the newest.",
)
@click.option("--retry-failed", is_flag=True, help="Go on with its forks that failed, too.")
@click.option(
    "--allow-effects",
    is_flag=True,
    help="Let effects and transactions happen that are not taken from the record.",
)
@gate_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    what: str,
    named: tuple[str, ...],
    period: str | None,
    since: str | None,
    until: str | None,
    tags: tuple[str, ...],
    limit: int | None,
    sample: int | None,
    seed: int,
    failed: bool,  # noqa: FBT001
    changes: tuple[str, ...],
    scorers: tuple[str, ...],
    judge_model: str,
    judge: bool,  # noqa: FBT001
    concurrency: int | None,
    max_cost: str | None,
    experiment: str | None,
    retry_failed: bool,  # noqa: FBT001
    allow_effects: bool,  # noqa: FBT001
    gating: Gating,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run recorded runs of a flow once more with something changed, and compare.

    WHAT is a folder with an evaluation.py, or FILE.py:NAME for an evaluation or a flow. The runs are those that are
    named, or those of a time; runs of evaluations, and forks, are left out. What the changes do not touch, and whose
    inputs are the same, is taken from the record and costs nothing. Effects do not happen. Ctrl-C loses nothing:
    --experiment goes on. The exit code is 1 where a fork failed or the gate is not passed.
    """
    from surefoot.cli import backtest_page, inputs, screen
    from surefoot.cli.eval import app_of
    from surefoot.cli.eval_bar import Bar
    from surefoot.evals import find
    from surefoot.evals.backtesting import backtest

    screen.show_warnings()
    wanted = _wanted(named, period, since, until, tags, limit=limit, sample=sample, seed=seed, failed=failed)
    if wanted is None and experiment is None:
        raise click.UsageError(
            "no runs are chosen: add --runs 'last 7 days', --since TIME, --limit N or ids of runs"
        )
    gating.check(as_json=as_json)
    most = inputs.dollars(max_cost, option="--max-cost")
    found = find(what)
    app = app_of(found)
    bar = Bar()

    def see(progress: Progress) -> None:
        if progress.arm != "baseline":
            bar.see(progress)

    def tell(expected: Forecast) -> None:
        if not as_json:
            backtest_page.print_forecast(screen.err(), expected)

    try:
        with app.entered():
            evaluation = found.load()
            # Before anything is run and paid.
            gate = gating.find(app, folder=found.folder)
            with bar:
                result = backtest(
                    evaluation.flow,
                    evaluation.chosen(scorers, judge_model=judge_model, with_judges=judge),
                    runs=wanted,
                    changes=changes,
                    reads=evaluation.reads,
                    name=evaluation.name,
                    concurrency=concurrency,
                    experiment=experiment,
                    retry_failed=retry_failed,
                    allow_effects=allow_effects,
                    max_cost=most,
                    on_forecast=tell,
                    on_progress=see,
                )
            verdict = gating.judge(app, gate, result.candidate, result.baseline)
    except KeyboardInterrupt as interruption:
        if bar.experiment:
            interruption.add_note(
                f"{bar.done} of {bar.total} runs are judged; `surefoot backtest {what} --experiment {bar.experiment}` "
                "goes on"
            )
        raise
    finally:
        sys.stdout.flush()
        app.close()
    comparison = result.comparison if verdict is None else verdict.comparison
    gating.tell(
        comparison,
        verdict,
        as_json={**result.to_json(), "comparison": comparison.to_json()} if as_json else None,
        page=lambda: backtest_page.print_backtest(screen.out(), result, verdict),
    )
    has_passed = verdict is None or verdict.has_passed
    return 0 if has_passed and not result.candidate.failed else 1


def _wanted(
    named: tuple[str, ...],
    period: str | None,
    since: str | None,
    until: str | None,
    tags: tuple[str, ...],
    *,
    limit: int | None,
    sample: int | None,
    seed: int,
    failed: bool,
) -> Wanted | None:
    """Which runs are meant; None where nothing says so."""
    import time

    from surefoot.cli import inputs
    from surefoot.cli.since import since_ns
    from surefoot.evals.backtesting import Wanted
    from surefoot.evals.backtesting.choosing import since_of

    if period is not None and since is not None:
        raise click.UsageError("--runs and --since both say when the runs began: leave one out")
    if named and any((period, since, until, tags, limit)):
        raise click.UsageError("runs are named: leave out --runs, --since, --until, --where and --limit")
    if not any((named, period, since, until, tags, limit, sample)):
        return None
    now_ns = time.time_ns()
    begun = since_of(period) if period is not None else since_ns(since, now_ns) if since is not None else None
    return Wanted(
        ids=named,
        since_ns=begun,
        until_ns=None if until is None else since_ns(until, now_ns, option="--until"),
        tags=inputs.pairs(tags, option="--where"),
        limit=limit,
        size=sample,
        seed=seed,
        with_failed=failed,
    )
