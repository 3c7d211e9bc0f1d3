"""Running a flow from its start, or from where its record ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import Diverged, Fenced, LedgerError, RunBusy, RunEnded, StepFailed
from surefoot.flows import code, opened
from surefoot.flows.drive import Body, Durable, Logic
from surefoot.flows.events import Listener, RunOpened
from surefoot.flows.lease import Keeper
from surefoot.flows.openrun import OpenRun
from surefoot.flows.recall import Recall
from surefoot.flows.running import Here
from surefoot.flows.threads import patch_executors
from surefoot.ledger import (
    END_KEY,
    START_KEY,
    EndRun,
    Entry,
    Freight,
    Outcome,
    Release,
    RunRecord,
    SqliteLedger,
    StartRun,
    TakeOver,
    Totals,
    lease_until,
    this_process,
)
from surefoot.scope import Slot
from surefoot.values import RunTags, new_id

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec

log = scope.logger("surefoot.flows")


class Card(Protocol):
    """A run at a glance; `repr` gives it as text."""

    def html(self) -> str: ...


class Host(Protocol):
    """What a run needs of the application around it."""

    @property
    def ledger(self) -> SqliteLedger: ...

    @property
    def keeper(self) -> Keeper: ...

    def prepare(self) -> None:
        """Called before each run: whatever has to be in place, such as the hook under SDK clients."""
        ...

    def entered(self) -> AbstractContextManager[object]:
        """Make this application the current one for the code inside."""
        ...

    def client(self, kind: type) -> object:
        """An SDK client of this class from the connection of its provider, for a workflow that is built anew."""
        ...

    def watching(self) -> AbstractContextManager[Listener | None]:
        """Who watches a run that was given no listener, for as long as this process is at work on it."""
        ...

    def card(self, run_id: str) -> Card:
        """The run at a glance."""
        ...


host: Slot[Host] = Slot("app")


@dataclass(frozen=True, slots=True)
class Opaque:
    """A constructor's argument that is no data, recorded by its type (`module:Class`)."""

    type: str


