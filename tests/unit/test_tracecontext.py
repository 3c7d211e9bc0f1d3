"""Headers of W3C Trace Context: what is read of them, and what they tell the next system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from surefoot.tracecontext import (
    TraceParent,
    caller_of,
    headers_at,
    span_id,
    told_by,
    trace_id,
)
from surefoot.values import new_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (GOOD, True),
        (f" {GOOD}\t", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        # Versions that are not known yet, with what they may add.
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"01-{TRACE}-{SPAN}-09-what-the-future-will-be-like", True),
    ],
)
def test_a_header_is_read(header: str, is_sampled: bool) -> None:
    found = TraceParent.read(header)
    assert found == TraceParent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), is_sampled)
    assert str(found) == f"00-{TRACE}-{SPAN}-{'01' if is_sampled else '00'}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"0x-{TRACE}-{SPAN}-01",
        f"{GOOD},{GOOD}",
        f"{GOOD}\n",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
    ],
)
def test_a_malformed_header_is_as_if_there_was_none(header: str) -> None:
    assert TraceParent.read(header) is None
    assert told_by({"traceparent": header, "tracestate": "a=b"}) == {}


@given(header=st.text(max_size=80))
def test_whatever_is_read_is_written_in_the_form_that_is_read(header: str) -> None:
    found = TraceParent.read(header)
    assert found is None or TraceParent.read(str(found)) == found


@given(
    found=st.builds(
        TraceParent,
        st.binary(min_size=16, max_size=16).filter(any),
        st.binary(min_size=8, max_size=8).filter(any),
        st.booleans(),
    )
)
def test_every_span_is_told_so_that_it_is_read_again(found: TraceParent) -> None:
    assert TraceParent.read(str(found)) == found


def test_a_request_tells_the_tags_of_its_run() -> None:
    assert told_by({}) == {}
    assert told_by({"tracestate": "vendor=1"}) == {}
    assert told_by({"traceparent": GOOD}) == {"traceparent": GOOD}
    assert told_by({"traceparent": GOOD, "tracestate": " vendor=1,other=2 "}) == {
        "traceparent": GOOD,
        "tracestate": "vendor=1,other=2",
    }
    for state in ("", "a=\x7f", "a=é", "a" * 513):
        assert told_by({"traceparent": GOOD, "tracestate": state}) == {"traceparent": GOOD}


def test_several_headers_are_put_together_or_are_none() -> None:
    def headers(*pairs: tuple[str, str]) -> Headers:
        return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])

    other = GOOD.replace("00f0", "11f0")
    assert told_by(headers(("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2"))) == {
        "traceparent": GOOD,
        "tracestate": "a=1,b=2",
    }
    assert told_by(headers(("traceparent", GOOD), ("traceparent", other))) == {}


@pytest.mark.parametrize("state", ["a=1\r\nx-evil: 1", "a=é", "a" * 513, ""])
def test_a_state_that_no_header_can_carry_is_left_out(state: str) -> None:
    assert set(headers_at(new_id(), {"traceparent": GOOD, "tracestate": state}, "")) == {"traceparent"}


def test_a_span_of_a_run_is_told_in_the_trace_of_whoever_asked_for_it_or_the_runs_own() -> None:
    run = new_id()
    own = TraceParent.read(headers_at(run, {}, "k.1")["traceparent"])
    assert own == TraceParent(trace_id(run), span_id(run, "k.1"))
    tags = {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "vendor=1", "team": "a"}
    told = headers_at(run, tags, "k.1")
    assert TraceParent.read(told["traceparent"]) == TraceParent(
        bytes.fromhex(TRACE), span_id(run, "k.1"), is_sampled=False
    )
    assert told["tracestate"] == "vendor=1"
    # A tag of that name that a user has for something else.
    assert caller_of({"traceparent": "the tall one"}) is None
    assert headers_at(run, {"traceparent": "the tall one"}, "k.1") == headers_at(run, {}, "k.1")
