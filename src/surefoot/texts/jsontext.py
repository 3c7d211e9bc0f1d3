"""JSON from files and requests that may be hostile: bounded, without duplicate keys, every error with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn, cast

from surefoot.values import Json

MAX_DEPTH = 100
"""Lists and objects inside each other. What is recorded may be nested twice as deeply."""

MAX_DIGITS = 1_000
"""Digits of a number: reading more takes time with their square."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]|-?[A-Za-z]+|[-0-9][-+.0-9eE]*', re.DOTALL)
_COLON = re.compile(r"\s*:")
_HALVES = re.compile("[\ud800-\udfff]")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class NoJson(ValueError):
    """A text that is no JSON, or more of it than is read; the message names line and column, and never the text."""


def read(text: str) -> Json:
    """The value of a JSON text.

    Raises `NoJson` for what is no JSON, `NaN` and `Infinity` among it, for a key that stands twice in an object, for
    more than 100 lists and objects inside each other, for a number of more than 1,000 digits or beyond the largest, and
    for half of a character.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    try:
        value = cast("Json", _decoder.decode(text))
    except json.JSONDecodeError as error:
        raise NoJson(
            f"line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
        ) from None
    except _Refused as refused:
        raise NoJson(f"{_place_of(text, refused)}{refused}") from None
    if _HALF.search(text) is not None or not _is_whole(text):
        _check_halves(text, value)
    return value


class _Refused(Exception):
    """What the decoder has read and is not taken. `sign` is how it is written, or the key that stands twice."""

    def __init__(self, problem: str, sign: str, *, is_key: bool = False) -> None:
        super().__init__(problem)
        self.sign = sign
        self.is_key = is_key


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"the key {key[:60]!r} stands twice in one object; keep one", key, is_key=True)
            seen.add(key)
    return found


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Refused(f"a number has more than {MAX_DIGITS:,} digits", digits)
    return int(digits)


def _fraction(digits: str) -> float:
    if len(digits) > MAX_DIGITS:
        raise _Refused(f"a number has more than {MAX_DIGITS:,} digits", digits)
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused("a number is too large", digits)
    return number


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is no value of JSON; write null, or a text", name)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)


def _check_depth(text: str) -> None:
    """Refuse deep nesting before anything is built, in one pass."""
    depth = 0
    for found in _TOKEN.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NoJson(
                    f"{_place(text, found.start())}it is nested more than {MAX_DEPTH} deep; flatten it"
                )
        elif found[0] in "]}":
            depth -= 1


def _is_whole(text: str) -> bool:
    """Whether there is no half of a character in it; bytes of a command line that are no text are such."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _check_halves(text: str, value: Json) -> None:
    for one in _texts(value):
        try:
            one.encode()
        except UnicodeEncodeError:
            found = cast("re.Match[str]", _HALF.search(text) or _HALVES.search(text))
            raise NoJson(f"{_place(text, found.start())}there is half of a character; write both") from None


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _place_of(text: str, refused: _Refused) -> str:
    """Where what was refused stands: looked for only now, as nearly every text is taken."""
    open_objects: list[set[str]] = []
    for found in _TOKEN.finditer(text):
        sign = found[0]
        if sign == "{":
            open_objects.append(set())
        elif sign == "}":
            open_objects.pop()
        elif not refused.is_key and sign == refused.sign:
            return _place(text, found.start())
        elif refused.is_key and sign[0] == '"' and _COLON.match(text, found.end()):
            key = cast("str", json.loads(sign))
            if key == refused.sign and key in open_objects[-1]:
                return _place(text, found.start())
            open_objects[-1].add(key)
    return ""


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return f"line {line}, column {column}: "
