"""How a run ends, as the rows that say so."""

from __future__ import annotations

import time
from typing import Any

import orjson

from surefoot import ledger as records
from surefoot import scope
from surefoot.decisions import merged
from surefoot.errors import (
    DeadlineExceeded,
    Diverged,
    InDoubt,
    LedgerCorrupt,
    LedgerError,
    RunCancelled,
    RunStopped,
    StepFailed,
)
from surefoot.flows.openrun import OpenRun
from surefoot.ledger import END_KEY, START_KEY, EndRun, Entry, Freight, Ledger, Outcome, Release, RunRecord
from surefoot.values import Capture, StepStatus, Trust

log = scope.logger("surefoot.flows")


def boundary(
    run: OpenRun,
    status: StepStatus,
    *,
    freight: Freight,
    inputs: records.Encoded = "null",
    output: records.Encoded = "null",
    trust: Trust | None = None,
    capture: Capture | None = None,
) -> Outcome:
    """The outcome that opens (`running`) or closes this process's part of the run.

    `trust` is that of the output; an opening says which inputs are trusted.
    """
    # A clock that was set back must not let a run end before it began.
    now = max(time.time_ns(), run.created_ns)
    is_start = status == "running"
    store = run.ledger.payloads.store
    if run.cargo:
        run.cargo.load(freight)
    root, trusts = run.root, run.trusted_inputs
    if trust is None:
        is_tainted = trusts is not None if is_start else root is not None and bool(root.tainted)
        trust = "untrusted" if is_tainted else "trusted"
    return Outcome(
        run_id=run.id,
        key=START_KEY if is_start else END_KEY,
        path=b"",
        parent_attempt=0,
        kind="start" if is_start else "end",
        name=run.flow,
        digest=b"",
        occurrence=0,
        lane=0,
        attempt=run.epoch,
        epoch=run.epoch,
        status=status,
        started_ns=now,
        ended_ns=now,
        is_degraded=not is_start and run.totals.is_degraded,
        inputs=store(run.id, inputs, freight, tenant=run.tenant, capture=run.capture),
        output=store(run.id, output, freight, tenant=run.tenant, capture=capture or run.capture),
        trust=trust,
        endorsed=tuple(f"/{name}" for name in trusts or ()) if is_start else (),
        decisions=merged(root.noted) if not is_start and root is not None and root.noted else (),
    )


def complete(run: OpenRun, result: object) -> tuple[records.Pending, int]:
    """The run is over and this is what came out, and when (nanoseconds since the epoch).

    Raises `NotData`, and `RunStopped` if it was stopped before.
    """
    freight: Freight = []
    text = records.encode_large(result, name=f"{run.flow}()")
    if run.is_strict:
        records.check_exact(result, text, name=f"{run.flow}()")
    run.close()
    # Asked once nothing can be adopted any more: what was adopted counts. Whoever was to let go of it need not.
    run.brake.check_stopped()
    is_trusted = run.root is None or run.root.is_trusted(result)
    trust: Trust = "trusted" if is_trusted else "untrusted"
    end = boundary(run, "completed", output=text, freight=freight, trust=trust)
    return run.ledger.submit(EndRun(end, freight, "completed", run.totals)), end.ended_ns


def fail(run: OpenRun, error: Exception, entry: Entry) -> tuple[records.Pending, str, str]:
    """The run ended in an error; with the innermost step that failed (or the flow), and a note for people."""
    failed = run.failed_steps(error) or run.unfit_answer()
    names = {key: name for _, key, name in run.causes}
    innermost = names[failed[0]] if failed else None
    said: dict[str, object] = {"error": error, "failed": [key.hex() for key in failed]}
    if (undone := run.undone) is not None:
        # What is tried again is the undoing.
        innermost = undone.step
        failed = [key for _, failure in undone.failed for key in run.failed_steps(failure)]
        said |= {
            "failed": [key.hex() for key in failed],
            "compensated": undone.is_over,
            "undone": undone.names,
        }
    text = records.encode(said, name=f"{run.flow}()")
    freight: Freight = []
    run.close()
    # What a step has said of which nothing is to be read is in the error of its run.
    capture: Capture | None = "none" if run.unshown.intersection(failed) else None
    end = boundary(run, "failed", output=text, freight=freight, capture=capture)
    line = _line(run, error, capture=capture)
    ticket = run.ledger.submit(EndRun(end, freight, "failed", run.totals, failed_step=innermost, error=line))
    where = f" in step {innermost!r}" if innermost else ""
    advice = "go on with"
    if isinstance(error, Diverged):
        option = "accept_divergence=True" if entry.is_typed_in else "--accept-divergence"
        advice = f"restore the code, or add {option} to"
    elif isinstance(error, DeadlineExceeded):
        advice = f"to go on with it, add {_option(entry)} to"
    note = f"run {run.id} failed{where}; {advice} `{entry.resuming(run.id)}`"
    if undone is not None:
        again = f"; `{entry.resuming(run.id)}` tries that again" if not undone.is_over else "; it is over"
        note = f"run {run.id} failed{where}; {undone}{again}"
    return ticket, innermost or run.flow, note


