"""What the settings say of connections and limits, as the rooms that work by it take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot import limits, models
from surefoot.ledger import Budget, Budgets, Ledger
from surefoot.values import Money

if TYPE_CHECKING:
    from surefoot import config
    from surefoot.limits.rates import Rates


def connection_of(name: str, given: config.Connection) -> models.Connection:
    """A connection of the settings."""
    return models.Connection(
        name=name,
        provider=given.provider,
        base_url=given.base_url,
        api_key=given.api_key,
        ad_token=given.ad_token,
        api=given.api,
        api_version=given.api_version,
        organization=given.organization,
        project=given.project,
        headers=given.headers,
        timeout=given.timeout,
        model_of=given.model_of,
        is_default=given.default,
    )


def budgets_of(given: config.Config, ledger: Ledger) -> Budgets | None:
    """The budgets of model calls; None where there are none."""
    if not given.budgets:
        return None
    budgets = [
        Budget(
            name,
            Money.dollars(one.limit),
            of=one.of,
            only=one.only,
            per=one.per,
            exceeded=one.exceeded,
            patience=one.patience,
            cap_output=one.cap_output,
        )
        for name, one in given.budgets.items()
    ]
    return Budgets(ledger, budgets, lease_seconds=given.runs.lease)


def redis_of(given: config.RedisSettings) -> limits.SharedRedis | None:
    """The Redis server of the settings; None where they name none."""
    url, secret_url, password = given.url, given.secret_url, given.password
    if url is None and secret_url is None:
        return None
    return limits.SharedRedis(
        lambda: url or "" if secret_url is None else secret_url.resolve(),
        lambda: None if password is None else password.resolve(),
        prefix=given.prefix,
        connections=given.connections,
        timeout=given.timeout,
    )


def rates_of(given: config.Config, redis: limits.SharedRedis | None) -> Rates:
    """The limits of requests, tokens and calls at a time."""
    from surefoot.limits.rates import RateLimit, rates_of

    bounds = [RateLimit(name, **dict(one)) for name, one in given.limits.items()]
    return rates_of(bounds, redis=redis, processes=given.redis.processes)


def breakers_of(given: config.Config, redis: limits.SharedRedis | None) -> limits.Breakers:
    """The circuit breakers."""
    rules = {name: limits.BreakerRules(**dict(one)) for name, one in given.breakers.items()}
    return limits.Breakers(rules, redis=redis)
