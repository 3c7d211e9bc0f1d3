"""Who uses a prompt, as far as the code of the project and its runs tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.values import Json, PromptUse

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.prompts import Library
    from surefoot.prompts.fitting import Left, Use


def readable(app: App) -> tuple[Library, str]:
    """The library, and why it is without its ledger, where that does not answer: files can be shown nevertheless."""
    from surefoot.cli.gathering import alone
    from surefoot.errors import LedgerError

    library = app.prompts
    try:
        library.versions()
    except LedgerError as error:
        return alone(app), str(error)
    return library, ""


def print_unread(console: Console, why: str) -> None:
    """That the ledger could not be asked, and what is not shown therefore."""
    from surefoot.cli import screen
    from surefoot.cli.prompt.page import say

    if why:
        said = f"The ledger does not answer, so that labels, uses and versions without a file are not shown: {why}"
        say(console, screen.styled((said, "yellow")))


@dataclass(frozen=True, slots=True)
class Place:
    """One place that uses a prompt: the flow, where known, and the line; `run_id` and `used_ns` are of its last run.

    `origins` are those that tell of it: `code`, `runs`.
    """

    flow: str
    file: str
    line: int
    reference: str
    origins: tuple[str, ...]
    digest: str = ""
    run_id: str = ""
    used_ns: int = 0

    @property
    def where(self) -> str:
        """`file:line`; empty where it is not known."""
        return f"{self.file}:{self.line}" if self.file else ""

    def to_json(self) -> dict[str, Json]:
        """As plain data; the time in seconds since the Unix epoch."""
        return {
            "flow": self.flow,
            "file": self.file,
            "line": self.line,
            "reference": self.reference,
            "known_by": list(self.origins),
            "digest": self.digest,
            "run": self.run_id,
            "used": self.used_ns / 1e9 if self.used_ns else None,
        }


@dataclass(frozen=True, slots=True)
class Uses:
    """The uses of all prompts: what the code says, what runs did, and what could not be looked at."""

    code: Sequence[Use]
    runs: Sequence[PromptUse]
    left: Sequence[Left] = ()

    @classmethod
    def of(cls, app: App, library: Library, name: str = "") -> Uses:
        """Read the code below the project's folder, and the ledger. Raises `LedgerError`."""
        from surefoot.cli.gathering import scanned

        archive = library.archive
        runs = [] if archive is None else archive.uses(name)
        code = scanned(app.settings.root)
        return cls(code.uses, runs, code.left)

    def places(self, name: str) -> list[Place]:
        """Where the prompt of this name is used, by flow and line; what code and runs both tell is told once."""
        from surefoot.prompts.fitting import users

        found: dict[tuple[str, str, int], Place] = {}
        for user in users(name, self.code):
            found[user.flow, user.file, user.line] = Place(
                user.flow, user.file, user.line, user.reference, ("code",)
            )
        for use in sorted(self.runs, key=lambda use: use.used_ns):
            if use.prompt != name:
                continue
            key = (use.flow, use.file, use.line)
            known = found.get(key)
            origins = ("code", "runs") if known is not None and "code" in known.origins else ("runs",)
            found[key] = Place(
                *(use.flow, use.file, use.line, use.reference, origins, use.digest, use.run_id, use.used_ns)
            )
        return sorted(
            found.values(), key=lambda place: (place.flow == "", place.flow, place.file, place.line)
        )

    def last(self, name: str, digest: str) -> PromptUse | None:
        """The last use of a version by a run."""
        of_version = [use for use in self.runs if (use.prompt, use.digest) == (name, digest)]
        return max(of_version, key=lambda use: use.used_ns, default=None)
