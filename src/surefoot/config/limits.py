"""The sections of the settings that bound model calls: budgets, limits, breakers, the cache, and Redis behind them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from surefoot.config.secret import Secret
from surefoot.config.section import Dollars, Section, refuse_password


class Budget(Section):
    """What may be spent on model calls: the most that a call can cost is held before it is made.

    A budget has its own account for each run, flow, tenant or principal that it is `of`, and in each period.
    """

    limit: Dollars = Field(description='Dollars that may be spent, as in "25.00".')
    of: Literal["everything", "run", "flow", "tenant", "principal"] = Field(
        default="everything", description="Of what each has an account of its own."
    )
    only: str | None = Field(
        default=None,
        min_length=1,
        description="The one flow, tenant or principal that it is about, or the flow of the runs; `*` stands for any "
        "characters.",
    )
    per: Literal["hour", "day", "month", "ever"] = Field(
        default="day", description="When it begins anew (UTC). That of a run never does."
    )
    exceeded: Literal["refuse", "wait"] = Field(
        default="refuse",
        description="What becomes of a call that finds too little left: it is refused, or waits for calls under way to "
        "cost less than is held for them, or for the next period.",
    )
    patience: float = Field(default=60.0, gt=0, description="Seconds that it waits at most.")
    cap_output: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens that calls may answer with which do not say so themselves: the request is given "
        "this limit. Without it, what a model can answer at most is held.",
    )


class Limit(Section):
    """How many calls may be made in a time, and at once."""

    of: Literal["everything", "provider", "model", "flow", "tenant", "principal"] = Field(
        default="provider", description="Of what each has a limit of its own."
    )
    only: str | None = Field(
        default=None,
        min_length=1,
        description="The one that it is about, such as `openai`, `openai:gpt-4o` or a flow's name; `*` stands for any "
        "characters.",
    )
    requests_per_minute: float | None = Field(default=None, gt=0, description="Requests a minute.")
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="Tokens a minute, of prompts and answers together."
    )
    concurrency: int | None = Field(default=None, ge=1, description="Calls at a time.")
    burst: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="The share of a minute's requests and tokens that may be taken at once after a pause.",
    )
    learn: bool = Field(
        default=True,
        description="Whether the limits that a provider tells in its answers hold where they are lower.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.requests_per_minute is None and self.tokens_per_minute is None and self.concurrency is None:
            raise ValueError("a limit needs requests_per_minute, tokens_per_minute or concurrency")
        return self


class Breaker(Section):
    """When what fails is not tried for a while. `models` is the one of every provider's endpoint."""

    error_rate: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The share of calls in the window that have failed when it opens.",
    )
    slow_rate: float = Field(
        default=1.0, gt=0, le=1, description="The share of calls in the window that were slow when it opens."
    )
    slow_seconds: float | None = Field(
        default=None, gt=0, description="From how many seconds on a call is slow; without it none is."
    )
    window: float = Field(default=30.0, gt=0, description="Seconds that are looked back on.")
    minimum: int = Field(default=10, ge=1, description="Calls in the window below which it does not open.")
    cooldown: float = Field(
        default=5.0,
        gt=0,
        description="Seconds until it is tried again; doubled each time that fails.",
    )
    cooldown_cap: float = Field(default=120.0, gt=0, description="Seconds that this takes at most.")
    probes: int = Field(
        default=1,
        ge=1,
        description="Calls that may try it at a time then; as many must succeed for it to close.",
    )
    lease: float = Field(
        default=60.0,
        gt=0,
        description="Seconds after which such a call that has not ended no longer keeps others from trying.",
    )


class CacheSettings(Section):
    """Answers of models that are given again."""

    calls: Literal["asked", "deterministic", "all", "none"] = Field(
        default="asked",
        description="Which calls are looked up: those with `cache=True` (on the flow, the prompt or the call), those "
        "with temperature 0 and embeddings too, all, or none.",
    )
    store: Literal["ledger", "redis"] = Field(
        default="ledger", description="Where answers are found again: in the ledger, or in Redis."
    )
    ttl: float = Field(default=86_400.0, gt=0, description="Seconds for which an answer is given again.")
    jitter: float = Field(
        default=0.1, ge=0, lt=1, description="The share of that by which it may be shorter, at random."
    )


class RedisSettings(Section):
    """A Redis server that processes share limits, breakers and the cache by."""

    url: str | None = Field(
        default=None,
        pattern=r"^(rediss?|unix)://",
        description="Its address without a password: `redis://HOST:6379/0`.",
    )
    secret_url: Secret | None = Field(
        default=None, description="The same by reference, in place of `url`, where it holds the password."
    )
    password: Secret | None = Field(default=None, description="The password that belongs to `url`.")
    prefix: str = Field(
        default="surefoot", min_length=1, description="What the names of its keys begin with."
    )
    connections: int = Field(default=20, ge=1, description="Connections that one process may use at a time.")
    timeout: float = Field(
        default=1.0,
        gt=0,
        description="Seconds after which it counts as down, and each process goes on by itself.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="How many processes share the limits: each keeps to its part of them while Redis is down.",
    )

    @model_validator(mode="after")
    def _has_one_address(self) -> RedisSettings:
        if self.url is not None and self.secret_url is not None:
            raise ValueError("Redis has one address: remove url or secret_url")
        refuse_password(self.url)
        return self
