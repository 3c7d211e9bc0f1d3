"""A call of a flow: a run of its own, or a step where a run is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from surefoot import ledger as records
from surefoot.errors import NotData
from surefoot.flows import runner
from surefoot.flows.arguments import Arguments
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.options import Opaque, Options, Target
from surefoot.flows.performing import Plan, perform
from surefoot.flows.permitting import refuse_unnamed
from surefoot.flows.running import Here, open_scope
from surefoot.scope import Work

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec, Workflow


def enter(
    spec: FlowSpec,
    body: Callable[[], Any],
    inputs: Mapping[str, object],
    *,
    init: Mapping[str, object] | None = None,
    workflow: Workflow | None = None,
) -> Any:
    """Run a flow: as a step where a run is open, else as a run of its own."""
    target = Target(spec, body, inputs, init=init or {}, workflow=workflow)
    here = open_scope()
    logic = runner.begin(target, Options()) if here is None else _nested(here, target)
    return drive_async(logic) if spec.is_async else drive(logic)


def _nested(here: Here, target: Target) -> Logic[Any]:
    here.run.known.note_code(target.spec.function)
    claim = here.claim(
        Work(
            "flow",
            target.spec.name,
            dict(target.inputs),
            function=target.spec.function,
            capture=target.spec.capture,
        )
    )
    if here.rights is not None and claim.recorded is None:
        yield from refuse_unnamed(claim, "flow", (target.spec.name,))
    claim.uses = target.spec.rights
    return (yield from perform(claim, Plan(target.body, is_async=target.spec.is_async)))


def given_data(workflow: Workflow) -> dict[str, object]:
    """What the object was made with, as far as it is data; the rest by type, as `{"opaque": "module:Class"}`."""
    args, kwargs = workflow._given  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (a workflow's attributes are its author's)
    bound = Arguments(type(workflow).__init__).bind((workflow, *args), kwargs)
    bound.pop(next(iter(bound)))
    shown: dict[str, object] = {}
    for name, value in bound.items():
        try:
            records.encode(value, name=name)
        except NotData:
            kind = type(value)
            shown[name] = Opaque(f"{kind.__module__}:{kind.__qualname__}")
        else:
            shown[name] = value
    return shown
