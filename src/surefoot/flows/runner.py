"""Running a flow from its start, or from where its record ends."""

from __future__ import annotations

import time
from collections import ChainMap
from contextlib import nullcontext
from typing import Any, cast

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import (
    AccessDenied,
    Diverged,
    Fenced,
    InDoubt,
    LedgerCorrupt,
    LedgerError,
    RunBusy,
    RunCancelled,
    RunEnded,
    RunStopped,
)
from surefoot.flows import cancelling, doubts, ending, entrusted, intake, opened, sources, undoing
from surefoot.flows.changes import NO_CHANGES, Changes, recorded_changes
from surefoot.flows.confining import bounds_of_known, bounds_of_new, refuse_other_tenant
from surefoot.flows.deadlines import next_deadline
from surefoot.flows.drive import Body, Durable, Logic, Pause
from surefoot.flows.events import RunOpened
from surefoot.flows.flow import FlowSpec
from surefoot.flows.host import Host, host
from surefoot.flows.keyed import check_same
from surefoot.flows.newrun import EFFECTS, SUPPRESSED, capture_of, changes_of, made_of, new_record
from surefoot.flows.openrun import OpenRun, callers_around
from surefoot.flows.options import Completed, Make, Options, Target
from surefoot.flows.origin import Origin, forked_from
from surefoot.flows.recall import Recall
from surefoot.flows.running import Here
from surefoot.flows.stopping import Suspended
from surefoot.flows.threads import patch_executors
from surefoot.ledger import (
    FINAL,
    Append,
    Entry,
    Freight,
    RunRecord,
    Send,
    StartRun,
    TakeOver,
    lease_of,
    this_process,
)

log = scope.logger("surefoot.flows")

_LOOK_AGAIN = 0.2
"""Seconds between two looks at a run that somebody else holds."""


_last_run: tuple[Host, str] | None = None


def last_ended() -> tuple[Host, str] | None:
    """The run that ended last in this process, and where it is recorded."""
    return _last_run


def begin(target: Target, options: Options) -> Logic[Any]:
    """Run a flow from its start: the run is in the ledger before the first line of the flow.

    Where the run key is taken, this goes on with the run that has it, or returns its output. Raises `InvalidInput` if
    that one was begun with other inputs, or if these are refused, and what `resume` raises.
    """
    app = prepared_host()
    # Before there is a run: of inputs that are refused nothing is recorded.
    bounds = bounds_of_new(app, target.spec, options)
    target, given, text = intake.taken_in(app, target, is_known=options.origin is not None)
    changes = changes_of(options)
    record = new_record(app, target, options, changes, bounds=bounds)
    run = opened_run(app, record, options, changes)
    run.bounds = bounds
    run.capture = capture_of(app, target.spec, options)
    _share(run, options.origin)
    run.trusted_inputs = entrusted.of_call(target)
    freight: Freight = []
    start = ending.boundary(run, "running", inputs=text, output=made_of(options, bounds), freight=freight)
    # Before the run can be seen: another thread that looks for it under its key must find it open.
    opened.add(run.id)
    try:
        started = app.ledger.submit(StartRun(record, start, freight, options.audit))
        yield Durable(started)
        taken = started.result()
        if not isinstance(taken, RunRecord):
            opening = RunOpened(run.id, run.flow, is_resumed=False)
            return (yield from _watched(app, run, target, opening, options))
    finally:
        opened.discard(run.id)
        app.ledger.payloads.forget_run(run.id)
    if options.admits is not None:
        options.admits(taken)
    records.refuse_pruned(taken)
    check_same(app.ledger, taken, given)
    return (yield from resume(taken, lambda _inputs, _init: target, options))


def resume(record: RunRecord, make: Make, options: Options) -> Logic[Any]:
    """Go on with a run; the recorded output where it has completed already.

    Raises `RunBusy` while somebody holds it, and `RunCancelled` for a run that was cancelled.
    """
    app = prepared_host()
    refuse_other_tenant(app, record)
    until = time.monotonic() + options.wait
    while not opened.add(record.id):
        if time.monotonic() >= until:
            raise RunBusy(f"run {record.id} is open in this process: wait for it to end")
        yield _pause(options)
    try:
        # Whoever was waited for has changed it.
        record = app.ledger.run(record.id)
        records.refuse_pruned(record)
        doubts.check_decisions(app.ledger, record, options.decisions)
        if record.status == "completed":
            return _output(app, record, options)
        ending.refuse_cancelled(record)
        undoing.refuse_compensated(app.ledger, record)
        # First: under another application key nothing can be read, and nothing is wrong with the record.
        app.ledger.open_keys(record.id)
        _verify(app, record.id)
        # Before the takeover: a flow that cannot be built leaves the run as it is.
        given = records.decode(app.ledger.exact(record.id, app.ledger.start(record.id).inputs))
        target = make(given["inputs"], given["init"])
        deadline_ns = next_deadline(app, record, target.spec, options)
        taken = yield from _taken(app, record, options, until, deadline_ns=deadline_ns)
        if taken.status == "completed":
            return _output(app, taken, options)
        ending.refuse_cancelled(taken)
        return (yield from _go_on(app, taken, target, options))
    finally:
        opened.discard(record.id)
        app.ledger.payloads.forget_run(record.id)


