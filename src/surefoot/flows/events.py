"""What a run tells somebody who watches it live, in the same process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from surefoot.values import CallFacts, StepKind


@dataclass(frozen=True, slots=True)
class RunOpened:
    """A run, or a further attempt at it, begins."""

    run_id: str
    flow: str
    is_resumed: bool
    is_code_changed: bool = False


@dataclass(frozen=True, slots=True)
class StepOpened:
    """Work was claimed that is not recorded yet; its body begins. `depth` is 0 at the top of the run.

    `path` holds the 16-byte keys of the steps that it is inside of, outermost first.
    """

    run_id: str
    key: bytes
    kind: StepKind
    name: str
    depth: int
    attempt: int
    path: bytes = b""


@dataclass(frozen=True, slots=True)
class StepClosed:
    """Work has ended, or its recorded outcome was taken (`is_replayed`)."""

    run_id: str
    key: bytes
    kind: StepKind
    name: str
    depth: int
    attempt: int
    status: Literal["completed", "failed", "abandoned"]
    latency_ns: int
    is_replayed: bool
    is_degraded: bool
    call: CallFacts | None
    path: bytes = b""


RunEvent = RunOpened | StepOpened | StepClosed
Listener = Callable[[RunEvent], None]
