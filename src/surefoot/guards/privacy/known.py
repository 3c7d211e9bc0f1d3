"""Secrets that are known by their value: those in the environment, and all the ways in which one may be spelled."""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import orjson

SHORTEST = 8
"""A known secret of fewer characters is a word that stands in ordinary text; replacing it would only do harm."""

Known = Callable[[], frozenset[str]]
"""Gives the secrets that are known at that moment: the same set again while it has not changed."""


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


def spellings(secret: str) -> frozenset[str]:
    """The forms in which a secret may stand in a text: as it is, escaped, encoded, and written backwards.

    In base64 it begins at one of three places of a group of four signs; what each of the three has of the secret
    alone is a form, the first and the last sign left out where others take part in them.
    """
    return frozenset(form for part in _parts(secret) for form in _forms(part) if len(form) >= SHORTEST)


def _parts(secret: str) -> Iterator[str]:
    """A secret without the blanks around it, which nobody sends, and of an address its password too."""
    secret = secret.strip()
    yield secret
    if "://" in secret:
        with suppress(ValueError):
            password = urlsplit(secret).password or ""
            yield password
            yield unquote(password)


def _forms(secret: str) -> set[str]:
    if len(secret) < SHORTEST:
        return set()
    plain = secret.encode("utf-8", "surrogatepass")
    once, escaped = _in_json(secret), json.dumps(secret)[1:-1]
    in_html = html.escape(secret)
    forms = {
        *(secret, secret[::-1], once, _in_json(once), in_html),
        # As templates and XML write the quotes of HTML.
        in_html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        in_html.replace("&#x27;", "&apos;"),
        # As other programs write JSON, and as `repr` does.
        *(escaped, json.dumps(escaped)[1:-1], repr(secret)[1:-1]),
        *(quote(plain, safe=""), quote(plain), quote_plus(plain)),
        *(plain.hex(), plain.hex().upper()),
        *_in_base64(plain),
    }
    return forms | {
        _with_small_escapes(form) for form in (quote(plain, safe=""), quote(plain), quote_plus(plain))
    }


def _in_json(text: str) -> str:
    try:
        return orjson.dumps(text).decode()[1:-1]
    except TypeError:
        # Half of a character, which no JSON of ours holds.
        return text


def _with_small_escapes(text: str) -> str:
    """`%2F` as `%2f`."""
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _in_base64(plain: bytes) -> Iterator[str]:
    for before in range(3):
        text = base64.b64encode(bytes(before) + plain).decode()
        # 6 bits a sign: those that hold bits of what stands before, and of what stands behind.
        first = -(-before * 8 // 6)
        last = (before + len(plain)) * 8 // 6
        form = text[first:last]
        yield form
        yield form.replace("+", "-").replace("/", "_")
