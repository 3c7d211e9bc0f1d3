"""What a step's body may give in place of a result: the logic by which the step comes to its outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from surefoot.flows.drive import Logic
from surefoot.values import PromptRef

if TYPE_CHECKING:
    from surefoot.flows.claims import StepClaim


class Conclusion(ABC):
    """An outcome that is recorded together with something else: the user's own rows, the message that was taken."""

    __slots__ = ()

    @abstractmethod
    def perform(self, claim: StepClaim, prompt: PromptRef | None) -> Logic[Any]:
        """The step's result, once it is durable. What it raises is the failure of the attempt."""
