"""Cells that a spreadsheet would take for a formula, written so that it shows them as text."""

from __future__ import annotations

import re

_BEGINS = re.compile(r"'*[=+\-@\t\r|%\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MARKED = re.compile(r"''*[=+\-@\t\r|%\uff1d\uff0b\uff0d\uff20]")


def harmless(text: str) -> str:
    """The text with an apostrophe before what begins as a formula does; a number is none."""
    return f"'{text}" if _BEGINS.match(text) and not _NUMBER.fullmatch(text) else text


def meant(text: str) -> str:
    """Undo `harmless`."""
    return text[1:] if _MARKED.match(text) and not _NUMBER.fullmatch(text[1:]) else text
