"""`surefoot traces`: runs as traces for other tools."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from surefoot.cli.grouped import below, group
from surefoot.cli.owed import STANDINGS, owed

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import Ledger, RunRecord
    from surefoot.traces import Trace
    from surefoot.traces.exporter import Exporter
    from surefoot.traces.receivers import Receiver, Speech
    from surefoot.traces.sending import Sent
    from surefoot.traces.targets import Target

_PAGE = 200
_MOST = 1_000
_UNFINISHED = ("pending", "running", "waiting")


@group("surefoot traces send --to otlp http://localhost:4318 last", "surefoot traces list")
def command() -> None:
    """Send runs as traces to other tools, once, or each run as it ends.

    A receiver of the settings ([traces.NAME]) is sent all that ends from its first run on.
    """


@below(
    command,
    "surefoot traces send --to otlp http://localhost:4318 last",
    "surefoot traces send --to phoenix --since 1h",
    "surefoot traces send --to production --since 2026-01-31",
    short="Send runs now.",
)
@click.argument("places", nargs=-1, metavar="[URL] [RUN...]")
@click.option(
    "--to", "to", metavar="RECEIVER", required=True,
    help="otlp, mlflow, langsmith, langfuse, phoenix, or a NAME of the settings.",
)  # fmt: skip
@click.option(
    "--since", metavar="WINDOW|DATE", help="All runs that began in this time: 30m, 1h, 7d, or a date."
)
@click.option("--flow", help="With --since: only runs of this flow.")
@click.option("--project", default="", help="MLflow's experiment, the project of LangSmith or Phoenix.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; NAME=@FILE reads its text."
)
def send(  # noqa: PLR0917
    places: tuple[str, ...],
    to: str,
    since: str | None,
    flow: str | None,
    project: str,
    headers: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> int:
    """Send runs as OpenTelemetry spans to URL, over OTLP/HTTP.

    RUN is an id, the beginning of one, or `last`, which is the default. Without a URL, the receiver's own variables
    name it (OTEL_EXPORTER_OTLP_ENDPOINT, MLFLOW_TRACKING_URI, LANGSMITH_API_KEY, LANGFUSE_PUBLIC_KEY,
    PHOENIX_COLLECTOR_ENDPOINT, ...). Only the redacted form of inputs and outputs leaves. A run that is sent again has
    the same ids.
    """
    from surefoot.app import App
    from surefoot.cli import inputs, screen
    from surefoot.cli.since import since_ns
    from surefoot.errors import InvalidInput
    from surefoot.traces.sending import send as send_traces

    screen.show_warnings()
    app = App.current()
    url, named = _sorted(places)
    given = {name: value.strip() for name, value in inputs.pairs(headers, option="--header").items()}
    named_here = _receiver(app, to, url=url, project=project, headers=given)
    receiver = named_here.target(app.config.mlflow, os.environ)
    ledger, now_ns = app.ledger, time.time_ns()
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
                "traces": dict(runs.trace_ids(joins=receiver.joins)),
            }
        )
    else:
        _print_sent(sent, runs, receiver)
    return 1 if sent.rejected else 0


@below(
    command,
    "surefoot traces list",
    "surefoot traces list phoenix --json",
    short="Show how far each receiver is.",
    name="list",
)
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, metavar="N",
              help="How many of those that were not taken.")  # fmt: skip
def list_(name: str | None, limit: int, as_json: bool) -> int:  # noqa: FBT001
    """Show the receivers of the settings, or NAME: what waits, since when, what was lost, and what was not taken."""
    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.traces.sampling import delivery_name

    with closing(App.current()) as app:
        names = [_known(app, name)] if name is not None else sorted(app.config.traces)
        standing = _exporter(app, *names).standing()
        refused = {one: owed(app, delivery_name(one), "given up", most=limit) for one in names}
        late = {
            one: next((row.error for row in owed(app, delivery_name(one), "waiting", most=1)), "")
            for one in names
        }
    if as_json:
        screen.print_json(
            [
                {
                    "receiver": one,
                    "to": app.config.traces[one].to,
                    "waiting": standing[one].waiting,
                    "lag_seconds": round(standing[one].lag_seconds, 3),
                    "failing": standing[one].failing,
                    "error": late[one] or None,
                    "lost": standing[one].lost,
                    "not_taken": [{"run": row.run_id, "error": row.error} for row in refused[one]],
                }
                for one in names
            ]
        )
        return 0
    now_ns = time.time_ns()
    for one in names:
        here = standing[one]
        first_ns = now_ns - round(here.lag_seconds * 1e9)
        behind = f", the first for {words.age(first_ns, now_ns)}" if here.waiting else ""
        said = f"  {app.config.traces[one].to}  {words.counted(here.waiting, 'trace')} waiting{behind}"
        screen.out().print(screen.styled((one, "bold"), (said, "dim")), soft_wrap=True)
        if late[one]:
            screen.out().print(f"  {late[one]}", soft_wrap=True)
        if here.lost:
            screen.out().print(
                f"  {words.counted(here.lost, 'trace')} lost: pruned before they were sent", soft_wrap=True
            )
        for row in refused[one]:
            screen.out().print(screen.styled((f"  {row.run_id}", "bold"), f"  {row.error}"), soft_wrap=True)
    if not names:
        screen.err().print("  there are no receivers:  [traces.NAME] in surefoot.toml", soft_wrap=True)
    return 0


@below(
    command,
    "surefoot traces retry phoenix",
    "surefoot traces retry phoenix --run 01K7",
    short="Let what was not taken be sent again.",
)
@click.argument("name")
@click.option("--run", "run", metavar="RUN", help="This run alone: an id, the beginning of one, or `last`.")
def retry(name: str, run: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Let the traces that NAME did not take, or that wait after a failure, be sent now."""
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.ledger import TellDeliveries, deliveries
    from surefoot.traces.sampling import delivery_name

    with closing(App.current()) as app:
        _known(app, name)
        run_id = None if run is None else app.ledger.run(run).id
        rows = [
            row
            for standing in STANDINGS
            for row in owed(app, delivery_name(name), standing, run_id=run_id, most=_MOST)
            if row.error
        ]
        now = time.time_ns()
        if rows:
            app.ledger.submit(TellDeliveries([deliveries.again(row, now_ns=now) for row in rows])).result()
    if as_json:
        screen.print_json({"receiver": name, "retried": len(rows)})
    else:
        screen.out().print(f"{len(rows)} to be sent again", soft_wrap=True)
    return 0


