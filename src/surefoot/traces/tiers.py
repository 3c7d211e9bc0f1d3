"""Verdicts on answers of tiers, as ladders record them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.ledger import Outcome
from surefoot.values import Json

_NAME = re.compile(r"tier [1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class TierVerdict:
    """What became of one answer. `model` is the reference that was asked, `is_taken` whether it was the answer."""

    tier: int
    model: str
    is_taken: bool


def may_be_verdict(outcome: Outcome) -> bool:
    """Whether a row is called as verdicts are."""
    return outcome.kind == "step" and outcome.status == "completed" and bool(_NAME.fullmatch(outcome.name))


def verdict_in(said: Json) -> TierVerdict | None:
    """The verdict that the output of such a row is; None where it is something else, or nothing of it is readable."""
    if not isinstance(said, dict):
        return None
    tier, of, model, accepted = (said.get(name) for name in ("tier", "of", "model", "accepted"))
    if not isinstance(tier, int) or not isinstance(accepted, bool):
        # A step of the user's that is called so.
        return None
    # The last tier's answer is taken whatever its checks say.
    return TierVerdict(tier, str(model or ""), accepted or tier == of)
