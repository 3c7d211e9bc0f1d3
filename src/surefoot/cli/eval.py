"""`surefoot eval`: a flow over a dataset, scored."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.evals import Experiment, Found, Progress, Row

_WORST = 5
_FAILURES = 3


@documented(
    example="surefoot eval examples/summarization --data golden.jsonl --limit 8\n"
    "surefoot eval flow.py:Answer --data cases.jsonl --map query=question \\\n"
    "    --read response=summary --scorer token_f1 --scorer contains_expected"
)
@click.argument("what")
@click.option("--data", metavar="FILE.jsonl", help="The dataset, one JSON object per line.")
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
    "--scorer", "scorers", multiple=True, metavar="NAME", help="A built-in scorer, beside the declared ones."
)
@click.option(
    "--judge-model",
    metavar="MODEL",
    default="",
    help="The model that judges built-in scorers such as faithfulness; else [models] default.",
)
@click.option("--judge", is_flag=True, help="Ask the declared judges too; each case costs a model call more.")
@click.option(
    "--init", multiple=True, metavar="NAME=VALUE", help="A setting for the constructor of a Workflow class."
)
@click.option("--limit", type=click.IntRange(min=1), help="So many cases, evenly spread over the dataset.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=4, show_default=True, help="So many cases at a time."
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
@json_option
def command(  # noqa: PLR0917
    what: str,
    data: str | None,
    columns: tuple[str, ...],
    reads: tuple[str, ...],
    scorers: tuple[str, ...],
    judge_model: str,
    judge: bool,  # noqa: FBT001
    init: tuple[str, ...],
    limit: int | None,
    concurrency: int,
    experiment: str | None,
    frontier: str | None,
    metric: str,
    at_least: float,
    absolute: bool,  # noqa: FBT001
    retry_failed: bool,  # noqa: FBT001
    allow_effects: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run the flow of WHAT over a dataset and score what it answers.

    WHAT is a folder with an evaluation.py, FOLDER:NAME for another evaluation in it, or FILE.py:NAME for an
    evaluation or a flow. The settings of its folder hold. Every case is a run in the ledger. A failed run and a scorer
    that fails are counted, and the exit code is 1 then. Ctrl-C loses nothing: --experiment goes on.
    """
    from surefoot.cli import frontier_page, inputs, screen
    from surefoot.evals import Frontier, Target, find, measure

    screen.show_warnings()
    found = find(what)
    app = app_of(found)
    bar = Bar()
    try:
        with app.entered():
            evaluation = found.load().reading(inputs.pairs(reads, option="--read"))
            with bar:
                dataset = evaluation.dataset(data, columns=inputs.pairs(columns, option="--map"))
                run = partial(
                    evaluation.run,
                    dataset,
                    init=inputs.pairs(init, option="--init"),
                    scorers=scorers,
                    judge_model=judge_model,
                    with_judges=judge,
                    limit=limit,
                    concurrency=concurrency,
                    retry_failed=retry_failed,
                    allow_effects=allow_effects,
                    on_progress=bar.see,
                )
                if frontier is None:
                    result: Experiment | Frontier = run(experiment=experiment)
                else:
                    result = measure(
                        lambda under: run(experiment=under),
                        flow=evaluation.flow,
                        dataset=dataset,
                        candidates=_named(frontier) or evaluation.frontier,
                        metric=metric,
                        target=Target(at_least, is_absolute=absolute),
                        experiment=experiment,
                    )
    except KeyboardInterrupt as interruption:
        if bar.experiment:
            interruption.add_note(
                f"{bar.done} of {bar.total} cases are judged; the same command with "
                f"`--experiment {bar.experiment}` goes on"
            )
        raise
    finally:
        sys.stdout.flush()
        app.close()
    if as_json:
        screen.print_json(result.to_json())
    elif isinstance(result, Frontier):
        frontier_page.print_frontier(screen.out(), result)
    else:
        print_experiment(screen.out(), result, hint=_hint(app))
    return 0 if isinstance(result, Frontier) else _code(result)


