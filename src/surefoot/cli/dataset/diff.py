"""`surefoot dataset diff`: two datasets beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.dataset.given import FILE, loaded, reading_options
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals import Case
    from surefoot.evals.datasets.difference import Change, Difference

_SHOWN = 40


@documented(example="surefoot dataset diff old.jsonl golden.jsonl")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option(
    "--by",
    type=click.Choice(["id", "inputs"]),
    default="id",
    show_default=True,
    help="What makes two cases the same one; `inputs` for files whose ids are line numbers.",
)
@reading_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    before: Path,
    after: Path,
    by: str,
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Compare the datasets BEFORE and AFTER: cases added, removed and changed. Exit code 1 if they differ."""
    from surefoot.cli import screen
    from surefoot.evals.datasets.difference import difference

    old, new = (
        loaded(file, flow=flow, columns=columns, encoding=encoding, delimiter=delimiter)
        for file in (before, after)
    )
    found = difference(old, new, by_inputs=by == "inputs")
    if as_json:
        screen.print_json({"before": old.version, "after": new.version, **found.to_json()})
    else:
        _print(found)
    return 0 if found.is_empty else 1


def _print(found: Difference) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    lines = [("-", "red", _brief(case)) for case in found.removed]
    lines += [("+", "green", _brief(case)) for case in found.added]
    lines += [("~", "yellow", text) for change in found.changed for text in _changed(change)]
    for sign, style, text in lines[:_SHOWN]:
        console.print(
            screen.styled((f"{sign} ", style), screen.brief(screen.harmless(text), console.width - 3)),
            soft_wrap=True,
        )
    if len(lines) > _SHOWN:
        console.print(screen.styled((f"and {len(lines) - _SHOWN:,} more lines (--json)", "dim")))
    said = f"{words.counted(len(found.added), 'case')} added, {len(found.removed):,} removed, "
    said += f"{len(found.changed):,} changed, {found.same:,} the same"
    console.print(screen.styled((said, "bold")))


def _brief(case: Case) -> str:
    from surefoot.cli import screen

    return f"{case.id}  {screen.brief(case.to_json()['inputs'], 200)}"


def _changed(change: Change) -> list[str]:
    from surefoot.cli import screen

    before, after = change.before.to_json(), change.after.to_json()
    lines: list[str] = []
    for name in change.names:
        old, new = (screen.brief(_at(said, name), 60) for said in (before, after))
        lines.append(f"{change.after.id}  {name}: {old} -> {new}")
    return lines


def _at(said: Mapping[str, Json], name: str) -> str:
    from surefoot.cli import screen

    part, _, key = name.partition(".")
    value = said.get(part)
    if key:
        value = value.get(key) if isinstance(value, dict) else None
    return "nothing" if value is None else screen.pretty(value)
