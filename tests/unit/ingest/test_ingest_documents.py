"""Bringing a collection up to date with a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from surefoot.errors import CollectionError
from surefoot.ingest import Progress, Source, Unreadable, ingest, ingest_document, plan, remove_documents
from surefoot.retrieval import Collection

Write = Callable[[dict[str, str | bytes]], Path]
FILES: dict[str, str | bytes] = {
    "a.md": "# Alpha\nThe alpha page.",
    "b.txt": "# no heading in text",
    "sub/c.md": "# Gamma\nOne. Two.",
}


def test_a_folder_goes_in_and_again_does_nothing(write: Write, embedder: object) -> None:
    root = write(FILES)
    seen: list[Progress] = []
    report = ingest(root, "c", on_progress=seen.append)
    assert [each.document for each in report.stored] == ["a.md", "b.txt", "sub/c.md"]
    assert [(each.done, each.total, each.last.document) for each in seen] == [
        (1, 3, "a.md"),
        (2, 3, "b.txt"),
        (3, 3, "sub/c.md"),
    ]
    assert (report.chunks, report.stored[2].sentences, report.is_complete) == (3, 2, True)
    collection = Collection.open("c")
    assert [each.title for each in collection.documents()] == ["Alpha", "b", "Gamma"]
    assert collection.chunks("b.txt")[0].text == "# no heading in text"

    embedder.texts.clear()  # type: ignore[attr-defined]
    again = ingest(root, "c", on_progress=seen.append)
    assert (again.stored, again.unchanged, len(seen)) == ((), 3, 3)
    assert embedder.texts == []  # type: ignore[attr-defined]


def test_a_changed_file_replaces_its_chunks_and_leaves_the_others(write: Write, embedder: object) -> None:
    root = write(FILES)
    ingest(root, "c")
    write({"a.md": "# Alpha\nQuite new."})
    embedder.texts.clear()  # type: ignore[attr-defined]
    report = ingest(root, "c")
    assert [each.document for each in report.stored] == ["a.md"]
    assert report.unchanged == 2
    assert embedder.texts == ["Alpha\nQuite new.", "Quite new."]  # type: ignore[attr-defined]
    assert [each.text for each in Collection.open("c").chunks("a.md")] == ["Quite new."]


def test_removed_files_are_kept_and_named_unless_pruned(write: Write) -> None:
    root = write(FILES)
    ingest(root, "c")
    (root / "sub" / "c.md").unlink()
    report = ingest(root, "c")
    assert (report.removed, report.is_pruned) == (("sub/c.md",), False)
    assert len(Collection.open("c").documents()) == 3
    report = ingest(root, "c", prune=True)
    assert (report.removed, report.is_pruned) == (("sub/c.md",), True)
    assert [each.id for each in Collection.open("c").documents()] == ["a.md", "b.txt"]
    assert ingest(root, "c", prune=True).removed == ()


def test_one_file_adds_to_a_collection_and_removes_nothing(write: Write) -> None:
    root = write(FILES)
    ingest(root, "c")
    report = ingest(root / "a.md", "c", prune=True)
    assert (report.unchanged, report.removed) == (1, ())
    assert len(Collection.open("c").documents()) == 3


def test_an_unreadable_file_is_skipped_and_named_and_keeps_what_was_stored(write: Write) -> None:
    root = write(FILES)
    ingest(root, "c")
    write({"a.md": b"\xff\xfe"})
    report = ingest(root, "c", prune=True)
    assert report.unreadable == (Unreadable("a.md", "it is not UTF-8 (byte 0: invalid start byte)"),)
    assert not report.is_complete
    assert Collection.open("c").chunks("a.md")[0].text == "The alpha page."


def test_a_file_that_changes_or_goes_after_the_plan_is_skipped(write: Write) -> None:
    root = write(FILES)
    first, second, third = plan(str(root), "c").due
    write({"a.md": "something else"})
    (root / "b.txt").unlink()
    changed, gone = ingest_document(first, "c"), ingest_document(second, "c")
    assert (changed.status, gone.status) == ("skipped", "skipped")
    assert changed.reason.startswith("it has changed")
    assert gone.reason == "it cannot be opened (no such file or directory)"
    assert ingest_document(third, "c").status == "stored"
    assert ingest_document(third, "c").status == "unchanged"


class Stopping:
    """The embedder's power goes off after some calls."""

    def __init__(self, inner: object, calls: int) -> None:
        self.inner, self.calls = inner, calls
        self.name, self.dimensions = "words", 64

    def embed(self, texts: Sequence[str]) -> object:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.inner.embed(texts)  # type: ignore[attr-defined]


def test_an_interrupted_ingest_goes_on_where_it_stopped(
    write: Write, embedder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from surefoot.retrieval import home

    root = write(FILES)
    monkeypatch.setattr(home(), "embedder", Stopping(embedder, 3))
    with pytest.raises(KeyboardInterrupt):
        ingest(root, "c")
    assert [each.id for each in Collection.open("c").documents()] == ["a.md"]
    monkeypatch.setattr(home(), "embedder", embedder)
    report = ingest(root, "c")
    assert [each.document for each in report.stored] == ["b.txt", "sub/c.md"]


def test_removing_is_repeatable_and_needs_a_collection(write: Write) -> None:
    assert remove_documents((), "none") == 0
    with pytest.raises(CollectionError, match="no collection 'none'"):
        remove_documents(("a.md",), "none")
    ingest(write(FILES), "c")
    assert remove_documents(("a.md", "b.txt"), "c") == 2
    assert remove_documents(("a.md", "b.txt"), "c") == 0


def test_another_embedder_is_refused_before_anything_is_embedded(
    write: Write, embedder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(FILES)
    ingest(root, "c")
    source = Source("a.md", str(root / "a.md"), plan(str(root), "c").unchanged[0].digest, 1)
    monkeypatch.setattr(embedder, "name", "other", raising=False)
    embedder.texts.clear()  # type: ignore[attr-defined]
    with pytest.raises(CollectionError, match="made with the embedder words"):
        ingest_document(source, "c")
    assert embedder.texts == []  # type: ignore[attr-defined]
