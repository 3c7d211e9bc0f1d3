"""What code inside a run can know of the run and step that it is in, and what comes after."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.errors import UnknownRun
from surefoot.flows.runner import host, last_run_id
from surefoot.flows.running import open_scope
from surefoot.ledger import RunRecord


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


def last_run() -> RunRecord:
    """The run that ended last in this process, with status, tokens and cost. Raises `UnknownRun` if there is none."""
    run_id = last_run_id()
    if run_id is None:
        raise UnknownRun("no run has ended in this process yet: call a flow first")
    return host().ledger.run(run_id)