def in_doubt(run: OpenRun, error: InDoubt) -> records.Pending:
    """The run waits for somebody who finds out what was done."""
    freight: Freight = []
    text = records.encode({"error": error, "failed": []}, name=f"{run.flow}()")
    run.close()
    end = boundary(run, "in_doubt", output=text, freight=freight)
    step = next((doubt.name for doubt in run.doubts.values()), None)
    return run.ledger.submit(
        EndRun(end, freight, "in_doubt", run.totals, failed_step=step, error=_line(run, error))
    )


def cancelled(run: OpenRun, reason: RunCancelled) -> records.Pending:
    """The run is over because somebody asked for it; nobody goes on with it."""
    freight: Freight = []
    said: dict[str, object] = {"error": reason, "failed": []}
    if run.undone is not None:
        said |= {"compensated": True, "undone": run.undone.names}
    text = records.encode(said, name=f"{run.flow}()")
    run.close()
    end = boundary(run, "cancelled", output=text, freight=freight)
    return run.ledger.submit(EndRun(end, freight, "cancelled", run.totals, error=_line(run, reason)))


def release(run: OpenRun) -> None:
    """Give a run up without an end. Where that cannot be written, its lease expires, or its process goes."""
    suspension = run.brake.suspension
    is_waiting = suspension is not None and suspension.is_waiting
    due_ns = None if suspension is None else suspension.due_ns
    try:
        run.ledger.submit(Release(run.id, run.epoch, is_waiting=is_waiting, due_ns=due_ns)).wait()
    except LedgerError as error:
        log.warning("run %s could not be released: %s", run.id, error)


def recorded_output(ledger: Ledger, run_id: str) -> Any:
    """What a completed run returned, restored to its types."""
    end = ledger.end(run_id)
    if end is None:
        raise LedgerCorrupt(f"run {run_id} has no end in the ledger {ledger.where}: restore a backup")
    return records.decode(ledger.exact_large(run_id, end.output))


def failed_keys(ledger: Ledger, history: list[Outcome]) -> dict[int, frozenset[bytes]]:
    """The failures by which the run ended, by the attempt of each end that failed."""
    return {
        outcome.attempt: frozenset(bytes.fromhex(key) for key in _said(ledger, outcome).get("failed", ()))
        for outcome in history
        if outcome.kind == "end" and outcome.status == "failed"
    }


def _said(ledger: Ledger, end: Outcome) -> dict[str, Any]:
    """What is recorded of an end. The error stays as it is: it may be of a class that is gone."""
    said: dict[str, Any] = orjson.loads(ledger.exact(end.run_id, end.output))
    return said


def step_failed(error: Exception, run: OpenRun, entry: Entry, *, step: str) -> StepFailed:
    """The error that `App.run` raises for a flow that ended in `error`."""
    resuming = f"`{entry.resuming(run.id)}` goes on from there"
    if (undone := run.undone) is not None:
        resuming = (
            "the run is over" if undone.is_over else f"`{entry.resuming(run.id)}` tries again to undo it"
        )
        resuming = f"{undone}; {resuming}"
    return StepFailed(
        f"run {run.id} of {run.flow} failed in {step!r}: {type(error).__name__}: {error}; "
        f"`surefoot show {run.id}` shows it, {resuming}",
        run_id=run.id,
        step=step,
        undone="" if undone is None else str(undone),
        is_over=undone is not None and undone.is_over,
    )


def stopped(error: RunStopped, run: OpenRun, entry: Entry) -> RunStopped:
    """The error of a run that was stopped, with what became of what it had done, or how to go on."""
    resuming = f"`{entry.resuming(run.id)}`"
    if (undone := run.undone) is not None:
        what = "it is over" if undone.is_over else f"{resuming} tries that again"
        final = type(error)(f"{error}; {undone}; {what}", run_id=run.id)
    elif isinstance(error, DeadlineExceeded):
        final = DeadlineExceeded(
            f"{error}: to go on with it, add {_option(entry)} to {resuming}", run_id=run.id
        )
    else:
        return error
    final.__cause__ = error.__cause__
    return final.with_traceback(error.__traceback__)


def _option(entry: Entry) -> str:
    """How more time is given."""
    return "deadline=SECONDS" if entry.is_typed_in else "--deadline SECONDS"


def refuse_cancelled(record: RunRecord) -> None:
    """Raise `RunCancelled` for a run that was cancelled: it is over for good."""
    if record.status == "cancelled":
        said = (record.error or "").partition("was cancelled")[2]
        raise RunCancelled(
            f"run {record.id} was cancelled{said}; it cannot go on: start a new run", run_id=record.id
        )


def _line(run: OpenRun, error: Exception, *, capture: Capture | None = None) -> str:
    """An error as it stands in lists, with what became of what the run had done."""
    if (capture or run.capture) in records.WITHHELD and not isinstance(error, RunStopped):
        return f"{type(error).__name__}: (not shown: capture is {capture or run.capture})"
    # Redacted before it is cut: half a secret would not be known for one.
    said = run.ledger.payloads.readable(f"{type(error).__name__}: {error}").partition("\n")[0][:500]
    return said if run.undone is None else f"{said} ({run.ledger.payloads.readable(str(run.undone))[:200]})"