@below(
    command,
    "surefoot traces deliver",
    "surefoot traces deliver --watch",
    short="Send what is owed to the receivers.",
)
@click.option("--watch", "is_watching", is_flag=True, help="Go on until Ctrl-C.")
def deliver(is_watching: bool, as_json: bool) -> int:  # noqa: FBT001
    """Send all receivers what they are owed, once or for as long as it is watched.

    For `background = false`, and for what short processes have left: from a cron job, or beside them.
    """
    from surefoot.app import App
    from surefoot.cli import screen, words

    screen.show_warnings()
    with closing(App.current()) as app:
        exporter = _exporter(app)
        if is_watching:
            exporter.start()
            try:
                # Until Ctrl-C.
                while True:
                    time.sleep(3600)
            finally:
                exporter.close()
        exporter.deliver()
        found = exporter.standing()
    if as_json:
        screen.print_json(
            {
                one: {
                    "sent": here.shipped.runs,
                    "waiting": here.waiting,
                    "error": here.shipped.problem or None,
                }
                for one, here in found.items()
            }
        )
    else:
        for one, here in found.items():
            said = f"{words.counted(here.shipped.runs, 'trace')} sent, {here.waiting} to be sent later"
            screen.out().print(screen.styled((one, "bold"), f"  {said}"), soft_wrap=True)
            if here.shipped.problem:
                screen.err().print(f"  {here.shipped.problem}", soft_wrap=True)
        if not found:
            screen.err().print("  there are no receivers:  [traces.NAME] in surefoot.toml", soft_wrap=True)
    return 1 if any(here.shipped.problem for here in found.values()) else 0


def _receiver(app: App, to: str, *, url: str | None, project: str, headers: Mapping[str, str]) -> Receiver:
    """Whom `--to` names: a receiver of the settings, or a kind of one."""
    from surefoot.errors import InvalidInput
    from surefoot.traces.receivers import SPEECHES, Receiver

    kinds: Mapping[str, Speech] = {kind: kind for kind in SPEECHES}
    if (known := app.config.traces.get(to)) is not None:
        found = Receiver.of(known)
    elif (kind := kinds.get(to)) is not None:
        found = Receiver(kind)
    else:
        there = ", ".join([*SPEECHES, *sorted(app.config.traces)])
        raise InvalidInput(f"there is no receiver {to!r}; there are: {there}, and [traces.NAME] makes others")
    if project and found.to in ("otlp", "langfuse"):
        raise InvalidInput(f"{found.to} knows no project: its credentials or its resource tell that")
    return replace(
        found,
        url=url or found.url,
        project=project or found.project,
        headers={**found.headers, **headers},
    )


def _exporter(app: App, *names: str) -> Exporter:
    from surefoot.traces.exporter import Exporter

    return Exporter(app.ledger, app.config, *names, is_alone=True)


def _known(app: App, name: str) -> str:
    """The name of a receiver of the settings. Raises `InvalidInput`."""
    from surefoot.errors import InvalidInput

    if name in app.config.traces:
        return name
    there = ", ".join(sorted(app.config.traces)) or "none, as [traces.NAME] in surefoot.toml makes one"
    raise InvalidInput(f"there is no receiver {name!r}; there are: {there}")


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

    def trace_ids(self, *, joins: bool) -> Iterator[tuple[str, str]]:
        """The runs that were named, with the ids by which a receiver knows them, which `joins` as a `Target` does."""
        from surefoot.tracecontext import told_in

        for run in self._named:
            yield run.id, told_in(run.id, run.tags, joins=joins).hex()

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


def _print_sent(sent: Sent, runs: Selection, receiver: Target) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    if not sent.runs:
        console.print("no run to send", soft_wrap=True)
    else:
        what = f"{words.counted(sent.runs, 'run')} as {words.counted(sent.spans, 'span')}"
        again = f", {words.counted(sent.retries, 'attempt')} had to be repeated" if sent.retries else ""
        console.print(f"sent {what} to {receiver.url}{again}", soft_wrap=True)
    for run_id, trace_id in runs.trace_ids(joins=receiver.joins):
        console.print(screen.styled((f"  run {run_id}  trace {trace_id}", "dim")), soft_wrap=True)
    if runs.unfinished:
        console.print(
            f"{words.counted(runs.unfinished, 'run')} not ended yet: send again later", soft_wrap=True
        )
    if sent.rejected:
        screen.err().print(f"the receiver rejected {words.counted(sent.rejected, 'span')}: {sent.problem}")
    elif sent.problem:
        screen.err().print(f"the receiver says: {sent.problem}")
