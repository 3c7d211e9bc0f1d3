"""A call of a step as what can be done: its body, and all that its options say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from surefoot.flows.fitting import awaitable, unrecorded
from surefoot.flows.kinds import NOTHING
from surefoot.flows.performing import Plan
from surefoot.flows.step import Step


def plan_of(step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Plan:
    """This call of the step, as what can be done attempt by attempt."""
    options = step.options
    if options.is_ordinary:
        return Plan(lambda: step.function(*args, **kwargs), options.retry, is_async=step.is_async)
    return Plan(
        lambda: step.function(*args, **kwargs),
        is_async=step.is_async,
        retry=options.retry,
        fallback=_stand_in(step, options.fallback, args, kwargs),
        breaker=options.breaker,
        timeout=options.timeout,
        is_effect=options.is_effect,
        is_transaction=options.is_transaction,
        check=None if options.check is None else unrecorded(options.check, is_async=step.is_async),
        stand_in=_stand_in(step, options.stand_in, args, kwargs),
    )


def _stand_in(
    step: Step[..., Any], given: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[[], Any] | None:
    """What takes the body's place: a value, or a function of the same parameters; None if none was given."""
    if given is NOTHING:
        return None

    def stand_in() -> Any:
        value = given(*args, **kwargs) if callable(given) else given
        # Awaitable where the step is async, whatever the value is.
        return awaitable(value) if step.is_async else value

    return stand_in
