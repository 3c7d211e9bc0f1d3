"""What code inside a run can know of the run and step that it is in, and what comes after."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.errors import UnknownRun
from surefoot.flows.ending import recorded_output
from surefoot.flows.host import Host
from surefoot.flows.runner import last_ended
from surefoot.flows.running import open_scope
from surefoot.ledger import RunRecord, Totals
from surefoot.values import RunStatus


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that is open here."""

    id: str
    flow: str


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """The step whose body runs here.

    `idempotency_key` is the same for every attempt and after every crash: give it to what the step calls.
    """

    name: str
    attempt: int
    idempotency_key: str


def current_run() -> CurrentRun | None:
    """The open run, or None outside of runs."""
    here = open_scope()
    return CurrentRun(here.run.id, here.run.flow) if here else None


def current_step() -> CurrentStep | None:
    """The step that is running, or None in the body of a flow and outside of runs."""
    here = open_scope()
    return CurrentStep(here.name, here.attempt, here.idempotency_key) if here and here.path else None


def trace_headers() -> dict[str, str]:
    """Headers for what is asked of others here, which tell of the trace and span that this is (W3C Trace Context).

    `traceparent`, and `tracestate` where whoever asked for the run had one; empty outside of runs.
    """
    here = open_scope()
    return dict(here.trace_headers) if here else {}


class Run:
    """A run as the ledger knows it. As the value of a notebook's cell it shows itself as a card."""

    def __init__(self, record: RunRecord, app: Host) -> None:
        self.record = record
        self._app = app

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def flow(self) -> str:
        return self.record.flow

    @property
    def status(self) -> RunStatus:
        return self.record.status

    @property
    def totals(self) -> Totals:
        """Steps, calls, tokens and cost, of all attempts at the run."""
        return self.record.totals

    @property
    def failed_step(self) -> str | None:
        return self.record.failed_step

    @property
    def error(self) -> str | None:
        """What ended a failed run, in one line."""
        return self.record.error

    @property
    def output(self) -> object:
        """What the flow returned, restored to its types; None unless the run is completed."""
        if self.status != "completed":
            return None
        output: object = recorded_output(self._app.ledger, self.id)
        return output

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.flow}: {self.status}>"

    def _repr_html_(self) -> str:
        return self._app.card(self.id).html()


def last_run() -> Run:
    """The run that ended last in this process, with status, tokens and cost. Raises `UnknownRun` if there is none."""
    ended = last_ended()
    if ended is None:
        raise UnknownRun("no run has ended in this process yet: call a flow first")
    app, run_id = ended
    return Run(app.ledger.run(run_id), app)
