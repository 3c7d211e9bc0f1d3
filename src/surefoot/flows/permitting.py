"""Whether a claimed call of a sink may be made: refused, approved or let pass, and recorded in each case."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from surefoot.decisions import Decision
from surefoot.errors import AccessDenied, GuardRefused
from surefoot.flows.approving import approved
from surefoot.flows.claims import StepClaim
from surefoot.flows.drive import Durable, Logic
from surefoot.flows.performing import abandoning
from surefoot.flows.sinks import decided, refusal, unfit_arguments, unused
from surefoot.flows.step import Step
from surefoot.rights import UseKind
from surefoot.scope import Ending

_Step = Step[..., Any]


def permitted(
    step: _Step, claim: StepClaim, bound: Mapping[str, object], by_model: Collection[str] | None
) -> Logic[None]:
    """Let a call of a sink go on. Raises `GuardRefused`, which is then the outcome of the step.

    `by_model` are the arguments that a model has written, None where code calls.
    """
    here = claim.here
    if names := unused(step, here):
        where = ", ".join(names)
        yield from _refuse(
            claim,
            f"run {here.run_id}: step {step.name!r} sends to {where}, and uses= of a flow that it is in does not "
            "name it: add it there, if it may",
            (Decision("egress", "refuse", f"step {step.name}", rule="uses", reason=f"sends to {where}"),),
        )
    names = unfit_arguments(step, here, bound, by_model)
    if not names:
        return
    match step.options.untrusted:
        case "allow":
            claim.decided = decided(step, names, "allow")
        case "approve" if here.run.suppresses_effects and (
            step.options.is_effect or step.options.is_transaction
        ):
            # It is not done, so there is nothing to approve.
            pass
        case "approve" if not here.run.suppresses_effects:
            with abandoning(claim):
                answer = yield from approved(claim, here, bound)
            if answer.is_approved:
                claim.decided = decided(step, names, "approve", f"by {answer.by}")
                return
            because = f"{answer.by} has denied it"
            yield from _refuse(
                claim, refusal(step, here, names, because), decided(step, names, "refuse", because)
            )
        case "approve":
            because = "where effects are suppressed nobody approves: declare it effect=True, and it is not done there"
            yield from _refuse(claim, refusal(step, here, names, because), decided(step, names, "refuse"))
        case "refuse":
            yield from _refuse(claim, refusal(step, here, names), decided(step, names, "refuse"))


def refuse_unnamed(claim: StepClaim, kind: UseKind, names: Collection[str]) -> Logic[None]:
    """Let claimed work that uses those things go on. Raises `AccessDenied`, which is then its outcome."""
    try:
        for name in names:
            claim.here.require_use(kind, name)
    except AccessDenied as error:
        with abandoning(claim):
            yield Durable(claim.finish(Ending("failed", cause=error)))
        raise


def _refuse(claim: StepClaim, message: str, decisions: tuple[Decision, ...]) -> Logic[None]:
    error = GuardRefused(message, decisions=decisions)
    with abandoning(claim):
        yield Durable(claim.finish(Ending("failed", cause=error, decisions=decisions)))
    raise error