def _verify(app: Host, run_id: str) -> None:
    """Raise `LedgerCorrupt` for a run whose record somebody has edited."""
    if app.config.runs.verify and (broken := app.ledger.first_break(run_id)) is not None:
        raise LedgerCorrupt(records.not_gone_on_with(run_id, broken))


def _output(app: Host, record: RunRecord, options: Options) -> Any:
    """What a run that somebody else has completed returned. Its parent does not know what it was begun with.

    Raises `LedgerCorrupt` where somebody has edited it.
    """
    if app.config.runs.verify and (broken := app.ledger.broken_end(record.id)) is not None:
        raise LedgerCorrupt(
            f"what run {record.id} returned is not given again, as its record was tampered with: {broken}. Restore a "
            "backup (`surefoot ledger verify` looks at all runs), or begin a new run"
        )
    if options.parent is not None:
        entrusted.taint_parent(record.flow)
    return ending.recorded_output(app.ledger, record.id)


def _taken(
    app: Host, record: RunRecord, options: Options, until: float, *, deadline_ns: int | None = None
) -> Logic[RunRecord]:
    """Take a run over, as soon as nobody holds it; a deadline that is given takes the place of its own."""
    while True:
        lease = lease_of(app.keeper.lease_seconds)
        takeover = app.ledger.submit(
            TakeOver(
                record.id,
                this_process(),
                lease,
                deadline_ns,
                is_unverified=not app.config.runs.verify,
            )
        )
        try:
            yield Durable(takeover)
        except RunBusy:
            if time.monotonic() >= until:
                raise
        else:
            return cast("RunRecord", takeover.result())
        yield _pause(options)


def _go_on(app: Host, taken: RunRecord, target: Target, options: Options) -> Logic[Any]:
    run = opened_run(app, taken, options, Changes.of(recorded_changes(taken.tags)))
    confine(app, run, taken, target.spec)
    # What was not to be read stays so, whatever the code says by now.
    begun = records.capture_of(app.ledger.start(taken.id).inputs)
    run.capture = begun or capture_of(app, target.spec, options)
    digest = sources.digest_of(target.spec.entry)
    is_changed = taken.code_digest != digest
    try:
        _share(run, forked_from(app.ledger, taken, run.changes, code_digest=digest))
        yield from _reopened(app, run, options, is_same_code=bool(digest) and not is_changed)
    except BaseException:
        ending.release(run)
        raise
    if is_changed:
        log.warning("run %s: the code of %s has changed since the run began", run.id, taken.entry)
    opening = RunOpened(
        run.id,
        run.flow,
        is_resumed=True,
        is_code_changed=is_changed,
        changed_files=sources.changed_since(target.spec.entry, taken.created_ns) if is_changed else (),
    )
    return (yield from _watched(app, run, target, opening, options))


def _reopened(app: Host, run: OpenRun, options: Options, *, is_same_code: bool = False) -> Logic[None]:
    """Recall what a run has recorded, its totals, and whether it was asked to end while nobody held it."""
    history = app.ledger.outcomes(run.id)
    run.trusted_inputs = entrusted.as_recorded(history)
    for outcome in history:
        run.count_done(outcome)
    run.pins = {**records.pins_of(app.ledger, run.id), **records.tools_of(app.ledger, run.id)}
    # The ceilings count what the flow asks for, however many attempts that takes.
    run.begun_calls = len({outcome.key for outcome in history if outcome.kind == "call"})
    run.begun_steps = len({outcome.key for outcome in history if outcome.kind in ("step", "flow")})
    freight: Freight = []
    start = ending.boundary(run, "running", freight=freight)
    yield Durable(app.ledger.submit(Append(start, freight)))
    cancelling.find(run, history)
    undoing.reopen(run, history)
    for outcome, recorded in doubts.decide(run, history, options.decisions):
        yield Durable(recorded)
        history.append(outcome)
        run.count_done(outcome)
    run.recall = Recall(
        history,
        failed=ending.failed_keys(app.ledger, history),
        begun=frozenset(detail.key for detail in app.ledger.details(run.id)),
        is_same_code=is_same_code,
    )
    run.doubts = doubts.doubts_of(app.ledger, run.recall.in_doubt)


