"""A call of a step inside a run: claimed, then taken from the record or done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surefoot import ledger as records
from surefoot.errors import NotData
from surefoot.flows import opened
from surefoot.flows.claims import StepClaim
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.generators import generator_of
from surefoot.flows.performing import outcome_of, perform
from surefoot.flows.planning import plan_of
from surefoot.flows.running import Here, open_scope
from surefoot.flows.step import Step
from surefoot.flows.undoing import Undoable, note
from surefoot.scope import Work

_Step = Step[..., Any]


def call(step: _Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a call of the step gives where a scope is open: its outcome, or what awaits or generates it."""
    here = open_scope()
    if here is None:
        step.refuse_lost_context()
        return step.function(*args, **kwargs)
    if step.is_generator:
        # Claimed at the call, as every step is: when it is read does not change which call it was.
        claim = _claim(step, here, step.arguments.bind(args, kwargs))
        plan = plan_of(step, args, kwargs)
        return generator_of(here, claim, plan, name=step.name, is_async=step.is_async)
    if step.is_async:
        return drive_async(_perform(step, here, args, kwargs))
    claim = _claim(step, here, step.arguments.bind(args, kwargs))
    if claim.recorded is not None:
        return outcome_of(claim.recorded)
    return drive(perform(claim, plan_of(step, args, kwargs)))


def _perform(step: _Step, here: Here, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Logic[Any]:
    claim = _claim(step, here, step.arguments.bind(args, kwargs))
    if claim.recorded is not None:
        return outcome_of(claim.recorded)
    return (yield from perform(claim, plan_of(step, args, kwargs)))


def _claim(step: _Step, here: Here, bound: dict[str, object]) -> StepClaim:
    claim = _claimed(step, here, bound)
    if step.compensation is not None:
        note(claim, Undoable(step.compensation, bound), step.function)
    return claim


def _claimed(step: _Step, here: Here, bound: dict[str, object]) -> StepClaim:
    inputs = {name: value for name, value in bound.items() if not isinstance(value, opened.Surroundings)}
    work = Work(
        "step",
        step.name,
        inputs,
        is_pure=step.options.is_pure,
        function=step.function,
        capture=step.options.capture,
    )
    where, given_key = f"{step.name}()", step.options.key
    if given_key is None:
        try:
            return here.claim_step(work, None, digest=records.identity(inputs, name=where))
        except NotData as error:
            error.add_note(f"or give the step an identity of its own: @step(key=lambda ...) on {step.name!r}")
            raise
    key = given_key if isinstance(given_key, str) else step.arguments.call(given_key, bound)
    shown = {name: _as_data(value) for name, value in inputs.items()}
    return here.claim_step(
        work,
        records.encode(shown, name=where),
        digest=records.identity(shown, name=where),
        user_key=str(key),
    )


def _as_data(value: object) -> object:
    """The value if it can be recorded, else its type in angle brackets: a key identifies the step without it."""
    try:
        records.encode(value)
    except NotData:
        kind = type(value)
        return f"<{kind.__module__}.{kind.__qualname__}>"
    return value
