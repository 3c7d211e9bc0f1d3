"""`name=value` pairs, amounts and input files of a command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot.errors import InvalidInput
from surefoot.texts import jsontext

if TYPE_CHECKING:
    from surefoot.values import Money

MAX_BYTES = 256_000_000
"""The longest input that is read: a device or a wrong file must not fill the memory."""


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


def dollars(given: str | None, *, option: str) -> Money | None:
    """An amount of US dollars above 0, as in `2.50` or `$2.50`. Raises `InvalidInput`."""
    from decimal import Decimal, InvalidOperation

    from surefoot.values import Money

    if given is None:
        return None
    try:
        amount = Decimal(given.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise InvalidInput(f"{option} {given}: give an amount of US dollars above 0, as in 2.50")
    return Money.dollars(amount)


def named_file(pair: str) -> tuple[str, Path] | None:
    """Name and file of `name=@file`; None for another pair."""
    name, _, value = pair.partition("=")
    is_file = value.startswith("@") and not value.startswith("@@") and value != "@-"
    return (name.strip(), Path(value[1:]).expanduser()) if is_file and name.strip() else None


def document(place: str) -> dict[str, object]:
    """The JSON object in a file, or on stdin for `-`. Raises `InvalidInput`."""
    text = _stdin("--inputs") if place == "-" else _text(place, "--inputs")
    try:
        value = jsontext.read(text)
    except jsontext.NoJson as error:
        raise InvalidInput(f"--inputs {place} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f'--inputs {place} holds no JSON object: write {{"name": value, ...}}')
    return cast("dict[str, object]", value)


def _value(value: str, option: str) -> str:
    if value.startswith("@@"):
        return value[1:]
    if value == "@-":
        return _stdin(option)
    if value.startswith("@"):
        return _text(value[1:], option)
    return value


def _stdin(option: str) -> str:
    stream = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if stream is None else _decoded(stream.read(MAX_BYTES + 1), "stdin", option)


def _text(place: str, option: str) -> str:
    try:
        with Path(place).expanduser().open("rb") as file:
            return _decoded(file.read(MAX_BYTES + 1), place, option)
    except OSError as error:
        raise InvalidInput(f"{option}: the file {place} cannot be read ({error.strerror})") from None


def _decoded(content: bytes, place: str, option: str) -> str:
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            f"{option}: {place} has more than {MAX_BYTES:,} bytes, which is the most that is read"
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{option}: {place} is not UTF-8 text (byte {error.start})") from None
