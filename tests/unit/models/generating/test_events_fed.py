"""Server-sent events whose bytes come in chunks that end anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.chain.answers import events_of
from surefoot.models.generating.calling import Events

BODY = (
    ': hello\n\nevent: message_start\ndata: {"a": 1}\n\ndata: one\ndata: two\r\n\r\n'
    "data:no blank\rdata: é\u2028x\r\rid: 7\nretry: 1\n\nevent: ping\n\ndata: [DONE]\n\n"
).encode()


def fed(body: bytes, cuts: list[int]) -> list[tuple[str, str]]:
    events, found, start = Events(), list[tuple[str, str]](), 0
    for cut in [*sorted(cuts), len(body)]:
        found += events.feed(body[start:cut])
        start = cut
    return found + events.feed(b"", is_end=True)


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    assert fed(BODY, cuts) == fed(BODY, []) == [(event.name, event.data) for event in events_of(BODY)]


def test_the_last_event_needs_no_blank_line() -> None:
    assert fed(b"data: a\n\ndata: b", []) == [("", "a"), ("", "b")]
