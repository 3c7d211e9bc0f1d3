"""Canaries: tokens that stand in a system message and nowhere else, by which an answer that gives it away is known."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

_BYTES = 16
_NOT_SHOWN = re.compile(r"[^0-9A-Za-z]+")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_MOST_DECODED = 3


def canary_of(key: bytes, *, tenant: str, digest: str) -> str:
    """32 letters and digits: HMAC-SHA-256 of the tenant and the digest of the prompt, 128 bits of it in hexadecimal.

    The same for all calls of a prompt, so that caches keep what holds it.
    """
    told = f"canary\0{tenant}\0{digest}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, told, "sha256")[:_BYTES].hex()


def found_in(text: str, canary: str) -> str:
    """How a text gives a canary away: `plain`, `case`, `spaced`, `reversed`, `base64`, `hex`, `url` or `rot13`.

    The empty text where it does not. Also in parts of other encoded texts (base64 at each of its three alignments), and
    with whatever stands between its letters.
    """
    if not canary or len(text) < len(canary):
        return ""
    if canary in text:
        return "plain"
    shown = [text]
    while len(shown) <= _MOST_DECODED and _PERCENT.search(shown[-1]):
        shown.append(unquote(shown[-1]))
    for number, one in enumerate(shown):
        if canary in one.lower():
            return "url" if number else "plain" if canary in one else "case"
    return next((how for one in shown if (how := _told(one, canary))), "")


def _told(text: str, canary: str) -> str:
    bare = _NOT_SHOWN.sub("", text)
    if canary in bare.lower():
        return "spaced"
    for shown in (text, bare) if len(bare) != len(text) else (text,):
        lower = shown.lower()
        for kind, forms, is_exact in _looks(canary):
            if any(form in (shown if is_exact else lower) for form in forms):
                return kind
    return ""


@lru_cache(maxsize=64)
def _looks(canary: str) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
    """Each way to write a canary: its forms, and whether their case counts."""
    raw, turned = canary.encode(), canary[::-1].encode()
    rot13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
    return (
        ("reversed", (canary[::-1],), False),
        ("hex", (raw.hex(), raw.hex()[::-1], turned.hex()), False),
        ("rot13", (canary.translate(rot13), canary[::-1].translate(rot13)), False),
        (
            "base64",
            tuple(
                dict.fromkeys(
                    form
                    for bare in (raw, canary.upper().encode(), turned, bytes.fromhex(canary))
                    for aligned in _aligned(bare)
                    for form in (aligned, aligned[::-1])
                )
            ),
            True,
        ),
    )


def _aligned(raw: bytes) -> Iterator[str]:
    """What of a text is the same in base64 wherever it stands in a longer one: at each of three places."""
    for before in range(3):
        written = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first characters hold bits of what stands before, the last of what comes behind.
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        yield _NOT_SHOWN.sub("", written[first:last])
