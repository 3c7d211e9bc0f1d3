"""How often somebody may ask, counted by several servers together over Redis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from surefoot.effects import drive
from surefoot.errors import Throttled
from surefoot.limits.rates import AdmittedPermit, RateLimit, rates_of
from surefoot.server.entry.rates import Turn
from surefoot.values import Caller, Demand

if TYPE_CHECKING:
    from surefoot.limits import SharedRedis

_NAME = "serve requests_per_minute"
"""As no section of the settings is called, so that a limit of calls is another one."""


class RedisRates:
    """A rate for each name that all servers on one Redis keep to together. Blocks while Redis is asked.

    While it is down each of the `processes` keeps to its part of the rate, and nobody waits for Redis.
    """

    blocks = True

    def __init__(self, per_minute: float, *, share: float, redis: SharedRedis, processes: int) -> None:
        """share: the part of a minute's number that may come at once."""
        self._per_minute = per_minute
        self._interval = 60.0 / per_minute
        self._burst = max(1.0, per_minute * share)
        self._processes = processes
        limit = RateLimit(_NAME, of="principal", requests_per_minute=per_minute, burst=share, learn=False)
        self._rates = rates_of([limit], redis=redis, processes=processes)

    def take(self, name: str) -> Turn:
        """Take one, where one is left."""
        demand = Demand(Caller(principal=name), "serve", "serve", "requests")
        try:
            permit = drive(self._rates.admit(demand, patience=0.0))
        except Throttled as refused:
            wait = max(refused.retry_after or self._interval, 1e-3)
            return Turn(wait, self._per_minute, 0, wait + (self._burst - 1) * self._interval)
        permit.done(0)
        return self._turn(permit)

    def _turn(self, permit: AdmittedPermit) -> Turn:
        parts = self._processes if permit.is_local else 1
        taken = next(one for one in permit.state.taken if one.account.limit.name == _NAME)
        # The times of Redis are in microseconds.
        fills_in = max(0.0, (taken.requests if permit.is_local else taken.requests / 1e6) - permit.at)
        spare = math.floor(max(1.0, self._burst / parts) - fills_in / (self._interval * parts) + 1e-9)
        return Turn(0.0, self._per_minute, max(0, spare), fills_in)
