"""A rate limit as it is set, and of which parts of a demand it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from surefoot.values import Demand

Of: TypeAlias = Literal["everything", "provider", "model", "flow", "tenant", "principal"]

Setting: TypeAlias = Literal["requests_per_minute", "tokens_per_minute", "concurrency"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many calls may be made in a minute, and at once, by each that it is `of`.

    `only` is the one that it is about, in which `*` stands for any characters. `burst` is the share of a minute's
    requests and tokens that may be taken at once after a pause: in any 60 seconds no more than the limit and that
    share of it are admitted. `learn` is whether what a provider tells in its answers holds where it is less.
    """

    name: str
    of: Of = "provider"
    only: str | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None
    burst: float = 0.05
    learn: bool = True
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.only is not None:
            parts = [re.escape(part) for part in self.only.split("*")]
            object.__setattr__(self, "_pattern", re.compile(".*".join(parts), re.DOTALL))

    def subjects(self, demand: Demand) -> Sequence[str]:
        """The parts of a demand that it limits, each by itself; a run inside of another counts for both flows."""
        found = _subjects(self.of, demand)
        pattern = self._pattern
        if pattern is None:
            return found
        if self.of == "principal":
            return found if pattern.fullmatch(demand.caller.principal) else []
        return [name for name in found if pattern.fullmatch(name)]


def model_of(demand: Demand) -> str:
    """The model with its provider, `openai:gpt-4o`."""
    prefix = f"{demand.provider}:"
    return demand.model if demand.model.startswith(prefix) else prefix + demand.model


def _subjects(of: Of, demand: Demand) -> list[str]:
    match of:
        case "everything":
            return [""]
        case "provider":
            found = [demand.provider]
        case "model":
            found = [model_of(demand)]
        case "flow":
            found = list(dict.fromkeys(demand.caller.flows))
        case "tenant":
            found = [demand.caller.tenant]
        case "principal":
            found = [demand.caller.payer] if demand.caller.principal else []
    return [name for name in found if name]