@dataclass(frozen=True, slots=True)
class Target:
    """One call of a flow, bound to its arguments and not yet made."""

    spec: FlowSpec
    body: Callable[[], Any]
    inputs: Mapping[str, object]
    init: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made."""

    run_id: str | None = None
    tags: RunTags = RunTags()
    listener: Listener | None = None
    accept_divergence: bool = False


_last_run: tuple[Host, str] | None = None


def last_ended() -> tuple[Host, str] | None:
    """The run that ended last in this process, and where it is recorded."""
    return _last_run


def begin(target: Target, options: Options) -> Logic[Any]:
    """Run a flow from its start: the run is in the ledger before the first line of the flow."""
    app = host()
    app.prepare()
    patch_executors()
    spec, tags, now = target.spec, options.tags, time.time_ns()
    entry = spec.entry
    record = RunRecord(
        id=options.run_id or new_id(),
        flow=spec.name,
        entry=entry,
        status="running",
        created_ns=now,
        flow_version=spec.version,
        code_digest=code.digest_of(entry),
        tenant=tags.tenant,
        principal=tags.principal,
        session=tags.session,
        tags=tags.tags,
        owner=this_process(),
        lease_until_ns=lease_until(app.keeper.lease_seconds),
    )
    run = _open(app, record, options)
    given = {"inputs": dict(target.inputs), "init": dict(target.init)}
    freight: Freight = []
    start = _boundary(run, "start", inputs=records.encode(given, name=f"{spec.name}()"), freight=freight)
    yield Durable(app.ledger.submit(StartRun(record, start, freight)))
    return (yield from _watched(app, run, target, RunOpened(run.id, run.flow, is_resumed=False)))


def resume(
    record: RunRecord, make: Callable[[Mapping[str, Any], Mapping[str, Any]], Target], options: Options
) -> Logic[Any]:
    """Go on with a run. `make` builds the call from the recorded inputs and constructor arguments.

    The recorded output where the run has completed already. Raises `RunBusy` while somebody holds it.
    """
    app = host()
    app.prepare()
    patch_executors()
    if not opened.add(record.id):
        raise RunBusy(f"run {record.id} is open in this process: wait for it to end")
    try:
        if record.status != "completed":
            app.ledger.open_keys(record.id)
        return (yield from _go_on(app, record, make, options))
    finally:
        opened.discard(record.id)


def _go_on(
    app: Host,
    record: RunRecord,
    make: Callable[[Mapping[str, Any], Mapping[str, Any]], Target],
    options: Options,
) -> Logic[Any]:
    if record.status == "completed":
        return _recorded_output(app, record)
    # Before the takeover: a flow that cannot be built leaves the run as it is.
    given = records.decode(app.ledger.exact(record.id, app.ledger.start(record.id).inputs))
    target = make(given["inputs"], given["init"])
    takeover = app.ledger.submit(
        TakeOver(record.id, this_process(), time.time_ns(), lease_until(app.keeper.lease_seconds))
    )
    yield Durable(takeover)
    taken = takeover.result()
    if not isinstance(taken, RunRecord) or taken.status == "completed":
        return _recorded_output(app, record)
    run = _open(app, taken, options)
    try:
        history = [link.outcome for link in app.ledger.history(record.id)]
        for outcome in history:
            run.totals = run.totals.plus(outcome)
        digest = code.digest_of(target.spec.entry)
        is_changed = taken.code_digest != digest
        begun = frozenset(detail.key for detail in app.ledger.details(record.id))
        run.recall = Recall(
            history,
            failed=_failed_keys(app, history),
            begun=begun,
            is_same_code=bool(digest) and not is_changed,
        )
    except BaseException:
        _release(app, run)
        raise
    if is_changed:
        log.warning("run %s: the code of %s has changed since the run began", run.id, taken.entry)
    freight: Freight = []
    start = _boundary(run, "start", inputs="null", freight=freight)
    yield Durable(app.ledger.submit(records.Append(start, freight)))
    opening = RunOpened(run.id, run.flow, is_resumed=True, is_code_changed=is_changed)
    return (yield from _watched(app, run, target, opening))


def _open(app: Host, record: RunRecord, options: Options) -> OpenRun:
    return OpenRun(
        id=record.id,
        flow=record.flow,
        epoch=record.epoch,
        ledger=app.ledger,
        tenant=record.tenant,
        listener=options.listener,
        accepts_divergence=options.accept_divergence,
    )


def _watched(app: Host, run: OpenRun, target: Target, opening: RunOpened) -> Logic[Any]:
    """Let somebody watch from here until how the run ended is durable."""
    with nullcontext(run.listener) if run.listener is not None else app.watching() as run.listener:
        return (yield from _attend(app, run, target, opening))


def _attend(app: Host, run: OpenRun, target: Target, opening: RunOpened) -> Logic[Any]:
    """Let the body run, and record how it ended."""
    global _last_run
    opened.add(run.id)
    app.keeper.hold(run)
    try:
        run.tell(opening)
        with app.entered(), Here(run):
            result = yield Body(target.body)
        yield Durable(_complete(run, result))
        return result
    except (Fenced, LedgerError, RunEnded) as error:
        # Nothing that is recorded now would be true, or would get there.
        run.close()
        _release(app, run)
        error.add_note(f"run {run.id} has stopped; `{target.spec.entry.resuming(run.id)}` goes on with it")
        raise
    except Exception as error:
        ticket, note = _fail(run, error, target.spec.entry)
        yield Durable(ticket)
        error.add_note(note)
        raise
    except BaseException as interruption:
        # Ctrl-C, a cancelled task, sys.exit: no outcome, the run waits for whoever resumes it.
        run.close()
        _release(app, run)
        interruption.add_note(
            f"run {run.id} was interrupted; `{target.spec.entry.resuming(run.id)}` goes on with it"
        )
        raise
    finally:
        run.close()
        app.keeper.let_go(run)
        opened.discard(run.id)
        app.ledger.payloads.forget_run(run.id)
        _last_run = (app, run.id)


def _release(app: Host, run: OpenRun) -> None:
    """Give a run up without an end. Where that cannot be written, its lease expires, or its process goes."""
    try:
        app.ledger.submit(Release(run.id, run.epoch)).wait()
    except LedgerError as error:
        log.warning("run %s could not be released: %s", run.id, error)


def _complete(run: OpenRun, result: object) -> records.Pending:
    freight: Freight = []
    text = records.encode(result, name=f"{run.flow}()")
    run.close()
    end = _boundary(run, "end", output=text, freight=freight)
    return run.ledger.submit(EndRun(end, freight, "completed", run.totals))


def _fail(run: OpenRun, error: Exception, entry: Entry) -> tuple[records.Pending, str]:
    failed = run.failed_steps(error)
    names = {key: name for _, key, name in run.causes}
    innermost = names[failed[0]] if failed else None
    text = records.encode({"error": error, "failed": [key.hex() for key in failed]}, name=f"{run.flow}()")
    freight: Freight = []
    run.close()
    end = _boundary(run, "end", output=text, freight=freight, is_failed=True)
    # The one-line form stands in lists. Redacted before it is cut: half a secret would not be known for one.
    line = run.ledger.payloads.readable(f"{type(error).__name__}: {error}").partition("\n")[0][:500]
    ticket = run.ledger.submit(EndRun(end, freight, "failed", run.totals, failed_step=innermost, error=line))
    where = f" in step {innermost!r}" if innermost else ""
    advice = "go on with"
    if isinstance(error, Diverged):
        option = "accept_divergence=True" if entry.is_typed_in else "--accept-divergence"
        advice = f"restore the code, or add {option} to"
    return ticket, f"run {run.id} failed{where}; {advice} `{entry.resuming(run.id)}`"


def _boundary(
    run: OpenRun,
    kind: records.OutcomeKind,
    *,
    freight: Freight,
    inputs: str = "null",
    output: str = "null",
    is_failed: bool = False,
) -> Outcome:
    """The outcome that opens or closes this process's part of the run."""
    now = time.time_ns()
    return Outcome(
        run_id=run.id,
        key=START_KEY if kind == "start" else END_KEY,
        path=b"",
        parent_attempt=0,
        kind=kind,
        name=run.flow,
        digest=b"",
        occurrence=0,
        lane=0,
        attempt=run.epoch,
        epoch=run.epoch,
        status="failed" if is_failed else "running" if kind == "start" else "completed",
        started_ns=now,
        ended_ns=now,
        is_degraded=kind == "end" and run.totals.is_degraded,
        inputs=run.ledger.payloads.store(run.id, inputs, freight, tenant=run.tenant),
        output=run.ledger.payloads.store(run.id, output, freight, tenant=run.tenant),
    )


