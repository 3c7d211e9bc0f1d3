"""The model calls of runs as a cassette: out of the ledger, in the order in which they began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from surefoot.errors import RunPruned
from surefoot.ledger import Ledger, Outcome, Payload, RunRecord, decode
from surefoot.models import Cassette, ModelRequest, RecordedCall
from surefoot.models.chain.record import Answer


def taped(ledger: Ledger, runs: Sequence[RunRecord], *, is_readable: bool = True) -> Cassette:
    """The calls of runs and of their child runs; of one that a resume made again, only the last outcome.

    `is_readable`: the bodies that people may read, else exactly what a resume would read. Raises `RunPruned`.
    """
    found: dict[tuple[str, bytes], Outcome] = {}
    for run in _with_children(ledger, runs):
        for outcome in ledger.outcomes(run.id):
            if outcome.kind == "call" and outcome.status in ("completed", "failed"):
                found[run.id, outcome.key] = outcome
    calls = sorted(found.values(), key=lambda outcome: outcome.started_ns)
    source = f"run {runs[0].id}" if len(runs) == 1 else f"{len(runs)} runs"
    return Cassette(
        tuple(_call(ledger, outcome, is_readable=is_readable) for outcome in calls), source, is_readable
    )


def _with_children(ledger: Ledger, runs: Sequence[RunRecord]) -> Iterator[RunRecord]:
    for run in runs:
        yield run
        yield from _with_children(ledger, ledger.runs(parent_run=run.id, limit=None))


def _call(ledger: Ledger, outcome: Outcome, *, is_readable: bool) -> RecordedCall:
    def read(payload: Payload) -> Any:
        return decode(ledger.view(payload) if is_readable else ledger.exact(outcome.run_id, payload))

    inputs, output = read(outcome.inputs), read(outcome.output)
    if not isinstance(inputs, Mapping) or output is None:
        raise RunPruned(
            f"the bodies of {outcome.name} in run {outcome.run_id} are gone, so it cannot be answered from the record: "
            "take a newer run"
        )
    asked = cast("Mapping[str, Any]", inputs)
    model = outcome.call.requested_model if outcome.call is not None else ""
    request = ModelRequest(outcome.name, model, str(asked["path"]), asked["body"])
    if isinstance(output, BaseException):
        return RecordedCall(request, error=output)
    answer = Answer.from_record(output)
    if answer is None:
        raise RunPruned(f"the answer to {request} in run {outcome.run_id} is gone: take a newer run")
    return RecordedCall(request, answer)
