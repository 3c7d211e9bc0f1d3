"""`surefoot prompt run`: a model asked with a prompt, as a durable run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.cli.prompt.given import inputs_options

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows import Listener
    from surefoot.values import Json


@documented(
    example="surefoot prompt run summary --input text=@notes.md\n"
    "surefoot prompt run summary@2 --inputs inputs.json --json"
)
@click.argument("target")
@inputs_options
@click.option(
    "--model", default="", metavar="NAME:MODEL", help="Ask this model in the place of the prompt's own."
)
@json_option
@json_errors
def command(target: str, file: str | None, pairs: tuple[str, ...], model: str, as_json: bool) -> int:  # noqa: FBT001
    """Ask a model with TARGET, and print its answer as it comes.

    TARGET is the path of a prompt file or a reference into the library. The call is a run of the flow `prompt-run`:
    it is recorded, and counts under the budgets and limits of the settings.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.performing import perform
    from surefoot.cli.prompt import targets
    from surefoot.cli.prompt.given import given_to, telling_how
    from surefoot.prompts import rendering

    screen.show_warnings()
    app = App.current()
    prompt = targets.found(app, target)
    given = given_to(prompt, file, pairs)
    # What does not fit is said before there is a run.
    with telling_how():
        rendering.messages_of(prompt, given.values)
    inputs = {**targets.flow_inputs(target, prompt), "inputs": dict(given.values), "model": model}
    try:
        if as_json or not sys.stdout.isatty():
            return perform(app, lambda listener: _ask(app, inputs, listener), as_json=as_json)
        return _spoken(app, inputs)
    finally:
        sys.stdout.flush()
        app.close()


def _ask(app: App, inputs: dict[str, object], listener: Listener) -> object:
    from surefoot.evals.prompting import ask_prompt

    return app.run(ask_prompt, inputs, listener=listener)


def _spoken(app: App, inputs: dict[str, object]) -> int:
    """Run it with the answer on the terminal as it comes, then the figures; the exit code."""
    from surefoot.cli import failing, screen
    from surefoot.cli.performing import print_figures
    from surefoot.cli.progress import Watch
    from surefoot.evals.prompting import hearing

    watch, voice = Watch(), Voice()
    error: Exception | None = None
    try:
        with hearing(voice.say):
            output = cast("dict[str, Json]", _ask(app, {**inputs, "stream": True}, watch))
        if not voice.has_spoken:
            voice.say(str(output.get("answer") or screen.pretty(output)))
    except Exception as raised:
        if not watch.run_id:
            raise
        error = raised
    finally:
        voice.end()
    print_figures(app, watch)
    return failing.report(error) if error is not None else 0


class Voice:
    """Pieces of an answer on the terminal as they come."""

    def __init__(self) -> None:
        self.has_spoken = False
        self._is_within_line = False

    def say(self, piece: str) -> None:
        from surefoot.cli import screen

        sys.stdout.write(screen.harmless(piece))
        sys.stdout.flush()
        self.has_spoken = True
        self._is_within_line = not piece.endswith("\n")

    def end(self) -> None:
        """End the line, so that what follows begins one."""
        if self._is_within_line:
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._is_within_line = False
