"""`surefoot ragas setup`: the environment that ragas runs in."""

from __future__ import annotations

from pathlib import Path

import click

from surefoot.cli.options import documented, json_errors, json_option


@documented(
    example="surefoot ragas setup\nsurefoot ragas setup --at ~/environments/ragas --python python3.12"
)
@click.option(
    "--at", "place", metavar="FOLDER", help="Another folder than the one of the settings, [evals] ragas."
)
@click.option("--python", default="", metavar="PYTHON", help="The interpreter that it is made with.")
@json_option
@json_errors
def command(place: str | None, python: str, as_json: bool) -> int:  # noqa: FBT001
    """Make an environment with ragas, and note which metrics it has.

    What is installed stands apart from everything else, so that none of ragas' needs meets one of yours. Where it is
    there already, nothing happens. It takes pip or uv, with the index that they are set to.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.evals.ragas import set_up

    settings = App.current().settings
    folder = settings.config.evals.ragas if place is None else Path(place).expanduser().absolute()
    if folder.is_relative_to(settings.state_dir):
        settings.ensure_state_dir()
    found, is_new = set_up(
        folder, python=python, say=lambda text: screen.err().print(text, soft_wrap=True, highlight=False)
    )
    if as_json:
        screen.print_json({**found.to_json(), "is_new": is_new})
        return 0
    counts = ", ".join(f"{len(metrics)} {api}" for api, metrics in found.metrics.items())
    is_there = "is set up" if is_new else "was there already"
    screen.out().print(
        f"ragas {found.version} {is_there} in {folder}: {counts} metrics", soft_wrap=True, highlight=False
    )
    if folder != settings.config.evals.ragas:
        screen.err().print(
            f'  name it in the settings:  [evals] ragas = "{folder}"', soft_wrap=True, markup=False
        )
    return 0
