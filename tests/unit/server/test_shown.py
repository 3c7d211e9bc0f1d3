"""Recorded values as HTML: nothing acts, nothing hides, nothing is too long."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.server.shown import LIMIT, brief, plainly, pretty, shown, visible

ALLOWED = {"span"}


class Reader(HTMLParser):
    """What a browser makes of HTML: its tags and the text outside of marks."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"class", "title"}

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_whatever_the_text_it_is_text(text: str) -> None:
    read = Reader(str(visible(text)))
    assert set(read.tags) <= ALLOWED
    if not read.tags:
        assert read.text == text.replace("\r\n", "\n")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    )
)
def test_whatever_the_value_it_is_text(value) -> None:
    read = Reader(str(shown(value).html))
    assert set(read.tags) <= ALLOWED


def test_coloured_json_still_reads_as_the_value() -> None:
    value = {"a <b>": ["x", 1.5, None, True, {"c": 'say "hi" & <i>'}], "n": -3}
    assert json.loads(Reader(str(shown(value).html)).text) == value


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        ("\u202e", "U+202E"),  # right-to-left override
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),  # zero-width space
        ("\u200d", "U+200D"),
        ("\ufeff", "U+FEFF"),
        ("\u00ad", "U+00AD"),
        ("\u2028", "U+2028"),
        ("\x00", "U+0000"),
        ("\x1b", "U+001B"),
        ("\x9b", "U+009B"),
        ("\U000e0041", "U+E0041"),  # a tag
        ("\U000e0101", "U+E0101"),
        ("\ufe03", "U+FE03"),
        ("\ufe0f\ufe0f", "U+FE0F"),  # one may follow an emoji, two carry a message
        ("\ud800", "U+D800"),
    ],
)
def test_hidden_characters_are_named(hidden: str, named: str) -> None:
    assert f">{named}<" in visible(f"a{hidden}b")
    assert f"[{named}]" in plainly(f"a{hidden}b")


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻",
        "❤\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648",
        "\u0915\u094d\u200d\u0937",
        "a\tb\nc",
        "naïve — 日本語",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert unescape(str(visible(text))) == text


def test_a_megabyte_is_cut() -> None:
    for value in ("x" * 1_000_000, ["y" * 100] * 10_000):
        cut = shown(value)
        assert cut.is_cut
        assert cut.length >= 1_000_000
        assert len(Reader(str(cut.html)).text) == LIMIT
        assert cut.preview is not None
        assert len(cut.preview) < 1000


def test_a_short_text_is_neither_cut_nor_folded() -> None:
    short = shown("three\nshort\nlines")
    assert (short.is_cut, short.preview, short.is_code) == (False, None, False)


def test_many_lines_are_folded() -> None:
    folded = shown("\n".join(map(str, range(100))))
    assert not folded.is_cut
    assert folded.preview is not None
    assert str(folded.preview).splitlines()[0] == "0"


def test_a_number_beyond_64_bits_is_printed_whole() -> None:
    assert pretty([2**80]) == f"[\n  {2**80}\n]"


def test_a_value_that_no_encoder_can_walk_is_said_to_be_one() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    shown = pretty(value)  # type: ignore[arg-type]
    # How deep the standard library goes depends on its version.
    assert "too deeply" in shown or len(shown) == 2 * 5001


def test_brief_is_one_line() -> None:
    assert brief("a\n  b   c", 20) == "a b c"
    assert brief("x" * 100, 10) == "xxxxxxxxx…"
