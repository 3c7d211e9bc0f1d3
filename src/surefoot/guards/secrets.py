"""Secrets in recorded text: those that are known, and those that look like a provider's key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

MASK = "[secret]"

_SHORTEST = 8
"""A known secret of fewer characters is a word that stands in ordinary text; replacing it would only do harm."""

# Forms that the vendors document, with a first part that ordinary text does not have: what begins so, the rest of it.
_FORMS = {
    "sk-": r"(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}",
    "AKIA": r"[0-9A-Z]{16}",
    "AIza": r"[A-Za-z0-9_-]{35}",
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{36,}"),
    "github_pat_": r"[A-Za-z0-9_]{22,}",
    "xox": r"[abprs]-[A-Za-z0-9-]{10,}",
    "hf_": r"[A-Za-z0-9]{30,}",
    "-----BEGIN ": r"[A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\\\s]+-----END [A-Z ]*PRIVATE KEY-----",
}
_KEYS = re.compile("|".join(begin + rest for begin, rest in _FORMS.items()))
_KEYS_BY_BEGIN = {begin: re.compile(begin + rest) for begin, rest in _FORMS.items()}
_BEGINS = (
    ("-", ("sk-", "xox", "-----BEGIN ")),
    ("A", ("AKIA", "AIza")),
    ("hf_", ("hf_",)),
    ("gh", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    ("github_pat_", ("github_pat_",)),
)
"""Ordinary text is passed without a pattern: what every key of several forms holds, which is looked for first, and how
they begin."""


class SecretFinder:
    """Redacts secrets from texts that people may read."""

    def __init__(self, *known: Callable[[], frozenset[str]]) -> None:
        """`known` give the secrets that are known at that moment: the same set again while it has not changed."""
        self._known = known
        self._seen: list[frozenset[str]] = []
        self._forms: tuple[str, ...] = ()

    def __call__(self, text: str, /) -> str | None:
        """The text with every secret masked, or None if there is none."""
        if len(text) < _SHORTEST:
            return None
        redacted = text
        for form in self._spellings():
            if form in redacted:
                redacted = redacted.replace(form, MASK)
        begins = _begins_in(redacted)
        if begins:
            # A pattern that begins with plain text is looked for many times faster than one of several forms.
            keys = _KEYS_BY_BEGIN[begins[0]] if len(begins) == 1 else _KEYS
            redacted = keys.sub(MASK, redacted)
        return redacted if redacted != text else None

    def _spellings(self) -> tuple[str, ...]:
        """Known secrets as they stand in plain text and in JSON, the longest first."""
        known = [give() for give in self._known]
        if known != self._seen:
            secrets = {secret for secrets in known for secret in secrets if len(secret) >= _SHORTEST}
            escaped = {orjson.dumps(secret).decode()[1:-1] for secret in secrets}
            self._forms = tuple(sorted(secrets | escaped, key=len, reverse=True))
            self._seen = known
        return self._forms


def _begins_in(text: str) -> list[str]:
    """Which beginnings of keys stand in the text."""
    # Each recorded text comes through here; a generator would cost three times as much.
    found: list[str] = []
    for sign, begins in _BEGINS:
        if sign in text:
            for begin in begins:
                if begin in text:
                    found.append(begin)  # noqa: PERF401
    return found


class InEnvironment:
    """The values that some environment variables have now, in one and the same set for as long as they stay."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._raw = tuple(os.environ.encodekey(name) for name in self._names)
        self._last: tuple[object, ...] = ()
        self._values: frozenset[str] = frozenset()

    def __call__(self) -> frozenset[str]:
        # `os.environ` raises and catches two errors for a variable that is not set, each time; its dictionary does not.
        given: Mapping[Any, object] | None = getattr(os.environ, "_data", None)
        if given is None:
            return self._read()
        last = tuple(map(given.get, self._raw))
        if last != self._last:
            self._last, self._values = last, self._read()
        return self._values

    def _read(self) -> frozenset[str]:
        return frozenset(value for name in self._names if (value := os.environ.get(name)))
