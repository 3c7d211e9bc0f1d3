"""`surefoot prompt show`: all that is known of one version of a prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.values import Json, Label

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.cli.prompt.uses import Place
    from surefoot.prompts import Prompt, PromptVersion, Property


@documented(example="surefoot prompt show summary\nsurefoot prompt show summary@production --json")
@click.argument("target")
@json_option
@json_errors
def command(target: str, as_json: bool) -> int:  # noqa: FBT001
    """Show TARGET: what it takes and gives, its model, its labels and their moves, who uses it, and its text.

    TARGET is the path of a prompt file or a reference into the library. Credentials are never shown.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.prompt import targets
    from surefoot.cli.prompt.uses import print_unread

    screen.show_warnings()
    with closing(App.current()) as app:
        known, why = known_of(app, targets.found(app, target))
    if why:
        print_unread(screen.err(), why)
    if as_json:
        screen.print_json(known.to_json())
    else:
        print_known(screen.out(), known)
    return 0


@dataclass(frozen=True, slots=True)
class Known:
    """A prompt, and what else is known of it: its versions, the moves of labels (newest first), and its uses."""

    prompt: Prompt
    versions: Sequence[PromptVersion]
    moves: Sequence[Label]
    places: Sequence[Place]

    @property
    def own(self) -> PromptVersion | None:
        """The version as the library has it; None for a file outside of it."""
        return next((one for one in self.versions if one.digest == self.prompt.digest), None)

    def to_json(self) -> dict[str, Json]:
        """As plain data; times in seconds since the Unix epoch, credentials hidden."""
        from surefoot.cli.prompt.described import model_json, property_json

        prompt, own = self.prompt, self.own
        return {
            "name": prompt.name,
            "version": prompt.version,
            "digest": prompt.digest,
            "dialect": prompt.dialect,
            "source": None if prompt.source is None else str(prompt.source),
            "state": None if own is None else own.state,
            "description": prompt.description,
            "inputs": [property_json(entry) for entry in prompt.inputs.values()],
            "outputs": [property_json(entry) for entry in prompt.outputs.values()],
            "model": model_json(dict(prompt.model), dialect=prompt.dialect),
            "tools": [model_json(dict(tool)) for tool in prompt.tools],
            "sample": dict(prompt.sample),
            "labels": [] if own is None else list(own.labels),
            "versions": [
                {
                    "version": one.version,
                    "digest": one.digest,
                    "state": one.state,
                    "labels": list(one.labels),
                    "source": one.source,
                }
                for one in self.versions
            ],
            "moves": [move_json(move) for move in self.moves],
            "uses": [place.to_json() for place in self.places],
            "template": prompt.template,
        }


def known_of(app: App, prompt: Prompt) -> tuple[Known, str]:
    """What is known of a prompt, and why the ledger could not be asked; empty where it was."""
    from surefoot.cli.prompt.uses import Uses, readable

    library, why = readable(app)
    moves = [] if library.archive is None else library.archive.moves(prompt.name)
    places = Uses.of(app, library, prompt.name).places(prompt.name)
    return Known(prompt, library.versions(prompt.name), moves, places), why


def move_json(move: Label) -> dict[str, Json]:
    """A move of a label for programs."""
    return {
        "label": move.label,
        "version": move.version,
        "digest": move.digest,
        "before": move.before,
        "by": move.by,
        "reason": move.reason,
        "moved": move.moved_ns / 1e9,
    }


def print_known(console: Console, known: Known) -> None:
    """The parts of a prompt, each under its title."""
    from surefoot.cli import screen
    from surefoot.cli.prompt.described import undeclared
    from surefoot.cli.prompt.page import say

    prompt = known.prompt
    console.print(
        screen.styled(
            (prompt.label, "bold"),
            (f"  {prompt.dialect}  {prompt.digest[:12]}", "dim"),
            (f"\n{prompt.source}" if prompt.source else "", "dim"),
        ),
        soft_wrap=True,
    )
    if (state := _state_words(known)) != "":
        say(console, screen.styled((state, "yellow")))
    if prompt.description:
        console.print(screen.harmless(prompt.description))
    _print_properties(console, "takes", prompt.inputs)
    _section(console, "takes, without declaring it" if prompt.inputs else "takes", undeclared(prompt))
    _print_properties(console, "gives", prompt.outputs)
    _section(console, "model", _settings(known))
    _section(console, "tools", _tools(prompt))
    _section(console, "labels", _labels(known))
    _section(console, "other versions", _others(known))
    _section(console, "used by", _uses(known))
    _section(
        console,
        "sample",
        [
            f"{name}: {screen.brief(value, max(console.width - len(name) - 6, 20))}"
            for name, value in prompt.sample.items()
        ],
    )
    console.print(screen.styled(("\ntemplate", "bold")))
    for line in screen.harmless(prompt.template).rstrip("\n").split("\n"):
        console.print(f"  {line}" if line else "", soft_wrap=True)


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    from surefoot.cli import screen
    from surefoot.cli.prompt.page import say

    if lines:
        console.print(screen.styled((f"\n{title}", "bold")))
        for line in lines:
            say(console, screen.harmless(line), indent=2)


