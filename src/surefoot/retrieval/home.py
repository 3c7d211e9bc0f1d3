"""Where collections live, and the embedder that fits them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.locks import ForkSafeLock
from surefoot.retrieval.documents import About
from surefoot.retrieval.embedding import Embedder
from surefoot.scope import Slot

if TYPE_CHECKING:
    from surefoot.retrieval.store import Snapshot, Store
    from surefoot.retrieval.vectors import Index

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Home:
    """The folder that collections live in, and the embedder that fits them. Safe to share between threads."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.folder = folder
        self.embedder = embedder
        self._indexes: dict[str, Index] = {}
        self._apart: dict[str, Home] = {}
        self._loading = ForkSafeLock()

    def apart(self, name: str) -> Home:
        """A home of its own below this one, of which nothing is seen here, with the same embedder."""
        with self._loading:
            found = self._apart.get(name)
            if found is None:
                found = self._apart[name] = Home(self.folder / "tenants" / name, self.embedder)
            return found

    def names(self) -> list[str]:
        """The collections that exist, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.db") if _NAME.fullmatch(path.stem))

    def store(self, name: str) -> Store:
        """The file of a collection; raises `InvalidInput` if it cannot be a collection's name."""
        from surefoot.retrieval.store import Store

        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} cannot name a collection: use 1 to 64 letters, digits, dots, dashes and "
                "underscores, with a letter or digit first."
            )
        return Store(self.folder / f"{name}.db", name)

    def index(self, name: str, snapshot: Snapshot, about: About) -> Index:
        """The vectors of a collection, read once for every state of it."""
        from surefoot.retrieval.vectors import index

        with self._loading:
            cached = self._indexes.get(name)
            if cached is None or cached.generation != about.generation:
                cached = index(snapshot.vectors(), about.dimensions, about.generation)
                self._indexes[name] = cached
            return cached


home: Slot[Home] = Slot("home of document collections")
