"""Errors as people read them: one message, where it happened in their code, and the exit code."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path

import click

from surefoot.errors import GatePending, PromptMisfit, StepFailed, UsageError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

_PACKAGE = str(Path(__file__).parents[1])
_FOREIGN = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_FRAMES = 4
_EXTRAS = ("openai", "anthropic")


def report(error: BaseException) -> int:
    """Say on stderr what went wrong; the exit code for it."""
    trace(error)
    if isinstance(error, StepFailed) and error.__cause__ is not None:
        _say_failed_run(error, error.__cause__)
        return FAILED
    if isinstance(error, UsageError):
        _say(str(error))
        _say_where(error.__cause__)
        return code_of(error)
    if type(error).__module__.startswith("surefoot."):
        _say("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return FAILED
    _say(f"{type(error).__name__}: {error}")
    _say_where(error)
    if not is_debugging():
        click.echo("  --debug shows the whole traceback", err=True)
    return FAILED


def trace(error: BaseException) -> None:
    """The traceback on stderr, where tracebacks are wanted."""
    if is_debugging():
        traceback.print_exception(error, file=sys.stderr)


def code_of(error: BaseException) -> int:
    """The exit code for an error: what has to be mended before the command makes sense is another thing than a no."""
    is_no = isinstance(error, GatePending | PromptMisfit)
    return MISUSED if isinstance(error, UsageError) and not is_no else FAILED


def report_json(error: BaseException) -> int:
    """Print an error as the JSON document of a command; the exit code for it."""
    from surefoot.cli import screen

    trace(error)
    screen.print_json({"error": {"type": type(error).__name__, "message": str(error)}})
    return code_of(error)


def report_usage(error: click.ClickException) -> int:
    """Say on stderr what is wrong with the command line; the exit code for it."""
    _say(error.format_message())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"  {error.ctx.command_path} --help shows how it is called", err=True)
    return error.exit_code


def report_interrupt(error: BaseException | None) -> int:
    """Say on stderr that Ctrl-C was heard, and how to go on."""
    if is_debugging() and error is not None:
        traceback.print_exception(error, file=sys.stderr)
    notes: list[str] = getattr(error, "__notes__", [])
    _say(notes[-1] if notes else "interrupted", label="stopped")
    return INTERRUPTED


def is_debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("SUREFOOT_DEBUG", "") not in ("", "0")


def frames_of(error: BaseException) -> list[str]:
    """Where an error came through the user's own code, outermost first, as `file:line in function`."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, *_FOREIGN, "<"))
    ]
    return [f"{_near(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames[-_FRAMES:]]


def _say_failed_run(failed: StepFailed, cause: BaseException) -> None:
    flow = str(failed).partition(" of ")[2].partition(" failed in ")[0]
    step = "" if failed.step == flow else f" in step {failed.step!r}"
    _say(f"{flow} failed{step}")
    text = str(cause)
    click.echo(f"  {type(cause).__name__}{': ' if text else ''}{_indented(text)}", err=True)
    _say_where(cause)
    click.echo(f"  look at it:  surefoot show {failed.run_id}", err=True)
    if failed.undone:
        click.echo(f"  {_indented(failed.undone)}", err=True)
    if not failed.is_over:
        what = "try again" if failed.undone else "go on"
        click.echo(f"  {f'{what}:':<12} surefoot resume {failed.run_id}", err=True)


def _say_where(error: BaseException | None) -> None:
    if error is None:
        return
    for frame in frames_of(error):
        click.echo(f"    at {frame}", err=True)
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        click.echo(f'  install it:  pip install "surefoot[{error.name}]"', err=True)


def _say(message: str, *, label: str = "error") -> None:
    # click drops the colour by itself where stderr is no terminal; NO_COLOR is for us to honour.
    word = label if os.environ.get("NO_COLOR") else click.style(label, fg="red", bold=True)
    click.echo(f"{word}: {_indented(message)}" if message != label else word, err=True)


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _near(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
