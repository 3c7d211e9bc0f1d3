"""`surefoot check`: whether the prompts of a project fit the code and the runs that use them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.findings import SEVERITIES, Finding, Heard, told
from surefoot.cli.options import days_option, documented, json_errors, json_option
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.cli.checks import Subject

_NOTES = 10
_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@documented(example="surefoot check\nsurefoot check flows/ --days 7\nsurefoot check --json")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@days_option
@click.option("--notes", "is_full", is_flag=True, help="Show every note, and not the first ten.")
@json_option
@json_errors
def command(path: Path | None, days: float, is_full: bool, as_json: bool) -> int:  # noqa: FBT001
    """Check the prompts of the project: files, labels, and whether each version fits the places that use it.

    Told is what concerns PATH, a file or folder of the project; by default all of it. The code is read and never run.
    A line that bears `# surefoot: ignore` is passed by. Exit code 1 if there is an error.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.checks import CHECKS, Subject
    from surefoot.config import load

    place = None if path is None else path.resolve()
    folder = None if place is None else place if place.is_dir() else place.parent
    with Heard("surefoot.prompts") as heard, closing(App(load(folder))) as app:
        subject = Subject.of(app, days=days)
        findings = [finding for check in CHECKS for finding in check(subject)]
        root, file = app.settings.root, app.prompts.folder
        findings += [told("files", "warning", message, root=root, file=file) for message in heard.messages]
        if place is not None:
            findings = [one for one in findings if _is_in(app.settings.root / one.file, place)]
        findings.sort(
            key=lambda one: (one.file, one.line, one.column, SEVERITIES.index(one.severity), one.text)
        )
        if as_json:
            screen.print_json(_json(findings, subject))
        else:
            _print(findings, subject, most_notes=len(findings) if is_full else _NOTES)
    return 1 if any(one.severity == "error" for one in findings) else 0


def _is_in(file: Path, place: Path) -> bool:
    return Path(str(file).partition(":cell ")[0]).resolve().is_relative_to(place)


def _json(findings: Sequence[Finding], subject: Subject) -> dict[str, Json]:
    gathered = subject.gathered
    return {
        "is_fine": all(one.severity != "error" for one in findings),
        "findings": [one.to_json() for one in findings],
        "root": str(subject.root),
        "prompts": len(subject.library.prompts()),
        "files": len(gathered.code.paths),
        "uses": {"code": len(gathered.code.uses), "runs": len(gathered.runs)},
        "runs_not_asked": gathered.unasked or None,
    }


def _print(findings: Sequence[Finding], subject: Subject, *, most_notes: int) -> None:
    from surefoot.cli import screen, words

    out = screen.out()
    notes = 0
    for one in findings:
        notes += one.severity == "note"
        if one.severity == "note" and notes > most_notes:
            continue
        kind = "" if one.severity == "error" else f"{one.severity}: "
        # As an editor or a terminal finds it from here.
        place = (
            f"{os.path.relpath(subject.root / one.file)}:{one.line}{f':{one.column}' if one.column else ''}"
        )
        text = (screen.harmless(f"{kind}{one.text}"), _COLOURS[one.severity])
        out.print(screen.styled((screen.harmless(place), "bold"), ": ", text), soft_wrap=True)
    if notes > most_notes:
        out.print(f"and {words.counted(notes - most_notes, 'more note')} (--notes shows them)")
    counts = {kind: sum(one.severity == kind for one in findings) for kind in SEVERITIES}
    if gathered := subject.gathered.unasked:
        out.print(f"runs could not be asked: {gathered}", soft_wrap=True)
    summary = ", ".join(words.counted(count, kind) for kind, count in counts.items() if count)
    uses = len(subject.gathered.code.uses) + len(subject.gathered.runs)
    asked = "" if subject.gathered.unasked else " and runs"
    out.print(
        f"{summary or 'no mistakes'}: {words.counted(len(subject.library.prompts()), 'prompt')}, "
        f"{words.counted(uses, 'use')} in {words.counted(len(subject.gathered.code.paths), 'file')}{asked}",
        soft_wrap=True,
    )
