"""A table of data, cell by cell, as a pipe table."""

from __future__ import annotations

from surefoot.retrieval.readers.writing import MOST_CHARACTERS, Refused, Writing

_MOST_COLUMNS_OF_A_CELL = 20
_MOST_ROWS_OF_A_CELL = 1000


class Table:
    """Rows of cells. A cell over several rows stands in each of them, one over several columns in the first."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []
        self._length = 0
        # By column: the text that goes on in further rows, and in how many.
        self._lasting: dict[int, tuple[int, str]] = {}

    def row(self) -> None:
        """Begin a row."""
        self._continue()
        self._rows.append([])

    def cell(self, text: str, *, columns: int = 1, rows: int = 1) -> None:
        if not self._rows:
            self.row()
        self._continue()
        for text_here in (text, *[""] * (min(columns, _MOST_COLUMNS_OF_A_CELL) - 1)):
            if rows > 1:
                self._lasting[len(self._rows[-1])] = (min(rows, _MOST_ROWS_OF_A_CELL) - 1, text_here)
            self._put(text_here)

    def write(self, writing: Writing) -> None:
        """Write a table whose first row is the header; of a single row or column, write its cells as prose."""
        self._continue()
        rows = [row for row in self._rows if any(row)]
        if len(rows) > 1 and max(map(len, rows)) > 1:
            lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
            lines.insert(1, "|" + " --- |" * len(rows[0]))
            writing.block("table", "\n".join(lines))
        elif rows:
            writing.block("prose", "\n".join(" ".join(cell for cell in row if cell) for row in rows))

    def _continue(self) -> None:
        """Put in what lasts from rows above, up to the next free column."""
        while self._rows and (column := len(self._rows[-1])) in self._lasting:
            left, text = self._lasting.pop(column)
            if left > 1:
                self._lasting[column] = (left - 1, text)
            self._put(text)

    def _put(self, text: str) -> None:
        self._rows[-1].append(text)
        self._length += len(text) + 3
        if self._length > MOST_CHARACTERS:
            raise Refused(f"it holds more than the limit of {MOST_CHARACTERS:,} characters of text")
