"""What `surefoot check` finds: a place, how bad it is, and what mends it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, TypeAlias

from surefoot.values import Json

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An `error` fails the check; of a `note` nothing has to be done."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_PLACE = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<text>.*)", re.DOTALL)
_FILE = re.compile(r"(?P<file>/[^\n]+?): (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found by a check. `file` is relative to the project where it is inside.

    `column` is where it begins in the line, 0 where that is not known. `flows` are those that it concerns, where it
    concerns some alone. `more` are lines below the text, `data` what there is of it for programs.
    """

    check: str
    severity: Severity
    file: str
    line: int
    text: str
    column: int = 0
    flows: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        return {
            "check": self.check,
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "column": self.column or None,
            "message": self.text,
            **self.data,
        }


def told(check: str, severity: Severity, message: str, *, root: Path, file: Path) -> Finding:
    """A finding from a message that begins with its place; `file` is where it is if it does not."""
    from surefoot.prompts.stored import relative

    found = _PLACE.match(message) or _FILE.match(message)
    if found is None:
        return Finding(check, severity, relative(file, root), 1, message)
    place = found.groupdict()
    line, column = int(place.get("line") or 1), int(place.get("column") or 0)
    return Finding(check, severity, relative(Path(found["file"]), root), line, found["text"], column)


class Heard(logging.Handler):
    """The warnings of a logger that begin with a place, each once."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._logger = logging.getLogger(name)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.messages and _PLACE.match(message):
            self.messages.append(message)

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
