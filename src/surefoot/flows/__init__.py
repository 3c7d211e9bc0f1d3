"""Flows, steps and the runner."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.flows.approving import Answer as Answer
    from surefoot.flows.approving import Request as Request
    from surefoot.flows.approving import answer as answer
    from surefoot.flows.approving import meant as meant
    from surefoot.flows.approving import refuse_ended as refuse_ended
    from surefoot.flows.approving import waiting_in as waiting_in
    from surefoot.flows.background import run_in_background as run_in_background
    from surefoot.flows.background import run_in_thread as run_in_thread
    from surefoot.flows.building import AnyFlow as AnyFlow
    from surefoot.flows.building import checked as checked
    from surefoot.flows.building import find_spec as find_spec
    from surefoot.flows.building import target_of as target_of
    from surefoot.flows.building import with_inputs as with_inputs
    from surefoot.flows.changes import CHANGES as CHANGES
    from surefoot.flows.changes import Change as Change
    from surefoot.flows.changes import Changes as Changes
    from surefoot.flows.changes import parse_change as parse_change
    from surefoot.flows.changes import recorded_changes as recorded_changes
    from surefoot.flows.changes import resolved as resolved
    from surefoot.flows.children import start as start
    from surefoot.flows.code import flows_of as flows_of
    from surefoot.flows.code import load as load
    from surefoot.flows.code import load_reference as load_reference
    from surefoot.flows.confining import Confined as Confined
    from surefoot.flows.confining import acting as acting
    from surefoot.flows.control import cancel as cancel
    from surefoot.flows.declared import hints_of as hints_of
    from surefoot.flows.doubts import Decision as Decision
    from surefoot.flows.drive import Logic as Logic
    from surefoot.flows.drive import drive as drive
    from surefoot.flows.drive import drive_async as drive_async
    from surefoot.flows.ending import recorded_output as recorded_output
    from surefoot.flows.events import CallStreamed as CallStreamed
    from surefoot.flows.events import Listener as Listener
    from surefoot.flows.events import RunEvent as RunEvent
    from surefoot.flows.events import RunOpened as RunOpened
    from surefoot.flows.events import StepClosed as StepClosed
    from surefoot.flows.events import StepOpened as StepOpened
    from surefoot.flows.events import StepYielded as StepYielded
    from surefoot.flows.flow import Flow as Flow
    from surefoot.flows.flow import FlowSpec as FlowSpec
    from surefoot.flows.flow import Workflow as Workflow
    from surefoot.flows.flow import flow as flow
    from surefoot.flows.forking import fork as fork
    from surefoot.flows.forking import fork_async as fork_async
    from surefoot.flows.forking import planned as planned
    from surefoot.flows.given import now as now
    from surefoot.flows.given import random as random
    from surefoot.flows.given import sleep as sleep
    from surefoot.flows.given import uuid4 as uuid4
    from surefoot.flows.handles import CurrentRun as CurrentRun
    from surefoot.flows.handles import CurrentStep as CurrentStep
    from surefoot.flows.handles import Run as Run
    from surefoot.flows.handles import current_run as current_run
    from surefoot.flows.handles import current_step as current_step
    from surefoot.flows.handles import last_run as last_run
    from surefoot.flows.handles import trace_headers as trace_headers
    from surefoot.flows.host import Host as Host
    from surefoot.flows.host import host as host
    from surefoot.flows.lease import Keeper as Keeper
    from surefoot.flows.options import Completed as Completed
    from surefoot.flows.options import Opaque as Opaque
    from surefoot.flows.options import Options as Options
    from surefoot.flows.options import Target as Target
    from surefoot.flows.origin import ALL as ALL
    from surefoot.flows.origin import FORK_STEP as FORK_STEP
    from surefoot.flows.origin import FORKED_FROM as FORKED_FROM
    from surefoot.flows.runner import begin as begin
    from surefoot.flows.runner import resume as resume
    from surefoot.flows.schema import schema_of as schema_of
    from surefoot.flows.schema import schema_of_result as schema_of_result
    from surefoot.flows.sources import digest_of as digest_of
    from surefoot.flows.sources import fingerprint_of as fingerprint_of
    from surefoot.flows.step import Step as Step
    from surefoot.flows.step import step as step
    from surefoot.flows.stopping import Ceilings as Ceilings
    from surefoot.flows.stopping import Suspended as Suspended
    from surefoot.flows.stopping import Suspension as Suspension
    from surefoot.flows.submitting import check_known as check_known
    from surefoot.flows.submitting import submit as submit
    from surefoot.flows.threads import carry as carry
    from surefoot.flows.transactions import LEDGER as LEDGER
    from surefoot.flows.transactions import Address as Address
    from surefoot.flows.transactions import Databases as Databases
    from surefoot.flows.transactions import databases as databases
    from surefoot.flows.waiting import Waiting as Waiting
    from surefoot.flows.waiting import deliver as deliver
    from surefoot.flows.waiting import send as send
    from surefoot.flows.waiting import wait_for as wait_for
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "approving": ["Answer", "Request", "answer", "meant", "refuse_ended", "waiting_in"],
            "background": ["run_in_background", "run_in_thread"],
            "building": ["AnyFlow", "checked", "find_spec", "target_of", "with_inputs"],
            "changes": ["CHANGES", "Change", "Changes", "parse_change", "recorded_changes", "resolved"],
            "children": ["start"],
            "code": ["flows_of", "load", "load_reference"],
            "confining": ["Confined", "acting"],
            "control": ["cancel"],
            "doubts": ["Decision"],
            "drive": ["Logic", "drive", "drive_async"],
            "ending": ["recorded_output"],
            "events": [
                "CallStreamed",
                "Listener",
                "RunEvent",
                "RunOpened",
                "StepClosed",
                "StepOpened",
                "StepYielded",
            ],
            "flow": ["Flow", "FlowSpec", "Workflow", "flow"],
            "forking": ["fork", "fork_async", "planned"],
            "given": ["now", "random", "sleep", "uuid4"],
            "handles": [
                "CurrentRun",
                "CurrentStep",
                "Run",
                "current_run",
                "current_step",
                "last_run",
                "trace_headers",
            ],
            "host": ["Host", "host"],
            "lease": ["Keeper"],
            "options": ["Completed", "Opaque", "Options", "Target"],
            "origin": ["ALL", "FORK_STEP", "FORKED_FROM"],
            "runner": ["begin", "resume"],
            "schema": ["schema_of", "schema_of_result"],
            "declared": ["hints_of"],
            "sources": ["digest_of", "fingerprint_of"],
            "step": ["Step", "step"],
            "stopping": ["Ceilings", "Suspended", "Suspension"],
            "submitting": ["check_known", "submit"],
            "threads": ["carry"],
            "transactions": ["LEDGER", "Address", "Databases", "databases"],
            "waiting": ["Waiting", "deliver", "send", "wait_for"],
        },
    )
