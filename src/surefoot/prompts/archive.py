"""What the library of prompts asks of a ledger: texts that were used, labels, and how runs used prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from surefoot.values import Label, PromptText, PromptUse


class Archive(Protocol):
    """The ledger's part of the library. Every method may block, and raises `LedgerError` where the ledger fails."""

    def keep(self, text: PromptText) -> None:
        """Keep a version, once for each digest. It rides along: it is written no later than the next outcome."""
        ...

    def texts(self, name: str = "", digest: str = "", *, patience: float | None = None) -> list[PromptText]:
        """The versions that were kept, of a prompt and of a digest or its beginning, the newest first.

        patience: seconds for which a ledger that is away is waited for, instead of its own.
        """
        ...

    def labels(self, name: str = "") -> list[Label]:
        """Where the labels of a prompt, or of all, point now, by prompt and label."""
        ...

    def moves(self, name: str, label: str = "") -> list[Label]:
        """Every move of the labels of a prompt, the newest first."""
        ...

    def move(self, label: Label) -> Label:
        """Point a label at a digest, durably; the move with its time and what was before, `by` and `reason` kept."""
        ...

    def note(self, use: PromptUse) -> None:
        """Remember how a run used a prompt: once for each prompt, flow, place and shape of inputs. It rides along."""
        ...

    def uses(self, name: str = "") -> list[PromptUse]:
        """How runs have used a prompt, or all of them, the newest first."""
        ...

    def pins(self, run_id: str) -> Mapping[str, str]:
        """The digest that each reference meant when a run used it first."""
        ...
