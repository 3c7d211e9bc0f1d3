"""`surefoot promote`: point a label at a version, if that fits the places that use it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import click

from surefoot.cli.options import days_option, documented, json_errors, json_option
from surefoot.errors import InvalidInput
from surefoot.values import Json, Label

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals.comparing.clearance import Clearance, Move
    from surefoot.prompts import Prompt
    from surefoot.prompts.promoting import Promotion


@documented(
    example="surefoot promote prompt:summary@3 production --reason 'shorter answers'\n"
    "surefoot promote prompt:summary@staging production --dry-run\n"
    "surefoot promote --export"
)
@click.argument("target", required=False)
@click.argument("label", required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why it is moved, for the record.")
@click.option(
    "--by",
    default="",
    metavar="NAME",
    help="Who moves it; by default SUREFOOT_PRINCIPAL, else the user here.",
)
@click.option(
    "--force",
    "is_forced",
    is_flag=True,
    help="Move it though it does not fit or has not passed its gates; the record says so.",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--export", "is_export", is_flag=True, help="Write all labels to labels.toml, for git.")
@days_option
@json_option
@json_errors
def command(  # noqa: PLR0917
    target: str | None,
    label: str | None,
    reason: str,
    by: str,
    is_forced: bool,  # noqa: FBT001
    is_dry: bool,  # noqa: FBT001
    is_export: bool,  # noqa: FBT001
    days: float,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Point LABEL of a prompt at a version: TARGET is prompt:NAME@VERSION, with a version, a digest or a label.

    A version that does not fit the code and the runs that use LABEL is refused, with file and line of each, and so are
    a file that was edited under an old version, and a version that has not passed the gates of [gates] that guard
    LABEL: exit code 1. Who moved it, when and why is recorded in the ledger.
    """
    from surefoot.app import App
    from surefoot.cli import screen

    screen.show_warnings()
    with closing(App.current()) as app:
        if is_export:
            if target or label:
                raise InvalidInput("--export writes all labels as they are: leave out what is to be moved")
            return _export(app, is_dry=is_dry, as_json=as_json)
        if not target or not label:
            raise InvalidInput(
                "say what is to be promoted, and where: surefoot promote prompt:NAME@VERSION LABEL"
            )
        planned = _planned(app, target, label, days)
        gates = _Gates.of(app, planned)
        if not is_forced and not planned.is_there:
            planned.check()
            gates.check()
        is_staying = is_dry or planned.is_there
        moved = None if is_staying else _moved(app, planned, by=by, reason=reason, is_forced=is_forced)
        if as_json:
            screen.print_json(_json(planned, gates, moved, is_dry=is_dry))
        else:
            _print(planned, gates, moved)
        return 0


def _planned(app: App, target: str, label: str, days: float) -> Promotion:
    from surefoot.cli.gathering import gathered
    from surefoot.prompts.promoting import promotion

    kind, sign, reference = target.partition(":")
    if kind != "prompt" or not sign or not reference:
        raise InvalidInput(
            f"{target!r} is nothing that can be promoted: write prompt:NAME@VERSION, as in `surefoot promote "
            f"prompt:summary@3 {label}`"
        )
    found = gathered(app, days=days)
    return promotion(app.prompts, reference, label, found.uses)


@dataclass(frozen=True, slots=True)
class _Gates:
    """What the gates that guard a label have said of a version."""

    move: Move
    found: Sequence[Clearance]

    @classmethod
    def of(cls, app: App, planned: Promotion) -> Self:
        from surefoot.evals.comparing.clearance import clearances
        from surefoot.evals.comparing.guarding import move_of
        from surefoot.ledger import Evaluations

        gates = app.settings.config.gates
        move = move_of(app.prompts, planned.prompt, planned.label)
        is_asked = bool(gates) and not planned.is_there
        return cls(move, clearances(gates, move, Evaluations(app.ledger)) if is_asked else ())

    def check(self) -> None:
        """Raise `GatePending` where one was not passed."""
        from surefoot.evals.comparing.clearance import check

        check(self.found, self.move)


def _moved(app: App, planned: Promotion, *, by: str, reason: str, is_forced: bool) -> Label:
    """Move the label. That misfits were passed over is a part of the reason, as gates are."""
    prompt = planned.prompt
    misfits = len(planned.misfits) + (planned.edited is not None)
    if misfits:
        reason = f"{reason} (forced over {misfits} misfit{'s' if misfits != 1 else ''})".strip()
    return app.prompts.promote(
        f"{prompt.name}@{prompt.digest}",
        planned.label,
        by=by or principal(),
        reason=reason,
        force=is_forced,
    )


def principal() -> str:
    """Who acts: `SUREFOOT_PRINCIPAL`, else the user of this machine, as far as that is known."""
    if named := os.environ.get("SUREFOOT_PRINCIPAL"):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container whose user has no name.
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else ""


