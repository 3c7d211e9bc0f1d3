"""`surefoot traces`: runs as traces for other tools."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from surefoot.ledger import Ledger, RunRecord
    from surefoot.traces import Trace
    from surefoot.traces.sending import Sent

_PAGE = 200
_UNFINISHED = ("pending", "running", "waiting")


@click.group(
    epilog="\b\nExample:\n  surefoot traces send --to otlp http://localhost:4318 last",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Send runs as traces to other tools."""


@command.command(
    epilog="\b\nExample:\n  surefoot traces send --to otlp http://localhost:4318 last\n"
    "  surefoot traces send --to otlp https://traces.example.com --header x-api-key=@key.txt --since 1h"
)
@click.argument("places", nargs=-1, metavar="[URL] [RUN...]")
@click.option("--to", "target", type=click.Choice(["otlp"]), required=True, help="What the receiver speaks.")
@click.option(
    "--since", metavar="WINDOW|DATE", help="All runs that began in this time: 30m, 1h, 7d, or a date."
)
@click.option("--flow", help="With --since: only runs of this flow.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; NAME=@FILE reads its text."
)
@debug_option
@json_option
def send(  # noqa: PLR0917
    places: tuple[str, ...],
    target: str,  # noqa: ARG001  (further receivers are told apart by it)
    since: str | None,
    flow: str | None,
    headers: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> int:
    """Send runs as OpenTelemetry spans to URL, over OTLP/HTTP.

    RUN is an id, the beginning of one, or `last`, which is the default. Without a URL, OTEL_EXPORTER_OTLP_ENDPOINT
    names the receiver; OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read too. Only
    the redacted form of inputs and outputs leaves. A run that is sent again has the same ids.
    """
    from surefoot.app import App
    from surefoot.cli import inputs, screen
    from surefoot.cli.since import since_ns
    from surefoot.errors import InvalidInput
    from surefoot.traces.sending import send as send_traces
    from surefoot.traces.targets import otlp_target

    screen.show_warnings()
    url, named = _sorted(places)
    given = {name: value.strip() for name, value in inputs.pairs(headers, option="--header").items()}
    receiver = otlp_target(url, headers=given, environ=os.environ)
    ledger, now_ns = App.current().ledger, time.time_ns()
    if since is not None:
        if named:
            raise InvalidInput("give runs or --since, not both")
        runs = Selection(ledger, now_ns).since(since_ns(since, now_ns), flow)
    elif flow is not None:
        raise InvalidInput("--flow narrows --since: give both, as in --flow answer --since 1h")
    else:
        runs = Selection(ledger, now_ns).named(named or ("last",))
    sent = send_traces(runs.traces(), receiver)
    if as_json:
        screen.print_json(
            {
                "url": receiver.url,
                "runs": sent.runs,
                "spans": sent.spans,
                "requests": sent.requests,
                "retries": sent.retries,
                "rejected": sent.rejected,
                "message": sent.problem or None,
                "unfinished": runs.unfinished,
                "traces": dict(runs.trace_ids()),
            }
        )
    else:
        _print_sent(sent, runs, receiver.url)
    return 1 if sent.rejected else 0


class Selection:
    """The runs to send. Of those that were not named, ones that have not ended yet are counted and left for later."""

    def __init__(self, ledger: Ledger, now_ns: int) -> None:
        self._ledger = ledger
        self._now_ns = now_ns
        self._named: list[RunRecord] = []
        self._window: tuple[int, str | None] | None = None
        self.unfinished = 0

    def named(self, runs: tuple[str, ...]) -> Selection:
        """These runs. Raises `UnknownRun`, and `InvalidInput` for one that is still running."""
        from surefoot.errors import InvalidInput

        for name in runs:
            run = self._ledger.run(name)
            if self._is_unfinished(run):
                raise InvalidInput(f"run {run.id} is {run.status}: send it when it has ended")
            self._named.append(run)
        return self

    def since(self, began_ns: int, flow: str | None) -> Selection:
        """All runs that began at `began_ns` or later, of a flow or of any."""
        self._window = began_ns, flow
        return self

    def traces(self) -> Iterator[Trace]:
        """Each read when it is needed."""
        from surefoot.traces import trace

        for run in self._named if self._window is None else self._in_window(*self._window):
            yield trace(self._ledger, run.id)

    def trace_ids(self) -> Iterator[tuple[str, str]]:
        """The runs that were named, with the ids by which the receiver knows them."""
        from surefoot.traces.otlp import trace_id

        for run in self._named:
            yield run.id, trace_id(run.id).hex()

    def _in_window(self, began_ns: int, flow: str | None) -> Iterator[RunRecord]:
        before: str | None = None
        while page := self._ledger.runs(flow=flow, before=before, limit=_PAGE):
            for run in page:
                if run.created_ns < began_ns:
                    return
                if self._is_unfinished(run):
                    self.unfinished += 1
                else:
                    yield run
            before = page[-1].id

    def _is_unfinished(self, run: RunRecord) -> bool:
        from surefoot.traces import standing

        return standing(run, self._now_ns) in _UNFINISHED


def _sorted(places: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The URL, if the first argument is one, and the runs; ids hold letters and digits only."""
    if places and not places[0].isalnum():
        return places[0], places[1:]
    return None, places


def _print_sent(sent: Sent, runs: Selection, url: str) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    if not sent.runs:
        console.print("no run to send", soft_wrap=True)
    else:
        what = f"{words.counted(sent.runs, 'run')} as {words.counted(sent.spans, 'span')}"
        again = f", {words.counted(sent.retries, 'attempt')} had to be repeated" if sent.retries else ""
        console.print(f"sent {what} to {url}{again}", soft_wrap=True)
    for run_id, trace_id in runs.trace_ids():
        console.print(screen.styled((f"  run {run_id}  trace {trace_id}", "dim")), soft_wrap=True)
    if runs.unfinished:
        console.print(
            f"{words.counted(runs.unfinished, 'run')} not ended yet: send again later", soft_wrap=True
        )
    if sent.rejected:
        screen.err().print(f"the receiver rejected {words.counted(sent.rejected, 'span')}: {sent.problem}")
    elif sent.problem:
        screen.err().print(f"the receiver says: {sent.problem}")
