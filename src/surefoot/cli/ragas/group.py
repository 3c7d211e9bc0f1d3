"""The group `surefoot ragas` and the table of its commands."""

from __future__ import annotations

import click

from surefoot.cli.commands import Commands

COMMANDS = {
    "setup": "Make the environment that ragas runs in.",
    "metrics": "List the metrics of ragas, what each takes and its settings.",
}


@click.command(
    cls=Commands,
    package="surefoot.cli.ragas",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  surefoot ragas setup\n  surefoot ragas metrics AnswerRelevancy",
)
def command() -> None:
    """Let metrics of ragas be computed by ragas itself, in an environment and a process of its own."""
