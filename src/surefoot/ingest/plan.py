"""What an ingest has to do: the documents of a folder against those of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.flows import step
from surefoot.ingest.files import FORMATS, Source, Unreadable, found
from surefoot.retrieval import CHUNKING, Collection, Document, home


@dataclass(frozen=True, slots=True)
class Plan:
    """The documents of a folder by what becomes of them.

    `removed` are documents of the collection that the folder does not have; they stay unless pruned. One that
    has become unreadable is not among them: the collection keeps what it has of it.
    """

    collection: str
    new: tuple[Source, ...]
    changed: tuple[Source, ...]
    unchanged: tuple[Source, ...]
    removed: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def due(self) -> tuple[Source, ...]:
        """What has to be embedded, by id."""
        return tuple(sorted((*self.new, *self.changed), key=lambda source: source.document))


@step(pure=True)
def plan(root: str, collection: str) -> Plan:
    """Compare the files under `root` with the app's collection. A step; nothing is embedded or written.

    `root` is a folder, which the collection mirrors, or one file, which removes nothing. Raises
    `InvalidInput` if it holds no file of a known format, `CollectionError` if the collection is there but cannot
    be read.
    """
    path = Path(root)
    files = list(found(path))
    if not files:
        raise InvalidInput(f"There is no document in {root}: none of its files is {', '.join(FORMATS)}.")
    stored: list[Document] = []
    if home().store(collection).exists():
        stored = Collection.open(collection).documents()
    decided = compared(collection, files, {document.id: document for document in stored})
    return decided if path.is_dir() else replace(decided, removed=())


def compared(collection: str, files: Iterable[Source | Unreadable], stored: Mapping[str, Document]) -> Plan:
    """Sort the files of a folder by what the collection has of them."""
    new: list[Source] = []
    changed: list[Source] = []
    unchanged: list[Source] = []
    unreadable: list[Unreadable] = []
    gone = set(stored)
    for file in files:
        gone.discard(file.document)
        if isinstance(file, Unreadable):
            unreadable.append(file)
        elif file.document not in stored:
            new.append(file)
        elif stored[file.document].is_current(file.digest, CHUNKING):
            unchanged.append(file)
        else:
            changed.append(file)
    # What lies in a folder that cannot be read may well be there still.
    closed = tuple("" if each.document == "." else f"{each.document}/" for each in unreadable)
    removed = tuple(sorted(document for document in gone if not document.startswith(closed)))
    return Plan(collection, tuple(new), tuple(changed), tuple(unchanged), removed, tuple(unreadable))
