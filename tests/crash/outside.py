"""The world outside of the ledger, as append-only files: a line is a JSON list, written in one go.

A killed process loses nothing that it has written: the pages are the system's, not its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

EXECUTED = "executed"
"""[idempotency key, step, token]: a body of a default step was run."""
EFFECTS = "effects"
"""[idempotency key, step, token]: an effect has happened."""
ACKNOWLEDGED = "acknowledged"
"""[run id, step, value]: a step has returned this to its flow."""
RETURNED = "returned"
"""[run key, output]: a run has returned this to its caller."""
ANSWERED = "answered"
"""[idempotency key of the step that asked, token]: the model has answered, and wants to be paid for it."""
DECIDED = "decided"
"""[run id, step, "done" or "retry"]: an operator has looked at the effects, and said so."""
TROUBLES = "troubles"
"""[what, traceback]: something that must not happen, as a process saw it."""

_open: dict[str, int] = {}


def note(file: str, *line: object) -> None:
    """Append a line to a file of the working directory."""
    if file not in _open:
        _open[file] = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(_open[file], json.dumps(line).encode() + b"\n")


def lines(file: str, folder: Path = Path()) -> list[list[str]]:
    """What stands in a file by now."""
    path = folder / file
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def token() -> str:
    """A value that no other execution has."""
    return os.urandom(6).hex()
