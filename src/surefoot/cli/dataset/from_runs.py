"""`surefoot dataset from-runs`: cases made of what runs have recorded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.dataset.given import FILE, seed_option, where_option
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import InvalidInput

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Case
    from surefoot.evals.datasets.harvest import Harvest, Wish


@documented(
    example="surefoot dataset from-runs --flow answer --sample 50 -o golden.jsonl\n"
    "surefoot dataset from-runs --flow answer --failed -o failed.jsonl\n"
    "surefoot dataset from-runs --flow answer --low quality -o weak.jsonl"
)
@click.option(
    "--flow", required=True, help="The flow whose runs are taken, by the name that `surefoot runs` shows."
)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WINDOW|DATE",
    help="Runs that began in this time: 30m, 1h, 7d, 2w, or from a date on.",
)
@where_option
@click.option("--sample", "size", type=click.IntRange(min=1), metavar="N", help="So many cases at most.")
@seed_option
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Only runs with this tag.")
@click.option(
    "--failed", is_flag=True, help="Failed runs in place of completed ones; nothing is expected of them."
)
@click.option("--low", metavar="METRIC", help="The runs with the lowest scores of this metric go first.")
@click.option("--slow", is_flag=True, help="The slowest runs go first.")
@click.option(
    "-o",
    "--out",
    type=FILE,
    required=True,
    metavar="FILE.jsonl",
    help="Cases are put behind those that it has.",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be written, and write nothing.")
@json_option
@json_errors
def command(  # noqa: PLR0917
    flow: str,
    since: str,
    conditions: tuple[str, ...],
    size: int | None,
    seed: int,
    tags: tuple[str, ...],
    failed: bool,  # noqa: FBT001
    low: str | None,
    slow: bool,  # noqa: FBT001
    out: Path,
    is_dry: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Make cases of recorded runs of a flow: their inputs, and their output as what is expected, pending review.

    What people may read of a run is taken, secrets masked, never what is sealed. Runs of evaluations, and those whose
    inputs the file has already, are left out. The sample is drawn by the runs' ids and the seed.
    """
    from surefoot.app import App
    from surefoot.cli import inputs, screen
    from surefoot.cli.since import since_ns
    from surefoot.evals.datasets.filter import Condition
    from surefoot.evals.datasets.harvest import Wish, harvest
    from surefoot.evals.datasets.writing import append

    screen.show_warnings()
    if low and slow:
        raise InvalidInput("--low and --slow each say which runs go first: give one of them")
    began_ns = since_ns(since, time.time_ns())
    known = _known(out)
    with closing(App.current()) as app:
        wish = Wish(
            flow,
            since_ns=began_ns,
            status="failed" if failed else "completed",
            tags=inputs.pairs(tags, option="--tag"),
            where=[Condition.of(text) for text in conditions],
            size=size,
            seed=seed,
            scores=_scores(app, low, flow, began_ns) if low else None,
            is_slowest=slow,
        )
        found = harvest(app.ledger, wish, known=known)
        where = app.ledger.where
    if not is_dry and found.lines:
        append(out, found.lines)
    if as_json:
        screen.print_json(
            {
                "file": str(out),
                "added": len(found.cases),
                "known": len(known),
                "runs": found.runs,
                "left_out": dict(found.left_out),
                "cases": [case.id for case in found.cases],
                "redacted": [case.id for case in found.cases if "redacted" in case.metadata],
            }
        )
    else:
        _print(found, wish, out, where, is_dry=is_dry)
    return 0


def _known(out: Path) -> Sequence[Case]:
    """The cases that the file has, rejected ones too. Raises `InvalidInput` for one that is no JSONL file."""
    from surefoot.evals.datasets.formats import PACKED, format_of, records
    from surefoot.evals.datasets.layout import Layout

    if format_of(out) != "jsonl" or out.suffix.lower() == PACKED:
        raise InvalidInput(f"{out}: cases of runs are written as JSON lines: name a .jsonl file")
    if not out.exists():
        if not out.parent.is_dir():
            raise InvalidInput(
                f"there is no folder {out.parent}: make it (`mkdir -p {out.parent}`), or name another file"
            )
        return []
    layout = Layout.of(None, {})
    return [layout.case(record) for record in records(out)]


def _scores(app: App, metric: str, flow: str, began_ns: int) -> dict[str, float]:
    """The score of each run; a passed check is 1. Raises `InvalidInput` where no run has one."""
    from surefoot.ledger import Evaluations

    found: dict[str, float] = {}
    for score in Evaluations(app.ledger).scores(metric=metric, flow=flow, since_ns=began_ns):
        if score.value is not None and not isinstance(score.value, str):
            # The newest comes first, and counts.
            found.setdefault(score.run_id, float(score.value))
    if not found:
        raise InvalidInput(f"no run of {flow} has a number under {metric!r} in this time: score runs first")
    return found


def _print(found: Harvest, wish: Wish, out: Path, where: str, *, is_dry: bool) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    verb = "would be added to" if is_dry else "added to"
    status = f" {wish.status}"
    said = f"{words.counted(len(found.cases), 'case')} {verb} {out}"
    rest = f"  of {found.runs:,}{status} run{'' if found.runs == 1 else 's'} of {wish.flow}"
    console.print(
        screen.styled((screen.harmless(said), "bold"), (screen.harmless(rest), "dim")), soft_wrap=True
    )
    for reason, count in found.left_out.items():
        console.print(screen.styled((f"  {count:,} {reason}", "dim")))
    redacted = [case.id for case in found.cases if "redacted" in case.metadata]
    if redacted:
        said = f"  a secret is masked in the inputs of {words.counted(len(redacted), 'case')} (metadata `redacted`)"
        console.print(
            screen.styled((f"{said}: put a harmless one there, or reject them", "yellow")), soft_wrap=True
        )
    if found.cases and not is_dry:
        console.print(
            screen.styled((f"  review them: surefoot dataset review {out}, or surefoot ui", "dim")),
            soft_wrap=True,
        )
    elif not found.runs:
        screen.err().print(
            f"no such run in this time (ledger {where}): `surefoot runs --flow {wish.flow}`", soft_wrap=True
        )
