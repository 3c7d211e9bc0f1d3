"""Secrets in recorded text: those that are known, and those that look like a provider's key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import orjson

MASK = "[secret]"

_SHORTEST = 8
"""A known secret of fewer characters is a word that stands in ordinary text; replacing it would only do harm."""

# Forms that the vendors document, with a first part that ordinary text does not have.
_KEYS = re.compile(
    r"(?:sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\\\s]+-----END [A-Z ]*PRIVATE KEY-----)"
)
_HINTS = (
    *("sk-", "AKIA", "AIza", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "hf_"),
    "PRIVATE KEY",
)
"""One of these stands in every key of the forms above; ordinary text is passed without the pattern."""


class SecretFinder:
    """Redacts secrets from texts that people may read. `known` is asked each time, as secrets get resolved."""

    def __init__(self, known: Callable[[], Iterable[str]]) -> None:
        self._known = known
        self._seen: frozenset[str] = frozenset()
        self._forms: tuple[str, ...] = ()

    def __call__(self, text: str) -> str | None:
        """The text with every secret masked, or None if there is none."""
        redacted = text
        for form in self._spellings():
            if form in redacted:
                redacted = redacted.replace(form, MASK)
        if _has_hint(redacted):
            redacted = _KEYS.sub(MASK, redacted)
        return redacted if redacted != text else None

    def _spellings(self) -> tuple[str, ...]:
        """Known secrets as they stand in plain text and in JSON, the longest first."""
        known = frozenset(secret for secret in self._known() if len(secret) >= _SHORTEST)
        if known != self._seen:
            escaped = {orjson.dumps(secret).decode()[1:-1] for secret in known}
            self._forms = tuple(sorted(known | escaped, key=len, reverse=True))
            self._seen = known
        return self._forms


def _has_hint(text: str) -> bool:
    # Each recorded text comes through here; a generator would cost three times as much.
    for hint in _HINTS:  # noqa: SIM110
        if hint in text:
            return True
    return False
