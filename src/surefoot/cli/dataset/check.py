"""`surefoot dataset check`: all mistakes of a dataset at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.dataset.given import FILE, flow_of, reading_options
from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.evals.datasets.checking import Checked

_SHOWN = 50


@documented(example="surefoot dataset check golden.csv --flow flows.py:answer")
@click.argument("file", type=FILE)
@reading_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    file: Path,
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Find all mistakes in the dataset FILE: exit code 1 if there are any.

    With --flow every value is held against the types of the flow's inputs, and what is expected against what it
    returns. Cases with the same inputs, without anything expected, to be reviewed, or with a masked secret are told,
    and are no mistakes.
    """
    from surefoot.cli import inputs, screen
    from surefoot.evals.datasets.checking import check
    from surefoot.evals.datasets.formats import Reading

    found = check(
        file,
        flow=flow_of(flow),
        columns=inputs.pairs(columns, option="--map"),
        reading=Reading(encoding, {"tab": "\t"}.get(delimiter or "", delimiter)),
    )
    if as_json:
        screen.print_json(found.to_json())
    else:
        _print(found)
    return 1 if found.mistakes else 0


def _print(found: Checked) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    for mistake in found.mistakes[:_SHOWN]:
        console.print(screen.styled(("mistake  ", "red"), screen.harmless(mistake)), soft_wrap=True)
    if len(found.mistakes) > _SHOWN:
        console.print(screen.styled((f"and {len(found.mistakes) - _SHOWN:,} more (--json)", "dim")))
    for note in found.notes:
        console.print(screen.styled(("note  ", "yellow"), screen.harmless(note)), soft_wrap=True)
    said = words.counted(found.cases, "case")
    if found.mistakes:
        console.print(screen.styled((f"{said}, {words.counted(len(found.mistakes), 'mistake')}", "bold red")))
    else:
        version = f"  version {found.version}" if found.version else ""
        console.print(screen.styled((f"{said}, no mistakes", "green"), (version, "dim")))
