"""Experiments to other tools, behind `surefoot eval --to`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Experiment
    from surefoot.evals.mlflow import Sent


def check(receivers: Sequence[str], *, is_measured: bool) -> None:
    """Refuse what has no experiment to send, and a receiver that is not named, before anything runs."""
    if not receivers:
        return
    if not is_measured:
        raise click.UsageError(
            "--to sends an experiment, and --frontier and --forecast make none: leave one out"
        )
    import os

    from surefoot.app import App
    from surefoot.evals.mlflow import server_of

    server_of(None, "", App.current().config.mlflow, os.environ)


def recorded(experiment: str | None, receivers: Sequence[str], *, as_json: bool) -> int:
    """Send a recorded experiment; the exit code."""
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.evals import experiment as recorded_experiment

    if experiment is None or not receivers:
        raise click.UsageError(
            "name what to evaluate, as in `surefoot eval flow.py:Answer --data cases.jsonl`, or a recorded experiment "
            "and where to send it, as in `surefoot eval --experiment last --to mlflow`"
        )
    app = App.current()
    try:
        with app.entered():
            sent = _sent(recorded_experiment(experiment))
    finally:
        app.close()
    if as_json:
        screen.print_json(sent.to_json())
    else:
        _tell(sent)
    return 0


def send(app: App, result: object) -> None:
    """Send what an evaluation came to: an experiment, or the two of a pair. It says where on stderr."""
    from surefoot.evals import Experiment, Pair

    found = [result] if isinstance(result, Experiment) else []
    if isinstance(result, Pair):
        found = [result.candidate, result.baseline]
    with app.entered():
        for each in found:
            _tell(_sent(each))


def _sent(experiment: Experiment) -> Sent:
    from surefoot.evals.mlflow import send

    return send(experiment)


def _tell(sent: Sent) -> None:
    from surefoot.cli import screen

    what = "sent to" if sent.is_new else "brought up to date in"
    screen.err().print(f"{what} MLflow: {sent.page}", soft_wrap=True, highlight=False)
    if sent.problem:
        screen.err().print(screen.styled((f"  {sent.problem}", "yellow")), soft_wrap=True)
