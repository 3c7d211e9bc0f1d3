"""A run seen as a tree of timed operations."""

from surefoot.traces.calls import Call, ToolCall, Turn, read_call
from surefoot.traces.plain import Failure, plain
from surefoot.traces.spans import Attempt, Span, Trace, trace

__all__ = [
    "Attempt",
    "Call",
    "Failure",
    "Span",
    "ToolCall",
    "Trace",
    "Turn",
    "plain",
    "read_call",
    "trace",
]
