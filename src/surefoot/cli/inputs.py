"""`name=value` pairs and input files of a command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import orjson

from surefoot.errors import InvalidInput


def pairs(given: Iterable[str], *, option: str) -> dict[str, str]:
    """The values of `name=value` options; `name=@file` is the text of the file, `name=@-` that of stdin.

    A value that begins with an `@` of its own is written with two. Raises `InvalidInput`.
    """
    values: dict[str, str] = {}
    for pair in given:
        name, found, value = pair.partition("=")
        if not found or not name.strip():
            raise InvalidInput(f"{option} {pair!r} is no pair: write {option} name=value, or name=@file")
        values[name.strip()] = _value(value, f"{option} {name}")
    return values


def document(place: str) -> dict[str, object]:
    """The JSON object in a file, or on stdin for `-`. Raises `InvalidInput`."""
    text = sys.stdin.read() if place == "-" else _text(place, "--inputs")
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"--inputs {place} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f'--inputs {place} holds no JSON object: write {{"name": value, ...}}')
    return cast("dict[str, object]", value)


def _value(value: str, option: str) -> str:
    if value.startswith("@@"):
        return value[1:]
    if value == "@-":
        return sys.stdin.read()
    if value.startswith("@"):
        return _text(value[1:], option)
    return value


def _text(place: str, option: str) -> str:
    try:
        return Path(place).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{option}: {place} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput(f"{option}: the file {place} cannot be read ({error.strerror})") from None
