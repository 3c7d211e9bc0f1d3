"""What is new, changed, unchanged, removed or unreadable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.errors import CollectionError, InvalidInput
from surefoot.ingest import Source, Unreadable, ingest, plan
from surefoot.ingest.plan import compared
from surefoot.retrieval import CHUNKING, Collection, Document, home

Write = Callable[[dict[str, str | bytes]], Path]


def source(name: str, digest: str = "1") -> Source:
    return Source(name, f"/docs/{name}", digest, 1)


def document(name: str, digest: str = "1", chunking: str = CHUNKING) -> Document:
    return Document(name, name, digest, 1, chunking)


def test_files_are_sorted_by_what_the_collection_has_of_them() -> None:
    files = [source("new"), source("changed", "2"), source("same"), source("recut"), Unreadable("bad", "why")]
    stored = [document("changed"), document("same"), document("recut", chunking="0"), document("gone")]
    decided = compared("c", files, {each.id: each for each in (*stored, document("bad"))})
    assert [each.document for each in decided.new] == ["new"]
    assert [each.document for each in decided.changed] == ["changed", "recut"]
    assert [each.document for each in decided.unchanged] == ["same"]
    assert decided.removed == ("gone",)
    assert decided.unreadable == (Unreadable("bad", "why"),)
    assert [each.document for each in decided.due] == ["changed", "new", "recut"]


def test_what_lies_in_a_folder_that_cannot_be_read_does_not_count_as_removed() -> None:
    stored = {name: document(name) for name in ("vault/a.md", "vault2/b.md")}
    assert compared("c", [Unreadable("vault", "closed")], stored).removed == ("vault2/b.md",)
    assert compared("c", [Unreadable(".", "closed")], stored).removed == ()


def test_planning_writes_and_embeds_nothing(write: Write, embedder: object) -> None:
    decided = plan(str(write({"a.md": "x", "b.md": "y"})), "c")
    assert len(decided.new) == 2
    assert home().names() == []
    assert embedder.texts == []  # type: ignore[attr-defined]


def test_a_folder_without_documents_is_an_error_not_an_empty_mirror(write: Write) -> None:
    root = write({"a.md": "x"})
    ingest(root, "c")
    (root / "a.md").unlink()
    with pytest.raises(InvalidInput, match="There is no document in"):
        ingest(root, "c", prune=True)
    assert len(Collection.open("c").documents()) == 1


def test_a_collection_that_cannot_be_read_stops_the_plan(write: Write) -> None:
    home().folder.mkdir(exist_ok=True)
    (home().folder / "c.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(CollectionError, match="damaged"):
        plan(str(write({"a.md": "x"})), "c")
