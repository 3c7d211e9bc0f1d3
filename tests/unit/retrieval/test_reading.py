"""Files as text: each by its format, foreign ones by a bounded process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.errors import InvalidInput, MissingExtra
from surefoot.retrieval import Collection, Format, Home, read, reading
from written_pdf import pdf

PAGE = "<title>Backups</title><h2>Restore</h2><p>Call the duty engineer.</p>"


@pytest.mark.parametrize(
    ("source", "format", "title"),
    [
        (b"# Backups\n## Restore\nCall the duty engineer.", "markdown", "Backups"),
        (b"Backups\n\nCall the duty engineer.", "text", "Backups"),
        (PAGE.encode(), "html", "Backups"),
        (pdf(["Call the duty engineer."], title="Backups"), "pdf", "Backups"),
    ],
)
def test_a_file_is_read_by_its_format(source: bytes, format: Format, title: str) -> None:
    found = read(source, format)
    assert (found.outline.title, found.size) == (title, len(source))
    assert found.sha256 == hashlib.sha256(source).hexdigest()
    last = found.outline.blocks[-1]
    assert found.text[last.start : last.end] == "Call the duty engineer."
    assert read(source, format) == found


def test_chunks_of_extracted_text_have_titles_headings_and_exact_offsets(place: Home) -> None:
    collection = Collection.at(place, "c", create=True)
    long = "".join(f"<p>Paragraph {number} speaks of backups. {'word ' * 40}</p>" for number in range(12))
    source = PAGE.encode() + long.encode()
    collection.put("page.html", source, format="html")
    collection.put("book.pdf", pdf(["One."], ["Two backups."], title="Book"), format="pdf")
    text = read(source, "html").text
    chunks = collection.chunks("page.html")
    assert len(chunks) > 3
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert {(chunk.title, chunk.headings) for chunk in chunks} == {("Backups", ("Restore",))}
    [found] = collection.search("Two backups.", document="book.pdf", top=1)
    assert (found.title, found.heading, found.text) == ("Book", "page 2", "Two backups.")


def test_what_cannot_be_read_is_not_put(place: Home) -> None:
    collection = Collection.at(place, "c", create=True)
    with pytest.raises(InvalidInput, match=r"a\.pdf: it is not a whole PDF.*leave it out"):
        collection.put("a.pdf", b"%PDF-1.7 rubbish", format="pdf")
    assert collection.documents() == []


@pytest.mark.parametrize(("format", "library"), [("html", "selectolax"), ("pdf", "pypdfium2")])
def test_a_missing_library_is_named_with_the_command(
    format: Format, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf'{library}.*pip install "surefoot\[documents\]"'):
        read(b"", format)


def test_the_libraries_stay_out_of_this_process() -> None:
    code = (
        "import sys; from surefoot.retrieval import read; read(b'<p>x', 'html');"
        "assert not {'selectolax', 'pypdfium2', 'html', 'json.tool'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_in_the_working_directory_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "selectolax.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert read(PAGE.encode(), "html").outline.title == "Backups"


HOSTILE: dict[str, tuple[bytes, Format]] = {
    # The parser looks through all open elements at each one.
    "deep": (b"<div>" * 200_000, "html"),
    # Each paragraph repeats all the formatting that is open.
    "repeated": ("".join(f"<p><b a={number}>" for number in range(2_000)).encode(), "html"),
    "packed": (pdf(b"BT /F1 12 Tf " + b"(AAAA) Tj " * 3_000_000 + b"ET", is_packed=True), "pdf"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="bounds of memory hold on Linux")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_given_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CPU_SECONDS", 2)
    monkeypatch.setattr(reading, "MEMORY_BYTES", 400_000_000)
    source, kind = HOSTILE[name]
    assert len(source) < 1_100_000
    with pytest.raises(ValueError, match=r"takes more|more than the limit"):
        read(source, kind)


def test_a_deep_page_is_read_without_recursion() -> None:
    found = read(b"<div>" * 5_000 + b"at the bottom" + b"<ul><li>" * 2_000 + b"in lists", "html")
    assert found.text.startswith("at the bottom")
    assert len(found.text) < 100


def test_a_reader_that_dies_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MEMORY_BYTES", 10_000_000)
    with pytest.raises(ValueError, match=r"its reader (failed|crashed)|takes more"):
        read(PAGE.encode(), "html")
