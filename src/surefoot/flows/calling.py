"""A call of a step inside a run: claimed, then taken from the record or done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from surefoot import ledger as records
from surefoot.errors import NotData
from surefoot.flows import opened
from surefoot.flows.claims import StepClaim
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.generators import generator_of
from surefoot.flows.performing import outcome_of, perform
from surefoot.flows.permitting import permitted, refuse_unnamed
from surefoot.flows.planning import plan_of
from surefoot.flows.running import Here, open_scope
from surefoot.flows.sinks import is_sink
from surefoot.flows.step import Step
from surefoot.flows.undoing import Undoable, note
from surefoot.scope import Work

_Step = Step[..., Any]


def call(
    step: _Step, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, by_model: Collection[str] | None = None
) -> Any:
    """What a call of the step gives where a scope is open: its outcome, or what awaits or generates it.

    `by_model` are the arguments that a model has written, None where code calls.
    """
    here = open_scope()
    if here is None:
        step.refuse_lost_context()
        return step.function(*args, **kwargs)
    if step.is_generator:
        # Claimed at the call, as every step is: when it is read does not change which call it was.
        claim = _claim(step, here, step.arguments.bind(args, kwargs))
        if here.rights is not None and claim.recorded is None:
            drive(refuse_unnamed(claim, "tool", step.options.sends))
        plan = plan_of(step, args, kwargs)
        return generator_of(here, claim, plan, name=step.name, is_async=step.is_async)
    if step.is_async:
        return drive_async(_perform(step, here, args, kwargs, by_model))
    bound = step.arguments.bind(args, kwargs)
    claim = _claim(step, here, bound)
    if claim.recorded is not None:
        return outcome_of(claim.recorded)
    if here.rights is not None:
        drive(refuse_unnamed(claim, "tool", step.options.sends))
    if is_sink(step, here, is_by_model=by_model is not None):
        drive(permitted(step, claim, bound, by_model))
    return drive(perform(claim, plan_of(step, args, kwargs)))


def _perform(
    step: _Step,
    here: Here,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    by_model: Collection[str] | None,
) -> Logic[Any]:
    bound = step.arguments.bind(args, kwargs)
    claim = _claim(step, here, bound)
    if claim.recorded is not None:
        return outcome_of(claim.recorded)
    if here.rights is not None:
        yield from refuse_unnamed(claim, "tool", step.options.sends)
    if is_sink(step, here, is_by_model=by_model is not None):
        yield from permitted(step, claim, bound, by_model)
    return (yield from perform(claim, plan_of(step, args, kwargs)))


def _claim(step: _Step, here: Here, bound: dict[str, object]) -> StepClaim:
    claim = _claimed(step, here, bound)
    if step.compensation is not None:
        note(claim, Undoable(step.compensation, bound), step.function)
    return claim


def _claimed(step: _Step, here: Here, bound: dict[str, object]) -> StepClaim:
    inputs = {name: value for name, value in bound.items() if not isinstance(value, opened.Surroundings)}
    here.run.known.note_code(step)
    work = Work(
        "step",
        step.name,
        inputs,
        is_pure=step.options.is_pure,
        function=step.function,
        capture=step.options.capture,
    )
    if step.options.reads and "untrusted" in step.options.reads:
        work.untrusted, work.is_reading = f"what {step.name} reads", True
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
