"""What an answer of a provider tells of its own limits: how long to wait, how much there is, when there is more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 3600.0
"""Seconds that a provider may hold calls back for; then it is asked again."""


@dataclass(frozen=True, slots=True)
class Told:
    """`wait` is how many seconds nothing more is to be sent, `requests` and `tokens` how many a minute may have."""

    wait: float = 0.0
    requests: float | None = None
    tokens: float | None = None
    reason: str = ""

    @property
    def is_something(self) -> bool:
        """Whether it says anything."""
        return self.wait > 0 or self.requests is not None or self.tokens is not None


NOTHING = Told()


def told_by(status: int, headers: Mapping[str, str], wall: float) -> Told:
    """What status and headers say; `wall` is the time, in seconds since the epoch. Names are in small letters.

    `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests` ("1s", "6m0s", "20ms") and the same of
    tokens are those of OpenAI and of many that follow it; `anthropic-ratelimit-requests-limit` and so on, with times of
    RFC 3339, those of Anthropic. What cannot be read is left out.
    """
    wait, reason = 0.0, ""
    if status == 429:
        wait, reason = _retry_after(headers, wall), "it answered with 429"
    limits: dict[str, float | None] = {"requests": None, "tokens": None}
    for kind, limit, remaining, reset in _FORMS:
        said = headers.get(limit)
        if said is None:
            continue
        amount = _number(said)
        if amount and kind in limits and limits[kind] is None:
            limits[kind] = amount
        if _number(headers.get(remaining, "")) == 0:
            seconds = _until(headers.get(reset, ""), wall)
            if seconds > wait:
                wait, reason = seconds, f"it has no {kind.replace('_', ' ')} left"
    if not wait and limits["requests"] is None and limits["tokens"] is None:
        return NOTHING
    return Told(min(wait, LONGEST), limits["requests"], limits["tokens"], reason)


def _forms() -> list[tuple[str, str, str, str]]:
    forms = [
        (kind, *(f"x-ratelimit-{part}-{kind}" for part in ("limit", "remaining", "reset")))
        for kind in ("requests", "tokens")
    ]
    forms += [
        (
            kind.replace("-", "_"),
            *(f"anthropic-ratelimit-{kind}-{part}" for part in ("limit", "remaining", "reset")),
        )
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ]
    return [(kind, limit, remaining, reset) for kind, limit, remaining, reset in forms]


_FORMS = _forms()
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _retry_after(headers: Mapping[str, str], wall: float) -> float:
    """Seconds; 0 where none are told."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall) if text else 0.0
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _until(text: str, wall: float) -> float:
    """Seconds until a reset, by a duration, a number of seconds or a time; 0 where it cannot be read."""
    text = text.strip()
    plain = _number(text)
    if plain is not None:
        # Some give the time itself, in seconds since the epoch.
        return max(0.0, plain - wall) if plain > 1e9 else plain
    found = _DURATION.fullmatch(text)
    if found is not None and text:
        days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
        return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall)
