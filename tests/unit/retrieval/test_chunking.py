"""Chunks: exact offsets, full coverage, bounded size."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from surefoot import retrieval
from surefoot.retrieval.chunking import LIMIT_WORDS, TARGET_WORDS, Chunked, words
from surefoot.retrieval.markdown import outline, plain_outline


def chunked(
    source: str,
    document: str,
    *,
    format: str = "markdown",
    target: int = TARGET_WORDS,
    limit: int = LIMIT_WORDS,
) -> Chunked:
    read = plain_outline(source) if format == "text" else outline(source)
    return retrieval.chunked(source, document, read, target=target, limit=limit)


LINE = st.sampled_from(
    [
        "",
        "",
        "# One",
        "## Two",
        "### Three",
        "Setext",
        "===",
        "---",
        "- item a. Item b.",
        "1. step one",
        "| a | b |",
        "|---|---|",
        "| 1 | 2 |",
        "```",
        "    indented",
        "> quoted. Text.",
        "A sentence here. Another one at 02:30. Third!",
        "word " * 30,
        "x" * 200,
        "\u4eca\u65e5\u306f\u3002" * 8,
        "title: value",
        "\u2028 odd \x0c spaces \x85",
    ]
)
MARKDOWN = st.lists(LINE, max_size=30).map("\n".join) | st.lists(LINE, max_size=12).map("\r\n".join)


@settings(deadline=None)
@given(MARKDOWN | st.text(), st.sampled_from(["markdown", "text"]), st.integers(1, 12), st.integers(0, 12))
@example("a\n\n---\n\nb", "markdown", 2, 0)
@example("## A\na\n## A\nb", "markdown", 2, 0)
def test_chunks_are_exact_bounded_and_complete(source: str, format: str, target: int, slack: int) -> None:
    cut = chunked(source, "a.md", format=format, target=target, limit=target + slack)
    covered: set[int] = set()
    for index, chunk in enumerate(cut.chunks):
        assert chunk.index == index
        assert source[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert words(chunk.text) <= target + slack
        span = set(range(chunk.start, chunk.end))
        assert not span & covered
        covered |= span
    assert [chunk.start for chunk in cut.chunks] == sorted(chunk.start for chunk in cut.chunks)
    for at, character in enumerate(source):
        if format == "text" and not character.isspace():
            assert at in covered
    if format == "markdown":
        for block in outline(source).blocks:
            body = range(block.start, block.end)
            assert all(at in covered for at in body if not source[at].isspace())


@settings(deadline=None)
@given(MARKDOWN)
def test_no_letter_is_lost_that_is_not_in_a_heading(source: str) -> None:
    cut = chunked(source, "a.md")
    kept = " ".join((cut.title, *(" ".join((*chunk.headings, chunk.text)) for chunk in cut.chunks)))
    has_front_matter = source.startswith("---")
    for word in set(re.findall(r"[A-Za-z0-9]+", source)):
        assert has_front_matter or word in kept


def test_the_same_source_gives_the_same_chunks() -> None:
    source = "# T\n\n" + "Some sentence is here. " * 100
    assert chunked(source, "a.md") == chunked(source, "a.md")


def test_prose_is_cut_between_sentences_near_the_target() -> None:
    source = "# T\n\n" + " ".join(f"This is sentence number {number} of them." for number in range(100))
    chunks = chunked(source, "a.md").chunks
    assert len(chunks) > 5
    assert all(chunk.text.endswith("of them.") and chunk.text.startswith("This is") for chunk in chunks)
    assert all(words(chunk.text) >= TARGET_WORDS - 10 for chunk in chunks[:-1])


def test_a_short_rest_joins_the_chunk_before_it() -> None:
    source = " ".join(["word"] * (TARGET_WORDS - 1)) + ".\n\nA short rest."
    assert len(chunked(source, "a.md").chunks) == 1


def test_sections_are_not_mixed() -> None:
    chunks = chunked("# T\n## A\nalpha\n## B\nbeta\n### C\ngamma", "a.md").chunks
    assert [(chunk.headings, chunk.text) for chunk in chunks] == [
        (("A",), "alpha"),
        (("B",), "beta"),
        (("B", "C"), "gamma"),
    ]
    assert chunks[2].indexed_text == "T > B > C\ngamma"


def test_fenced_code_stays_whole_until_the_limit_and_is_then_cut_by_lines() -> None:
    inside = "```\n" + "one two three four. Five\n" * 30 + "```"
    assert words(inside) <= LIMIT_WORDS
    assert [chunk.text for chunk in chunked(inside, "a.md").chunks] == [inside]
    chunks = chunked("```\n" + "one two three four. Five\n" * 60 + "```", "a.md").chunks
    assert len(chunks) > 1
    assert all(chunk.text.endswith(("Five", "```")) for chunk in chunks)


def test_a_large_table_is_cut_by_rows_and_every_part_knows_the_header() -> None:
    header = "| Job | Starts at |\n|---|---|\n"
    rows = "\n".join(f"| job {number} | 02:{number:02} |" for number in range(60))
    chunks = chunked("# T\n## Jobs\n\n" + header + rows, "a.md").chunks
    assert len(chunks) > 1
    assert chunks[0].text.startswith(header + "| job 0 |")
    assert all(chunk.headings == ("Jobs", "Job | Starts at") for chunk in chunks)
    assert all(chunk.text.endswith("|") and chunk.text.startswith("| ") for chunk in chunks)


def test_the_title_falls_back_to_the_file_name() -> None:
    assert chunked("no heading", "ops/on-call.md").title == "on-call"
    assert chunked("", "empty.md").chunks == ()


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="20 of 10"):
        chunked("a", "a.md", target=20, limit=10)
