"""Logfire: a span around each call, sent by OTLP to the receiver and not to Logfire's own service."""

from __future__ import annotations

import os

from benchmarks.contenders.serving import MODEL
from benchmarks.contenders.traced import answer, question, serve_calls, url

# It builds its exporter from this: gzip by its own session is for its own service alone.
os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{url()}/v1/traces"

import logfire


def call(text: str) -> None:
    with logfire.span("chat {model}", model=MODEL, input=text) as span:
        said = answer(text)
        span.set_attribute("output", said)
        span.set_attribute("gen_ai.response.model", said["model"])
        span.set_attribute("gen_ai.usage.input_tokens", said["usage"]["prompt_tokens"])
        span.set_attribute("gen_ai.usage.output_tokens", said["usage"]["completion_tokens"])


def calls(numbers: range) -> None:
    with logfire.span("calls"):
        for number in numbers:
            call(question(number))


def main() -> None:
    logfire.configure(send_to_logfire=False, console=False)
    serve_calls(calls, logfire.force_flush)


if __name__ == "__main__":
    main()