def _recorded_output(app: Host, record: RunRecord) -> Any:
    history = app.ledger.history(record.id)
    end = next(link.outcome for link in reversed(history) if link.outcome.kind == "end")
    return records.decode(app.ledger.exact(record.id, end.output))


def _failed_keys(app: Host, history: list[Outcome]) -> frozenset[bytes]:
    """The failures that ended the run the last time."""
    end = next((outcome for outcome in reversed(history) if outcome.kind == "end"), None)
    if end is None or end.status != "failed":
        return frozenset()
    # Only the keys are read: the error itself may be of a class that is gone.
    said: Any = orjson.loads(app.ledger.exact(end.run_id, end.output))
    return frozenset(bytes.fromhex(key) for key in said.get("failed", ()))


def step_failed(error: Exception, record: RunRecord) -> StepFailed:
    """The error that `App.run` raises for a flow that ended in `error`."""
    step = record.failed_step or record.flow
    return StepFailed(
        f"run {record.id} of {record.flow} failed in {step!r}: {type(error).__name__}: {error}; "
        f"`surefoot show {record.id}` shows it, `{record.entry.resuming(record.id)}` goes on from there",
        run_id=record.id,
        step=step,
    )


__all__ = [
    "Host",
    "Opaque",
    "Options",
    "Target",
    "Totals",
    "begin",
    "host",
    "last_ended",
    "resume",
    "step_failed",
]
