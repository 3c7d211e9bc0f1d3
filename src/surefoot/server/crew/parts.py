"""What each process of a server has of what is bounded for all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from surefoot.errors import UsageError

if TYPE_CHECKING:
    from surefoot.config import Config

_SPLIT = ("workers", "tasks", "queue")


def parts_of(config: Config, count: int) -> list[Mapping[str, str]]:
    """Settings of each of `count` processes, as environment variables: together they have what the settings say.

    Raises `UsageError` where that cannot be had: fewer workers, tasks or places than processes, and limits of models
    without a Redis by which processes share them.
    """
    serve = config.serve
    for name in _SPLIT:
        if (whole := getattr(serve, name)) < count:
            raise UsageError(
                f"[serve] {name} is {whole}, and is shared by {count} processes: each needs one at least"
            )
    redis = config.redis
    has_redis = redis.url is not None or redis.secret_url is not None
    if config.limits and not has_redis:
        raise UsageError(
            f"the limits of models ({', '.join(sorted(config.limits))}) would hold for each of {count} processes by "
            "itself: name a Redis by which they share them ([redis] url), or serve with one process"
        )
    shared = {"SUREFOOT_REDIS_PROCESSES": str(max(count, redis.processes))} if has_redis else {}
    return [
        {
            **{
                f"SUREFOOT_SERVE_{name.upper()}": str(_part(getattr(serve, name), count, slot))
                for name in _SPLIT
            },
            **shared,
        }
        for slot in range(count)
    ]


def _part(whole: int, count: int, slot: int) -> int:
    return whole // count + (slot < whole % count)
