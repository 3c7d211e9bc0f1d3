"""A question to models and what came of it, whoever answers: a call, a ladder of tiers, a route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast

from surefoot import scope
from surefoot.effects import Invoke, Program, drive, drive_async
from surefoot.models.chain.endpoints import Policy
from surefoot.models.chain.reserve import Reserve
from surefoot.models.generating.asking import Turn
from surefoot.models.generating.choices import Single
from surefoot.models.generating.prompting import Rendered
from surefoot.models.generating.schemas import Wanted
from surefoot.scope import Work
from surefoot.values import CallFacts, Json, Money, Usage

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Escalation:
    """That a tier (1, 2, ...) was asked and another one after it: its model, and why its answer was not taken."""

    tier: int
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the messages of a prompt and the inputs that are in them, and what is wanted of the answer."""

    rendered: Rendered
    inputs: Mapping[str, object]
    wanted: Wanted | None
    policy: Policy
    is_async: bool
    form: Literal["value", "turn", "whole"] = "value"
    """What is wanted: a value, what the model said as a `Message`, or the provider's whole answer."""
    reserve: Reserve | None = None
    """What is held for all of its calls, where they are those of a ladder."""
    untrusted: str | None = None
    """What of its messages is untrusted, empty where nothing is; None where the step that it is knows."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls have used. `cost` is None where the price of one is not known."""

    usage: Usage = Usage()
    cost: Money | None = Money()
    calls: int = 0

    def __add__(self, other: Spent) -> Spent:
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return Spent(self.usage + other.usage, cost, self.calls + other.calls)

    def to_record(self) -> dict[str, Json]:
        """As plain data; the cost in nano-dollars."""
        usage = self.usage
        return {
            "calls": self.calls,
            "tokens": [usage.input, usage.cached, usage.output, usage.reasoning],
            "cost_nanos": None if self.cost is None else self.cost.nanos,
        }

    @classmethod
    def from_record(cls, record: Json) -> Spent:
        """What `to_record` gave."""
        known = cast("dict[str, Any]", record)
        cost = known["cost_nanos"]
        return cls(Usage(*known["tokens"]), None if cost is None else Money(cost), known["calls"])


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its value, the turn and the facts of the last call, and what all calls to it have used."""

    value: Any
    turn: Turn
    facts: CallFacts
    spent: Spent
    is_degraded: bool = False
    tier: int = 0
    is_accepted: bool = True
    escalations: tuple[Escalation, ...] = ()
    route: str = ""

    @property
    def model(self) -> str:
        """Who answered, as `provider:model`."""
        served = self.facts.served_model
        return served if served.startswith(f"{self.facts.provider}:") else f"{self.facts.provider}:{served}"


class Asking(Protocol):
    """A question that is put to one model, or to those that stand in for it."""

    @property
    def spent(self) -> Spent:
        """What its calls have used so far, also where it fails."""
        ...

    def worst(self) -> Money:
        """What its first call may cost at most; nothing where no budget is about it. Raises `UnboundedCall`."""
        ...

    def program(self) -> Program[Answered]:
        """Raises what `generate` raises."""
        ...


Ask = Callable[[Question, Single], Asking]
"""How a question is put."""


def within(work: Work, program: Callable[[], Program[R]], *, is_async: bool) -> Program[R]:
    """Do a program as a step of the run that is open here; outside of runs do it plainly."""
    here = scope.current()
    if here is None:
        return (yield from program())

    def body() -> object:
        return drive_async(program()) if is_async else drive(program())

    return cast("R", (yield Invoke(lambda: here.perform(work, body, is_async=is_async))))
