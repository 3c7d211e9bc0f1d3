"""Traces as OTLP messages: ids, times, parents, events and links in OpenTelemetry's protobuf form. Needs `otel`.

Every id is derived from what the ledger holds, so sending a run twice sends the same spans twice, never other ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from surefoot.errors import MissingExtra
from surefoot.traces.conventions import (
    Described,
    Value,
    describe_run,
    describe_score,
    describe_span,
    tools_asked_for,
)
from surefoot.traces.ids import span_id, trace_id
from surefoot.traces.spans import Span, Trace, standing

try:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2
except ImportError as error:
    raise MissingExtra(
        'Sending traces needs opentelemetry-proto, which is not installed: pip install "surefoot[otel]"'
    ) from error

Request = ExportTraceServiceRequest

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
_MOST_INTEGER = 1 << 63


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
    batch: list[trace_pb2.Span] = []
    size = 0
    for trace in traces:
        for span in spans_of(trace, now_ns=now_ns):
            length = span.ByteSize()
            if batch and (len(batch) == most_spans or size + length > most_bytes):
                yield _request(batch, resource)
                batch, size = [], 0
            batch.append(span)
            size += length
    if batch:
        yield _request(batch, resource)


def halves(request: Request) -> tuple[Request, Request]:
    """The same spans in two requests, for a receiver to which one is too large."""
    resource_spans = request.resource_spans[0]
    spans = list(resource_spans.scope_spans[0].spans)
    middle = len(spans) // 2
    first, second = Request(), Request()
    for part, half in ((first, spans[:middle]), (second, spans[middle:])):
        part.CopyFrom(request)
        del part.resource_spans[0].scope_spans[0].spans[:]
        part.resource_spans[0].scope_spans[0].spans.extend(half)
    return first, second


def span_count(request: Request) -> int:
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans a receiver did not take, and what it says; an answer that is no protobuf says nothing."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0, ""
    return partial.rejected_spans, partial.error_message


def spans_of(trace: Trace, *, now_ns: int) -> Iterator[trace_pb2.Span]:
    """The run's own span and then those of all that happened in it, parents first.

    What has no end yet (an abandoned run, a step that a crash cut off) ends with the last thing that is known of it.
    """
    yield _run_span(trace, now_ns)
    run_id = trace.run.id
    is_tool = tools_asked_for(trace.walk())
    root = span_id(run_id)
    for span in trace.walk():
        parent = root if span.parent == run_id else span_id(run_id, span.parent)
        described = describe_span(span, trace, is_tool=is_tool(span))
        yield _span(
            run_id, span.id, described, parent=parent, started_ns=span.started_ns, ended_ns=_last_ns(span)
        )


def _run_span(trace: Trace, now_ns: int) -> trace_pb2.Span:
    run = trace.run
    borders = (attempt.ended_ns or attempt.started_ns for attempt in trace.attempts)
    last_ns = max((run.created_ns, *borders, *(_last_ns(span) for span in trace.spans)))
    described = describe_run(trace, standing(run, now_ns))
    message = _span(
        run.id, "", described, parent=b"", started_ns=run.created_ns, ended_ns=run.ended_ns or last_ns
    )
    for attempt in trace.attempts[1:]:
        message.events.add(
            time_unix_nano=_time(attempt.started_ns),
            name="surefoot.resumed",
            attributes=_attributes({"surefoot.run.epoch": attempt.epoch}),
        )
    for given in trace.scores:
        message.events.add(
            time_unix_nano=_time(given.scored_ns),
            name="gen_ai.evaluation.result",
            attributes=_attributes(describe_score(given)),
        )
    if run.parent_run:
        message.links.add(trace_id=trace_id(run.parent_run), span_id=span_id(run.parent_run))
    return message


def _span(
    run_id: str, place: str, described: Described, *, parent: bytes, started_ns: int, ended_ns: int
) -> trace_pb2.Span:
    kinds = trace_pb2.Span.SpanKind
    message = trace_pb2.Span(
        trace_id=trace_id(run_id),
        span_id=span_id(run_id, place),
        parent_span_id=parent,
        flags=_SAMPLED | _KNOWN_LOCAL,
        name=_clean(described.name)[:_NAME_LIMIT],
        kind=kinds.SPAN_KIND_CLIENT if described.is_client else kinds.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_time(started_ns),
        # A wall clock that was set back must not make a span end before it began.
        end_time_unix_nano=_time(max(started_ns, ended_ns)),
        attributes=_attributes(described.attributes),
        status=trace_pb2.Status(code=_STATUS[described.status], message=_clean(described.message)),
    )
    if described.error is not None:
        told: dict[str, Value] = {
            "exception.type": described.error.type,
            "exception.message": described.error.message,
        }
        if described.error.causes:
            told["surefoot.exception.causes"] = described.error.causes
        message.events.add(
            time_unix_nano=message.end_time_unix_nano, name="exception", attributes=_attributes(told)
        )
    return message


def _last_ns(span: Span) -> int:
    """When a span ended, or the last thing that is known of it."""
    if span.ended_ns is not None:
        return span.ended_ns
    return max((span.started_ns, *(_last_ns(child) for child in span.children)))


def _request(spans: list[trace_pb2.Span], resource: Mapping[str, str]) -> Request:
    request = Request()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(_attributes(resource))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "surefoot"
    scope_spans.scope.version = version("surefoot")
    scope_spans.spans.extend(spans)
    return request


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=_clean(key), value=_value(value)) for key, value in values.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            if -_MOST_INTEGER <= value < _MOST_INTEGER:
                return AnyValue(int_value=value)
            return AnyValue(string_value=str(value))
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=_clean(value))
        case _:
            return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))


def _clean(text: str) -> str:
    """Text that protobuf takes (no lone surrogates) and receivers can store (no NUL, which Postgres refuses)."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _time(wall_ns: int) -> int:
    return min(max(wall_ns, 0), (1 << 64) - 1)
