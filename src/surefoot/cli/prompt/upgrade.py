"""`surefoot prompt upgrade`: files of older dialects rewritten as those of prompty 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import UsageError
from surefoot.values import Json

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.prompts import Prompt


@documented(
    example="surefoot prompt upgrade prompts/chat.prompty\n"
    "surefoot prompt upgrade prompts/*.prompty --write\n"
    "surefoot prompt upgrade prompts/*.prompty --check"
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--write", is_flag=True, help="Put the new text in the place of the old one.")
@click.option("--check", is_flag=True, help="Exit with 1 where a file would change.")
@json_option
@json_errors
def command(files: tuple[str, ...], write: bool, check: bool, as_json: bool) -> int:  # noqa: FBT001
    """Show how each FILE reads as one of prompty 2, and what means something else there.

    It renders the same messages. Without --write nothing is changed.
    """
    from surefoot.app import App
    from surefoot.cli import screen

    if write and check:
        raise UsageError("--write changes files and --check changes none: give one of them")
    screen.show_warnings()
    app = App.current()
    # All are read before the first is written: a mistake in one leaves all as they are.
    rewrites = [rewrite_of(app, Path(file).expanduser()) for file in files]
    for one in rewrites:
        if write and one.is_changed:
            replaced(one)
    if as_json:
        screen.print_json(
            {"files": [{**one.to_json(), "written": write and one.is_changed} for one in rewrites]}
        )
    else:
        for one in rewrites:
            print_rewrite(screen.out(), one, is_written=write)
    return 1 if check and any(one.is_changed for one in rewrites) else 0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A file and what becomes of it; `text` is the new text, `notes` say what means something else."""

    path: Path
    prompt: Prompt
    text: str
    notes: tuple[str, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the file would change."""
        return self.text != self.prompt.text

    @property
    def diff(self) -> list[str]:
        """The change as a unified diff, line by line."""
        from surefoot.prompts import unified

        names = (f"{self.path} ({self.prompt.dialect})", f"{self.path} (prompty-v2)")
        return unified(self.prompt.text.splitlines(), self.text.splitlines(), names)

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        return {
            "file": str(self.path),
            "dialect": self.prompt.dialect,
            "changed": self.is_changed,
            "notes": list(self.notes),
            "diff": list(self.diff),
        }


def rewrite_of(app: App, path: Path) -> Rewrite:
    """What becomes of a file. Raises `PromptError` for one that is malformed or in the short form."""
    from surefoot import prompts

    prompt = prompts.load(path, roots=app.prompts.roots)
    made = prompts.upgraded(prompt)
    return Rewrite(path, prompt, made.text, made.notes)


def replaced(rewrite: Rewrite) -> None:
    """Write the new text into the file at once, with the mode and the line ends that it had.

    Raises `UsageError` where it cannot be written, or was changed meanwhile.
    """
    from surefoot.cli import putting
    from surefoot.prompts.definition import normalised

    path = rewrite.path.resolve()
    try:
        content = path.read_bytes()
        if normalised(content.decode("utf-8")) != rewrite.prompt.text:
            raise UsageError(
                f"{rewrite.path} was changed meanwhile, and is left as it is: call the command again"
            )
        text = rewrite.text.replace("\n", "\r\n") if b"\r\n" in content else rewrite.text
        putting.put(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(
            f"{rewrite.path} cannot be written: {error.strerror}; nothing of it is changed"
        ) from None


def print_rewrite(console: Console, rewrite: Rewrite, *, is_written: bool) -> None:
    """The change as a diff, and below it what to know of it."""
    from surefoot.cli import screen
    from surefoot.cli.prompt.diff import print_diff
    from surefoot.cli.prompt.page import say

    dialect = rewrite.prompt.dialect
    if not rewrite.is_changed:
        said: Sequence[str] = rewrite.notes or ("nothing would change",)
        say(console, screen.styled((str(rewrite.path), "bold"), f"  {dialect}: {'; '.join(said)}"))
        return
    console.print(
        screen.styled((str(rewrite.path), "bold"), (f"  {dialect} → prompty-v2", "dim")), soft_wrap=True
    )
    print_diff(console, rewrite.diff)
    for note in rewrite.notes:
        say(console, screen.styled(("note  ", "yellow"), note))
    if is_written:
        say(console, screen.styled(("written", "green")))
    if rewrite.prompt.version:
        hint = f"Its digest changes: where runs know version {rewrite.prompt.version} already, give it a new one."
        say(console, screen.styled((hint, "dim")))
