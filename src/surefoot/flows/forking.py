"""Forks: a new run that takes what another one has recorded, up to a step or except for what changes touch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import RunBusy, UsageError
from surefoot.flows import sources
from surefoot.flows.background import run_in_background, run_in_thread
from surefoot.flows.building import AnyFlow, find_spec, in_place, target_of, with_inputs
from surefoot.flows.changes import Change, Changes
from surefoot.flows.code import load
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.events import Listener
from surefoot.flows.flow import FlowSpec
from surefoot.flows.handles import Run
from surefoot.flows.host import Host, host
from surefoot.flows.options import Options, Target
from surefoot.flows.origin import Origin, origin_of
from surefoot.flows.runner import begin
from surefoot.ledger import RunRecord, is_provably_gone
from surefoot.values import RunTags, new_id

_CHANGING = ("running", "waiting")


def fork(
    run: str | Run,
    from_step: str | None = None,
    *,
    changes: Sequence[Change | str] = (),
    inputs: Mapping[str, object] | None = None,
    flow: AnyFlow | None = None,
    tags: Mapping[str, str] | None = None,
    allow_effects: bool = False,
    deadline: float | None = None,
    listener: Listener | None = None,
) -> Run:
    """Run a recorded run's flow once more in a new run, which takes from the record what need not be done anew.

    Without `from_step` that is all that the changes do not touch, and whose inputs are the same; what it takes costs
    nothing. Time, chance, sleeps and events are as they were, and so is what references to prompts mean.

    run: the run, its id or the beginning of it, or `last`.
    from_step: run anew from this step on: its name, `NAME#2` for the second of that name, or the beginning of its key.
    changes: what is different, as `prompt:answer@candidate`, `model:openai:gpt-4o=openai:gpt-4o-mini`, `step:parse` or
        `input:limit=5`.
    inputs: inputs in the place of some that the run was begun with.
    flow: only where the code cannot be imported again, as in a notebook.
    tags: the fork's own, beside those of the run.
    allow_effects: let effects and transactions happen that are not taken from the record. By default none does: where
        the inputs are the same, its recorded outcome stands in for it, else its `stand_in`, its fallback, or None.
    deadline: seconds after which the fork fails.

    A fork that was killed is gone on with by `resume`, as any run. Raises `UnknownRun`, `UnknownFlow`, `RunPruned`
    where the record is gone, `RunBusy` while somebody holds the run, `UsageError`, `InvalidInput`, and `StepFailed`
    from what the flow raised.
    """
    planned = _planned(
        *(run, from_step),
        changes=changes,
        inputs=inputs,
        flow=flow,
        tags=tags,
        allow_effects=allow_effects,
        deadline=deadline,
        listener=listener,
    )
    if planned.spec.is_async:
        run_in_background(drive_async(planned.logic()))
    else:
        drive(planned.logic())
    return planned.ended()


async def fork_async(
    run: str | Run,
    from_step: str | None = None,
    *,
    changes: Sequence[Change | str] = (),
    inputs: Mapping[str, object] | None = None,
    flow: AnyFlow | None = None,
    tags: Mapping[str, str] | None = None,
    allow_effects: bool = False,
    deadline: float | None = None,
    listener: Listener | None = None,
) -> Run:
    """`fork` for async code: an async flow runs on the caller's loop, a sync one in a worker thread."""
    planned = _planned(
        *(run, from_step),
        changes=changes,
        inputs=inputs,
        flow=flow,
        tags=tags,
        allow_effects=allow_effects,
        deadline=deadline,
        listener=listener,
    )
    if planned.spec.is_async:
        await drive_async(planned.logic())
    else:
        await run_in_thread(lambda: drive(planned.logic()))
    return planned.ended()


class Planned:
    """A fork that is about to begin."""

    def __init__(self, app: Host, spec: FlowSpec, make: Callable[[], Target], options: Options) -> None:
        self.app = app
        self.spec = spec
        self.options = options
        self._make = make

    @property
    def origin(self) -> Origin | None:
        return self.options.origin

    def target(self) -> Target:
        """The call that it is."""
        return self._make()

    def logic(self) -> Logic[Any]:
        """The fork, from its beginning to its output."""
        return begin(self._make(), self.options)

    def ended(self) -> Run:
        """The fork as it is recorded."""
        return Run(self.app.ledger.run(self.options.run_id), self.app)


def _planned(
    run: str | Run,
    from_step: str | None,
    *,
    changes: Sequence[Change | str],
    inputs: Mapping[str, object] | None,
    flow: AnyFlow | None,
    tags: Mapping[str, str] | None,
    allow_effects: bool,
    deadline: float | None,
    listener: Listener | None,
) -> Planned:
    if scope.current() is not None:
        raise UsageError(
            "fork() inside of a run: a fork is no part of another run, so call it outside of flows"
        )
    if deadline is not None and not deadline > 0:
        raise UsageError(f"the deadline of a fork is {deadline}: give seconds above 0")
    app = host()
    record = app.ledger.run(run.id if isinstance(run, Run) else run)
    found = flow if flow is not None else load(record.entry)
    own = RunTags(record.tenant, record.principal, record.session, dict(tags or {}))
    options = Options(
        tags=own,
        listener=listener,
        deadline=deadline,
        explains=True,
        suppresses_effects=not allow_effects,
    )
    return planned(
        *(app, record, found, Changes.of(changes)), options=options, from_step=from_step or "", inputs=inputs
    )


def planned(
    app: Host,
    record: RunRecord,
    flow: AnyFlow,
    changes: Changes,
    /,
    *,
    options: Options,
    from_step: str = "",
    inputs: Mapping[str, object] | None = None,
) -> Planned:
    """The fork of a run by these options. Raises what `fork` raises before anything is run."""
    found, spec = find_spec(flow)
    refuse_changing(record)
    origin = origin_of(
        app.ledger, record, changes, from_step=from_step, code_digest=sources.digest_of(spec.entry)
    )
    given = records.decode(app.ledger.exact(record.id, app.ledger.start(record.id).inputs))
    values = with_inputs(spec, given["inputs"], changes.given)
    if inputs:
        values = in_place(spec, values, inputs)

    def make() -> Target:
        return target_of(found, spec, values, init=given["init"], make_client=app.client)

    run_id = options.run_id or new_id()
    return Planned(app, spec, make, replace(options, changes=changes.given, origin=origin, run_id=run_id))


def refuse_changing(record: RunRecord) -> None:
    """Raise `RunBusy` for a run that somebody is still at: what a fork shares of it would change meanwhile."""
    owner = record.owner
    is_held = record.lease_until_ns > time.time_ns() and owner is not None and not is_provably_gone(owner)
    if record.status in _CHANGING and is_held:
        raise RunBusy(
            f"run {record.id} is {record.status}: fork it once it has ended, or cancel it "
            f"(`surefoot cancel {record.id}`)"
        )
