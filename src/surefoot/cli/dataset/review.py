"""`surefoot dataset review`: cases that wait for somebody who says whether they are right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.dataset.given import FILE
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import InvalidInput
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.datasets.review import Entry, Review

_SHOWN = 20


@documented(
    example="surefoot dataset review golden.jsonl\n"
    "surefoot dataset review golden.jsonl 01K9 01KA --accept\n"
    "surefoot dataset review golden.jsonl 01KB --set '\"Paris\"'"
)
@click.argument("file", type=FILE)
@click.argument("cases", nargs=-1, metavar="[CASE...]")
@click.option("--accept", is_flag=True, help="What was recorded is what is expected.")
@click.option("--reject", is_flag=True, help="The case is of no use: it is left out of evaluations.")
@click.option(
    "--set", "correction", metavar="JSON", help="Expect this value in its place; a text is written in quotes."
)
@click.option(
    "--by", default="", metavar="NAME", help="Who says so; by default SUREFOOT_PRINCIPAL, else the user here."
)
@click.option("--all", "is_all", is_flag=True, help="List all that wait, and not the first ones only.")
@json_option
@json_errors
def command(  # noqa: PLR0917
    file: Path,
    cases: tuple[str, ...],
    accept: bool,  # noqa: FBT001
    reject: bool,  # noqa: FBT001
    correction: str | None,
    by: str,
    is_all: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """List the cases of FILE that wait for review, or give a verdict on CASE, by its id or the beginning of it.

    A verdict is written into the line of the case, with who gave it and when; all other lines keep every byte.
    `surefoot ui` has the same as a page.
    """
    from surefoot.cli import screen
    from surefoot.cli.promote import principal
    from surefoot.evals.datasets.review import Review, decide
    from surefoot.evals.datasets.verdict import Verdict

    chosen = [
        name for name, is_chosen in (("--accept", accept), ("--reject", reject), ("--set", correction is not None))
        if is_chosen
    ]  # fmt: skip
    review = Review.of(file)
    if not chosen and not cases:
        _list(review, is_all=is_all, as_json=as_json)
        return 0
    if len(chosen) != 1 or not cases:
        raise InvalidInput("name one or more cases and one of --accept, --reject and --set JSON")
    if correction is not None and len(cases) != 1:
        raise InvalidInput("--set corrects one case: name one")
    verdict: Verdict = "accepted" if accept else "rejected" if reject else "corrected"
    expected = None if correction is None else _value(correction)
    who = by or principal()
    for entry in [_entry(review, case) for case in cases]:
        decide(file, entry, verdict, by=who, expected=expected)
        if not as_json:
            screen.out().print(screen.harmless(f"{entry.id}  {verdict} by {who}"), soft_wrap=True)
    left = len(Review.of(file).pending)
    if as_json:
        screen.print_json({"verdict": verdict, "cases": list(cases), "by": who, "pending": left})
    else:
        screen.err().print(screen.styled((f"{left:,} left to review", "dim")))
    return 0


def _entry(review: Review, case: str) -> Entry:
    """The line of a case by its id, or by the beginning of one that waits."""
    if any(entry.id == case for entry in review.entries):
        return review.entry(case)
    found = [entry for entry in review.pending if entry.id.startswith(case)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput(f"{case!r} is the beginning of {len(found)} cases: write more of it")
    raise InvalidInput(f"{review.file} has no case {case!r}")


def _value(text: str) -> object:
    from surefoot.evals.datasets.json_rows import parsed

    try:
        return parsed(text)
    except ValueError as error:
        raise InvalidInput(
            f"--set {text!r} is not JSON ({error}): write a text in quotes, as in --set '\"Paris\"'"
        ) from None


def _list(review: Review, *, is_all: bool, as_json: bool) -> None:
    from surefoot.cli import screen

    pending = review.pending
    if as_json:
        entries: list[Json] = [_json(entry) for entry in pending]
        screen.print_json({"counts": dict(review.counts), "pending": entries})
        return
    console = screen.out()
    for entry in pending if is_all else pending[:_SHOWN]:
        width = max(console.width - 12, 30)
        console.print(
            screen.styled((screen.harmless(entry.id), "bold"), (f"  line {entry.number}", "dim")),
            soft_wrap=True,
        )
        for label, value in (("inputs", entry.inputs), ("expected", entry.expected)):
            console.print(
                screen.styled((f"  {label:<9} ", "dim"), screen.brief(screen.harmless(_text(value)), width)),
                soft_wrap=True,
            )
        if run := entry.metadata.get("run"):
            error = entry.metadata.get("error")
            said = f"{run}  {entry.metadata.get('status') or ''}{f': {error}' if error else ''}"
            console.print(
                screen.styled(("  run       ", "dim"), screen.brief(screen.harmless(said), width)),
                soft_wrap=True,
            )
        if redacted := entry.metadata.get("redacted"):
            console.print(
                screen.styled((f"  a secret is masked in {screen.brief(redacted, width)}", "yellow")),
                soft_wrap=True,
            )
    if len(pending) > _SHOWN and not is_all:
        console.print(screen.styled((f"and {len(pending) - _SHOWN:,} more (--all)", "dim")))
    counts = ", ".join(f"{count:,} {state}" for state, count in review.counts.items() if state != "unasked")
    console.print(
        screen.styled((counts or "nothing waits for review, and nothing was reviewed", "bold")),
        soft_wrap=True,
    )


def _text(value: Mapping[str, object] | object) -> str:
    from surefoot.cli import screen

    return screen.brief(value, 1000)  # type: ignore[arg-type]


def _json(entry: Entry) -> dict[str, Json]:
    return {
        "id": entry.id,
        "line": entry.number,
        "inputs": dict(entry.inputs),
        "expected": entry.expected,
        "metadata": dict(entry.metadata),
    }
