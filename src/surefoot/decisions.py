"""What guards have decided: allowed, flagged, redacted, refused, or left to somebody who approves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Action = Literal["allow", "flag", "redact", "refuse", "approve"]

MOST = 100
"""How many different decisions one row holds; what comes after them is counted with the last one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard decided of one value. It never holds the value itself.

    `guard` is `injection`, `hidden`, `secrets`, `pii`, `canary`, `schema`, `egress`, `sink`, `validation`, `size`,
    `grounded`, or the name of one of the user's own. `where` is what it was about: `input query`, `message 2`,
    `output`, `argument to of send_mail`. `rule` is which of its rules spoke, `score` (0 to 1) how sure it was. `count`
    is how often it decided the same in one step.
    """

    guard: str
    action: Action
    where: str
    rule: str = ""
    score: float | None = None
    reason: str = ""
    count: int = 1

    def __str__(self) -> str:
        """As messages and pages show it."""
        rule = f" ({self.rule})" if self.rule else ""
        score = "" if self.score is None else f" {self.score:.2f}"
        times = f" x{self.count}" if self.count > 1 else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.guard} {self.action} {self.where}{rule}{score}{times}{reason}"


def merged(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Decisions with equal ones counted together, the first of them in its place, and no more than `MOST`."""
    found: dict[tuple[object, ...], Decision] = {}
    last: tuple[object, ...] = ()
    for one in decisions:
        key: tuple[object, ...] = (one.guard, one.action, one.where, one.rule, one.score, one.reason)
        if key not in found and len(found) >= MOST:
            key = last
        known = found.get(key)
        found[key] = one if known is None else replace(known, count=known.count + one.count)
        last = key
    return tuple(found.values())
