"""`surefoot dataset show`: what a dataset holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.dataset.given import FILE, loaded, reading_options, where_option
from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.evals.datasets.summary import Column, Summary

_NAMED = 5


@documented(
    example="surefoot dataset show golden.jsonl\nsurefoot dataset show golden.csv --flow flows.py:answer"
)
@click.argument("file", type=FILE)
@reading_options
@where_option
@json_option
@json_errors
def command(  # noqa: PLR0917
    file: Path,
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    conditions: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show what the dataset FILE holds: columns, slices, lengths, duplicates, and how far it is reviewed.

    With --flow the version is the one that an evaluation of the flow records.
    """
    from surefoot.cli import screen
    from surefoot.evals.datasets.summary import summary

    dataset = loaded(
        file, flow=flow, columns=columns, encoding=encoding, delimiter=delimiter, conditions=conditions
    )
    found = summary(dataset)
    if as_json:
        screen.print_json(found.to_json())
    else:
        _print(screen.out(), found)
    return 0


def _print(console: Console, found: Summary) -> None:
    from rich.table import Table

    from surefoot.cli import screen, words

    head = f"{found.name}: {words.counted(found.cases, 'case')}"
    console.print(
        screen.styled((screen.harmless(head), "bold"), (f"  version {found.version}", "dim")), soft_wrap=True
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("COLUMN", "ROLE", "KINDS", "CASES", "SHORTEST", "MEDIAN", "LONGEST"):
        is_number = name in ("CASES", "SHORTEST", "MEDIAN", "LONGEST")
        table.add_column(name, justify="right" if is_number else "left", overflow="ellipsis", no_wrap=True)
    for column in found.columns:
        table.add_row(*_cells(column))
    console.print(table)
    for name, values in found.slices.items():
        shown = ", ".join(f"{value} {count:,}" for value, count in values.items())
        console.print(
            screen.styled((f"{screen.harmless(name)}  ", "bold"), screen.harmless(shown)), soft_wrap=True
        )
    for text in _notes(found):
        console.print(screen.styled((text, "yellow")), soft_wrap=True)
    if done := {state: n for state, n in found.reviews.items() if state != "pending"}:
        shown = ", ".join(f"{count:,} {state}" for state, count in done.items())
        console.print(screen.styled((f"reviewed: {shown}", "dim")))


def _cells(column: Column) -> list[str]:
    from surefoot.cli import screen

    sizes = (column.shortest, column.median, column.longest)
    name = screen.harmless(column.name)
    return [
        name,
        column.role,
        ", ".join(column.kinds),
        f"{column.cases:,}",
        *("-" if size is None else f"{size:,}" for size in sizes),
    ]


def _notes(found: Summary) -> list[str]:
    from surefoot.cli import screen, words

    notes: list[str] = []
    if found.without_expected:
        notes.append(f"{words.counted(found.without_expected, 'case')} without anything expected")
    for group in found.duplicates[:_NAMED]:
        notes.append(screen.harmless(f"the same inputs: {', '.join(group[:_NAMED])}"))  # noqa: PERF401
    if len(found.duplicates) > _NAMED:
        notes.append(f"and {len(found.duplicates) - _NAMED} more groups with the same inputs (--json)")
    if pending := found.reviews.get("pending"):
        notes.append(
            f"{words.counted(pending, 'case')} to be reviewed: surefoot dataset review, or surefoot ui"
        )
    if found.redacted:
        named = ", ".join(found.redacted[:_NAMED])
        notes.append(
            screen.harmless(
                f"a secret is masked in the inputs of {words.counted(len(found.redacted), 'case')}: {named}"
            )
        )
    return notes
