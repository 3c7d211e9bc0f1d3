"""Commands of a group: each with its example, `--json` (errors too) and `--debug`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from surefoot.cli.options import debug_option, json_errors, json_option

CONTEXT = {"help_option_names": ["-h", "--help"]}


def group(*examples: str) -> Callable[[Callable[[], None]], click.Group]:
    """A command that has commands below it."""
    return click.group(epilog=_example(examples), context_settings=CONTEXT)


def below(
    parent: click.Group, *examples: str, short: str, name: str | None = None
) -> Callable[[Callable[..., int]], click.Command]:
    """A command of a group."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = parent.command(name, short_help=short, epilog=_example(examples), context_settings=CONTEXT)
        return made(debug_option(json_option(json_errors(function))))

    return decorate


def _example(examples: tuple[str, ...]) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in examples)
