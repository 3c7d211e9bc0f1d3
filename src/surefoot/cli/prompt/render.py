"""`surefoot prompt render`: the messages that a prompt makes of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.cli.prompt.given import Given, inputs_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surefoot.app import App
    from surefoot.models import TokenEstimate
    from surefoot.prompts import Dialect, Prompt
    from surefoot.values import Json, Message

DIALECTS = ("promptflow", "prompty-v1", "prompty-v2")


@documented(
    example="surefoot prompt render summary --input text=@notes.md\n"
    "surefoot prompt render prompts/summary.prompty --inputs inputs.json --json"
)
@click.argument("target")
@inputs_options
@click.option(
    "--dialect", type=click.Choice(DIALECTS), help="Read the file as this dialect, whatever it looks like."
)
@click.option("--text", "is_text", is_flag=True, help="The rendered text as one, and nothing else.")
@json_option
@json_errors
def command(  # noqa: PLR0917
    target: str,
    file: str | None,
    pairs: tuple[str, ...],
    dialect: Dialect | None,
    is_text: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show the messages that TARGET makes of inputs, and how many tokens they are about. No model is asked.

    TARGET is the path of a prompt file or a reference into the library. Credentials are never shown, and no variable
    of the environment has to be set.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.prompt import targets
    from surefoot.cli.prompt.given import given_to, telling_how
    from surefoot.prompts import Prompty

    screen.show_warnings()
    app = App.current()
    prompt = targets.found(app, target, dialect=dialect)
    given = given_to(prompt, file, pairs)
    with telling_how():
        if is_text and not as_json:
            screen.print_text(Prompty(prompt).render(**given.values))
            return 0
        answer = rendered(prompt, given)
    if as_json:
        screen.print_json(answer_json(prompt, answer))
    else:
        print_messages(app, prompt, given, answer)
    return 0


def rendered(prompt: Prompt, given: Given) -> list[Message]:
    """The messages of a prompt. Raises `InvalidInput` and `PromptError`."""
    from surefoot.prompts import Prompty

    return Prompty(prompt).messages(**given.values)


def answer_json(prompt: Prompt, messages: Sequence[Message]) -> dict[str, Json]:
    """What `--json` prints: `dialect`, `messages`, `model`."""
    from surefoot.cli.prompt.described import message_json, model_json

    return {
        "dialect": prompt.dialect,
        "messages": [message_json(message) for message in messages],
        "model": model_json(dict(prompt.model), dialect=prompt.dialect),
    }


def print_messages(app: App, prompt: Prompt, given: Given, messages: Sequence[Message]) -> None:
    """The messages under their roles, then the estimate; what is no message is dim."""
    from surefoot.cli import screen
    from surefoot.cli.prompt.page import print_conversation, say
    from surefoot.models import estimated

    console = screen.out()
    version = f"  version {prompt.version}" if prompt.version else ""
    console.print(
        screen.styled(
            (prompt.name, "bold"), (f"{version}  {prompt.digest[:8]}  dialect {prompt.dialect}", "dim")
        ),
        soft_wrap=True,
    )
    if given.sampled:
        what = f"from the sample in its file: {', '.join(given.sampled)}"
        say(console, screen.styled((what, "dim")))
    console.print()
    print_conversation(console, messages)
    say(console, screen.styled((estimate_words(estimated(messages, prompt.model, app.policy)), "dim")))


def estimate_words(estimate: TokenEstimate) -> str:
    """`about 120 tokens, at most 480, of the 8,192 of local:smollm2 (estimated by size)`."""
    most = f", at most {estimate.most:,}" if estimate.most is not None else ""
    if not estimate.model:
        return f"about {estimate.tokens:,} tokens (an estimate by size, for no model in particular)"
    window = f"; its window holds {estimate.window:,}" if estimate.window else ""
    return f"about {estimate.tokens:,} tokens for {estimate.model}{most} (an estimate by size){window}"
