"""A run seen as a tree of timed operations."""

from surefoot.traces.calls import BOUNDS, Call, ToolCall, Turn, read_call
from surefoot.traces.card import FRAME, Card, CardState, Line, LineState, fitting
from surefoot.traces.overview import card
from surefoot.traces.plain import Failure, plain
from surefoot.traces.spans import Attempt, Span, Trace, standing, trace
from surefoot.traces.stats import FlowStats, Quantiles, RunStats, Series, StepStats, percentile, stats

__all__ = [
    "BOUNDS",
    "FRAME",
    "Attempt",
    "Call",
    "Card",
    "CardState",
    "Failure",
    "FlowStats",
    "Line",
    "LineState",
    "Quantiles",
    "RunStats",
    "Series",
    "Span",
    "StepStats",
    "ToolCall",
    "Trace",
    "Turn",
    "card",
    "fitting",
    "percentile",
    "plain",
    "read_call",
    "standing",
    "stats",
    "trace",
]
