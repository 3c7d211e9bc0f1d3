"""Server-sent events whose bytes come in chunks that end anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.chain.sse import Event, Events, events_of

BODY = (
    ': hello\n\nevent: message_start\ndata: {"a": 1}\n\ndata: one\ndata: two\r\n\r\n'
    "data:no blank\rdata: é\u2028x\r\rid: 7\nretry: 1\n\nevent: ping\n\ndata: [DONE]\n\n"
).encode()


def fed(body: bytes, cuts: list[int]) -> list[Event]:
    events, found, start = Events(), list[Event](), 0
    for cut in [*sorted(cuts), len(body)]:
        found += events.feed(body[start:cut])
        start = cut
    return found + events.end()


def test_each_event_of_a_body() -> None:
    assert events_of(BODY) == [
        Event("message_start", '{"a": 1}'),
        Event("", "one\ntwo"),
        Event("", "no blank\n\u00e9\u2028x"),
        Event("ping", ""),
        Event("", "[DONE]"),
    ]


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    assert fed(BODY, cuts) == events_of(BODY)


def test_the_last_event_needs_no_blank_line() -> None:
    assert events_of(b"data: a\n\ndata: b") == [Event("", "a"), Event("", "b", is_terminated=False)]
    assert events_of(b"data: a\r\r") == [Event("", "a")]
    assert events_of(b"data: a\r\n") == [Event("", "a", is_terminated=False)]
