"""Child runs: a flow that is given to an app inside an open run is a run of its own, and one step of that run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from surefoot import ledger as records
from surefoot.errors import RunStopped, StepFailed
from surefoot.flows import sources
from surefoot.flows.claims import StepClaim
from surefoot.flows.drive import Logic
from surefoot.flows.options import Options, Target
from surefoot.flows.origin import Origin, origin_of
from surefoot.flows.performing import Plan, perform
from surefoot.flows.runner import begin
from surefoot.flows.running import Here, open_scope
from surefoot.scope import Work

Conduct = Callable[[Logic[Any]], Any]
"""Drives logic to its end, and gives its result; for async callers an awaitable of it."""


def start(target: Target, options: Options, conduct: Conduct) -> Logic[Any]:
    """Begin a run where none is open, else a child run.

    A child run has its own id and record. In the open run it is one step, whose outcome is that of the child; its run
    key is made of that step's, so that a parent that is resumed goes on with the same child.
    """
    here = open_scope()
    if here is None:
        return begin(target, options)
    return _as_step(here, target, options, conduct)


def child_key(run_id: str, step_key: bytes) -> str:
    """The run key of the child that a step began."""
    return f"{run_id}/{step_key.hex()}"


def _as_step(here: Here, target: Target, options: Options, conduct: Conduct) -> Logic[Any]:
    inputs: dict[str, object] = dict(target.inputs)
    if target.init:
        inputs = {"inputs": inputs, "init": dict(target.init)}
    work, where = Work("flow", target.spec.name, inputs, capture=target.spec.capture), f"{target.spec.name}()"
    claim = here.claim_step(
        work,
        records.encode(inputs, name=where),
        digest=records.identity(inputs, name=where),
        user_key=options.run_key,
    )
    origin = here.run.origin
    # In a fork a key of the user's is taken: by the child of the origin.
    run_key = options.run_key if origin is None else None
    own = replace(
        options,
        parent=here.run,
        capture=here.capture,
        run_key=run_key or child_key(here.run.id, claim.key),
        explains=True,
    )
    return (yield from perform(claim, Plan(lambda: conduct(_child(claim, target, own)))))


def _origin(claim: StepClaim, target: Target) -> Origin | None:
    """In a fork: the child run of the origin, of which the child run of this step is one."""
    run, twin = claim.run, claim.twin
    if run.origin is None or twin is None:
        return None
    child, from_step = run.origin.child_of(twin.outcome)
    if child is None or child.pruned_ns is not None:
        return None
    return origin_of(
        run.ledger,
        child,
        run.changes,
        from_step=from_step,
        code_digest=sources.digest_of(target.spec.entry),
    )


def _child(claim: StepClaim, target: Target, options: Options) -> Logic[Any]:
    """The child run. That it alone was stopped is a failure of the step; that the parent was is none."""
    try:
        own = replace(options, origin=_origin(claim, target), trace_headers=claim.trace_headers)
        return (yield from begin(target, own))
    except RunStopped as error:
        claim.brake.check()
        name = target.spec.name
        raise StepFailed(f"child run of {name}: {error}", run_id=error.run_id, step=name) from error
