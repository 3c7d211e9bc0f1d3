"""Traces as OTLP messages: ids, times, parents, events and links in OpenTelemetry's protobuf form. Needs `otel`.

Every id is derived from what the ledger holds, so sending a run twice sends the same spans twice, never other ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from surefoot.errors import MissingExtra
from surefoot.tracecontext import caller_of, span_id, state_of, trace_id
from surefoot.traces.conventions import (
    Described,
    Value,
    describe_run,
    describe_score,
    describe_span,
    tools_asked_for,
    whose,
)
from surefoot.traces.spans import Relative, Span, Trace, standing
from surefoot.traces.targets import own_version

try:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.trace.v1 import trace_pb2
except ImportError as error:
    raise MissingExtra(
        'Sending traces needs opentelemetry-proto, which is not installed: pip install "surefoot[otel]"'
    ) from error

from surefoot.traces import wire

MOST_SPANS = 512
MOST_BYTES = 4 * 1024 * 1024

_STATUS = {
    "unset": trace_pb2.Status.STATUS_CODE_UNSET,
    "ok": trace_pb2.Status.STATUS_CODE_OK,
    "error": trace_pb2.Status.STATUS_CODE_ERROR,
}
_NAME_LIMIT = 300
_SAMPLED = 0x01
_KNOWN_LOCAL = 0x100
_REMOTE = 0x200
_SCOPES, _SPANS = 2, 2
_ATTRIBUTES, _EVENTS, _LINKS = 9, 11, 13
"""Fields of `ResourceSpans`, of `ScopeSpans`, and three of `Span`."""
_OF_EVENT, _OF_LINK = 3, 4
"""The attributes of an `Event`, and of a `Link`."""


@dataclass(frozen=True, slots=True)
class Request:
    """An export request in parts: its spans, each as it is written, and what says where they come from."""

    spans: Sequence[bytes]
    resource: bytes
    scope: bytes

    def __bytes__(self) -> bytes:
        """The request as it is sent."""
        spans = b"".join([wire.field(_SPANS, span) for span in self.spans])
        return wire.field(1, self.resource + wire.field(_SCOPES, self.scope + spans))

    def halves(self) -> tuple[Request, Request]:
        """The same spans in two requests, for a receiver to which one is too large."""
        middle = len(self.spans) // 2
        return replace(self, spans=self.spans[:middle]), replace(self, spans=self.spans[middle:])


def requests(
    traces: Iterable[Trace],
    resource: Mapping[str, str],
    *,
    now_ns: int,
    joins: bool = False,
    most_spans: int = MOST_SPANS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Request]:
    """Export requests of bounded size with the spans of many traces, in their order, made one by one.

    joins: a run that was asked for in a span of another system is told as a part of that one's trace; else it has a
    trace of its own, with a link to that span.

    A span that is larger than `most_bytes` goes alone.
    """
    whence = wire.field(1, wire.attributes(1, resource))
    scope = InstrumentationScope(name="surefoot", version=own_version()).SerializeToString()
    batch: list[bytes] = []
    size = 0
    for trace in traces:
        for span in spans_of(trace, now_ns=now_ns, joins=joins):
            if batch and (len(batch) == most_spans or size + len(span) > most_bytes):
                yield Request(batch, whence, wire.field(1, scope))
                batch, size = [], 0
            batch.append(span)
            size += len(span)
    if batch:
        yield Request(batch, whence, wire.field(1, scope))


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans a receiver did not take, and what it says; an answer that is no protobuf says nothing."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0, ""
    return partial.rejected_spans, partial.error_message


def spans_of(trace: Trace, *, now_ns: int, joins: bool = False) -> Iterator[bytes]:
    """The run's own span and then those of all that happened in it, parents first, each as it is written.

    What has no end yet (an abandoned run, a step that a crash cut off) ends with the last thing that is known of it.
    `joins` as for `requests`.
    """
    run_id, owners = trace.run.id, whose(trace)
    tree = _Tree.of(run_id, trace.run.tags, joins=joins)
    root = span_id(run_id)
    yield _run_span(trace, tree, root, now_ns, joins=joins)
    is_tool = tools_asked_for(trace.walk())
    origin = next((one for one in trace.relatives if one.how == "origin"), None)
    for span in trace.walk():
        parent = root if span.parent == run_id else span_id(run_id, span.parent)
        described = describe_span(span, owners, is_tool=is_tool(span))
        written = _span(tree, (span_id(run_id, span.id), parent), described, span.started_ns, _last_ns(span))
        if origin is not None and span.taken_from == origin.run_id:
            written += _relation(origin, span.id, joins=joins)
        yield written


@dataclass(frozen=True, slots=True)
class _Tree:
    """The trace that the spans of a run are told in, its own or that of the span that it was asked for in."""

    trace_id: bytes
    parent: bytes = b""
    """The span of the other system; empty in a trace of its own."""
    state: str = ""

    @classmethod
    def of(cls, run_id: str, tags: Mapping[str, str], *, joins: bool) -> _Tree:
        caller = caller_of(tags) if joins else None
        if caller is None:
            return cls(trace_id(run_id))
        return cls(caller.trace_id, caller.span_id, state_of(tags))


def _run_span(trace: Trace, tree: _Tree, root: bytes, now_ns: int, *, joins: bool) -> bytes:
    run = trace.run
    borders = (attempt.ended_ns or attempt.started_ns for attempt in trace.attempts)
    last_ns = max((run.created_ns, *borders, *(_last_ns(span) for span in trace.spans)))
    described = describe_run(trace, standing(run, now_ns))
    written = _span(tree, (root, tree.parent), described, run.created_ns, run.ended_ns or last_ns)
    for attempt in trace.attempts[1:]:
        written += _event(attempt.started_ns, "surefoot.resumed", {"surefoot.run.epoch": attempt.epoch})
    for given in trace.scores:
        written += _event(given.scored_ns, "gen_ai.evaluation.result", describe_score(given))
    if not tree.parent and (caller := caller_of(run.tags)) is not None:
        written += _link(caller.trace_id, caller.span_id, "caller")
    for relative in trace.relatives:
        written += _relation(relative, "", joins=joins)
    return written


def _relation(relative: Relative, place: str, *, joins: bool) -> bytes:
    """A link to a span of another run, by that one's `id`."""
    there = _Tree.of(relative.run_id, relative.tags, joins=joins)
    return _link(there.trace_id, span_id(relative.run_id, place), relative.how)