def _state_words(known: Known) -> str:
    own = known.own
    if own is None:
        return "outside of the library"
    if own.state == "edited":
        return (
            f"edited: runs know version {own.version} with the digest {own.known[:12]}; give it a new version"
        )
    return "only in the ledger: no file has it" if own.state == "ledger" else ""


def _print_properties(console: Console, title: str, entries: Mapping[str, Property]) -> None:
    from rich.table import Table

    from surefoot.cli import screen

    if not entries:
        return
    console.print(screen.styled((f"\n{title}", "bold")))
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for name, need in _property_rows(entries):
        table.add_row(f"  {name}", *need)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(screen.styled(line.rstrip()), soft_wrap=True)


def _property_rows(entries: Mapping[str, Property], path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    from surefoot.cli import screen

    for name, entry in entries.items():
        kind = f"{entry.type} of {entry.items.type}" if entry.items is not None else entry.type
        need = "required" if entry.is_needed else "optional"
        if entry.has_default:
            need = f"default {screen.brief(entry.default, 30)}"
        values = f"one of {', '.join(screen.brief(value, 20) for value in entry.enum)}" if entry.enum else ""
        said = ". ".join(part for part in (entry.description.rstrip("."), values) if part)
        yield f"{path}{name}", (kind, need, screen.harmless(said))
        yield from _property_rows(entry.properties, f"{path}{name}.")


def _settings(known: Known) -> list[str]:
    from surefoot.cli.prompt.described import model_json

    return list(_flat(model_json(dict(known.prompt.model), dialect=known.prompt.dialect)))


def _flat(value: Json, path: str = "") -> Iterator[str]:
    from surefoot.cli import screen

    if isinstance(value, dict) and value:
        for name, entry in value.items():
            yield from _flat(entry, f"{path}.{name}" if path else name)
    elif path:
        yield f"{path}: {screen.brief(value, 100)}"


def _tools(prompt: Prompt) -> list[str]:
    from surefoot.cli import screen

    lines: list[str] = []
    for tool in prompt.tools:
        inner = tool.get("function")
        about = inner if isinstance(inner, dict) else tool
        kind = tool.get("kind") or tool.get("type") or "function"
        said = about.get("description")
        lines.append(f"{about.get('name', '?')} ({kind}){f': {screen.brief(said, 100)}' if said else ''}")
    return lines


def _labels(known: Known) -> list[str]:
    from surefoot.cli import words

    lines: list[str] = []
    moved = {move.label for move in known.moves}
    for version in known.versions:
        lines += [
            f"{label} → {version.reference}, by labels.toml" for label in version.labels if label not in moved
        ]
    for move in known.moves:
        there = move.version or move.digest[:8]
        before = next(
            (one.version or one.digest[:8] for one in known.versions if one.digest == move.before), ""
        )
        came = f" (before: {before or move.before[:8]})" if move.before else ""
        who = f" by {move.by}" if move.by else ""
        why = f": {move.reason}" if move.reason else ""
        lines.append(f"{move.label} → {there}{came}, {words.clock(move.moved_ns)}{who}{why}")
    return lines


def _others(known: Known) -> list[str]:
    from surefoot.cli.prompt.list import STATES

    return [
        "  ".join(
            part for part in (one.reference, ", ".join(one.labels), one.source, STATES[one.state]) if part
        )
        for one in known.versions
        if one.digest != known.prompt.digest
    ]


def _uses(known: Known) -> list[str]:
    from surefoot.cli import words

    now_ns, lines = time.time_ns(), list[str]()
    for place in known.places:
        who = f"flow {place.flow}" if place.flow else "code of no known flow"
        ran = (
            f"last {words.ago(place.used_ns, now_ns)} in run {place.run_id[:13]}"
            if place.run_id
            else "in no run yet"
        )
        lines.append("  ".join(part for part in (who, place.where, f"as {place.reference!r}", ran) if part))
    return lines
