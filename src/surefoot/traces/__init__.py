"""A run seen as a tree of timed operations."""

from surefoot.traces.calls import BOUNDS, Call, ToolCall, Turn, read_call
from surefoot.traces.plain import Failure, plain
from surefoot.traces.spans import Attempt, Span, Trace, standing, trace

__all__ = [
    "BOUNDS",
    "Attempt",
    "Call",
    "Failure",
    "Span",
    "ToolCall",
    "Trace",
    "Turn",
    "plain",
    "read_call",
    "standing",
    "trace",
]
