"""How cases of prompts went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.evals.prompting.cases import PromptCase
from surefoot.values import Json, Money, Usage

Standing = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Misses:
    """One thing that is not as expected: `what` it is about, what was expected, and what there was."""

    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case of a prompt went.

    `misses` are what was not as expected, `reason` is why it was skipped or could not be judged. `run_id` is the run in
    which a real model was asked; `cost` is None where its price is not known.
    """

    prompt: str
    digest: str
    case: PromptCase
    standing: Standing
    misses: tuple[Misses, ...] = ()
    reason: str = ""
    answer: str | None = None
    model: str = ""
    usage: Usage = Usage()
    cost: Money | None = Money()
    seconds: float = 0.0
    run_id: str = ""

    def to_json(self) -> dict[str, Json]:
        """As plain data; money in US dollars."""
        return {
            "prompt": self.prompt,
            "digest": self.digest,
            "case": self.case.name,
            "place": self.case.place,
            "status": self.standing,
            "misses": [{"what": one.what, "expected": one.expected, "got": one.got} for one in self.misses],
            "reason": self.reason,
            "answer": self.answer,
            "model": self.model,
            "tokens": {"input": self.usage.input, "output": self.usage.output},
            "cost_usd": None if self.cost is None else self.cost.nanos / 1e9,
            "seconds": self.seconds,
            "run": self.run_id,
        }


@dataclass(frozen=True, slots=True)
class Results:
    """How all cases went, and which prompts have none."""

    cases: Sequence[CaseResult]
    untested: Sequence[str] = ()

    def count(self, standing: Standing) -> int:
        """How many cases stand so."""
        return sum(one.standing == standing for one in self.cases)

    @property
    def is_passed(self) -> bool:
        """Whether none failed."""
        return self.count("failed") == 0

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        return {
            "passed": self.count("passed"),
            "failed": self.count("failed"),
            "skipped": self.count("skipped"),
            "untested": list(self.untested),
            "cases": [one.to_json() for one in self.cases],
        }
