"""A folder of Markdown, HTML and PDF: what can be read goes in, the rest is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.ingest import Unreadable, ingest
from surefoot.retrieval import Collection
from written_pdf import pdf

Write = Callable[[dict[str, str | bytes]], Path]


def files() -> dict[str, str | bytes]:
    return {
        "a.md": "# Alpha\nThe alpha page.",
        "b.html": "<title>Beta</title><h2>Rules</h2><p>The beta page.<script>evil()</script>",
        "c.pdf": pdf(["The gamma page."], ["Its second page."], title="Gamma"),
    }


def test_each_format_goes_in_and_again_does_nothing(write: Write, embedder: object) -> None:
    root = write(files())
    report = ingest(root, "c")
    assert report.is_complete
    collection = Collection.open("c")
    found = {
        each.id: [(chunk.title, chunk.headings, chunk.text) for chunk in collection.chunks(each.id)]
        for each in collection.documents()
    }
    assert found == {
        "a.md": [("Alpha", (), "The alpha page.")],
        "b.html": [("Beta", ("Rules",), "The beta page.")],
        "c.pdf": [("Gamma", ("page 1",), "The gamma page."), ("Gamma", ("page 2",), "Its second page.")],
    }
    embedder.texts.clear()  # type: ignore[attr-defined]
    assert (ingest(root, "c").stored, ingest(root, "c").unchanged) == ((), 3)
    assert embedder.texts == []  # type: ignore[attr-defined]


def test_damaged_files_are_named_and_skipped_and_keep_what_was_stored(write: Write) -> None:
    root = write(files())
    ingest(root, "c")
    write({
        "a.md": "# Alpha\nNew.", "c.pdf": pdf(["cut"])[:-50], "locked.PDF": pdf(["x"], is_locked=True),
        "empty.htm": "<script>render()</script>", "scan.pdf": pdf([]),
    })  # fmt: skip
    report = ingest(root, "c", prune=True)
    assert [each.document for each in report.stored] == ["a.md"]
    assert {each.document: each.reason.partition(";")[0] for each in report.unreadable} == {
        "c.pdf": "it is not a whole PDF (its end is missing)",
        "empty.htm": "it has no text",
        "locked.PDF": "it is locked with a password",
        "scan.pdf": "it has no text, only images of pages, perhaps",
    }
    assert [each.id for each in Collection.open("c").documents()] == ["a.md", "b.html", "c.pdf"]
    assert ingest(root, "c").unreadable == report.unreadable


def test_without_the_extra_its_files_are_named_and_the_rest_goes_in(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(files())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pypdfium2", None)
        report = ingest(root, "c")
    [missing] = report.unreadable
    assert isinstance(missing, Unreadable)
    assert missing.document == "c.pdf"
    assert 'pip install "surefoot[documents]"' in missing.reason
    assert [each.document for each in report.stored] == ["a.md", "b.html"]
    assert [each.document for each in ingest(root, "c").stored] == ["c.pdf"]


def test_a_file_may_be_a_link_to_one_of_another_name(write: Write) -> None:
    root = write({"store/0a1b": pdf(["The gamma page."])})
    (root / "c.pdf").symlink_to("store/0a1b")
    assert [each.document for each in ingest(root, "c").stored] == ["c.pdf"]


def test_a_pdf_may_be_larger_than_a_text(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot.ingest import files as limits

    root = write({"a.html": "<p>" + "x" * 200, "b.pdf": pdf(["page"])})
    monkeypatch.setattr(limits, "LARGEST_BYTES", 100)
    report = ingest(root, "c")
    assert report.unreadable == (Unreadable("a.html", "it has 203 bytes, more than the limit of 100"),)
    assert [each.document for each in report.stored] == ["b.pdf"]
