"""promptflow's tracing: its decorator, and OpenTelemetry's exporter, as it has none without its own local service."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import trace as spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from promptflow.tracing import start_trace, trace

from benchmarks.contenders.traced import answer, question, serve_calls, url


@trace
def call(text: str) -> dict[str, Any]:
    # Model and tokens are told in the answer: it reads them out of objects of OpenAI's SDK alone.
    return answer(text)


@trace
def calls(numbers: range) -> None:
    for number in numbers:
        call(question(number))


def main() -> None:
    # Without this its decorator does nothing.
    os.environ["PF_DISABLE_TRACING"] = "false"
    start_trace()
    provider: Any = spans.get_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url()}/v1/traces")))
    serve_calls(calls, provider.force_flush)


if __name__ == "__main__":
    main()
