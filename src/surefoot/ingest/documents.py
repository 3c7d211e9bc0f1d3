"""Taking a folder's documents into a collection, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from surefoot.errors import MissingExtra
from surefoot.flows import flow, step
from surefoot.ingest.files import Source, Unreadable, content
from surefoot.ingest.plan import Plan, plan
from surefoot.retrieval import Collection, read


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a document: stored, found unchanged, or skipped for a reason."""

    document: str
    status: Literal["stored", "unchanged", "skipped"]
    chunks: int = 0
    sentences: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """That `done` of `total` documents that were due are dealt with, the last of them as `last` says."""

    done: int
    total: int
    last: Ingested


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest came to.

    `removed` are the documents that the folder no longer has, deleted from the collection if `is_pruned`.
    """

    collection: str
    stored: tuple[Ingested, ...]
    unchanged: int
    removed: tuple[str, ...]
    is_pruned: bool
    unreadable: tuple[Unreadable, ...]

    @property
    def chunks(self) -> int:
        """How many chunks were stored."""
        return sum(each.chunks for each in self.stored)

    @property
    def is_complete(self) -> bool:
        """Whether the collection has every document of the folder as it is."""
        return not self.unreadable


def ingest(
    root: str | Path,
    collection: str,
    *,
    prune: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Bring the current app's collection up to date with a folder or file; what is unchanged is not touched.

    What cannot be read is skipped and named in the report. Documents that the folder no longer has are kept
    and named, or deleted with `prune`. Raises what `plan` raises, and `CollectionError` if the collection
    cannot be written; then what was stored stays, and another call goes on from there.
    """
    planned = plan(str(Path(root).absolute()), collection)
    outcomes: list[Ingested] = []
    for source in planned.due:
        outcomes.append(ingest_document(source, collection))
        on_progress(Progress(len(outcomes), len(planned.due), outcomes[-1]))
    if prune:
        remove_documents(planned.removed, collection)
    return reported(planned, outcomes, is_pruned=prune)


@step(pure=True)
def ingest_document(source: Source, collection: str) -> Ingested:
    """Put one planned document into the collection, which is made if there is none. A step.

    A document that cannot be read, or no longer has the content that was planned, is skipped; so is one whose
    format needs a library that is not installed.
    Repeating it does no harm: what is stored already is not embedded again.
    """
    try:
        reading = read(content(Path(source.path), source.format), source.format)
    except (ValueError, MissingExtra) as error:
        return Ingested(source.document, "skipped", reason=str(error))
    if reading.sha256 != source.digest:
        reason = "it has changed since the ingest began; ingest the folder again"
        return Ingested(source.document, "skipped", reason=reason)
    into = Collection.open(collection, create=True)
    if into.holds(source.document, source.digest):
        return Ingested(source.document, "unchanged")
    stored = into.store(source.document, reading)
    return Ingested(source.document, "stored", stored.chunks, stored.sentences)


@step(pure=True)
def remove_documents(documents: Sequence[str], collection: str) -> int:
    """Delete documents from the collection; tells how many were there. A step, and repeatable."""
    if not documents:
        return 0
    into = Collection.open(collection)
    return sum(into.remove(document) for document in documents)


@flow(name="ingest", version="1")
def ingest_flow(root: str, collection: str, *, prune: bool = False) -> Report:
    """`ingest` as a durable run, whose steps are the plan, each document and the pruning."""
    return ingest(root, collection, prune=prune)


def reported(planned: Plan, outcomes: Sequence[Ingested], *, is_pruned: bool) -> Report:
    """Sum up what was planned and what became of it."""
    skipped = [Unreadable(each.document, each.reason) for each in outcomes if each.status == "skipped"]
    return Report(
        planned.collection,
        tuple(each for each in outcomes if each.status == "stored"),
        len(planned.unchanged) + sum(each.status == "unchanged" for each in outcomes),
        planned.removed,
        is_pruned,
        tuple(sorted((*planned.unreadable, *skipped), key=lambda each: each.document)),
    )
