"""Figures as words: durations, times, tokens, money, sizes."""

from __future__ import annotations

from datetime import datetime

from surefoot.ledger import Totals
from surefoot.values import Money

_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000


def duration(nanos: int) -> str:
    """`840 µs`, `8.1 ms`, `412 ms`, `2.41 s`, `3 min 05 s`, `2 h 03 min`, `3 d 4 h`."""
    if nanos < _MS:
        return f"{nanos // _US} µs"
    if nanos < _S:
        return f"{nanos / _MS:.1f} ms" if nanos < 10 * _MS else f"{nanos // _MS} ms"
    if nanos < 60 * _S:
        return f"{nanos / _S:.2f} s" if nanos < 10 * _S else f"{nanos / _S:.1f} s"
    minutes, seconds = divmod(nanos // _S, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def round_duration(nanos: int) -> str:
    """The label of a tick: `0`, `200 ms`, `1.5 s`, `3 min`."""
    for unit, name in ((3600 * _S, "h"), (60 * _S, "min"), (_S, "s"), (_MS, "ms")):
        if nanos >= unit:
            return f"{nanos / unit:g} {name}"
    return f"{nanos // _US} µs" if nanos else "0"


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


def cost(money: Money | None, *, is_complete: bool = True) -> str:
    """`$0.0012`; `unknown` without a price, and `$0.0012 or more` where some calls have none."""
    if money is None or (not is_complete and money.nanos == 0):
        return "unknown"
    return str(money) if is_complete else f"{money} or more"


def total_cost(totals: Totals) -> str:
    return cost(totals.cost, is_complete=totals.is_cost_complete)


def size(characters: int) -> str:
    """`812 characters`, `1,048,576 characters`."""
    return f"{characters:,} character{'' if characters == 1 else 's'}"


def _local(nanos: int) -> datetime:
    return datetime.fromtimestamp(nanos / _S).astimezone()
