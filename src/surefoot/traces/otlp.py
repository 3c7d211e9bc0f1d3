"""Traces as OTLP messages: ids, times, parents, events and links in OpenTelemetry's protobuf form. Needs `otel`.

Every id is derived from what the ledger holds, so sending a run twice sends the same spans twice, never other ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from surefoot.errors import MissingExtra
from surefoot.traces.conventions import (
    Described,
    Value,
    describe_run,
    describe_score,
    describe_span,
    tools_asked_for,
    whose,
)
from surefoot.traces.spans import Span, Trace, standing
from surefoot.traces.targets import own_version
from surefoot.values import id_bytes

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
_SCOPES, _SPANS = 2, 2
_ATTRIBUTES, _EVENTS, _LINKS = 9, 11, 13
"""Fields of `ResourceSpans`, of `ScopeSpans`, and three of `Span`."""
_OF_EVENT = 3
"""The attributes of an `Event`."""


def trace_id(run_id: str) -> bytes:
    """The 16 bytes of a trace's id: those of the run's own id."""
    return id_bytes(run_id)


def span_id(run_id: str, place: str = "") -> bytes:
    """The 8 bytes of a span's id, from a span's `id` (key and attempt), or of the run's own span.

    The run takes part, as a fork shares its step keys with its origin and some receivers want span ids that are unique
    over all traces.
    """
    return blake2b(f"{run_id}/{place}".encode(), digest_size=8).digest()


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
    most_spans: int = MOST_SPANS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Request]:
    """Export requests of bounded size with the spans of many traces, in their order, made one by one.

    A span that is larger than `most_bytes` goes alone.
    """
    whence = wire.field(1, wire.attributes(1, resource))
    scope = InstrumentationScope(name="surefoot", version=own_version()).SerializeToString()
    batch: list[bytes] = []
    size = 0
    for trace in traces:
        for span in spans_of(trace, now_ns=now_ns):
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


def spans_of(trace: Trace, *, now_ns: int) -> Iterator[bytes]:
    """The run's own span and then those of all that happened in it, parents first, each as it is written.

    What has no end yet (an abandoned run, a step that a crash cut off) ends with the last thing that is known of it.
    """
    run_id = trace.run.id
    trace_bytes, root, owners = trace_id(run_id), span_id(run_id), whose(trace)
    is_tool = tools_asked_for(trace.walk())
    yield _run_span(trace, now_ns, trace_bytes, root)
    for span in trace.walk():
        parent = root if span.parent == run_id else span_id(run_id, span.parent)
        described = describe_span(span, owners, is_tool=is_tool(span))
        ids = trace_bytes, span_id(run_id, span.id), parent
        yield _span(ids, described, span.started_ns, _last_ns(span))


def _run_span(trace: Trace, now_ns: int, trace_bytes: bytes, root: bytes) -> bytes:
    run = trace.run
    borders = (attempt.ended_ns or attempt.started_ns for attempt in trace.attempts)
    last_ns = max((run.created_ns, *borders, *(_last_ns(span) for span in trace.spans)))
    described = describe_run(trace, standing(run, now_ns))
    written = _span((trace_bytes, root, b""), described, run.created_ns, run.ended_ns or last_ns)
    for attempt in trace.attempts[1:]:
        written += _event(attempt.started_ns, "surefoot.resumed", {"surefoot.run.epoch": attempt.epoch})
    for given in trace.scores:
        written += _event(given.scored_ns, "gen_ai.evaluation.result", describe_score(given))
    if run.parent_run:
        link = trace_pb2.Span.Link(trace_id=trace_id(run.parent_run), span_id=span_id(run.parent_run))
        written += wire.field(_LINKS, link.SerializeToString())
    return written


def _span(ids: tuple[bytes, bytes, bytes], described: Described, started_ns: int, ended_ns: int) -> bytes:
    """A span of the trace, id and parent of `ids`."""
    trace_bytes, own, parent = ids
    kinds = trace_pb2.Span.SpanKind
    # A wall clock that was set back must not make a span end before it began.
    end = _time(max(started_ns, ended_ns))
    message = trace_pb2.Span(
        trace_id=trace_bytes,
        span_id=own,
        parent_span_id=parent,
        flags=_SAMPLED | _KNOWN_LOCAL,
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
