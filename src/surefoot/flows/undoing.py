"""Undoing what a run did that has failed for good: a step for each compensation, the last done first.

That a step can be undone is a row of its own, before the step begins; that the undoing has begun is another. From there
on the flow is never run forward again: whoever resumes the run goes on undoing, and needs no more than the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, cast

import orjson

from surefoot import ledger as records
from surefoot.errors import (
    AccessDenied,
    Compensated,
    Diverged,
    Fenced,
    InDoubt,
    LedgerError,
    NotData,
    RunEnded,
    RunLimit,
    UnknownFlow,
    UsageError,
)
from surefoot.flows import code, opened
from surefoot.flows.claims import StepClaim
from surefoot.flows.compensation import Compensation
from surefoot.flows.drive import AskDriver, Durable, Logic
from surefoot.flows.fitting import fitted
from surefoot.flows.openrun import OpenRun, Undone
from surefoot.flows.performing import NO_OUTCOME, Plan, perform
from surefoot.flows.planning import plan_of
from surefoot.flows.recall import UNDO_KEY
from surefoot.flows.running import Here
from surefoot.flows.step import Step
from surefoot.ledger import Append, Entry, Freight, Ledger, Outcome, RunRecord
from surefoot.scope import Work
from surefoot.values import StepStatus

COMPENSATE = "compensate"
"""The name of the row that says how a step is undone."""

_NOT_FOR_GOOD = (AccessDenied, Diverged, Fenced, InDoubt, LedgerError, RunEnded, RunLimit)
"""How a run may end that can still go on: nothing of it is undone."""


@dataclass(frozen=True, slots=True)
class Undoable:
    """How one call of a step is undone, with its arguments as they were given in this process."""

    compensation: Compensation
    given: Mapping[str, object]


def note(claim: StepClaim, undoable: Undoable, function: Callable[..., Any]) -> None:
    """Record how a step is undone, before it begins; nobody waits, as its outcome comes behind."""
    run = claim.run
    run.undoable[claim.key] = undoable
    if claim.recorded is not None:
        return
    run.has_compensations = True
    freight: Freight = []
    text = records.encode(
        {"step": claim.key.hex(), "entry": _plain(code.entry_of(function))}, name=COMPENSATE
    )
    key = blake2b(claim.key + COMPENSATE.encode(), digest_size=16).digest()
    row = _row(
        *(run, key),
        name=COMPENSATE,
        status="completed",
        attempt=run.epoch,
        freight=freight,
        kind="message",
        output=text,
    )
    with run.lock:
        run.check_open(f"step {claim.name!r}")
        run.ledger.submit(Append(row, freight))


def reopen(run: OpenRun, history: Iterable[Outcome]) -> None:
    """Find out of a run that is taken up again whether it has something to undo, and is at it already."""
    for outcome in history:
        if outcome.kind == "message" and outcome.name == COMPENSATE:
            run.has_compensations = True
        elif outcome.key == UNDO_KEY:
            said = records.decode(run.ledger.exact(run.id, outcome.inputs))
            run.undone = Undone(
                outcome.attempt, said["error"], said["step"], is_begun=outcome.status == "running"
            )


def refuse_compensated(ledger: Ledger, record: RunRecord) -> None:
    """Raise `Compensated` for a failed run of which everything is undone: it is over for good."""
    if record.status != "failed":
        return
    end = ledger.end(record.id)
    said: dict[str, Any] = {} if end is None else orjson.loads(ledger.exact(record.id, end.output))
    if said.get("compensated"):
        raise Compensated(
            f"run {record.id} failed and what it had done was undone ({', '.join(said['undone'])}): it is over; "
            "start a new run"
        )


def undo(run: OpenRun, root: Here | None, error: Exception, *, workflow: object = None) -> Logic[None]:
    """Undo all that the run has done and that can be undone; `run.undone` says how that went.

    Does nothing where there is nothing to undo, or the run can go on. `root` is the scope of its flow, which begins
    nothing more. Raises what keeps this process from going on, such as `InDoubt` and `LedgerError`.
    """
    if not run.has_compensations or isinstance(error, _NOT_FOR_GOOD):
        return
    if root is not None:
        root.refuse(RunEnded(f"run {run.id} has failed, and is being undone"))
    # A run that is stopped at its very end was closed already.
    run.is_open = run.brake.is_lifted = run.accepts_divergence = True
    yield from _mark(run, error)
    undone = cast("Undone", run.undone)
    with Here(run, path=UNDO_KEY, name="undo") as inside:
        for outcome, entry in _to_undo(run.ledger.outcomes(run.id), run):
            try:
                yield from _undo_one(run, inside, outcome, entry, workflow=workflow)
            except NO_OUTCOME:
                raise
            except Exception as failure:
                undone.failed.append((outcome.name, failure))
            else:
                undone.names.append(outcome.name)
    yield from _close(run, undone)
    undone.is_through = True


def _to_undo(history: Sequence[Outcome], run: OpenRun) -> list[tuple[Outcome, Entry]]:
    """The steps that were done and are to be undone, the last one first, and where each is declared."""
    how = {
        bytes.fromhex(said["step"]): Entry(**said["entry"])
        for outcome in history
        if outcome.kind == "message" and outcome.name == COMPENSATE
        for said in [orjson.loads(run.ledger.exact(run.id, outcome.output))]
    }
    done = [
        outcome
        for outcome in history
        if outcome.key in how and outcome.status == "completed" and not outcome.is_degraded
    ]
    return [(outcome, how[outcome.key]) for outcome in reversed(done)]


def _undo_one(run: OpenRun, inside: Here, outcome: Outcome, entry: Entry, *, workflow: object) -> Logic[None]:
    undoable = run.undoable.get(outcome.key) or _undoable(run, outcome, entry, workflow)
    compensation = undoable.compensation
    result = records.decode(run.ledger.exact(run.id, outcome.output))
    args, kwargs = compensation.arguments(result, undoable.given)
    name = f"undo {outcome.name}"
    shown = {"result": result, **{key: _shown(value) for key, value in kwargs.items()}}
    claim = inside.claim_step(
        Work("step", name, shown, capture=records.capture_of(outcome.inputs, outcome.output)),
        records.encode(shown, name=name),
        digest=bytes(16),
        user_key=outcome.key.hex(),
    )
    is_async: bool = yield AskDriver()
    yield from perform(claim, _plan(compensation.undo, args, kwargs, is_async=is_async))


def _undoable(run: OpenRun, outcome: Outcome, entry: Entry, workflow: object) -> Undoable:
    """How a step is undone that was not called in this process: by its declaration, and as it is recorded."""
    if "<locals>" in entry.qualname:
        raise UsageError(
            f"step {outcome.name!r} is declared inside of a function, where another process does not find it: declare "
            "it at the top of its module"
        )
    try:
        found: Any = code.load(entry)
    except UnknownFlow as error:
        raise UsageError(f"step {outcome.name!r} cannot be found ({error})") from error
    compensation = getattr(found, "compensation", None)
    if not isinstance(compensation, Compensation):
        raise UsageError(f"{entry} no longer says compensate=: put it back, and resume the run once more")
    given: dict[str, object] = dict(records.decode(run.ledger.exact(run.id, outcome.inputs)))
    for needed in compensation.needs:
        if needed not in given and opened.is_surroundings(workflow):
            given[needed] = workflow
        elif needed not in given or _is_opaque(given[needed], outcome):
            raise UsageError(
                f"the argument {needed!r} of step {outcome.name!r} is no data, and gone with the process that gave "
                "it: let the compensation get it by itself"
            )
    return Undoable(compensation, given)


def _plan(undo: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, is_async: bool) -> Plan:
    """A compensation that is a step keeps its own retries, timeout and check."""
    if isinstance(undo, Step):
        plan = plan_of(cast("Step[..., Any]", undo), args, kwargs)
    else:
        plan = Plan(lambda: undo(*args, **kwargs))
    return replace(
        plan,
        body=fitted(plan.body, is_async=is_async),
        fallback=None if plan.fallback is None else fitted(plan.fallback, is_async=is_async),
        check=None if plan.check is None else fitted(plan.check, is_async=is_async),
    )


def _mark(run: OpenRun, error: Exception) -> Logic[None]:
    """Make it durable that the undoing has begun, and with it all that was handed to the ledger before."""
    before = run.undone
    if before is not None and before.is_begun:
        return
    failed = run.failed_steps(error)
    step = next((name for _, key, name in run.causes if failed and key == failed[0]), None)
    if before is not None:
        error, step = before.error, before.step
    run.undone = undone = Undone(1 if before is None else before.attempt + 1, error, step, is_begun=True)
    freight: Freight = []
    text = records.encode({"error": error, "step": step}, name=run.flow)
    row = _row(
        *(run, UNDO_KEY),
        name="undo",
        status="running",
        attempt=undone.attempt,
        freight=freight,
        inputs=text,
    )
    yield Durable(run.ledger.submit(Append(row, freight)))


def _close(run: OpenRun, undone: Undone) -> Logic[None]:
    freight: Freight = []
    text = records.encode(
        {"undone": undone.names, "failed": [name for name, _ in undone.failed]}, name="undo"
    )
    said = records.encode({"error": undone.error, "step": undone.step}, name=run.flow)
    status: StepStatus = "failed" if undone.failed else "completed"
    row = _row(
        *(run, UNDO_KEY),
        name="undo",
        status=status,
        attempt=undone.attempt,
        freight=freight,
        inputs=said,
        output=text,
    )
    with run.lock:
        run.count_done(row)
    yield Durable(run.ledger.submit(Append(row, freight)))


def _row(
    run: OpenRun,
    key: bytes,
    *,
    name: str,
    status: StepStatus,
    attempt: int,
    freight: Freight,
    kind: records.OutcomeKind = "step",
    inputs: str = "null",
    output: str = "null",
) -> Outcome:
    now = time.time_ns()
    run.cargo.load(freight)
    return Outcome(
        run_id=run.id,
        key=key,
        path=b"",
        parent_attempt=1,
        kind=kind,
        name=name,
        digest=b"",
        occurrence=0,
        lane=0,
        attempt=attempt,
        epoch=run.epoch,
        status=status,
        started_ns=now,
        ended_ns=now,
        inputs=run.ledger.payloads.store(run.id, inputs, freight, tenant=run.tenant, capture=run.capture),
        output=run.ledger.payloads.store(run.id, output, freight, tenant=run.tenant, capture=run.capture),
    )


def _plain(entry: Entry) -> dict[str, str | None]:
    return {"module": entry.module, "qualname": entry.qualname, "file": entry.file}


def _is_opaque(value: object, outcome: Outcome) -> bool:
    """Whether the record holds the type of an argument in its place, as it may where the step has a key."""
    return outcome.user_key is not None and isinstance(value, str) and value[:1] + value[-1:] == "<>"


def _shown(value: object) -> object:
    try:
        records.encode(value)
    except NotData:
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    return value
