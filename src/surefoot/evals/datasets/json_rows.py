"""Rows from JSON: one object per line, or an array of objects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

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
    at, number = 0, 1

    def go_to(end: int) -> None:
        nonlocal at, number
        number += whole.count("\n", at, end)
        at = end

    def skip() -> str:
        end = at
        while end < len(whole) and whole[end] in _BLANKS:
            end += 1
        go_to(end)
        return whole[at : at + 1]

    def refuse(why: str) -> NoReturn:
        raise InvalidInput(f"{file}:{number}: {why}")

    if skip() != "[":
        refuse(
            'the file holds no JSON array: write [{"id": ...}, ...], or one object per line in a .jsonl file'
        )
    go_to(at + 1)
    is_first = True
    while (sign := skip()) != "]":
        if not is_first:
            if sign != ",":
                refuse("a comma or the end of the array is missing here")
            go_to(at + 1)
            skip()
        is_first = False
        try:
            row, end = _decoder.raw_decode(whole, at)
        except RecursionError:
            refuse("this is nested too deeply")
        except ValueError as error:
            if isinstance(error, json.JSONDecodeError):
                raise InvalidInput(
                    f"{file}:{error.lineno}:{error.colno}: this is not JSON ({error.msg})"
                ) from None
            refuse(f"this is not JSON ({error})")
        if isinstance(row, dict):
            yield Record(file, number, cast("dict[str, object]", row))
        else:
            yield Record(file, number, {}, mistake="the array holds something here that is no object")
        go_to(end)
    go_to(at + 1)
    if skip():
        refuse("something follows the array")


def parsed(line: str) -> object:
    """The value of a JSON text. Raises `ValueError` for what JSON has no form for, and for a key that stands twice."""
    try:
        return _decoder.decode(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
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
