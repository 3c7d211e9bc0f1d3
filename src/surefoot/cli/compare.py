"""`surefoot compare`: two experiments paired by case, and the gate that they pass or fail."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from surefoot.cli.gating import Gating, gate_options
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import InvalidInput

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Experiment
    from surefoot.evals.comparing import Comparison


@documented(
    example="surefoot compare last production\n"
    "surefoot compare 01KAX 01KAW --slice topic --margin faithfulness=0.03\n"
    "surefoot compare last production --gate gate.yaml --junit gate.xml --github"
)
@click.argument("candidate")
@click.argument("baseline", default="production")
@click.option(
    "--slice", "slices", multiple=True, metavar="KEY", help="Compare within each value of this metadata, too."
)
@click.option(
    "--min-slice",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cases below which a slice is not compared; 10 by default.",
)
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="[METRIC=]X",
    help="The difference that does not matter, of a metric or of all; 0.02 by default.",
)
@click.option("--lower", multiple=True, metavar="METRIC", help="This metric is better when it is lower.")
@click.option(
    "--alpha",
    type=click.FloatRange(min=0, max=0.5, min_open=True),
    metavar="X",
    help="The share of false alarms that is accepted; 0.05 by default.",
)
@click.option(
    "--leave-out-failures",
    is_flag=True,
    help="Leave rows without a score out, and do not count them as the worst.",
)
@gate_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    candidate: str,
    baseline: str,
    slices: tuple[str, ...],
    min_slice: int | None,
    margins: tuple[str, ...],
    lower: tuple[str, ...],
    alpha: float | None,
    leave_out_failures: bool,  # noqa: FBT001
    gating: Gating,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Compare experiment CANDIDATE with BASELINE, paired by case.

    Each is an id, the beginning of one, `last`, the name of an evaluation, or a label of prompts: `production` (which
    BASELINE is by default) is the newest experiment of the same flow and dataset whose prompts are those that the label
    points at. With --gate the exit code is 1 where a rule does not hold, and the verdict is recorded for `surefoot
    promote`.
    """
    from surefoot.app import App
    from surefoot.cli import compare_page, screen

    screen.show_warnings()
    asked = _Asked(slices, min_slice, margins, lower, alpha, is_leaving_out=leave_out_failures)
    if gating.gate is not None and asked.given():
        raise click.UsageError(f"the gate says how it is compared: leave out {', '.join(asked.given())}")
    gating.check(as_json=as_json)
    with closing(App.current()) as app:
        ours, theirs = _experiments(app, candidate, baseline)
        verdict = gating.judge(app, gating.find(app), ours, theirs)
        comparison = asked.compare(ours, theirs) if verdict is None else verdict.comparison
    gating.tell(
        comparison,
        verdict,
        as_json={"comparison": comparison.to_json()} if as_json else None,
        page=lambda: compare_page.print_comparison(screen.out(), comparison, verdict),
    )
    return 1 if verdict is not None and not verdict.has_passed else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """How the command line wants it compared, where no gate says so."""

    slices: tuple[str, ...]
    min_slice: int | None
    margins: tuple[str, ...]
    lower: tuple[str, ...]
    alpha: float | None
    is_leaving_out: bool

    def given(self) -> list[str]:
        """The options that are there."""
        named = {
            "--slice": self.slices,
            "--min-slice": self.min_slice,
            "--margin": self.margins,
            "--lower": self.lower,
            "--alpha": self.alpha,
            "--leave-out-failures": self.is_leaving_out,
        }
        return [name for name, value in named.items() if value]

    def compare(self, ours: Experiment, theirs: Experiment) -> Comparison:
        from surefoot.evals.comparing import MIN_SLICE, compare

        by_metric, of_all = _margins(self.margins)
        return compare(
            ours,
            theirs,
            margins=by_metric,
            default_margin=of_all,
            alpha=0.05 if self.alpha is None else self.alpha,
            slices=self.slices,
            min_slice=self.min_slice or MIN_SLICE,
            directions=dict.fromkeys(self.lower, "lower"),
            counts_failures=not self.is_leaving_out,
        )


def _margins(given: tuple[str, ...]) -> tuple[Mapping[str, float], float | None]:
    """`--margin`: by metric, and of all others."""
    by_metric: dict[str, float] = {}
    of_all: float | None = None
    for each in given:
        metric, _, text = each.rpartition("=")
        try:
            margin = float(text)
        except ValueError:
            margin = -1.0
        if not 0 <= margin < float("inf"):
            raise InvalidInput(f"--margin {each}: write METRIC=0.03, or 0.03 for all metrics")
        if metric:
            by_metric[metric] = margin
        else:
            of_all = margin
    return by_metric, of_all


def _experiments(app: App, candidate: str, baseline: str) -> tuple[Experiment, Experiment]:
    from surefoot.evals.comparing import references
    from surefoot.evals.experiments.loading import opened
    from surefoot.ledger import Evaluations

    evaluations = Evaluations(app.ledger)
    ours = references.candidate(candidate, evaluations, app.prompts)
    theirs = references.baseline(baseline, evaluations, app.prompts, like=ours)
    return opened(ours, evaluations), opened(theirs, evaluations)
