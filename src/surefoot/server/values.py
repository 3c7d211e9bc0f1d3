"""What of a run or a step can be looked at as a value, by name: for the sections of a page and for the raw view."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.traces import Call, Failure, Span, Trace
from surefoot.values import Json


def values_of(trace: Trace, span: Span | None) -> Mapping[str, Json]:
    """The recorded values of a step, or of the run where none is named, as people may read them.

    Names: `inputs`, `init`, `output`, `failure`, and of a model call `messages`, `parameters`, `answer`, `request`,
    `response`.
    """
    if span is None:
        found: dict[str, Json] = {
            "inputs": dict(trace.inputs),
            "init": dict(trace.init),
            "output": trace.output,
        }
        failure = trace.failure
    elif span.call is not None:
        found, failure = _of_call(span.call), span.failure
    else:
        found, failure = {"inputs": span.inputs, "output": span.output}, span.failure
    if failure is not None:
        found["failure"] = failure_text(failure)
    elif span is not None and span.call is not None and span.call.problem:
        found["failure"] = span.call.problem
    elif span is None and trace.run.error:
        found["failure"] = trace.run.error
    return found


def part_of(value: Json, at: str | None) -> Json:
    """A value, or what stands in it under a key or an index. Raises `KeyError`."""
    if at is None:
        return value
    if isinstance(value, dict) and at in value:
        return value[at]
    if isinstance(value, list) and at.isascii() and at.isdigit() and len(at) < 10 and int(at) < len(value):
        return value[int(at)]
    raise KeyError(at)


def failure_text(failure: Failure) -> str:
    """An exception and what led to it, one per line."""
    lines = [str(failure)]
    while failure.cause is not None:
        failure = failure.cause
        lines.append(f"caused by {failure}")
    return "\n".join(lines)


def _of_call(call: Call) -> dict[str, Json]:
    tools = [f"[calls {tool.name}({tool.arguments})]" for tool in call.said.tool_calls]
    return {
        "messages": [turn.text for turn in call.messages],
        "parameters": dict(call.parameters),
        "answer": "\n".join(part for part in (call.said.text, *tools) if part),
        "request": call.request,
        "response": call.response,
    }
