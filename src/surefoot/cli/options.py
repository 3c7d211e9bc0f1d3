"""What all commands share: their help with examples, `--json` and `--debug`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., Any])


def documented(*, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends in an example, one line of shell per line."""
    lines = "\n".join(f"  {line}" for line in example.strip().splitlines())

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(
            epilog=f"\b\nExample:\n{lines}", context_settings={"help_option_names": ["-h", "--help"]}
        )(debug_option(function))

    return decorate


def debug_option(function: F) -> F:
    """`--debug`, which is read where errors are reported."""

    def note(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
        if value:
            os.environ["SUREFOOT_DEBUG"] = "1"

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=note,
        help="Show tracebacks of errors.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: the result on stdout for programs, and nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def json_errors(function: F) -> F:
    """With `--json`, what fails is printed as JSON on stdout too; below `json_option`."""

    @functools.wraps(function)
    def told(*arguments: Any, as_json: bool, **options: Any) -> Any:
        try:
            return function(*arguments, as_json=as_json, **options)
        except (click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if not as_json:
                raise
            from surefoot.cli import failing

            return failing.report_json(error)

    return cast("F", told)


def days_option(function: F) -> F:
    """`--days`, of commands that ask how prompts are used."""
    return click.option(
        "--days",
        type=click.FloatRange(min=0),
        default=30.0,
        show_default=True,
        help="For how many days a use that only a run has told of counts; 0: runs are not asked.",
    )(function)
