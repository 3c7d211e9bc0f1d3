"""`surefoot show`: one run with its steps and model calls."""

from __future__ import annotations

import time

import click

from surefoot.cli.options import documented, json_option

_CHILDREN = 100


@documented(example="surefoot show last --step check_answer")
@click.argument("run")
@click.option(
    "--full", is_flag=True, help="Nothing is cut, and the whole request and response of each call is shown."
)
@click.option(
    "--step", metavar="NAME|KEY", help="Only the steps of this name, or the one whose key begins so."
)
@json_option
def command(run: str, full: bool, step: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Show RUN: an id, the beginning of one, or `last`.

    The tree of its steps with inputs and outputs, and of each model call the parameters, the messages, the answer,
    tokens and cost. Secrets are redacted.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.trace_json import trace_json
    from surefoot.cli.trace_page import Page
    from surefoot.errors import InvalidInput
    from surefoot.traces import trace

    ledger = App.current().ledger
    found = trace(ledger, run)
    children = list(reversed(ledger.runs(parent_run=found.run.id, limit=_CHILDREN)))
    spans = found.spans
    if step is not None:
        spans = tuple(span for span in found.walk() if span.name == step or span.id.startswith(step.lower()))
        if not spans:
            names = ", ".join(dict.fromkeys(span.name for span in found.walk() if span.name)) or "none"
            raise InvalidInput(f"run {found.run.id} has no step {step!r}; it has: {names}")
    if as_json:
        screen.print_json(trace_json(found, spans, children, time.time_ns()))
        return 0
    page = Page(screen.out(), is_full=full)
    if step is None:
        page.header(found, children, time.time_ns())
    page.tree(spans)
    if step is None:
        page.ending(found)
    return 0
