"""A call of a flow that is to be made, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from surefoot.flows import doubts
from surefoot.flows.changes import Change
from surefoot.flows.events import Listener
from surefoot.flows.openrun import OpenRun
from surefoot.flows.origin import Origin
from surefoot.ledger import AuditRow, RunRecord, Totals
from surefoot.values import Capture, RunTags

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec


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
    workflow: object = None
    """The object whose method the call is, where it is one."""


@dataclass(frozen=True, slots=True)
class Completed:
    """That a run has completed: what it has used, and when it ended (nanoseconds since the epoch)."""

    run_id: str
    epoch: int
    totals: Totals
    created_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is made.

    `run_key` makes it the only run of its flow under that key, `parent` a child of that run. `deadline` is in seconds
    from now, `wait` how many seconds to wait for whoever holds the run. `explains`: raise `StepFailed` from what the
    flow raised. `decisions` says what became of effects in doubt, by name; in a run that `suppresses_effects` they
    are not done. `changes` are recorded with a new run, and act in it and its child runs for as long as they go on;
    whoever changes an input puts it into the inputs (`surefoot.flows.with_inputs`). A new run with an `origin` is a
    fork of that, under the id `run_id` if one is given. `on_completed` is called once the run has completed and that
    is durable. `code_digest` is that of the flow's code, where whoever makes many runs has found it out.
    `capture` is what people may read of a flow that does not say. `parks`: after how many seconds a run is let go of
    that does nothing but wait, with the status `waiting` (`Suspended` is raised); by default it waits in this process.
    `audit` is the row on whoever begins a new run, written in one commit with its start. `admits` is given the run that
    has the run key already, and raises where that is none for whoever asks: before anything of it is given or gone on
    with. `trace_headers` tell of the step that a child run is, where its parent is part of another system's trace.
    """

    tags: RunTags = RunTags()
    listener: Listener | None = None
    accept_divergence: bool = False
    run_key: str | None = None
    parent: OpenRun | None = None
    deadline: float | None = None
    wait: float = 0.0
    explains: bool = False
    decisions: Mapping[str, doubts.Decision] = field(default_factory=dict[str, doubts.Decision])
    suppresses_effects: bool = False
    changes: Sequence[Change] = ()
    origin: Origin | None = None
    run_id: str = ""
    on_completed: Callable[[Completed], None] | None = None
    code_digest: str | None = None
    capture: Capture | None = None
    parks: float | None = None
    audit: AuditRow | None = None
    admits: Callable[[RunRecord], object] | None = None
    trace_headers: Mapping[str, str] = field(default_factory=dict[str, str])


Make = Callable[[Mapping[str, Any], Mapping[str, Any]], Target]
"""Builds the call from the recorded inputs and constructor arguments."""
