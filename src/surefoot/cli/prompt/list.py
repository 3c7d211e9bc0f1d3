"""`surefoot prompt list`: the prompts of the project, in files and in the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.values import Json, PromptUse

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.cli.prompt.uses import Place, Uses
    from surefoot.prompts import Library, Prompt, PromptVersion

STATES = {"file": "", "edited": "edited", "ledger": "only in the ledger"}


@documented(example="surefoot prompt list\nsurefoot prompt list --json")
@json_option
@json_errors
def command(as_json: bool) -> int:  # noqa: FBT001
    """List the prompts: their versions and labels, what they take, and who uses them.

    Versions that runs have used are there though their file is gone. An edited one has another text than its version
    had when runs used it first.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.prompt.uses import Uses, print_unread, readable
    from surefoot.errors import UnknownPrompt

    screen.show_warnings()
    with closing(App.current()) as app:
        library, why = readable(app)
        uses = Uses.of(app, library)
        rows = [_row(library, version, uses) for version in library.versions()]
        problems = [str(problem) for problem in library.problems()]
        if not rows and not problems and not library.folder.is_dir():
            raise UnknownPrompt(
                f"there are no prompts: the folder {library.folder} does not exist; make it or set prompts.path"
            )
    if as_json:
        shown: list[Json] = [row.to_json() for row in rows]
        screen.print_json({"prompts": shown, "malformed": list(problems), "ledger_error": why})
    else:
        print_rows(screen.out(), rows, problems, folder=str(library.folder))
        print_unread(screen.err(), why)
    return 0


@dataclass(frozen=True, slots=True)
class Row:
    """A version in the list. `prompt` is None where its text cannot be read, `problem` says why."""

    version: PromptVersion
    prompt: Prompt | None
    places: Sequence[Place]
    last: PromptUse | None
    problem: str = ""

    @property
    def flows(self) -> list[str]:
        """The flows that use the prompt, in whichever version."""
        return sorted({place.flow for place in self.places if place.flow})

    def to_json(self) -> dict[str, Json]:
        """As plain data; times in seconds since the Unix epoch."""
        version, last = self.version, self.last
        inputs: Mapping[str, Json] = (
            {} if self.prompt is None else {name: entry.type for name, entry in self.prompt.inputs.items()}
        )
        return {
            "name": version.name,
            "version": version.version,
            "digest": version.digest,
            "state": version.state,
            "known_digest": version.known,
            "source": version.source,
            "dialect": None if self.prompt is None else self.prompt.dialect,
            "labels": list(version.labels),
            "inputs": dict(inputs),
            "flows": list(self.flows),
            "last_used": None if last is None else last.used_ns / 1e9,
            "last_run": None if last is None else last.run_id,
            "problem": self.problem,
        }


def _row(library: Library, version: PromptVersion, uses: Uses) -> Row:
    from surefoot.errors import UsageError
    from surefoot.values import PromptRef

    prompt, problem = None, ""
    try:
        prompt = library.at(PromptRef(version.name, version.version, version.digest))
    except UsageError as error:
        problem = str(error)
    return Row(version, prompt, uses.places(version.name), uses.last(version.name, version.digest), problem)


def print_rows(console: Console, rows: Sequence[Row], problems: Sequence[str], *, folder: str) -> None:
    """Two lines for each version, then what is malformed."""
    from surefoot.cli import screen
    from surefoot.cli.prompt.page import say

    if not rows and not problems:
        console.print(
            f"{folder} holds no prompt: write NAME.prompty or NAME.yaml with a prompt_id", soft_wrap=True
        )
    now_ns = time.time_ns()
    for row in rows:
        version = row.version
        state = STATES[version.state]
        labels = f"  {', '.join(version.labels)}" if version.labels else ""
        dialect = "" if row.prompt is None else f"  {row.prompt.dialect}"
        console.print(
            screen.styled(
                (version.reference, "bold"),
                (f"  {version.digest[:8]}" if version.version else "", "dim"),
                (labels, "green"),
                (dialect, "dim"),
                (f"  {state}" if state else "", "yellow"),
            ),
            soft_wrap=True,
        )
        for line in _beside(row, now_ns):
            say(console, screen.styled((line, "dim")), indent=2)
        if row.problem:
            say(console, screen.styled((row.problem, "red")), indent=2)
    for problem in problems:
        say(console, screen.styled(("malformed  ", "bold red"), problem))


def _beside(row: Row, now_ns: int) -> list[str]:
    """What a version takes, and who used it."""
    from surefoot.cli import words
    from surefoot.cli.prompt.described import undeclared

    lines: list[str] = []
    if row.prompt is not None:
        inputs = [name if entry.is_needed else f"{name}?" for name, entry in row.prompt.inputs.items()]
        inputs += undeclared(row.prompt)
        lines.append(f"takes {', '.join(inputs)}" if inputs else "takes nothing")
    by = f" by {', '.join(row.flows)}" if row.flows else ""
    if row.last is not None:
        lines.append(f"used {words.ago(row.last.used_ns, now_ns)}{by}")
    elif row.version.state != "ledger" and by:
        lines.append(f"used{by}, in no run yet")
    return lines
