"""The group `surefoot prompt` and the table of its commands."""

from __future__ import annotations

import click

from surefoot.cli.commands import Commands

COMMANDS = {
    "list": "List the prompts: versions, labels, inputs and the flows that use them.",
    "show": "Show a prompt: what it takes, its model, its labels, its uses and its text.",
    "diff": "Compare two versions: text, inputs, model settings and rendered messages.",
    "render": "Show the messages that a prompt makes of inputs, without a call.",
    "run": "Ask a model with a prompt, as a durable run.",
    "test": "Run the cases that lie beside prompts.",
    "register": "Register versions of prompts in MLflow.",
    "upgrade": "Rewrite a prompt file of an older dialect as one of prompty 2.",
}


@click.command(
    cls=Commands,
    package="surefoot.cli.prompt",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  surefoot prompt list\n"
    "  surefoot prompt render summary --input text=@notes.md\n"
    "  surefoot prompt test",
)
def command() -> None:
    """Look at prompts, compare their versions, render, run and test them.

    A prompt is named by the path of its file, or by a reference into the library: NAME, NAME@VERSION, NAME@LABEL or
    NAME@DIGEST. A path that exists goes before a name.
    """
