"""One row of a file, whichever format it has, before it is a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from surefoot.errors import InvalidInput

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Record:
    """The values of a row by column. `number` is its line in the file; in parquet and arrow, its row.

    `header` are the columns of a table, of which a row may leave some out. `is_text`: every value is text, as a cell
    of a CSV file is. `mistake` says why a line is no row.
    """

    file: Path
    number: int
    values: Mapping[str, object]
    header: Sequence[str] = ()
    is_text: bool = False
    mistake: str = ""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"

    def place_of(self, column: str) -> str:
        """`cases.csv:3:2` for the second column of a table of text, else the row's own place."""
        is_known = self.is_text and column in self.header
        return f"{self.place}:{self.header.index(column) + 1}" if is_known else self.place

    def refuse(self, column: str, why: str) -> NoReturn:
        """Raise `InvalidInput` for the value of a column."""
        raise InvalidInput(f"{self.place_of(column)}: {column!r} is {shown(self.values[column])}: {why}")


def shown(value: object) -> str:
    """A value in an error, cut to some characters."""
    text = repr(value if not isinstance(value, str) else value[: 2 * _SHOWN])
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
