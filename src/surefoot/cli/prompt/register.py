"""`surefoot prompt register`: prompts in the registry of another tool."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.evals.mlflow import Registered


@documented(
    example="surefoot prompt register --to mlflow summary\n"
    "surefoot prompt register --to mlflow summary@production\n"
    "surefoot prompt register --to mlflow --all"
)
@click.argument("references", metavar="[NAME...]", nargs=-1)
@click.option(
    "--to", type=click.Choice(["mlflow"]), required=True, expose_value=False, help="Whose registry."
)
@click.option("--all", "is_all", is_flag=True, help="All prompts of the project, in all versions.")
@click.option("--experiment", default="", metavar="NAME", help="The experiment of MLflow that lists them.")
@click.option("--url", metavar="URL", help="The address of the server.")
@json_option
@json_errors
def command(
    references: tuple[str, ...],
    is_all: bool,  # noqa: FBT001
    experiment: str,
    url: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Register the versions of NAME, in files and in the ledger; of NAME@VERSION or NAME@LABEL that one.

    Each text is there once, however often it is registered. Labels become aliases. Without --url the server is that
    of the settings ([mlflow] url) or of MLFLOW_TRACKING_URI. Exits with 1 where something could not be registered.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.evals import mlflow

    if is_all == bool(references):
        raise click.UsageError("name the prompts to register, or give --all")
    screen.show_warnings()
    with closing(App.current()) as app, app.entered():
        found = mlflow.register(*references, url=url, experiment_name=experiment)
    if as_json:
        screen.print_json({"prompts": [each.to_json() for each in found]})
    else:
        _print(found)
    return 1 if any(each.problem for each in found) else 0


def _print(found: Sequence[Registered]) -> None:
    from surefoot.cli import screen

    for each in found:
        if each.number is None:
            said = screen.styled((each.version.reference, "bold"), ("  not registered", "red"))
        else:
            told = "registered" if each.is_new else "was registered"
            aliases = f"  {', '.join(each.aliases)}" if each.aliases else ""
            said = screen.styled(
                (each.version.reference, "bold"), f"  {told} as {each.uri}", (aliases, "green")
            )
        screen.out().print(said, soft_wrap=True, highlight=False)
        if each.number is not None and not each.is_filled:
            why = "  its template has more than names in it: MLflow keeps it as it is written"
            screen.out().print(screen.styled((why, "dim")), soft_wrap=True)
        if each.problem:
            screen.err().print(screen.styled((f"  {each.problem}", "red")), soft_wrap=True, highlight=False)
    if not found:
        screen.out().print("there are no prompts to register", soft_wrap=True)
