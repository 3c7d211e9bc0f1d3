"""What is taken of a limit by one of those that it is of, and what an endpoint tells of its own limits."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.limits.rates.gcra import Gcra
from surefoot.limits.rates.limit import RateLimit
from surefoot.limits.rates.line import Line
from surefoot.limits.rates.told import Told

REMEMBERED = 300.0
"""Seconds for which the limits that an answer told are kept to, where no further answer tells them."""


@dataclass(slots=True)
class Refusal:
    """There is no room: for how many seconds, None where that depends on calls under way, and which setting says so."""

    account: Account
    setting: str
    seconds: float | None


@dataclass(slots=True)
class Taken:
    """When that which was taken of an account will have drained away."""

    account: Account
    requests: float
    tokens: float


class Account:
    """The state of one limit for one subject, in this process. To be used under a lock.

    `parts` is into how many equal parts the limit is split, of which one may be taken. `period` is the last time that
    the shared state could not be reached in which this was used, `is_joined` whether that is over for it.
    """

    __slots__ = (
        *("concurrency", "is_joined", "is_shared", "limit", "line", "period", "requests", "running"),
        *("subject", "tokens"),
    )

    def __init__(self, limit: RateLimit, subject: str) -> None:
        self.limit = limit
        self.subject = subject
        rpm, tpm = limit.requests_per_minute, limit.tokens_per_minute
        self.requests = None if rpm is None else Gcra(rpm, limit.burst)
        self.tokens = None if tpm is None else Gcra(tpm, limit.burst)
        self.concurrency = limit.concurrency
        self.running = 0
        self.line = Line()
        self.is_shared = False
        self.is_joined = True
        self.period = 0

    def refuses(self, now: float, tokens: int, parts: int = 1) -> Refusal | None:
        """Why there is no room; the longest wait, where there are several. A full concurrency comes last."""
        seconds, setting = 0.0, ""
        requests = self.requests
        if requests is not None:
            wait = requests.wait(now, 1.0, parts)
            if wait > 0.0:
                seconds, setting = wait, "requests_per_minute"
        if self.tokens is not None:
            wait = self.tokens.wait(now, tokens, parts)
            if wait > seconds:
                seconds, setting = wait, "tokens_per_minute"
        if setting:
            return Refusal(self, setting, seconds)
        if self.concurrency is not None and self.running >= self.places(parts):
            return Refusal(self, "concurrency", None)
        return None

    def places(self, parts: int) -> int:
        """How many calls may be under way."""
        return max(1, (self.concurrency or 0) // parts)

    def take(self, now: float, tokens: int, parts: int = 1) -> Taken:
        """Take one request, so many tokens and a place."""
        self.running += 1
        return Taken(
            self,
            0.0 if self.requests is None else self.requests.take(now, 1.0, parts),
            0.0 if self.tokens is None else self.tokens.take(now, tokens, parts),
        )

    def leave(self) -> None:
        """Give back the place."""
        # A forked child has none of the calls that its parent has.
        self.running = max(0, self.running - 1)

    def release(self, now: float, taken: Taken, less: float, requests: float = 0.0, parts: int = 1) -> None:
        """Give back the place, and what was taken too much: tokens (or, negative, too little) and requests."""
        self.leave()
        if less and self.tokens is not None:
            self.tokens.give_back(now, less, taken.tokens, parts)
        if requests and self.requests is not None:
            self.requests.give_back(now, requests, taken.requests, parts)
        self.line.wake()

    def forecast(self, now: float, tokens: int, parts: int = 1) -> tuple[float, str]:
        """Seconds until there is room for one more behind those in line, as far as that can be told, and by what."""
        seconds, setting = 0.0, "concurrency"
        if self.requests is not None:
            wait = self.requests.wait(now, 1.0, parts) + len(self.line.turns) * self.requests.interval * parts
            if wait > seconds:
                seconds, setting = wait, "requests_per_minute"
        if self.tokens is not None:
            wait = self.tokens.wait(now, tokens, parts) + self.line.tokens * self.tokens.interval * parts
            if wait > seconds:
                seconds, setting = wait, "tokens_per_minute"
        return seconds, setting

    def is_idle(self, now: float) -> bool:
        """Whether it can be forgotten."""
        rates = [rate for rate in (self.requests, self.tokens) if rate is not None]
        return not self.running and not self.line.turns and all(rate.drained_at <= now for rate in rates)

    def empty(self, now: float, parts: int) -> None:
        """Let no burst be taken."""
        for rate in (self.requests, self.tokens):
            if rate is not None:
                rate.empty(now, parts)

    def describe(self, setting: str) -> str:
        """The limit and the setting, as messages call them."""
        value = getattr(self.limit, setting)
        of = f" of {self.limit.of} {self.subject!r}" if self.subject else ""
        return f"the limit {self.limit.name!r}{of} ([limits.{self.limit.name}] {setting} = {value:g})"


class Endpoint(Account):
    """What one endpoint tells of its limits for one model: rates that hold for a while, and a time until it is left.

    `told` is what was last told, `told_until` when that is forgotten.
    """

    __slots__ = ("hold_until", "model", "name", "reason", "told", "told_until")

    def __init__(self, name: str, model: str) -> None:
        super().__init__(RateLimit(name), name)
        self.name = name
        self.model = model
        self.reason = ""
        self.hold_until = 0.0
        self.told: tuple[float | None, float | None] = (None, None)
        self.told_until = 0.0

    def refuses(self, now: float, tokens: int, parts: int = 1) -> Refusal | None:
        """As that of a limit; held back it is until a time."""
        if self.hold_until > now:
            return Refusal(self, "hold", self.hold_until - now)
        if self.requests is None and self.tokens is None:
            return None
        if self.told_until <= now:
            self.requests = self.tokens = None
            self.told = (None, None)
            return None
        return super().refuses(now, tokens, parts)

    def forecast(self, now: float, tokens: int, parts: int = 1) -> tuple[float, str]:
        """As that of a limit."""
        held = self.hold_until - now
        seconds, setting = super().forecast(max(now, self.hold_until), tokens, parts)
        return (max(0.0, held) + seconds, setting) if seconds > 0 else (max(0.0, held), "hold")

    def learn(self, now: float, told: Told, ceiling: tuple[float, float], burst: float) -> bool:
        """Keep to what was told, where it is below what is set (`ceiling`). Whether it says something new."""
        is_new = False
        until = now + told.wait
        if told.wait > 0 and until > self.hold_until + 0.001:
            self.hold_until, self.reason, is_new = until, told.reason, True
        rates = (_below(told.requests, ceiling[0]), _below(told.tokens, ceiling[1]))
        if rates == (None, None):
            return is_new
        if rates != self.told or now > self.told_until - REMEMBERED * 0.75:
            is_new = True
            self.told, self.told_until = rates, now + REMEMBERED
            self.requests = _renewed(self.requests, rates[0], burst)
            self.tokens = _renewed(self.tokens, rates[1], burst)
        return is_new

    def is_idle(self, now: float) -> bool:
        """Whether it can be forgotten."""
        return super().is_idle(now) and self.hold_until <= now and self.told_until <= now

    def describe(self, setting: str) -> str:
        """Who says so, as messages call it."""
        who = f"{self.name} ({self.model})"
        if setting == "hold":
            return f"{who}, which asked to be left alone ({self.reason})"
        requests, tokens = self.told
        amount = requests if setting == "requests_per_minute" else tokens
        return f"{who}, which tells of a limit of {amount or 0:g} {setting.replace('_', ' ')} (learn = true)"


def _below(told: float | None, ceiling: float) -> float | None:
    return told if told is not None and told < ceiling else None


def _renewed(rate: Gcra | None, per_minute: float | None, burst: float) -> Gcra | None:
    if per_minute is None:
        return None
    renewed = Gcra(per_minute, burst)
    if rate is not None:
        renewed.drained_at = rate.drained_at
    return renewed
