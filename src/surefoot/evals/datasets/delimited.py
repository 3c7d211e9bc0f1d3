"""Rows from CSV and TSV: the delimiter is found, quoted cells may hold line ends, and mistakes have a place."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.formulas import meant
from surefoot.evals.datasets.record import Record, shown
from surefoot.evals.datasets.source import lines

LONGEST_CELL = 16_000_000
"""Characters of one cell: a quote that is never closed must not take in the whole file."""
_DELIMITERS = ",;\t|"


def of_table(file: Path, encoding: str | None = None, *, delimiter: str | None = None) -> Iterator[Record]:
    """A row for each line below the header, with all values as text.

    delimiter: between cells; without one it is the sign among comma, semicolon, tab and bar that the header has most
        of, in `.tsv` files the tab.

    Raises `InvalidInput` for a file that cannot be read, a header with a name twice, and a row of another width.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidInput(f"{file}: the delimiter is {delimiter!r}: give one character, such as ','")
    # The limit of the csv module is the process's own, and 131,072 characters are too few for a document. It is
    # raised and never lowered, which nobody else can notice.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    told = _Told(file, encoding)
    reader = csv.reader(told, delimiter=delimiter or told.delimiter(), strict=True)
    header: Sequence[str] = ()
    begin = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise InvalidInput(_said(error, file, begin, reader.line_num)) from None
        number, begin = begin, reader.line_num + 1
        if not cells:
            continue
        if not header:
            header = _header(cells, file, number)
        else:
            yield _record(cells, header, file, number)
    if not header:
        raise InvalidInput(f"{file} is empty: the first line of a table names its columns")


class _Told(Iterator[str]):
    """The lines of the file, of which the first can be looked at before it is read."""

    def __init__(self, file: Path, encoding: str | None) -> None:
        self._lines = lines(file, encoding)
        self._file = file
        self._first = next(self._lines, None)

    def __next__(self) -> str:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._lines)

    def delimiter(self) -> str:
        if {".tsv", ".tab"} & {suffix.lower() for suffix in self._file.suffixes}:
            return "\t"
        # What stands in quotes separates nothing.
        bare = "".join((self._first or "").split('"')[::2])
        return max(_DELIMITERS, key=bare.count)


def _header(cells: list[str], file: Path, number: int) -> list[str]:
    names = [meant(cell).strip() for cell in cells]
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise InvalidInput(
                f"{file}:{number}:{index + 1}: the column {name!r} stands there twice: rename one of them"
            )
        if name:
            seen.add(name)
    if not any(names):
        raise InvalidInput(f"{file}:{number}: the first line names no column")
    return names


def _record(cells: list[str], header: Sequence[str], file: Path, number: int) -> Record:
    if len(cells) != len(header):
        said = (
            f"the row has {len(cells)} cells and the header {len(header)}: is a quote or a delimiter missing?"
        )
        return Record(file, number, {}, header, is_text=True, mistake=said)
    for index, (name, cell) in enumerate(zip(header, cells, strict=True)):
        if not name and cell.strip():
            said = f"column {index + 1} has no name and holds {shown(cell)}: name it in the first line"
            return Record(file, number, {}, header, is_text=True, mistake=said)
    values = {name: meant(cell) for name, cell in zip(header, cells, strict=True) if name}
    return Record(file, number, values, header, is_text=True)


def _said(error: csv.Error, file: Path, begin: int, last: int) -> str:
    text = str(error)
    if "field larger" in text:
        why = f"a cell has more than {LONGEST_CELL:,} characters: is a closing quote missing?"
    elif "unexpected end" in text:
        why = f"a quoted cell that begins here is not closed by the end of the file (line {last})"
    elif "new-line" in text:
        why = "lines end in a carriage return alone: save the file with line feeds"
    else:
        why = f"this is no row of a table ({text}): a quote inside of a quoted cell is written twice"
    return f"{file}:{begin}: {why}"
