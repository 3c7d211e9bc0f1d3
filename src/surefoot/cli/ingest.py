"""`surefoot ingest`: documents into a collection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows import RunEvent
    from surefoot.ingest import Report
    from surefoot.values import Json


@documented(example="surefoot ingest docs/ --collection handbook")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--collection", "-c", required=True, metavar="NAME", help="The collection that takes the documents in."
)
@click.option("--prune", is_flag=True, help="Delete the documents that PATH no longer has.")
@json_option
def command(path: Path, collection: str, prune: bool, as_json: bool) -> int:  # noqa: FBT001
    """Take the documents of PATH, a folder or one file, into a collection: Markdown, text, HTML and PDF.

    The same files again do nothing; a changed file replaces its chunks. It is a durable run with a step for each
    document. The exit code is 1 if a file could not be read; the others are taken in all the same.
    """
    from surefoot.app import App
    from surefoot.cli import failing, screen, words
    from surefoot.ingest import ingest_flow

    screen.show_warnings()
    app = App.current()
    app.home.store(collection)  # a name that can be none is refused before there is a run
    bar = Bar(app)
    started_ns = time.monotonic_ns()
    try:
        with bar:
            given: dict[str, object] = {
                "root": str(path.absolute()),
                "collection": collection,
                "prune": prune,
            }
            report = cast("Report", app.run(ingest_flow, given, listener=bar.see))
    finally:
        app.close()
    if as_json:
        screen.print_json(report_json(report, bar.run_id))
    else:
        _print_report(report, words.duration(time.monotonic_ns() - started_ns), bar.run_id)
    return failing.FAILED if report.unreadable else 0


def report_json(report: Report, run_id: str) -> dict[str, Json]:
    """What an ingest came to, for programs."""
    return {
        "run": run_id,
        "collection": report.collection,
        "stored": [{"document": each.document, "chunks": each.chunks} for each in report.stored],
        "unchanged": report.unchanged,
        "removed": list(report.removed) if report.is_pruned else [],
        "gone": [] if report.is_pruned else list(report.removed),
        "unreadable": [{"document": each.document, "reason": each.reason} for each in report.unreadable],
        "chunks": report.chunks,
    }


def _print_report(report: Report, took: str, run_id: str) -> None:
    from surefoot.cli import screen, words

    console = screen.out()
    stored = (
        f"{words.counted(len(report.stored), 'document')} stored ({words.counted(report.chunks, 'chunk')})"
    )
    parts = [stored, f"{report.unchanged:,} unchanged"]
    if report.is_pruned:
        parts.append(f"{len(report.removed):,} removed")
    if report.unreadable:
        parts.append(f"{len(report.unreadable):,} unreadable")
    console.print(screen.terms(console, [f"collection {report.collection}: {', '.join(parts)}", took]))
    if report.removed and not report.is_pruned:
        gone = ", ".join(report.removed[:5]) + (", …" if len(report.removed) > 5 else "")
        console.print(f"no longer in the folder, kept in the collection (--prune deletes them): {gone}")
    for each in report.unreadable:
        screen.err().print(
            screen.styled(("unreadable: ", "red"), f"{each.document}: {each.reason}"), soft_wrap=True
        )
    screen.err().print(screen.styled((f"run {run_id}", "dim")))


class Bar:
    """A progress bar over the documents that are due, on stderr where that is a terminal."""

    def __init__(self, app: App) -> None:
        from surefoot.cli import screen

        self._app = app
        self.run_id = ""
        self._progress = screen.bars(screen.err())
        self._task = self._progress.add_task("looking for documents", total=None)
        self._is_counted = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def see(self, event: RunEvent) -> None:
        from surefoot.flows import RunOpened, StepClosed, StepOpened

        if isinstance(event, RunOpened):
            self.run_id = event.run_id
        elif isinstance(event, StepOpened) and event.name == "ingest_document" and not self._is_counted:
            # The plan is durable by the time that its first document begins.
            self._is_counted = True
            self._progress.update(self._task, description="embedding documents", total=self._due())
        elif isinstance(event, StepClosed) and event.name == "ingest_document":
            self._progress.advance(self._task)

    def _due(self) -> int | None:
        from surefoot.traces import trace

        for span in trace(self._app.ledger, self.run_id).walk():
            if span.name == "plan" and isinstance(span.output, dict):
                new, changed = span.output.get("new"), span.output.get("changed")
                return sum(len(part) for part in (new, changed) if isinstance(part, list))
        return None
