"""Where sentences end, and where they only seem to."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.retrieval import sentences
from surefoot.retrieval.sentences import FENCE, LIST_MARKER, lines


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "The job starts at 02:30. It takes 3.5 hours.",
            ["The job starts at 02:30.", "It takes 3.5 hours."],
        ),
        ("It ends at 02:30 a.m. UTC daily.", ["It ends at 02:30 a.m. UTC daily."]),
        ("It ends at 5 p.m. The rest waits.", ["It ends at 5 p.m.", "The rest waits."]),
        ("Ask Dr. Meyer, e.g. Monday. Not J. Smith.", ["Ask Dr. Meyer, e.g. Monday.", "Not J. Smith."]),
        ("See Fig. 3 and No. 12. Then stop.", ["See Fig. 3 and No. 12.", "Then stop."]),
        ("The answer is no. Stop there.", ["The answer is no.", "Stop there."]),
        ("Use logs, etc. and go on.", ["Use logs, etc. and go on."]),
        ("The U.S. Army came. It left.", ["The U.S. Army came.", "It left."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Read **this.** Then *that.*", ["Read **this.**", "Then *that.*"]),
        ("Wait... Now go.", ["Wait...", "Now go."]),
        ("Version v1.2.3 is out. Upgrade.", ["Version v1.2.3 is out.", "Upgrade."]),
        ("Wrapped\nover lines. Next\none.", ["Wrapped\nover lines.", "Next\none."]),
        ("\u4eca\u65e5\u3002\u660e\u65e5\uff01", ["\u4eca\u65e5\u3002", "\u660e\u65e5\uff01"]),
        ("First para\n\nSecond para", ["First para", "Second para"]),
        ("Do:\n1. Stop it. Now.\n2. Start it.", ["Do:", "Stop it.", "Now.", "Start it."]),
        ("- [ ] open\n* closed\n  still", ["open", "closed\n  still"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        (
            "Run:\n```sh\ncp a b\n\n# done. Really.\n```\nAfter.",
            ["Run:", "cp a b", "# done.", "Really.", "After."],
        ),
        ("a\r\n\r\nb", ["a", "b"]),
        ("---", []),
        ("", []),
    ],
)
def test_splits_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@settings(deadline=None)
@given(st.text(st.sampled_from("aB1 .!?\n\r|-#`~*)\"'\u3002\u00e9\t"), max_size=80) | st.text())
def test_covers_every_letter_and_digit_but_markers(text: str) -> None:
    spans = sentences(text)
    assert all(first.end <= second.start for first, second in pairwise(spans))
    covered = {at for span in spans for at in range(span.start, span.end)}
    for span in spans:
        piece = text[span.start : span.end]
        assert piece == piece.strip() != ""
    for line in lines(text):
        content = text[line.start : line.end]
        marker = LIST_MARKER.match(content)
        start = line.end if FENCE.match(content) else line.start + (marker.end() if marker else 0)
        assert all(at in covered for at in range(start, line.end) if text[at].isalnum())
