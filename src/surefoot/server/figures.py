"""Moments and costs as the pages word them."""

from __future__ import annotations

from datetime import datetime

from surefoot.ledger import Totals
from surefoot.traces import figures
from surefoot.values import Money

NOTHING = "\N{EN DASH}"
_S = 1_000_000_000


def moment(nanos: int, now_ns: int) -> str:
    """Local time, with the day unless it is today's, and the year unless it is this one."""
    at, now = _local(nanos), _local(now_ns)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    return f"{at.day} {at:%b} {at:%H:%M:%S}" if at.year == now.year else f"{at.day} {at:%b %Y} {at:%H:%M}"


def exact_moment(nanos: int) -> str:
    """Local time with the day and milliseconds."""
    return _local(nanos).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def iso(nanos: int) -> str:
    """For `<time datetime>`."""
    return _local(nanos).isoformat(timespec="milliseconds")


def cost(money: Money | None) -> str:
    """`$0.0012`, or `unknown`: a page has labels that say of what."""
    return figures.cost(money, unknown="unknown")


def total_cost(totals: Totals) -> str:
    return figures.total_cost(totals, unknown="unknown")


def metric_value(value: float | None, kind: str) -> str:
    """`81.2%` of a rate, `0.812`, a dash of nothing."""
    if value is None:
        return NOTHING
    return f"{value:.1%}" if kind == "rate" else f"{value:,.3f}"


def metric_interval(interval: tuple[float | None, float | None] | None, kind: str) -> str:
    """`0.71 to 0.84`; a dash where it is not known."""
    low, high = interval or (None, None)
    return (
        NOTHING if low is None or high is None else f"{metric_value(low, kind)} to {metric_value(high, kind)}"
    )


def seconds(value: float | None) -> str:
    """Seconds as a duration."""
    return NOTHING if value is None else figures.duration(round(value * _S))


def _local(nanos: int) -> datetime:
    return datetime.fromtimestamp(nanos / _S).astimezone()