def _link(trace_bytes: bytes, span_bytes: bytes, how: str) -> bytes:
    """A link as a field of its span."""
    link = trace_pb2.Span.Link(trace_id=trace_bytes, span_id=span_bytes).SerializeToString()
    return wire.field(_LINKS, link + wire.attributes(_OF_LINK, {"surefoot.link": how}))


def _span(
    tree: _Tree, ids: tuple[bytes, bytes], described: Described, started_ns: int, ended_ns: int
) -> bytes:
    """A span; `ids` are its own and its parent's."""
    own, parent = ids
    kinds = trace_pb2.Span.SpanKind
    # A wall clock that was set back must not make a span end before it began.
    end = _time(max(started_ns, ended_ns))
    message = trace_pb2.Span(
        trace_id=tree.trace_id,
        span_id=own,
        trace_state=tree.state,
        parent_span_id=parent,
        flags=_SAMPLED | _KNOWN_LOCAL | (_REMOTE if parent and parent == tree.parent else 0),
        name=wire.clean(described.name)[:_NAME_LIMIT],
        kind=kinds.SPAN_KIND_CLIENT if described.is_client else kinds.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_time(started_ns),
        end_time_unix_nano=end,
        status=trace_pb2.Status(code=_STATUS[described.status], message=wire.clean(described.message)),
    )
    written = message.SerializeToString() + wire.attributes(_ATTRIBUTES, described.attributes)
    if described.error is None:
        return written
    told: dict[str, Value] = {
        "exception.type": described.error.type,
        "exception.message": described.error.message,
    }
    if described.error.causes:
        told["surefoot.exception.causes"] = described.error.causes
    return written + _event(end, "exception", told)


def _event(at_ns: int, name: str, told: Mapping[str, Value]) -> bytes:
    """An event as a field of its span."""
    event = trace_pb2.Span.Event(time_unix_nano=_time(at_ns), name=name).SerializeToString()
    return wire.field(_EVENTS, event + wire.attributes(_OF_EVENT, told))


def _last_ns(span: Span) -> int:
    """When a span ended, or the last thing that is known of it."""
    if span.ended_ns is not None:
        return span.ended_ns
    return max((span.started_ns, *(_last_ns(child) for child in span.children)))


def _time(wall_ns: int) -> int:
    return min(max(wall_ns, 0), (1 << 64) - 1)
