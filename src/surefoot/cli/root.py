"""The `surefoot` command: its subcommands, imported when they are called, and its exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from surefoot.cli import failing
from surefoot.cli.commands import Commands

COMMANDS = {
    "init": "Write a settings file, a flow and a prompt that run at once.",
    "demo": "See a run killed and resumed, on your machine and without a key.",
    "run": "Run a flow as a durable run.",
    "resume": "Go on with a run where its record ends.",
    "fork": "Run a recorded run once more, from a step on or with something changed.",
    "cancel": "End a run, whichever process has it.",
    "send": "Send an event to a run that waits for it.",
    "approve": "Show what a step that waits would send, and approve or deny it.",
    "runs": "List runs, the newest first.",
    "show": "Show a run: its steps, model calls, tokens and cost.",
    "stats": "Show how a flow has done: latency, errors, retries, tokens and cost.",
    "costs": "Show what model calls have cost, by model, flow, prompt, tenant or day.",
    "estimate": "Tell what a run of a flow may cost, and what budgets would hold for it.",
    "cache": "Show or clear the answers that are given again.",
    "prompt": "List, compare, render, run, test and upgrade prompts.",
    "check": "Check prompts against code and runs, and where untrusted text can lead.",
    "promote": "Point a label at a version of a prompt, if it fits.",
    "serve": "Serve flows over HTTP, each request a durable run.",
    "ui": "Look at runs in the browser.",
    "eval": "Score a flow over a dataset.",
    "dataset": "Look at datasets, check, compare, split and review them, make them of runs.",
    "backtest": "Run recorded runs once more with something changed, and compare.",
    "compare": "Compare two experiments, and judge them by a gate.",
    "trend": "Show a metric over time, by hour or day; fail where it is below a bound.",
    "score": "Score a sample of the runs of production, each once.",
    "ragas": "Set up ragas apart from the rest, and list its metrics.",
    "ingest": "Take documents into a collection.",
    "traces": "Send runs as traces to other tools.",
    "ledger": "Verify, prune, back up, move and migrate the ledger.",
    "access": "Say who may do what, what flows may use, and switch flows off.",
    "token": "Make, list and revoke the tokens of programs.",
    "audit": "Show, verify and export who did what, and who was refused it.",
    "webhooks": "Show what those who are told of runs were not told, and tell them.",
    "config": "Show or check the settings.",
    "doctor": "Look for what is missing or broken on this machine.",
}
"""The commands in the order of the help page; the module of each is named after it."""


@click.command(
    cls=Commands,
    package="surefoot.cli",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`surefoot COMMAND --help` shows the options of a command, with an example. "
    "Exit codes: 0 all is well, 1 a run or a check failed, 2 something to mend in the command, the code or the "
    "settings, 130 interrupted.",
)
@click.version_option(package_name="surefoot", prog_name="surefoot")
def surefoot() -> None:
    """LLM workflows that keep their footing: every run recorded, resumable, measurable and bounded."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a question mark, and the command goes on.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = invoked(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; Python must not complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def invoked(arguments: Sequence[str] | None) -> int:
    """Run a command line; its exit code."""
    try:
        code: object = surefoot.main(args=arguments, prog_name="surefoot", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return failing.MISUSED
    except click.ClickException as error:
        return failing.report_usage(error)
    except click.Abort as error:
        return failing.report_interrupt(error.__cause__)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, the user gets a message and not a traceback)
        return failing.report(error)
    return code if isinstance(code, int) else 0