def _code(result: Experiment) -> int:
    """1 where something failed, else 0."""
    return 1 if any(metric.failures for metric in result.metrics) or result.failed else 0


def _named(frontier: str) -> list[str]:
    """The models of `--frontier`."""
    return [name.strip() for name in frontier.split(",") if name.strip()]


def app_of(found: Found) -> App:
    """The app of an evaluation's folder; the current one where the settings are the same."""
    from surefoot.app import App
    from surefoot.config import load

    settings, current = load(found.folder), App.current()
    return current if settings.root == current.settings.root else App(settings)


def print_experiment(console: Console, result: Experiment, *, hint: str = "") -> None:
    """The metrics as a table, then cost and time, then the worst cases."""
    from rich.table import Table

    from surefoot.cli import screen, words

    head = f"{result.name or result.flow}: {words.counted(len(result.rows), 'case')} of {result.dataset}"
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
    _print_failures(console, result)
    _print_worst(console, result, hint)
    _print_figures(console, result)


def _is_doubtful(agreement: object) -> bool:
    return bool(getattr(agreement, "is_near_chance", False))


def _print_failures(console: Console, result: Experiment) -> None:
    """The reasons why metrics do not cover all cases, each once."""
    from surefoot.cli import screen, words

    reasons: dict[str, list[str]] = {}
    for metric in result.metrics:
        for failure in metric.failures:
            reasons.setdefault(failure.reason, []).append(failure.run_id)
    for reason, runs in list(reasons.items())[:_FAILURES]:
        cases = words.counted(len(set(runs)), "case")
        console.print(
            screen.styled(("failed: ", "red"), screen.brief(f"{cases}: {reason}", console.width - 8))
        )
    if len(reasons) > _FAILURES:
        console.print(screen.styled((f"  and {len(reasons) - _FAILURES} more reasons (--json)", "dim")))


def _print_worst(console: Console, result: Experiment, hint: str) -> None:
    from surefoot.cli import screen

    worst = result.worst(_WORST)
    if not worst:
        return
    width = max(len(row.case) for row in worst)
    console.print(screen.styled((f"worst cases{hint}", "bold")))
    for row in worst:
        said = screen.brief(lacking(row), max(console.width - width - 32, 20))
        console.print(f"  {row.case:<{width}}  {row.run_id}  {said}", soft_wrap=True)


def lacking(row: Row) -> str:
    """What a case did not reach, in a few words."""
    if row.status == "failed":
        return f"failed: {row.error}"
    parts = [f"{name} failed" for name in row.failures]
    parts += [f"not {name}" for name, score in row.scores.items() if score.value is False]
    for name, score in row.scores.items():
        if isinstance(score.value, float) and score.value < 1:
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


def _hint(app: App) -> str:
    """Where `surefoot show` finds the runs, if that is not here."""
    from surefoot.app import App

    root = app.settings.root
    if App.current().settings.root == root:
        return " (surefoot show RUN)"
    folder = root.relative_to(Path.cwd()) if root.is_relative_to(Path.cwd()) else root
    return f" (cd {folder} && surefoot show RUN)"


class Bar:
    """A progress bar over the cases on stderr where that is a terminal, else a line at the start."""

    def __init__(self) -> None:
        from surefoot.cli import screen

        self._console = screen.err()
        self.experiment, self.done, self.total = "", 0, 0
        self._bars = screen.bars(self._console)
        self._task = self._bars.add_task("preparing", total=None)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def see(self, progress: Progress) -> None:
        if not progress.judge:
            if not self.experiment:
                self._bars.print(f"experiment {progress.experiment}")
            self.experiment, self.done, self.total = progress.experiment, progress.done, progress.total
        what = f"labelled cases of {progress.judge}" if progress.judge else "cases"
        self._bars.update(self._task, description=what, total=progress.total, completed=progress.done)
