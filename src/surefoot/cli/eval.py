"""`surefoot eval`: a flow over a dataset, scored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from surefoot.cli.gating import Gating, gate_options
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import LedgerError

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Evaluation, Experiment, Forecast, Found, Frontier, Pair
    from surefoot.evals.comparing import Gate, Verdict
    from surefoot.evals.datasets import Dataset


@documented(
    example="surefoot eval examples/summarization --data golden.jsonl --limit 8\n"
    "surefoot eval examples/summarization --data gold.jsonl --against production\n"
    "surefoot eval flow.py:answer --data gold.jsonl --against production \\\n"
    "    --gate gate.yaml --junit gate.xml --github\n"
    "surefoot eval flow.py:Answer --data cases.jsonl --map query=question \\\n"
    "    --read response=summary --scorer token_f1 --scorer contains_expected\n"
    "surefoot eval --experiment last --to mlflow\n"
    "surefoot eval flow.py:answer --data cases.jsonl --scorer faithfulness \\\n"
    "    --labels faithfulness=labels.jsonl"
)
@click.argument("what", required=False, default="")
@click.option("--data", metavar="FILE", help="The dataset: .jsonl, .json, .csv, .tsv, .parquet or .arrow.")
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="INPUT=COLUMN",
    help="Which column an input of the flow, `expected` or `id` is read from.",
)
@click.option(
    "--read",
    "reads",
    multiple=True,
    metavar="NAME=PATH",
    help="Where `response`, `answer` or `context` stands in the output, as in context_used.text.",
)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="NAME[:ARGS]",
    help="A built-in scorer, beside the declared ones: token_f1, recall_at:5, short=max_words:50, faithfulness.",
)
@click.option(
    "--judge-model",
    metavar="MODEL",
    default="",
    help="The model that judges built-in scorers such as faithfulness; else [models] default.",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="METRIC=FILE",
    help="Cases that people have labelled: the inputs of the judge, and `expected` true or false.",
)
@click.option("--judge", is_flag=True, help="Ask the declared judges too; each case costs a model call more.")
@click.option(
    "--init", multiple=True, metavar="NAME=VALUE", help="A setting for the constructor of a Workflow class."
)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Only cases of which this holds: topic=billing, review!=pending, len(query)>200. It can be given again.",
)
@click.option("--limit", type=click.IntRange(min=1), help="So many cases, evenly spread over the dataset.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    help="Run each case so often, and tell how far its results differ.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="So many cases at a time; 16 of an async flow and 4 of a sync one by default.",
)
@click.option(
    "--against",
    metavar="LABEL|ID",
    help="Run what a label of prompts points at on the same cases, interleaved, and compare; or compare with an "
    "experiment.",
)
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="CHANGE",
    help="What is different in the runs: prompt:NAME@VERSION or model:MODEL=OTHER.",
)
@click.option(
    "--forecast", is_flag=True, help="Tell calls, tokens, cost and time by former runs; run nothing."
)
@click.option(
    "--max-cost",
    metavar="DOLLARS",
    help="Do not begin where the forecast is above it, and stop, with everything kept, once it has cost as much.",
)
@click.option(
    "--experiment",
    metavar="ID",
    help="Go on with this experiment, or begin it under this id; `last` is the newest.",
)
@click.option(
    "--frontier",
    is_flag=False,
    flag_value="",
    metavar="[MODEL,MODEL]",
    help="Compare cost and quality: of the flow's own tiers and their thresholds, or of these models, cheapest first.",
)
@click.option(
    "--metric", metavar="NAME", default="", help="The metric that a frontier is drawn for; else the first."
)
@click.option(
    "--at-least",
    type=click.FloatRange(min=0, min_open=True),
    default=0.95,
    show_default=True,
    help="The share of the strongest option's quality that a recommended one has to reach.",
)
@click.option("--absolute", is_flag=True, help="--at-least is the quality itself, and no share of another's.")
@click.option("--retry-failed", is_flag=True, help="Go on with the experiment's failed runs, too.")
@click.option(
    "--allow-effects",
    is_flag=True,
    help="Let effects and transactions of the flow happen, and not be suppressed.",
)
@click.option(
    "--to",
    "receivers",
    multiple=True,
    type=click.Choice(["mlflow"]),
    help="Send what came out to the MLflow server of the settings, [mlflow]; without WHAT, a recorded --experiment.",
)
@gate_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    what: str,
    data: str | None,
    columns: tuple[str, ...],
    reads: tuple[str, ...],
    scorers: tuple[str, ...],
    judge_model: str,
    labels: tuple[str, ...],
    judge: bool,  # noqa: FBT001
    init: tuple[str, ...],
    conditions: tuple[str, ...],
    limit: int | None,
    repeats: int,
    concurrency: int | None,
    against: str | None,
    changes: tuple[str, ...],
    forecast: bool,  # noqa: FBT001
    max_cost: str | None,
    experiment: str | None,
    frontier: str | None,
    metric: str,
    at_least: float,
    absolute: bool,  # noqa: FBT001
    retry_failed: bool,  # noqa: FBT001
    allow_effects: bool,  # noqa: FBT001
    receivers: tuple[str, ...],
    gating: Gating,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run the flow of WHAT over a dataset and score what it answers.

    WHAT is a folder with an evaluation.py, FOLDER:NAME for another evaluation in it, or FILE.py:NAME for an
    evaluation or a flow. The settings of its folder hold. Every case is a run in the ledger. A failed run and a scorer
    that fails are counted, and the exit code is 1 then, as it is where it was stopped. With --against and --gate it is
    the gate that decides: the exit code is 1 where a rule does not hold, and the verdict is recorded for `surefoot
    promote`. Ctrl-C loses nothing: --experiment goes on.
    """
    from surefoot.cli import eval_bar, eval_sending, inputs, screen
    from surefoot.evals import Pair, find, measure
    from surefoot.evals.tiering.frontier import Target

    screen.show_warnings()
    _check(frontier, against, gating, forecast=forecast)
    gating.check(as_json=as_json)
    if not what:
        return eval_sending.recorded(experiment, receivers, as_json=as_json)
    eval_sending.check(receivers, is_measured=frontier is None and not forecast)
    cost = inputs.dollars(max_cost, option="--max-cost")
    found = find(what)
    app = app_of(found)
    bar = eval_bar.Bar()
    result: Experiment | Frontier | Pair | Forecast
    verdict: Verdict | None = None
    try:
        with app.entered():
            # Before anything is run and paid.
            gate = gating.find(app, folder=found.folder)
            evaluation = found.load().reading(inputs.pairs(reads, option="--read"))
            labelled = inputs.pairs(labels, option="--labels")
            dataset = evaluation.dataset(data, columns=inputs.pairs(columns, option="--map"))
            dataset = dataset.slice(*conditions) if conditions else dataset
            expected = partial(
                evaluation.forecast,
                dataset,
                scorers=scorers,
                judge_model=judge_model,
                labels=labelled,
                with_judges=judge,
                limit=limit,
                repeats=repeats,
                concurrency=concurrency,
                changes=changes,
                against=against or "",
            )
            asked: dict[str, Any] = {
                "init": inputs.pairs(init, option="--init"),
                "scorers": scorers,
                "judge_model": judge_model,
                "labels": labelled,
                "with_judges": judge,
                "limit": limit,
                "repeats": repeats,
                "concurrency": concurrency,
                "retry_failed": retry_failed,
                "allow_effects": allow_effects,
                "changes": changes,
                "max_cost": cost,
                "on_progress": bar.see,
            }
            if forecast:
                result = expected()
            elif frontier is None:
                _foretell(expected, experiment)
                with bar:
                    result = _evaluated(evaluation, dataset, against, experiment=experiment, **asked)
                verdict = _judged(app, gating, gate, result)
            else:
                with bar:
                    result = measure(
                        lambda under: evaluation.run(dataset, experiment=under, **asked),
                        flow=evaluation.flow,
                        dataset=dataset,
                        candidates=_named(frontier) or evaluation.frontier,
                        metric=metric,
                        target=Target(at_least, is_absolute=absolute),
                        experiment=experiment,
                    )
    except (KeyboardInterrupt, LedgerError) as stop:
        if bar.experiment:
            stop.add_note(
                f"{bar.done} of {bar.total} cases are judged; the same command with "
                f"`--experiment {bar.experiment}` goes on"
            )
        raise
    finally:
        sys.stdout.flush()
        app.close()
    if isinstance(result, Pair):
        code = _show_pair(result, verdict, gating, as_json=as_json)
    else:
        code = _show(app, result, as_json=as_json)
    if receivers:
        eval_sending.send(app, result)
    return code


