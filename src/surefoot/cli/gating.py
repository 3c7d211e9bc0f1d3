"""The gate of a command: its options, where it is found before anything is run, and the forms of its verdict."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from surefoot.errors import InvalidInput

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Experiment
    from surefoot.evals.comparing import Comparison, Gate, Verdict
    from surefoot.values import Json

F = TypeVar("F", bound=Callable[..., Any])

STDOUT = "-"

_OPTIONS = (
    click.option(
        "--gate",
        metavar="FILE|NAME",
        help="Judge by this gate: a YAML file, or one of [gates] in the settings.",
    ),
    click.option("--junit", metavar="FILE", help="Write the verdict of the gate as JUnit XML."),
    click.option(
        "--markdown", metavar="FILE|-", help="Write a page for a pull request; - prints it and nothing else."
    ),
    click.option("--github", is_flag=True, help="Print what fails as annotations of GitHub Actions."),
    click.option(
        "--by", default="", metavar="NAME", help="Who judges; by default SUREFOOT_PRINCIPAL, else the user."
    ),
    click.option(
        "--no-record", is_flag=True, help="Do not record the verdict, so that nothing is promoted by it."
    ),
)


def gate_options(function: F) -> F:
    """`--gate` and what shows its verdict, as one `gating` for the command."""

    @functools.wraps(function)
    def gathered(
        *arguments: Any,
        gate: str | None,
        junit: str | None,
        markdown: str | None,
        github: bool,
        by: str,
        no_record: bool,
        **options: Any,
    ) -> Any:
        gating = Gating(gate, junit, markdown, by, is_for_github=github, is_recorded=not no_record)
        return function(*arguments, gating=gating, **options)

    return cast("F", functools.reduce(lambda made, option: option(made), reversed(_OPTIONS), gathered))


@dataclass(frozen=True, slots=True)
class Gating:
    """What the command line says of a gate, and of the forms in which the comparison and the verdict are told."""

    gate: str | None
    junit: str | None
    markdown: str | None
    by: str
    is_for_github: bool
    is_recorded: bool

    @property
    def given(self) -> list[str]:
        """The options that tell of a comparison, and are there."""
        named = {
            "--gate": self.gate,
            "--junit": self.junit,
            "--markdown": self.markdown,
            "--github": self.is_for_github,
        }
        return [name for name, value in named.items() if value not in (None, False)]

    @property
    def is_on_stdout(self) -> bool:
        """Whether the Markdown is printed, and nothing else."""
        return self.markdown == STDOUT

    def check(self, *, as_json: bool) -> None:
        """Refuse what cannot be meant together and files that cannot be, before anything is read or run."""
        if self.gate is None and (self.junit is not None or self.is_for_github):
            raise click.UsageError("--junit and --github show the verdict of a gate: add --gate FILE")
        if as_json and (self.is_for_github or self.is_on_stdout):
            other = "--github" if self.is_for_github else "--markdown -"
            raise click.UsageError(f"--json and {other} both print on stdout: leave one out")
        for option, file in (("--junit", self.junit), ("--markdown", self.markdown)):
            if file not in (None, STDOUT) and not (folder := Path(str(file)).expanduser().parent).is_dir():
                raise InvalidInput(f"{option} {file}: there is no folder {folder}; name one that is there")

    def find(self, app: App, *, folder: Path | None = None) -> Gate | None:
        """The gate that is named, None without one; a file is looked for in `folder`, too. Raises `ConfigError`."""
        from surefoot.evals.comparing import gatefile

        if self.gate is None:
            return None
        is_there = folder is None or Path(self.gate).expanduser().exists()
        beside = folder if folder is not None and not is_there and (folder / self.gate).is_file() else None
        return gatefile.find(self.gate, app.settings.config.gates, folder=beside)

    def judge(self, app: App, gate: Gate | None, ours: Experiment, theirs: Experiment) -> Verdict | None:
        """What the gate says of the two, recorded for `surefoot promote`; None without one."""
        if gate is None:
            return None
        verdict = gate.judge(ours, theirs)
        if self.is_recorded:
            from surefoot.cli.promote import principal
            from surefoot.evals.comparing.recording import recorded
            from surefoot.ledger import Evaluations

            recorded(verdict, Evaluations(app.ledger), by=self.by or principal())
        return verdict

    def tell(
        self,
        comparison: Comparison,
        verdict: Verdict | None,
        *,
        as_json: Mapping[str, Json] | None,
        page: Callable[[], object],
    ) -> None:
        """Write the files, then print: `as_json` with the verdict before it, else the Markdown or the page."""
        from surefoot.cli import screen
        from surefoot.evals import comparing

        self._write(comparison, verdict)
        if as_json is not None:
            screen.print_json({"gate": None if verdict is None else verdict.to_json(), **as_json})
        elif self.is_on_stdout:
            screen.print_text(comparing.markdown(comparison, verdict))
        else:
            page()
        if self.is_for_github and verdict is not None:
            for line in comparing.github_commands(verdict, file=in_repository(verdict.gate.file)):
                screen.print_text(line)

    def _write(self, comparison: Comparison, verdict: Verdict | None) -> None:
        from surefoot.evals import comparing

        if self.junit is not None and verdict is not None:
            _put(self.junit, comparing.junit_xml(verdict), option="--junit")
        if self.markdown not in (None, STDOUT):
            _put(str(self.markdown), comparing.markdown(comparison, verdict), option="--markdown")


def _put(file: str, text: str, *, option: str) -> None:
    try:
        # Not a new file in its place: what a CI system gives to be written to may be anything.
        Path(file).expanduser().write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"{option} {file} cannot be written: {error.strerror}; name another file"
        ) from None


def in_repository(file: str) -> str:
    """The path as GitHub knows it: from the root of the checkout."""
    root = os.environ.get("GITHUB_WORKSPACE")
    path = Path(file).absolute()
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else file
