"""Canaries are found in whatever way an answer writes them."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import pytest

from surefoot.texts.canaries import canary_of, found_in

CANARY = canary_of(b"k" * 32, tenant="acme", digest="d" * 64)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


WAYS: dict[str, tuple[str, Callable[[str], str]]] = {
    "plain": ("plain", str),
    "in capitals": ("case", str.upper),
    "reversed": ("reversed", lambda text: text[::-1]),
    "reversed in capitals": ("reversed", lambda text: text[::-1].upper()),
    "spaced": ("spaced", " ".join),
    "with hyphens and in capitals": ("spaced", lambda text: "-".join(text.upper())),
    "one to a line": ("spaced", "\n* ".join),
    "reversed and spaced": ("reversed", lambda text: ". ".join(text[::-1])),
    "base64": ("base64", lambda text: base64.b64encode(text.encode()).decode()),
    "base64 one behind": ("base64", lambda text: base64.b64encode(f"x{text}y".encode()).decode()),
    "base64 two behind": ("base64", lambda text: base64.b64encode(f"xy{text}".encode()).decode()),
    "base64 in lines": (
        "base64",
        lambda text: base64.encodebytes(f"The key is {text}, is it?".encode()).decode(),
    ),
    "base64 for addresses": ("base64", lambda text: base64.urlsafe_b64encode(f"??>{text}".encode()).decode()),
    "base64 of what it stands for": ("base64", lambda text: base64.b64encode(bytes.fromhex(text)).decode()),
    "base64 reversed": ("base64", lambda text: base64.b64encode(text.encode()).decode()[::-1]),
    "hex": ("hex", lambda text: text.encode().hex()),
    "hex in capitals and spaced": ("hex", lambda text: text.encode().hex(" ").upper()),
    "rot13": ("rot13", partial(codecs.encode, encoding="rot13")),
    "url": ("url", _percent),
    "url twice": ("url", lambda text: quote(_percent(text))),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_canary_is_found(way: str) -> None:
    kind, write = WAYS[way]
    assert found_in(f"Sure: {write(CANARY)} is it.", CANARY) == kind
    other = canary_of(b"k" * 32, tenant="other", digest="d" * 64)
    assert not found_in(f"Sure: {write(other)} is it.", CANARY)


@pytest.mark.parametrize("text", ["", "no canary", CANARY[:31], "%" * 100, "a1b2c3" * 100])
def test_other_texts_give_nothing_away(text: str) -> None:
    assert not found_in(text, CANARY)
    assert not found_in(text, "")


def test_a_canary_is_of_key_tenant_and_prompt() -> None:
    assert len(CANARY) == 32
    others = {
        canary_of(b"o" * 32, tenant="acme", digest="d" * 64),
        canary_of(b"k" * 32, tenant="acm", digest="e" + "d" * 64),
        canary_of(b"k" * 32, tenant="acme", digest="e" * 64),
    }
    assert len(others - {CANARY}) == 3
