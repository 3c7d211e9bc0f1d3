"""`surefoot check`: whether prompts fit the code and runs that use them, and where untrusted text can lead."""

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
    from surefoot.flows.checking import Report

_NOTES = 10
_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@documented(
    example="surefoot check\nsurefoot check flows/ --days 7\nsurefoot check answer.py:answer\nsurefoot check --json"
)
@click.argument("targets", nargs=-1, metavar="[PATH|FLOW]...")
@days_option
@click.option("--notes", "is_full", is_flag=True, help="Show every note, and not the first ten.")
@click.option(
    "--github", is_flag=True, help="Print errors and warnings as annotations of GitHub Actions, too."
)
@json_option
@json_errors
def command(
    targets: tuple[str, ...],
    days: float,
    is_full: bool,  # noqa: FBT001
    github: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Check prompts and flows: files, labels, whether versions fit their uses, and where untrusted text can lead.

    An error is a flow that reads untrusted text, sees private data and can send it out, with nothing between; its path
    is drawn.

    Told is what concerns PATH, a file or folder, or FLOW, as `file.py:flow` or `module:flow`; by default the whole
    project. The code is read and never run. A line that bears `# surefoot: ignore` is passed by. Exit code 1 if there
    is an error.
    """
    from surefoot.app import App
    from surefoot.cli import screen, uses
    from surefoot.cli.check_targets import folder_of, targeted
    from surefoot.cli.checks import CHECKS, Subject
    from surefoot.cli.trust_findings import described
    from surefoot.config import load

    if as_json and github:
        raise click.UsageError("--json and --github both print on stdout: leave one out")
    with Heard("surefoot.prompts") as heard, closing(App(load(folder_of(targets)))) as app:
        subject = Subject.of(app, days=days)
        findings = [finding for check in CHECKS for finding in check(subject)]
        root, file = app.settings.root, app.prompts.folder
        findings += [told("files", "warning", message, root=root, file=file) for message in heard.messages]
        chosen = targeted(targets, subject)
        findings = [one for one in findings if chosen.has(one)]
        findings.sort(
            key=lambda one: (one.file, one.line, one.column, SEVERITIES.index(one.severity), one.text)
        )
        if as_json:
            flows: list[Json] = [
                {**described(one), **uses.in_json(one, subject.library)} for one in chosen.reports
            ]
            screen.print_json({**_json(findings, subject), "flows": flows})
        else:
            _print(findings, subject, flows=chosen.named, most_notes=len(findings) if is_full else _NOTES)
        if github:
            _annotate(findings, root)
    return 1 if any(one.severity == "error" for one in findings) else 0


def _annotate(findings: Sequence[Finding], root: Path) -> None:
    from surefoot.cli import screen
    from surefoot.cli.gating import in_repository
    from surefoot.evals.comparing.github import command as annotation

    for one in findings:
        if one.severity != "note":
            file = in_repository(str(root / one.file))
            place = {"file": file, "line": str(one.line), "title": f"surefoot check: {one.check}"}
            screen.print_text(annotation(one.severity, place, "\n".join([one.text, *one.more])))


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


def _print(
    findings: Sequence[Finding], subject: Subject, *, flows: Sequence[Report], most_notes: int
) -> None:
    from surefoot.cli import screen, words
    from surefoot.cli.trust_findings import sentence
    from surefoot.cli.uses import said

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
        for line in one.more:
            out.print(screen.styled(screen.harmless(line)), soft_wrap=True)
    if notes > most_notes:
        out.print(f"and {words.counted(notes - most_notes, 'more note')} (--notes shows them)")
    for report in flows:
        out.print(screen.styled(screen.harmless(sentence(report))), soft_wrap=True)
        out.print(screen.styled(screen.harmless(said(report, subject.library))), soft_wrap=True)
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
