"""What the settings say of connections and limits, as the rooms that work by it take it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from surefoot import ledger as records
from surefoot import limits, models, prompts
from surefoot.errors import ConfigError
from surefoot.guards.privacy import KINDS, Finder, Known, Pseudonyms
from surefoot.limits import breakers as breaking
from surefoot.limits import cache
from surefoot.texts.fences import Fences
from surefoot.values import Money

if TYPE_CHECKING:
    from pathlib import Path

    from surefoot import config
    from surefoot.endpoints import ProjectEndpoints
    from surefoot.ledger import Budgets, Keyring, Ledger, Payloads
    from surefoot.limits.rates import Rates
    from surefoot.models import Policy


def policy_of(
    given: config.Config,
    endpoints: ProjectEndpoints,
    *,
    budgets: models.Budgets | None,
    admission: models.Admission | None,
    breakers: models.Breakers | None,
    cache: limits.AnswerCache | None,
    guards: models.Guards | None = None,
) -> Policy:
    """What the chain of model calls works by."""
    prices = {name: models.Price(**dict(price)) for name, price in given.prices.items()}
    settings = given.models
    return models.Policy(
        endpoints=endpoints,
        retries=models.Retries(count=settings.retries, cap=settings.retry_cap, deadline=settings.deadline),
        budget=models.RetryBudget(settings.retry_share, settings.retry_reserve),
        prices=models.PriceList(prices, models.names_by_address(endpoints.connections.values())),
        target=endpoints.target,
        stated=endpoints.stated,
        default=settings.default,
        budgets=budgets,
        admission=admission,
        breakers=breakers,
        cache=cache,
        guards=guards,
        addresses=endpoints.addresses,
        local_context=given.local.context,
    )


def finder_of(given: config.PrivacySettings, keyring: Keyring, *known: Known) -> Finder:
    """What finds secrets, and the personal data that the settings name."""
    return Finder(
        *known,
        personal=[kind for kind in KINDS if kind in given.kinds] if given.pii else (),
        patterns=given.patterns,
        allow=given.allow,
        pseudonym=Pseudonyms(lambda: keyring.derive("pseudonyms")),
    )


def ledger_of(given: config.LedgerSettings, payloads: Payloads, vault: config.Vault) -> Ledger:
    """The ledger that the settings name: in a file, or in a database."""
    url = given.url if given.secret_url is None else given.secret_url.resolve()
    if url is None:
        return records.SqliteLedger(given.path, payloads, synchronous=given.synchronous)
    ledger = records.PostgresLedger(
        url,
        payloads,
        password=given.password.resolve() if given.password else None,
        outage_seconds=given.outage,
    )
    if ledger.address.password:
        vault.note(ledger.address.password)
    return ledger


def library_of(
    given: config.PromptSettings,
    ledger: Ledger | None,
    root: Path,
    *,
    gates: Mapping[str, config.GateSettings] | None = None,
) -> prompts.Library:
    """The prompts of a project, whose versions, labels and uses are kept in its ledger; None: in files alone.

    gates: those that stand before labels.
    """
    guard = None
    if gates and ledger is not None:
        # Comparisons are loaded where there is a gate, and by nobody else.
        from surefoot.evals.comparing.guarding import Guarding

        guard = Guarding(gates, ledger)
    return prompts.Library(
        given.path,
        archive=None if ledger is None else records.Prompts(ledger),
        label=given.label,
        refresh=given.refresh,
        root=root,
        roots=tuple(given.files.values()),
        guard=guard,
    )


def fences_of(given: config.Config, keyring: Keyring) -> Fences:
    """How texts from outside are fenced, under a key of the application.

    Where there is no key and none can be made, as in a folder that is read only, it is one of this process.
    """

    def key() -> bytes:
        try:
            return keyring.derive("fences")
        except OSError:
            return os.urandom(32)

    return Fences(
        key,
        style=given.trust.fence,
        is_system_open=given.trust.untrusted_in_system == "allow",
        has_canaries=given.trust.canary,
    )


def budgets_of(given: config.Config, ledger: Ledger) -> Budgets | None:
    """The budgets of model calls; None where there are none."""
    if not given.budgets:
        return None
    budgets = [
        records.Budget(
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
    return records.Budgets(ledger, budgets, lease_seconds=given.runs.lease)


def redis_of(given: config.Config) -> limits.SharedRedis | None:
    """The Redis server of the settings; None where they name none."""
    redis = given.redis
    url, secret_url, password = redis.url, redis.secret_url, redis.password
    if url is None and secret_url is None:
        return None
    return limits.SharedRedis(
        lambda: url or "" if secret_url is None else secret_url.resolve(),
        lambda: None if password is None else password.resolve(),
        prefix=redis.prefix,
        connections=redis.connections,
        timeout=redis.timeout,
    )


def rates_of(given: config.Config, redis: limits.SharedRedis | None) -> Rates:
    """The limits of requests, tokens and calls at a time."""
    from surefoot.limits.rates import RateLimit, rates_of

    bounds = [RateLimit(name, **dict(one)) for name, one in given.limits.items()]
    return rates_of(bounds, redis=redis, processes=given.redis.processes)


def breakers_of(given: config.Config, redis: limits.SharedRedis | None) -> limits.Breakers:
    """The circuit breakers."""
    rules = {name: breaking.Rules(**dict(one)) for name, one in given.breakers.items()}
    return limits.Breakers(rules, redis=redis)


def worst_of(
    load: models.Load, policy: models.Policy, connections: Mapping[str, models.Connection], cap: int | None
) -> Money:
    """What a call of the record may cost at most today, whose connection is not known; `cap` is that of its budgets.

    Raises `UnboundedCall`.
    """
    body = None if cap is None else models.capped(load, cap)
    named = [name for name, given in connections.items() if given.provider == load.provider]
    weight = models.weigh(
        load if body is None else replace(load, body=body),
        policy.prices,
        connections=("", *named),
        local_context=policy.local_context,
    )
    return weight.worst


def answers_of(
    given: config.CacheSettings, ledger: Ledger, keyring: Keyring, redis: limits.SharedRedis | None
) -> limits.AnswerCache | None:
    """The cache of answers; None where none are given again. Raises `ConfigError`."""
    if given.calls == "none":
        return None
    store: cache.Store = records.Answers(ledger)
    if given.store == "redis":
        if redis is None:
            raise ConfigError(
                'cache.store is "redis", and no Redis is configured: set [redis] url, or store = "ledger"'
            )
        store = limits.RedisAnswers(redis, sealing_of(keyring))
    return limits.AnswerCache(cache.Terms(given.calls, given.ttl, given.jitter), keyring.derive, store)


def sealing_of(keyring: Keyring) -> limits.Sealing:
    """How answers outside of the ledger are sealed: under a key of the application."""

    def sealed(plain: bytes, bound_to: str) -> bytes:
        return records.seal(keyring.derive("answers"), plain, bound_to=bound_to)

    def unsealed(stored: bytes, bound_to: str) -> bytes:
        return records.unseal(keyring.derive("answers"), stored, bound_to=bound_to)

    return limits.Sealing(sealed, unsealed, records.holder, records.is_holder_gone)
