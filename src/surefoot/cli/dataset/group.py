"""The group `surefoot dataset` and the table of its commands."""

from __future__ import annotations

import click

from surefoot.cli.commands import Commands

COMMANDS = {
    "show": "Show what a dataset holds: columns, slices, lengths, duplicates, reviews.",
    "check": "Find all mistakes in a dataset, by the types of a flow.",
    "diff": "Compare two datasets: cases added, removed and changed.",
    "split": "Write parts of a dataset, in which no case moves when others are added.",
    "sample": "Write some cases of a dataset, the same ones each time.",
    "convert": "Write a dataset in another format.",
    "from-runs": "Make cases of recorded runs, secrets masked, to be reviewed.",
    "review": "List cases that wait for review; accept, correct or reject them.",
}


@click.command(
    cls=Commands,
    package="surefoot.cli.dataset",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  surefoot dataset from-runs --flow answer --sample 50 -o golden.jsonl\n"
    "  surefoot dataset review golden.jsonl\n"
    "  surefoot dataset check golden.jsonl --flow flows.py:answer",
)
def command() -> None:
    """Look at datasets, check, compare, split and review them, and make them of recorded runs.

    A dataset is a file of cases: JSON lines (.jsonl), an array of JSON objects (.json), CSV, TSV, parquet or arrow.
    """
