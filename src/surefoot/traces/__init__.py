"""A run seen as a tree of timed operations."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.traces.calls import UNSENT as UNSENT
    from surefoot.traces.calls import Call as Call
    from surefoot.traces.calls import Parameter as Parameter
    from surefoot.traces.calls import Said as Said
    from surefoot.traces.calls import ToolCall as ToolCall
    from surefoot.traces.calls import Turn as Turn
    from surefoot.traces.calls import read_call as read_call
    from surefoot.traces.calls import said_in as said_in
    from surefoot.traces.card import FRAME as FRAME
    from surefoot.traces.card import Card as Card
    from surefoot.traces.card import Line as Line
    from surefoot.traces.card import LineState as LineState
    from surefoot.traces.card import fitting as fitting
    from surefoot.traces.costs import FACETS as FACETS
    from surefoot.traces.costs import CostRow as CostRow
    from surefoot.traces.costs import Costs as Costs
    from surefoot.traces.costs import Facet as Facet
    from surefoot.traces.costs import costs as costs
    from surefoot.traces.estimates import Estimate as Estimate
    from surefoot.traces.estimates import Expected as Expected
    from surefoot.traces.estimates import Spread as Spread
    from surefoot.traces.estimates import estimate as estimate
    from surefoot.traces.overview import card as card
    from surefoot.traces.plain import Failure as Failure
    from surefoot.traces.plain import parsed as parsed
    from surefoot.traces.plain import plain as plain
    from surefoot.traces.shadows import Shadow as Shadow
    from surefoot.traces.shadows import Shadows as Shadows
    from surefoot.traces.shadows import shadows as shadows
    from surefoot.traces.shadows import wilson as wilson
    from surefoot.traces.spans import Attempt as Attempt
    from surefoot.traces.spans import Span as Span
    from surefoot.traces.spans import Standing as Standing
    from surefoot.traces.spans import Trace as Trace
    from surefoot.traces.spans import standing as standing
    from surefoot.traces.spans import trace as trace
    from surefoot.traces.stats import FlowStats as FlowStats
    from surefoot.traces.stats import Quantiles as Quantiles
    from surefoot.traces.stats import RunStats as RunStats
    from surefoot.traces.stats import Series as Series
    from surefoot.traces.stats import StepStats as StepStats
    from surefoot.traces.stats import known_flow as known_flow
    from surefoot.traces.stats import percentile as percentile
    from surefoot.traces.stats import stats as stats
    from surefoot.traces.taping import taped as taped
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "calls": ["UNSENT", "Call", "Parameter", "Said", "ToolCall", "Turn", "read_call", "said_in"],
            "card": ["FRAME", "Card", "Line", "LineState", "fitting"],
            "costs": ["FACETS", "CostRow", "Costs", "Facet", "costs"],
            "estimates": ["Estimate", "Expected", "Spread", "estimate"],
            "overview": ["card"],
            "plain": ["Failure", "parsed", "plain"],
            "shadows": ["Shadow", "Shadows", "shadows", "wilson"],
            "spans": ["Attempt", "Span", "Standing", "Trace", "standing", "trace"],
            "stats": [
                "FlowStats",
                "Quantiles",
                "RunStats",
                "Series",
                "StepStats",
                "known_flow",
                "percentile",
                "stats",
            ],
            "taping": ["taped"],
        },
    )