def prepared_host() -> Host:
    app = host()
    app.prepare()
    patch_executors()
    return app


def _share(run: OpenRun, origin: Origin | None) -> None:
    """Let a fork find what it shares; what is not changed means what it did."""
    if origin is not None:
        run.origin = origin
        run.inherited = {**run.inherited, **origin.pins}


def opened_run(app: Host, record: RunRecord, options: Options, changes: Changes) -> OpenRun:
    run = OpenRun.of(record, app.ledger)
    run.changes = changes
    run.listener = options.listener
    run.accepts_divergence = options.accept_divergence
    run.ceilings = app.ceilings
    run.guarded_databases = frozenset(
        name for name, one in app.config.databases.items() if one.untrusted == "refuse"
    )
    parent = options.parent
    # A child run holds a step of its parent open.
    run.parks = options.parks if parent is None else None
    if parent is not None:
        run.within(parent.caller)
        run.depth = parent.depth + entrusted.depth_here()
        run.inherited = ChainMap(parent.pins, dict(parent.inherited))
    elif record.parent_run is not None:
        around = callers_around(app.ledger, record.parent_run)
        run.within(around)
        for run_id in around.runs:
            run.inherited = {**run.inherited, **records.pins_of(app.ledger, run_id)}
    if parent is not None and parent.deadline_ns == run.deadline_ns:
        run.brake.is_due_with(parent.brake)
    run.suppresses_effects = (
        options.suppresses_effects
        or (parent is not None and parent.suppresses_effects)
        or record.tags.get(EFFECTS) == SUPPRESSED
    )
    run.is_strict = app.is_strict
    run.meter = app.meter
    return run


def confine(app: Host, run: OpenRun, record: RunRecord, spec: FlowSpec | None) -> None:
    """Bind a run that is gone on with to what it may use by now. Where it may not run any more, it ends by that."""
    try:
        run.bounds = bounds_of_known(app, record, spec)
    except AccessDenied as denied:
        run.poisoned(denied)


def _pause(options: Options) -> Pause:
    return Pause(_LOOK_AGAIN, None if options.parent is None else options.parent.brake)


def _watched(app: Host, run: OpenRun, target: Target, opening: RunOpened, options: Options) -> Logic[Any]:
    """Let somebody watch from here until how the run ended is durable."""
    with nullcontext(run.listener) if run.listener is not None else app.watching() as run.listener:
        inside = nullcontext() if options.parent is None else options.parent.beginning(run)
        with inside:
            return (yield from _attend(app, run, target, opening, options))


def _attend(app: Host, run: OpenRun, target: Target, opening: RunOpened, options: Options) -> Logic[Any]:
    """Let the body run, and record how it ended."""
    global _last_run
    entry = target.spec.entry
    app.keeper.hold(run)
    try:
        run.tell(opening)
        root = _root(run, target)
        try:
            result = yield from _sound(app, run, target, root)
            ticket, ended_ns = ending.complete(run, result)
        except Exception as raised:
            # What a flow says when it is taken down is no failure of its own.
            run.brake.check_suspended()
            # Asked once: while it is undone its deadline may pass, and that is not why.
            why = run.brake.explained(raised)
            try:
                with app.entered():
                    yield from undoing.undo(run, root, why, workflow=target.workflow)
                raise why
            finally:
                del why  # else exception, traceback and this frame hold each other
        yield Durable(ticket)
        _tell_completed(run, ended_ns, options)
        if options.parent is not None and root.tainted:
            entrusted.taint_parent(run.flow)
        return result
    except (Fenced, LedgerError, RunEnded) as error:
        # Nothing that is recorded now would be true, or would get there.
        run.close()
        ending.release(run)
        error.add_note(f"run {run.id} has stopped; `{entry.resuming(run.id)}` goes on with it")
        raise
    except Exception as raised:
        final = yield from _end(app, run, raised, entry, options)
        try:
            if final is raised:
                raise
            # One that was stopped says so in other words, and where it was stopped.
            raise final from raised.__cause__ if isinstance(final, RunStopped) else raised
        finally:
            del final  # else exception, traceback and this frame hold each other
    except BaseException as interruption:
        # Ctrl-C, a cancelled task, sys.exit: no outcome, the run waits for whoever resumes it.
        _let_go(run, interruption, entry)
        raise
    finally:
        run.close()
        run.undone = run.poison = run.root = None
        app.keeper.let_go(run)
        _last_run = (app, run.id)


def _let_go(run: OpenRun, interruption: BaseException, entry: Entry) -> None:
    """Give up a run whose flow was taken down."""
    run.close()
    ending.release(run)
    if (suspension := run.brake.suspension) is not None:
        # Out of a group of tasks it comes in other words.
        raise Suspended(run.id, suspension) from None
    interruption.add_note(f"run {run.id} was interrupted; `{entry.resuming(run.id)}` goes on with it")


