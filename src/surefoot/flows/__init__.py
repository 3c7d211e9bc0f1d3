"""Flows, steps and the runner."""

from surefoot.flows.background import run_in_background, run_in_thread
from surefoot.flows.building import AnyFlow, checked, find_spec, target_of
from surefoot.flows.code import load, load_reference
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.events import Listener, RunEvent, RunOpened, StepClosed, StepOpened
from surefoot.flows.flow import Flow, FlowSpec, Workflow, flow
from surefoot.flows.handles import CurrentRun, CurrentStep, Run, current_run, current_step, last_run
from surefoot.flows.lease import Keeper
from surefoot.flows.runner import Host, Opaque, Options, Target, begin, host, resume, step_failed
from surefoot.flows.step import Step, step
from surefoot.flows.threads import carry

__all__ = [
    "AnyFlow",
    "CurrentRun",
    "CurrentStep",
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
    "Target",
    "Workflow",
    "begin",
    "carry",
    "checked",
    "current_run",
    "current_step",
    "drive",
    "drive_async",
    "find_spec",
    "flow",
    "host",
    "last_run",
    "load",
    "load_reference",
    "resume",
    "run_in_background",
    "run_in_thread",
    "step",
    "step_failed",
    "target_of",
]
