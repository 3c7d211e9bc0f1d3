"""PDF as the text of its pages."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.retrieval.readers import pdf as reader
from surefoot.retrieval.readers.pdf import Bookmark, composed
from surefoot.retrieval.readers.writing import Refused
from written_pdf import pdf

BLOCK = tuple[tuple[str, ...], str]


def blocks(source: bytes) -> list[BLOCK]:
    """Each block's headings and text."""
    text, outline = reader.read(source)
    return [(block.headings, text[block.start : block.end]) for block in outline.blocks]


def test_each_page_is_a_section_by_its_number() -> None:
    source = pdf(["First line", "second (line) caf\u00e9."], [], ["Third page."], title="Hand\tbook")
    assert blocks(source) == [
        (("page 1",), "First line\nsecond (line) caf\u00e9."),
        (("page 3",), "Third page."),
    ]
    assert reader.read(source)[1].title == "Hand book"
    assert blocks(pdf(["packed"], is_packed=True)) == [(("page 1",), "packed")]


def test_a_word_that_was_divided_at_the_end_of_a_line_is_whole() -> None:
    assert (
        blocks(pdf(["A page must be acknowl-", "edged in time."]))[0][1]
        == "A page must be acknowledged in time."
    )


def test_bookmarks_are_headings_where_the_page_has_their_words() -> None:
    source = pdf(
        ["Before.", "2. Backups", "They run at night."],
        ["and in the morning.", "Restoring", "Ask first."],
        bookmarks=[("2 BACKUPS", 0), ("Restoring", 1)],
    )
    assert blocks(source) == [
        (("page 1",), "Before."),
        (("2 BACKUPS", "page 1"), "They run at night."),
        (("2 BACKUPS", "page 2"), "and in the morning."),
        (("Restoring", "page 2"), "Ask first."),
    ]


def test_a_bookmark_whose_words_are_not_on_the_page_follows_the_one_before() -> None:
    bookmarks = [Bookmark(2, "Part", 0), Bookmark(3, "Unseen", 0), Bookmark(2, "End", 1)]
    text, outline = composed("T", ["a\nPart\nb", "c"], bookmarks)
    assert [(block.headings, text[block.start : block.end]) for block in outline.blocks] == [
        (("page 1",), "a"),
        (("Part", "Unseen", "page 1"), "b"),
        (("End", "page 2"), "c"),
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["", "a", "b c", "Part", "part!"]), max_size=5).map("\n".join), max_size=4
    ),
    st.lists(st.builds(Bookmark, st.integers(2, 4), st.sampled_from(["Part", "B", "Q"]), st.integers(0, 5))),
)
def test_no_line_of_a_page_is_lost(pages: list[str], bookmarks: list[Bookmark]) -> None:
    try:
        text, outline = composed("T", pages, sorted(bookmarks, key=lambda bookmark: bookmark.page))
    except Refused:
        assert not any(page.strip() for page in pages)
        return
    held = {line for block in outline.blocks for line in text[block.start : block.end].splitlines()}
    held |= {heading for block in outline.blocks for heading in block.headings}
    written = {line for page in pages for line in page.splitlines() if line}
    assert {line.casefold().strip("!") for line in written} <= {line.casefold().strip("!") for line in held}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (pdf(["secret"], is_locked=True), "it is locked with a password"),
        (pdf([], []), "it has no text.*OCR"),
        (pdf(b"q 100 0 0 100 72 600 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q"), "it has no text"),
        (pdf(["cut off"])[:-40], r"it is not a whole PDF \(its end is missing\)"),
        (b"", "it is not a whole PDF"),
        (b"<html>not found</html>", "it is not a whole PDF"),
        (b"rubbish %%EOF", "it is damaged .*Data format error"),
        (
            pdf(["gone"]).replace(b"/Type /Pages", b"/Type /Nothin").replace(b"/Kids", b"/Kinds"),
            "it is damaged|no text",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(source: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        reader.read(source)


def test_padding_after_the_end_does_no_harm() -> None:
    assert blocks(pdf(["whole"]) + b"\0" * 10_000 + b"\r\n") == [(("page 1",), "whole")]


def test_a_damaged_table_of_objects_is_rebuilt() -> None:
    assert blocks(pdf(["found again"]).replace(b"startxref\n", b"startxref\n9")) == [
        (("page 1",), "found again")
    ]


def test_too_many_pages_or_characters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = pdf(["one", "more"], ["two"], ["three"])
    monkeypatch.setattr(reader, "MOST_CHARACTERS", 10)
    with pytest.raises(Refused, match="more than the limit of 10 characters"):
        reader.read(source)
    monkeypatch.setattr(reader, "MOST_PAGES", 2)
    with pytest.raises(Refused, match="it has 3 pages, more than the limit of 2"):
        reader.read(source)


def test_text_outside_the_page_is_not_read() -> None:
    hidden = b"BT /F1 12 Tf 72 720 Td (seen) Tj 0 2000 Td (unseen) Tj ET"
    assert blocks(pdf(hidden)) == [(("page 1",), "seen")]


def test_a_file_with_broken_bytes_is_read_or_refused() -> None:
    whole = pdf(["One line", "of text."], ["Another."], title="T", bookmarks=[("One", 0)])
    chance = random.Random(7)
    outcomes = set()
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 5, 40])):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            outcomes.add(bool(blocks(bytes(broken))))
        except Refused as refusal:
            outcomes.add(str(refusal)[:6])
    assert {True, "it is "} <= outcomes
