"""What a step may be declared as, and which declarations contradict each other."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from surefoot import limits
from surefoot.errors import UsageError
from surefoot.flows.retry import Retry
from surefoot.values import Capture, Done

KeyOf = Callable[..., str]
"""What identifies a call of a step, from its arguments."""

Check = Callable[[str], "bool | Done | Awaitable[bool | Done | None] | None"]
"""Whether an effect was done, by its idempotency key: False or None, True, or `Done` with its result."""


Untrusted = Literal["refuse", "approve", "allow"]

_READS = frozenset(("untrusted", "private"))


class Nothing:
    """That no value was given, where None is a value."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step is declared; see `surefoot.step` for what each option means."""

    name: str
    is_pure: bool = False
    is_plain: bool = False
    is_effect: bool = False
    is_transaction: bool = False
    database: str = ""
    """The name of the database of its transaction, where it is one of the settings."""
    is_in_ledger: bool = False
    """Whether its transaction is one of the ledger's own database."""
    key: str | KeyOf | None = None
    retry: Retry = Retry()
    timeout: float | None = None
    fallback: object = NOTHING
    breaker: str | None = None
    check: Check | None = None
    compensate: Callable[..., object] | None = None
    stand_in: object = NOTHING
    reads: frozenset[str] = frozenset()
    """`untrusted` and `private`: what it reads beside its arguments."""
    sends: tuple[str, ...] = ()
    """What it sends to, by name; `out` where it has none."""
    untrusted: Untrusted = "refuse"
    """What becomes of a call of it that sends what is untrusted."""
    capture: Capture | None = None

    is_ordinary: bool = field(init=False)
    """Whether there is no more to doing it than to run its body, and to try again."""

    def __post_init__(self) -> None:
        is_bare = self.timeout is None and self.check is None and not (self.is_effect or self.is_transaction)
        is_bare = is_bare and self.breaker is None
        is_ordinary = is_bare and self.fallback is NOTHING and self.stand_in is NOTHING
        object.__setattr__(self, "is_ordinary", is_ordinary)

    @property
    def has_fallback(self) -> bool:
        return self.fallback is not NOTHING


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calls of it give a generator, sync or async."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def checked(options: StepOptions, function: Callable[..., Any]) -> StepOptions:
    """The options, if they fit each other and the function. Raises `UsageError` that says what to change."""
    for is_wrong, text in (
        (
            is_generator(function) and options.is_effect,
            "is a generator function and an effect: a generator may be left in the middle; make the effect a step",
        ),
        (
            is_generator(function) and options.timeout is not None,
            "is a generator with timeout=: put `asyncio.timeout` around the reading, or timeout= on a step inside",
        ),
        (
            is_generator(function) and options.compensate is not None,
            "is a generator with compensate=, which has no one result to undo: put it on a step inside",
        ),
        (
            options.capture is not None and options.capture not in get_args(Capture),
            f"has capture={options.capture!r}: give one of {', '.join(map(repr, get_args(Capture)))}",
        ),
        (
            options.capture is not None and options.is_plain,
            "is plain, so that nothing of it is recorded, and has capture=: drop one of the two",
        ),
        (
            options.is_pure and options.is_effect,
            "is declared pure and an effect: a pure step may run again, an effect may not; keep one of the two",
        ),
        (
            options.check is not None and not options.is_effect,
            "has a check, which is asked about effects only: declare effect=True, or drop the check",
        ),
        (
            options.stand_in is not NOTHING and not (options.is_effect or options.is_transaction),
            "has a stand_in, which takes the place of effects only: declare effect=True, or drop the stand_in",
        ),
        (
            options.is_transaction and (options.is_effect or options.is_pure or options.is_plain),
            "has transaction=, by which it is done exactly once: drop effect=, pure= or plain=",
        ),
        (
            options.is_plain and (options.is_effect or options.compensate is not None),
            "is plain, so that nothing of it is recorded: an effect and a step with compensate= need the record",
        ),
        (
            options.breaker is not None and options.is_plain,
            "is plain, so that it is called as it is, and has breaker=: drop one of the two",
        ),
        (
            options.breaker is not None and options.is_in_ledger,
            "writes to the ledger's own database, without which no run goes on, and has breaker=: drop it",
        ),
        (
            options.breaker is not None and not options.breaker.strip(),
            "has breaker= without a name: give the name of what it calls, such as 'vector-db'",
        ),
        (
            options.breaker is not None and f"{options.breaker}/".startswith(f"{limits.MODELS}/"),
            f"has breaker={options.breaker!r}, which is of the endpoints of models: name what else it calls",
        ),
        (
            bool(options.reads - _READS),
            f"has reads={sorted(options.reads)}: give 'untrusted', 'private', or both",
        ),
        (
            not all(options.sends),
            "has sends= with an empty name: give what it reaches, such as 'mail', or True",
        ),
        (
            options.untrusted not in ("refuse", "approve", "allow"),
            f"has untrusted={options.untrusted!r}: give 'refuse', 'approve' or 'allow'",
        ),
        (
            options.untrusted != "refuse"
            and not (options.sends or options.is_effect or options.is_transaction),
            "has untrusted=, which says what may be sent, and sends nothing: declare sends=, or drop it",
        ),
        (
            options.untrusted == "approve" and options.capture in ("none", "metadata"),
            f"has untrusted='approve' and capture={options.capture!r}: nobody can approve what nobody may read",
        ),
        (
            options.is_plain and bool(options.sends or options.reads),
            "is plain, so that nothing is known of what it is given, and has sends= or reads=: drop one of the two",
        ),
        (
            is_generator(function) and bool(options.sends),
            "is a generator and has sends=: what it sends is to be checked before, so make the sending a step inside",
        ),
        (
            options.retry.times < 0,
            f"has retries={options.retry.times}: give 0 or more",
        ),
        (
            options.timeout is not None and not options.timeout > 0,
            f"has timeout={options.timeout}: give seconds above 0, or None for no limit",
        ),
    ):
        if is_wrong:
            raise UsageError(f"step {options.name!r} {text}")
    return options
