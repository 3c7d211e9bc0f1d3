"""The periods in which a budget has an account of its own, in UTC. Pure: no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

Per: TypeAlias = Literal["hour", "day", "month", "ever"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def period_of(per: Per, wall_ns: int) -> tuple[str, int | None]:
    """The period in which a moment lies (nanoseconds since the epoch): its name, and when it ends.

    `2026-11-27T14`, `2026-11-27` or `2026-11`; nothing, and None, for one that never ends.
    """
    if per == "ever":
        return "", None
    now = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    if per == "hour":
        begin = now.replace(minute=0, second=0, microsecond=0)
        return begin.strftime("%Y-%m-%dT%H"), _ns(begin + timedelta(hours=1))
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return begin.strftime("%Y-%m-%d"), _ns(begin + timedelta(days=1))
    begin = begin.replace(day=1)
    # 32 days on is in the next month, whichever it is.
    return begin.strftime("%Y-%m"), _ns((begin + timedelta(days=32)).replace(day=1))


def shown(wall_ns: int) -> str:
    """A moment as messages write it."""
    return (_EPOCH + timedelta(microseconds=wall_ns // 1000)).strftime("%Y-%m-%d %H:%M UTC")


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
