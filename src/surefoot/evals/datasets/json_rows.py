"""Rows from JSON: one object per line, or an array of objects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import orjson

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.record import Record
from surefoot.evals.datasets.source import lines, text

_BLANKS = " \t\r\n"


def of_lines(file: Path, encoding: str | None = None) -> Iterator[Record]:
    """A row for each line that is not blank; one that holds no object is a row with a mistake.

    Raises `InvalidInput` for a file that cannot be read.
    """
    for number, line in enumerate(lines(file, encoding), 1):
        if line.isspace():
            continue
        try:
            row = parsed(line)
        except ValueError as error:
            said = f"this line is not JSON ({error}): write one object per line"
            yield Record(file, number, {}, mistake=said)
            continue
        if isinstance(row, dict):
            yield Record(file, number, cast("dict[str, object]", row))
        else:
            said = 'this line holds no JSON object: write {"id": ..., "expected": ...}'
            yield Record(file, number, {}, mistake=said)


def of_array(file: Path, encoding: str | None = None) -> Iterator[Record]:
    """A row for each object of the array that the file holds. Raises `InvalidInput`."""
    whole = text(file, encoding)
    try:
        _check_halves(whole)
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON ({error})") from None
    array = _Array(file, whole)
    if array.sign() != "[":
        array.refuse(
            'the file holds no JSON array: write [{"id": ...}, ...], or one object per line in a .jsonl file'
        )
    array.step()
    while array.sign() != "]":
        number = array.number
        row = array.value()
        if isinstance(row, dict):
            yield Record(file, number, cast("dict[str, object]", row))
        else:
            yield Record(file, number, {}, mistake="the array holds something here that is no object")
        sign = array.sign()
        if sign == ",":
            array.step()
            if array.sign() == "]":
                array.refuse("a comma stands behind the last object: remove it")
        elif sign != "]":
            array.refuse("a comma or the end of the array is missing here")
    array.step()
    if array.sign():
        array.refuse("something follows the array")


class _Array:
    """A place in the text of an array, and its line: one value after the other, so that not all are there at once."""

    def __init__(self, file: Path, whole: str) -> None:
        self.number = 1
        self._file = file
        self._whole = whole
        self._at = 0

    def sign(self) -> str:
        """The next character that is no blank; empty at the end."""
        end = self._at
        while end < len(self._whole) and self._whole[end] in _BLANKS:
            end += 1
        self._go_to(end)
        return self._whole[end : end + 1]

    def step(self) -> None:
        self._go_to(self._at + 1)

    def value(self) -> object:
        """The value that begins here. Raises `InvalidInput`."""
        try:
            value, end = _decoder.raw_decode(self._whole, self._at)
        except json.JSONDecodeError as error:
            raise InvalidInput(
                f"{self._file}:{error.lineno}:{error.colno}: this is not JSON ({error.msg})"
            ) from None
        except RecursionError:
            self.refuse("this is nested too deeply")
        except ValueError as error:
            self.refuse(f"this is not JSON ({error})")
        self._go_to(end)
        return cast("object", value)

    def refuse(self, why: str) -> NoReturn:
        raise InvalidInput(f"{self._file}:{self.number}: {why}")

    def _go_to(self, end: int) -> None:
        self.number += self._whole.count("\n", self._at, end)
        self._at = end


def parsed(line: str) -> object:
    """The value of a JSON text. Raises `ValueError` for what JSON has no form for, and for a key that stands twice."""
    _check_halves(line)
    try:
        return _decoder.decode(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_halves(whole: str) -> None:
    """Raise `ValueError` for the escape of half a character, which is no text and cannot be written anywhere."""
    if "\\ud" in whole or "\\uD" in whole:
        orjson.loads(whole)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large for a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)
