"""`surefoot prompt diff`: two versions of a prompt beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import click

from surefoot.cli.options import documented, json_errors, json_option
from surefoot.cli.prompt.described import masked, model_json, secrets_in
from surefoot.cli.prompt.given import inputs_options

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.prompts import Change, Comparison, Prompt
    from surefoot.values import Json

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "required": ("!", "red"), "retyped": ("!", "red")}


@documented(
    example="surefoot prompt diff summary@1 summary@2\n"
    "surefoot prompt diff summary\n"
    "surefoot prompt diff summary@production prompts/summary.prompty"
)
@click.argument("first", metavar="TARGET")
@click.argument("second", metavar="[TARGET]", required=False)
@inputs_options
@json_option
@json_errors
def command(
    first: str,
    second: str | None,
    file: str | None,
    pairs: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show what differs between two versions: text, inputs and outputs, model settings, and rendered messages.

    With one TARGET, what the label `production` points to is compared with its file; where it has no such label, the
    version that the ledger kept last with its file. The messages are those of the sample, unless inputs are given; what
    has no sample stands in the messages as <name>.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.prompt import targets
    from surefoot.cli.prompt.given import given_to
    from surefoot.prompts import compared

    screen.show_warnings()
    app = App.current()
    if second is None:
        before, after = targets.kept_and_file(app, first)
        names = (f"{before.label} ({before.digest[:8]})", f"{after.label} (file)")
    else:
        before, after = targets.found(app, first), targets.found(app, second)
        names = (first, second)
    given = given_to(after, file, pairs).values if file is not None or pairs else None
    comparison = without_secrets(compared(before, after, given, names=names), before, after)
    if as_json:
        screen.print_json(comparison_json(before, after, comparison))
    else:
        print_comparison(screen.out(), before, after, comparison)
    return 0


def without_secrets(comparison: Comparison, before: Prompt, after: Prompt) -> Comparison:
    """The comparison without the credentials that stand in either file."""
    secrets = secrets_in([dict(prompt.model) for prompt in (before, after)])
    tools = [dict(tool) for prompt in (before, after) for tool in prompt.tools]
    secrets |= secrets_in(list(tools))
    return replace(
        comparison,
        text=[masked(line, secrets) for line in comparison.text],
        model=[_unsecret(change) for change in comparison.model],
    )


def _unsecret(change: Change) -> Change:
    name = change.name.rpartition(".")[2]
    before, after = (
        cast("dict[str, Json]", model_json({name: value}))[name] for value in (change.before, change.after)
    )
    return replace(change, before=before, after=after)


def comparison_json(before: Prompt, after: Prompt, comparison: Comparison) -> dict[str, Json]:
    """A comparison for programs; credentials are hidden in it."""
    return {
        "before": _ref(before),
        "after": _ref(after),
        "same": comparison.is_same,
        "text": list(comparison.text),
        "inputs": [_change_json(one) for one in comparison.inputs],
        "outputs": [_change_json(one) for one in comparison.outputs],
        "model": [_change_json(one) for one in comparison.model],
        "messages": list(comparison.messages),
        "placeholders": list(comparison.placeholders),
        "unrendered": dict(zip(("before", "after"), comparison.unrendered, strict=True)),
    }


def _ref(prompt: Prompt) -> dict[str, Json]:
    return {
        "name": prompt.name,
        "version": prompt.version,
        "digest": prompt.digest,
        "dialect": prompt.dialect,
        "source": None if prompt.source is None else str(prompt.source),
    }


def _change_json(change: Change) -> dict[str, Json]:
    return {"name": change.name, "what": change.what, "before": change.before, "after": change.after}


def print_comparison(console: Console, before: Prompt, after: Prompt, comparison: Comparison) -> None:
    """What differs, part by part; one line where nothing does."""
    from surefoot.cli import screen

    console.print(
        screen.styled((_called(before), "bold"), (" → ", "dim"), (_called(after), "bold")), soft_wrap=True
    )
    if before.digest == after.digest:
        console.print("They are the same, word for word.")
        return
    if before.dialect != after.dialect:
        console.print(f"dialect {before.dialect} → {after.dialect}")
    for title, changes in (
        ("inputs", comparison.inputs),
        ("outputs", comparison.outputs),
        ("model", comparison.model),
    ):
        if changes:
            console.print(screen.styled((f"\n{title}", "bold")))
            for one in changes:
                console.print(change_line(one), soft_wrap=True)
    if comparison.text:
        console.print(screen.styled(("\ntext", "bold")))
        print_diff(console, comparison.text)
    _print_messages(console, comparison)


def _called(prompt: Prompt) -> str:
    return f"{prompt.label} ({prompt.digest[:8]})"


def _print_messages(console: Console, comparison: Comparison) -> None:
    from surefoot.cli import screen
    from surefoot.cli.prompt.page import say

    by = "for placeholders" if comparison.placeholders else "for the sample"
    names = f" {', '.join(comparison.placeholders)}" if comparison.placeholders else ""
    for side, why in zip(("the first", "the second"), comparison.unrendered, strict=True):
        if why:
            say(console, screen.styled((f"\n{side} cannot be rendered: {why}", "yellow")))
    if any(comparison.unrendered):
        return
    if comparison.messages:
        console.print(screen.styled(("\nmessages", "bold"), (f"  {by}{names}", "dim")), soft_wrap=True)
        print_diff(console, comparison.messages)
    else:
        console.print(screen.styled((f"\nthe messages {by}{names} are the same", "dim")), soft_wrap=True)


def change_line(change: Change) -> object:
    """`+ tone  string, required`, `! words  string → integer`."""
    from surefoot.cli import screen

    sign, colour = _SIGNS.get(change.what, ("~", "yellow"))
    before, after = (None if one is None else screen.brief(one, 60) for one in (change.before, change.after))
    said = after if before is None else before if after is None else f"{before} → {after}"
    what = "" if change.what in ("added", "removed", "changed") else f" {change.what}:"
    return screen.styled("  ", (f"{sign} {change.name}", colour), (what, "dim"), f" {said}")


def print_diff(console: Console, lines: Sequence[str]) -> None:
    """A unified diff in its colours; the names of its sides are left to the head."""
    from surefoot.cli import screen

    for line in lines:
        if line.startswith(("--- ", "+++ ")):
            continue
        colour = _COLOURS.get(line[:1], "")
        console.print(screen.styled(("  " + screen.harmless(line), colour)), soft_wrap=True)
