"""Of which trace work is, as W3C Trace Context tells it from one system to the next.

The form is that of the recommendation Trace Context Level 1, https://www.w3.org/TR/trace-context-1/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from surefoot.values import id_bytes

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
"""The headers, and the tags of a run that was asked for with them."""

_VERSION_0 = "00"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span of some system: the 16 bytes of its trace's id, the 8 of its own, and whether its trace is kept there."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool = True

    @classmethod
    def read(cls, header: str) -> TraceParent | None:
        """What a header `traceparent` says; None where it is malformed, which is to be as if there was none.

        A later version is read as far as this one goes.
        """
        found = _FORM.fullmatch(header.strip(" \t"))
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == _VERSION_0 and more):
            return None
        if not int(trace_id, 16) or not int(span_id, 16):
            return None
        return cls(bytes.fromhex(trace_id), bytes.fromhex(span_id), bool(int(flags, 16) & _SAMPLED))

    def __str__(self) -> str:
        """The header."""
        return f"{_VERSION_0}-{self.trace_id.hex()}-{self.span_id.hex()}-{_SAMPLED * self.is_sampled:02x}"


def trace_id(run_id: str) -> bytes:
    """The 16 bytes of the id of a run's own trace: those of the run's id."""
    return id_bytes(run_id)


def span_id(run_id: str, place: str = "") -> bytes:
    """The 8 bytes of a span's id, from a span's `id` (key and attempt), or of the run's own span.

    The run takes part, as a fork shares its step keys with its origin and some receivers want span ids that are unique
    over all traces.
    """
    return blake2b(f"{run_id}/{place}".encode(), digest_size=8).digest()


def state_of(tags: Mapping[str, str]) -> str:
    """What goes along with the span of the other system; empty where that is nothing, or no text for a header."""
    state = tags.get(TRACESTATE, "").strip()
    return state if _STATE.fullmatch(state) else ""


def caller_of(tags: Mapping[str, str]) -> TraceParent | None:
    """The span of another system that a run with these tags was asked for in; None without one."""
    told = tags.get(TRACEPARENT)
    return None if told is None else TraceParent.read(told)


def told_in(run_id: str, tags: Mapping[str, str], *, joins: bool) -> bytes:
    """The id of the trace that a run with these tags is told in: its caller's where that is joined, else its own."""
    caller = caller_of(tags) if joins else None
    return trace_id(run_id) if caller is None else caller.trace_id


def told_by(headers: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run that is asked for with these headers; none where they tell of no trace, or of several."""
    given = _all(headers, TRACEPARENT)
    caller = TraceParent.read(given[0]) if len(given) == 1 else None
    if caller is None:
        return {}
    state = state_of({TRACESTATE: ",".join(_all(headers, TRACESTATE))})
    return {TRACEPARENT: str(caller), **({TRACESTATE: state} if state else {})}


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    """What all headers of a name say, where there may be several, as Starlette has them."""
    several: Callable[[str], list[str]] | None = getattr(headers, "getlist", None)
    if several is not None:
        return several(name)
    return [headers[name]] if name in headers else []


def headers_at(run_id: str, tags: Mapping[str, str], place: str) -> dict[str, str]:
    """What the next system is told of a span, by its `id`, of a run with these tags: the headers.

    The trace is that of who asked for the run, else the run's own.
    """
    caller = caller_of(tags)
    if caller is None:
        return {TRACEPARENT: str(TraceParent(trace_id(run_id), span_id(run_id, place)))}
    here = TraceParent(caller.trace_id, span_id(run_id, place), caller.is_sampled)
    state = state_of(tags)
    return {TRACEPARENT: str(here), **({TRACESTATE: state} if state else {})}