def _check(frontier: str | None, against: str | None, gating: Gating, *, forecast: bool) -> None:
    """Refuse what cannot be meant together, before anything is read."""
    if frontier is not None and (against is not None or forecast):
        other = "--forecast" if forecast else "--against"
        raise click.UsageError(f"--frontier and {other} are two things to do: leave one out")
    if not gating.given:
        return
    told = " and ".join(gating.given)
    if against is None:
        raise click.UsageError(
            f"nothing is compared that {told} could tell of: add --against production (with --experiment ID it goes on "
            "with both), or judge experiments that are there with `surefoot compare last production --gate FILE`"
        )
    if forecast:
        raise click.UsageError(f"--forecast runs nothing that {told} could tell of: leave one out")


def _foretell(expected: Callable[[], Forecast], experiment: str | None) -> None:
    """The line before the start; whoever goes on with an experiment has seen it."""
    from surefoot.cli import eval_page, screen

    if experiment is None:
        eval_page.print_forecast(screen.err(), expected())


def _show(app: App, result: Experiment | Frontier | Forecast, *, as_json: bool) -> int:
    """Print what came out; the exit code."""
    from surefoot.cli import eval_page, screen
    from surefoot.evals import Forecast, Frontier

    if isinstance(result, Frontier | Forecast):
        if as_json:
            screen.print_json(result.to_json())
        elif isinstance(result, Forecast):
            eval_page.print_forecast(screen.out(), result)
        else:
            from surefoot.cli import frontier_page

            frontier_page.print_frontier(screen.out(), result)
        return 0
    if as_json:
        screen.print_json(result.to_json())
    else:
        eval_page.print_experiment(screen.out(), result, hint=eval_page.hint_of(app))
    return _code(result)


