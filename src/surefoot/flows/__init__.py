"""Flows, steps and the runner."""

from surefoot.flows.background import run_in_background, run_in_thread
from surefoot.flows.building import AnyFlow, checked, find_spec, hints_of, target_of, with_inputs
from surefoot.flows.changes import CHANGES, Change, parse_change, recorded_changes, resolved
from surefoot.flows.children import start
from surefoot.flows.code import load, load_reference
from surefoot.flows.control import cancel
from surefoot.flows.doubts import Decision
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.events import Listener, RunEvent, RunOpened, StepClosed, StepOpened, StepYielded
from surefoot.flows.flow import Flow, FlowSpec, Workflow, flow
from surefoot.flows.forking import fork, fork_async
from surefoot.flows.given import now, random, sleep, uuid4
from surefoot.flows.handles import CurrentRun, CurrentStep, Run, current_run, current_step, last_run
from surefoot.flows.host import Host, host
from surefoot.flows.lease import Keeper
from surefoot.flows.origin import ALL, FORK_STEP, FORKED_FROM
from surefoot.flows.runner import Completed, Opaque, Options, Target, begin, resume
from surefoot.flows.step import Step, step
from surefoot.flows.stopping import Ceilings
from surefoot.flows.threads import carry
from surefoot.flows.transactions import LEDGER, Address, Databases, databases
from surefoot.flows.waiting import Waiting, deliver, send, wait_for

__all__ = [
    "ALL",
    "CHANGES",
    "FORKED_FROM",
    "FORK_STEP",
    "LEDGER",
    "Address",
    "AnyFlow",
    "Ceilings",
    "Change",
    "Completed",
    "CurrentRun",
    "CurrentStep",
    "Databases",
    "Decision",
    "Flow",
    "FlowSpec",
    "Host",
    "Keeper",
    "Listener",
    "Logic",
    "Opaque",
    "Options",
    "Run",
    "RunEvent",
    "RunOpened",
    "Step",
    "StepClosed",
    "StepOpened",
    "StepYielded",
    "Target",
    "Waiting",
    "Workflow",
    "begin",
    "cancel",
    "carry",
    "checked",
    "current_run",
    "current_step",
    "databases",
    "deliver",
    "drive",
    "drive_async",
    "find_spec",
    "flow",
    "fork",
    "fork_async",
    "hints_of",
    "host",
    "last_run",
    "load",
    "load_reference",
    "now",
    "parse_change",
    "random",
    "recorded_changes",
    "resolved",
    "resume",
    "run_in_background",
    "run_in_thread",
    "send",
    "sleep",
    "start",
    "step",
    "target_of",
    "uuid4",
    "wait_for",
    "with_inputs",
]
