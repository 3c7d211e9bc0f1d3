"""Texts as cells of CSV and TSV: none of which a spreadsheet takes for a formula, and all of which come back."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet computes; with apostrophes before it, what one may have been put before."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def guarded(text: str) -> str:
    """The text as a cell: with an apostrophe before it where it would be a formula, as spreadsheets write text.

    A number is none, whatever its sign.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell: without the apostrophe that stands before what would be a formula."""
    if cell.startswith("'") and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell[1:]):
        return cell[1:]
    return cell