def _evaluated(
    evaluation: Evaluation, dataset: Dataset, against: str | None, **asked: Any
) -> Experiment | Pair:
    if against is None:
        return evaluation.run(dataset, **asked)
    return evaluation.run_against(against, dataset, **asked)


def _judged(app: App, gating: Gating, gate: Gate | None, result: Experiment | Pair) -> Verdict | None:
    """What the gate says of two; None without a gate, and where one was stopped before its first case."""
    from surefoot.cli import pair_page
    from surefoot.evals import Pair

    if not isinstance(result, Pair) or not pair_page.has_rows(result):
        return None
    return gating.judge(app, gate, result.candidate, result.baseline)


def _show_pair(pair: Pair, verdict: Verdict | None, gating: Gating, *, as_json: bool) -> int:
    """Print and write what came out of two. With a gate it is the gate that says how many failures are too many."""
    from surefoot.cli import pair_page

    pair_page.show(pair, verdict, gating, as_json=as_json)
    if gating.gate is None:
        return max(_code(pair.candidate), _code(pair.baseline))
    return 0 if verdict is not None and verdict.has_passed else 1


def _code(result: Experiment) -> int:
    """1 where something failed or is missing, else 0."""
    return 1 if any(metric.failures for metric in result.metrics) or result.failed or result.stopped else 0


def _named(frontier: str) -> list[str]:
    """The models of `--frontier`."""
    return [name.strip() for name in frontier.split(",") if name.strip()]


def app_of(found: Found) -> App:
    """The app of an evaluation's folder; the current one where the settings are the same."""
    from surefoot.app import App
    from surefoot.config import load

    settings, current = load(found.folder), App.current()
    return current if settings.root == current.settings.root else App(settings)
