"""A run that is recorded now and made later, by whoever takes it over."""

from __future__ import annotations

from dataclasses import replace

from surefoot.flows import ending, entrusted, intake, runner
from surefoot.flows.confining import bounds_of_new
from surefoot.flows.drive import Durable, Logic
from surefoot.flows.keyed import check_same
from surefoot.flows.newrun import capture_of, changes_of, made_of, new_record
from surefoot.flows.options import Options, Target
from surefoot.ledger import Freight, RunRecord, StartRun


def check_known(target: Target, record: RunRecord) -> None:
    """Raise `InvalidInput` where a call is given something else than the run that its key has, or what is refused."""
    app = runner.prepared_host()
    _, given, _ = intake.taken_in(app, target)
    check_same(app.ledger, record, given)


def submit(target: Target, options: Options) -> Logic[RunRecord]:
    """Record a run with its inputs, held by nobody, and return it once that is durable; `resume` makes it.

    Its status is `pending`, and its deadline counts from now. Where the run key is taken, nothing is recorded and the
    run that has it is returned, whatever has become of it. Raises `InvalidInput` if that one was begun with other
    inputs, or if these are refused.
    """
    app = runner.prepared_host()
    bounds = bounds_of_new(app, target.spec, options)
    target, given, text = intake.taken_in(app, target, is_known=options.origin is not None)
    changes = changes_of(options)
    record = new_record(app, target, options, changes, bounds=bounds)
    record = replace(record, status="pending", owner=None, lease_until_ns=0)
    run = runner.opened_run(app, record, options, changes)
    run.capture = capture_of(app, target.spec, options)
    run.trusted_inputs = entrusted.of_call(target)
    freight: Freight = []
    start = ending.boundary(run, "running", inputs=text, output=made_of(options, bounds), freight=freight)
    try:
        started = app.ledger.submit(StartRun(record, start, freight, options.audit))
        yield Durable(started)
    finally:
        run.close()
        app.ledger.payloads.forget_run(record.id)
    taken = started.result()
    if isinstance(taken, RunRecord):
        if options.admits is not None:
            options.admits(taken)
        check_same(app.ledger, taken, given)
        return taken
    return record
