"""A run seen as a tree of timed operations."""

from surefoot.traces.calls import UNSENT, Call, Parameter, ToolCall, Turn, read_call
from surefoot.traces.card import FRAME, Card, Line, LineState, fitting
from surefoot.traces.costs import FACETS, CostRow, Costs, Facet, costs
from surefoot.traces.estimates import Estimate, Expected, Spread, estimate
from surefoot.traces.overview import card
from surefoot.traces.plain import Failure, plain
from surefoot.traces.shadows import Shadow, Shadows, shadows, wilson
from surefoot.traces.spans import Attempt, Span, Standing, Trace, standing, trace
from surefoot.traces.stats import (
    FlowStats,
    Quantiles,
    RunStats,
    Series,
    StepStats,
    known_flow,
    percentile,
    stats,
)
from surefoot.traces.taping import taped

__all__ = [
    "FACETS",
    "FRAME",
    "UNSENT",
    "Attempt",
    "Call",
    "Card",
    "CostRow",
    "Costs",
    "Estimate",
    "Expected",
    "Facet",
    "Failure",
    "FlowStats",
    "Line",
    "LineState",
    "Parameter",
    "Quantiles",
    "RunStats",
    "Series",
    "Shadow",
    "Shadows",
    "Span",
    "Spread",
    "Standing",
    "StepStats",
    "ToolCall",
    "Trace",
    "Turn",
    "card",
    "costs",
    "estimate",
    "fitting",
    "known_flow",
    "percentile",
    "plain",
    "read_call",
    "shadows",
    "standing",
    "stats",
    "taped",
    "trace",
    "wilson",
]
