"""The gates of a project before each move of a label, whether a command asks for it or code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surefoot.config import GateSettings
from surefoot.evals.comparing.clearance import Clearance, Move, check, clearances
from surefoot.evals.comparing.references import labelled_digests
from surefoot.ledger import Evaluations, Ledger
from surefoot.prompts import Library, Prompt


def move_of(library: Library, prompt: Prompt, label: str) -> Move:
    """What pointing a label at a version moves. Raises `LedgerError`."""
    labelled = labelled_digests(library, label)
    before = labelled.get(prompt.name, "")
    return Move(prompt.name, prompt.digest, prompt.label, label, before, labelled)


@dataclass(frozen=True, slots=True)
class Guarding:
    """What a library asks before it moves a label."""

    gates: Mapping[str, GateSettings]
    ledger: Ledger

    def __call__(self, library: Library, prompt: Prompt, label: str, *, force: bool) -> str:
        """Raise `GatePending` where a gate was not passed; forced, say which, in words for the record."""
        move = move_of(library, prompt, label)
        if move.before == move.digest:
            return ""
        found = clearances(self.gates, move, Evaluations(self.ledger))
        if not force:
            check(found, move)
        return passed_over(found)


def passed_over(found: Sequence[Clearance]) -> str:
    """The gates that were not passed, in words."""
    return "; ".join(f"gate {each.gate.name}, {each.standing}" for each in found if not each.is_open)