def _export(app: App, *, is_dry: bool, as_json: bool) -> int:
    from surefoot.cli import putting, screen

    file = app.prompts.labels.file
    text = app.prompts.labels_text()
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    is_same = before == text
    if not text and not before and not as_json:
        screen.out().print("there are no labels: `surefoot promote prompt:NAME@VERSION LABEL` points one")
        return 0
    if not is_dry and not is_same:
        file.parent.mkdir(parents=True, exist_ok=True)
        putting.put(file, text.encode("utf-8"))
    if as_json:
        screen.print_json({"file": str(file), "text": text, "is_written": not is_dry and not is_same})
    elif is_dry:
        screen.print_text(text)
    else:
        shown = os.path.relpath(file)
        screen.out().print(
            f"{shown} is as the ledger has it" if is_same else f"wrote {shown}", soft_wrap=True
        )
    return 0


def _version(prompt: Prompt | None) -> Json:
    return None if prompt is None else {"version": prompt.version, "digest": prompt.digest}


def _json(planned: Promotion, gates: _Gates, moved: Label | None, *, is_dry: bool) -> dict[str, Json]:
    """What `--json` prints; the time in seconds since the Unix epoch."""
    return {
        "prompt": planned.prompt.name,
        "label": planned.label,
        "before": _version(planned.before),
        "after": _version(planned.prompt),
        "is_moved": moved is not None,
        "is_dry_run": is_dry,
        "by": None if moved is None else moved.by,
        "reason": None if moved is None else moved.reason,
        "moved": None if moved is None else moved.moved_ns / 1e9,
        "uses": len(planned.uses),
        "misfits": [
            {"file": one.use.file, "line": one.use.line, "problem": one.problem, "mend": one.mend}
            for one in planned.misfits
        ],
        "is_edited": planned.edited is not None,
        "gates": [each.to_json() for each in gates.found],
        "changes": [*_changes(planned)],
    }


def _print(planned: Promotion, gates: _Gates, moved: Label | None) -> None:
    from surefoot.cli import screen, words

    out = screen.out()
    prompt, label = planned.prompt, planned.label
    there = f"{prompt.label} ({prompt.digest[:8]})"
    if planned.is_there:
        out.print(f"{label} of {prompt.name} points to {there} already", soft_wrap=True)
        return
    before = planned.before
    was = f"{before.label} ({before.digest[:8]})" if before is not None else "nothing"
    verb = "would point" if moved is None else "points"
    out.print(
        screen.styled((prompt.name, "bold"), f": {label} {verb} to {there}, before to {was}"), soft_wrap=True
    )
    for change in _changes(planned):
        out.print(screen.styled((f"  {screen.harmless(change)}", "dim")), soft_wrap=True)
    uses = words.counted(len(planned.uses), "use")
    fits = f"{uses} that it fits" if planned.uses else "no use of it is known"
    if planned.misfits:
        fits = f"{uses}, with {words.counted(len(planned.misfits), 'misfit')}:"
    out.print(f"  {fits}")
    for misfit in planned.misfits:
        out.print(screen.styled((f"  {screen.harmless(str(misfit))}", "yellow")), soft_wrap=True)
    for each in gates.found:
        _print_gate(each, gates.move)
    if moved is not None and moved.by:
        out.print(screen.styled((f"  moved by {screen.harmless(moved.by)}", "dim")), soft_wrap=True)


def _print_gate(each: Clearance, move: Move) -> None:
    from surefoot.cli import screen

    said = f"gate {each.gate.name}"
    if each.standing == "no baseline":
        told = f"{said} is not asked: {move.label} points at nothing yet to hold it against"
    elif not each.is_open:
        told = f"{said} passed over: {each.why}"
    else:
        told = f"{said} passed"
        if each.others:
            told += f", judged together with {', '.join(each.others)}: promote what was judged, too"
    style = "dim" if each.standing == "passed" and not each.others else "yellow"
    screen.out().print(screen.styled((f"  {screen.harmless(told)}", style)), soft_wrap=True)


def _changes(planned: Promotion) -> list[str]:
    """What differs between the versions, each in a few words."""
    from surefoot.prompts.comparing import compared

    before, after = planned.before, planned.prompt
    if before is None or planned.is_there:
        return []
    found = compared(before, after, names=(before.label, after.label))
    lines: list[str] = []
    for what, changes in (("input", found.inputs), ("output", found.outputs), ("model", found.model)):
        for change in changes:
            sides = [str(side) for side in (change.before, change.after) if side is not None]
            lines.append(f"{what} {change.name}: {change.what} ({' -> '.join(sides)})")
    added = sum(line.startswith("+") and not line.startswith("+++") for line in found.text)
    removed = sum(line.startswith("-") and not line.startswith("---") for line in found.text)
    if added or removed:
        lines.append(f"text: {added} lines added, {removed} removed")
    return lines