def _tell_completed(run: OpenRun, ended_ns: int, options: Options) -> None:
    if options.on_completed is not None:
        options.on_completed(Completed(run.id, run.epoch, run.totals, run.created_ns, ended_ns))


def _root(run: OpenRun, target: Target) -> Here:
    """The scope of the flow itself."""
    root = run.root = Here(run, is_async=target.spec.is_async, tainted=entrusted.entrust(run, target))
    if run.origin is not None:
        root.twinned((b"", root.attempt))
        # Other inputs are what a fork is for. What must not be repeated does not happen in it.
        run.accepts_divergence = run.accepts_divergence or run.suppresses_effects
    return root


def _sound(app: Host, run: OpenRun, target: Target, root: Here) -> Logic[Any]:
    """What the flow returns or raises, unless it caught an error that says that this process must not go on.

    A run that is being undone has failed already: its flow is not run again.
    """
    if run.undone is not None:
        raise run.undone.error
    run.brake.check()
    run.check_sound()
    stopping = run.brake.stoppable() if target.spec.is_async else nullcontext()
    try:
        with app.entered(), root, stopping:
            result = yield Body(target.body)
    except Exception as error:
        if (poison := run.stopped_by) is not None and type(error) is not type(poison):
            raise poison from error
        raise
    run.check_sound()
    return result


def _end(app: Host, run: OpenRun, error: Exception, entry: Entry, options: Options) -> Logic[Exception]:
    """Record how a run ended that has not completed; the error to raise."""
    if isinstance(error, InDoubt):
        run.close()
        # All that is in doubt by now; a child run has named its own.
        final = doubts.in_doubt(run) if run.doubts else error
        yield Durable(ending.in_doubt(run, final))
        return final
    is_own_stop = isinstance(error, RunStopped) and error.run_id == run.id
    if isinstance(error, RunCancelled) and is_own_stop:
        yield from _cancel_children(app, run.id, error)
        if run.undone is None or run.undone.is_over:
            yield Durable(ending.cancelled(run, error))
            return ending.stopped(error, run, entry)
    ticket, step, note = ending.fail(run, error, entry)
    yield Durable(ticket)
    if isinstance(error, RunStopped) and is_own_stop:
        error = ending.stopped(error, run, entry)
    error.add_note(note)
    if options.explains and not is_own_stop and not isinstance(error, Diverged):
        return ending.step_failed(error, run, entry, step=step)
    return error


def settle(record: RunRecord, options: Options) -> Logic[bool]:
    """End a run, that was asked to and that nobody holds, without its flow; whether there was a run to end.

    Does nothing where it is over or was not asked to end. Raises `RunBusy` while somebody holds it, `InDoubt` where
    what it had done was being undone and nobody knows how far, and `RunCancelled` where some of that failed.
    """
    app = prepared_host()
    if not opened.add(record.id):
        raise RunBusy(f"run {record.id} is open in this process: it ends at its next step")
    try:
        app.ledger.open_keys(record.id)
        # What it has done is undone by what stands there.
        _verify(app, record.id)
        taken = yield from _taken(app, record, options, 0.0)
        if taken.status in FINAL:
            return False
        run = opened_run(app, taken, options, NO_CHANGES)
        confine(app, run, taken, None)
        app.keeper.hold(run)
        try:
            yield from _reopened(app, run, options)
            if not isinstance(reason := run.brake.reason, RunCancelled):
                return False
            try:
                with app.entered():
                    yield from undoing.undo(run, None, reason)
            except InDoubt as doubt:
                raise (yield from _end(app, run, doubt, taken.entry, options)) from None
            final = yield from _end(app, run, reason, taken.entry, options)
            if run.undone is not None and not run.undone.is_over:
                raise final
            return True
        finally:
            app.keeper.let_go(run)
            if run.is_open:
                run.close()
                ending.release(run)
    finally:
        opened.discard(record.id)
        app.ledger.payloads.forget_run(record.id)


def _cancel_children(app: Host, parent: str, reason: RunCancelled) -> Logic[None]:
    """Ask the unfinished child runs of a run to end, and end those that nobody holds."""
    for child in app.ledger.runs(parent_run=parent, limit=None):
        if child.status in FINAL or child.status == "failed":
            continue
        yield Durable(
            app.ledger.submit(Send(cancelling.request(child.id, reason=f"with its parent: {reason}")))
        )
        try:
            yield from settle(child, Options())
        except RunBusy:
            log.info("run %s was asked to end with its parent %s", child.id, parent)
        except (InDoubt, RunStopped) as error:
            log.warning("run %s ends with its parent %s: %s", child.id, parent, error)
