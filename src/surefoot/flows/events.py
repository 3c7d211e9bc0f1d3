"""What a run tells somebody who watches it live, in the same process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from surefoot.values import CallFacts, StepKind


@dataclass(frozen=True, slots=True)
class RunOpened:
    """A run, or a further attempt at it, begins.

    `changed_files` are those of the flow's files that were written since the run began, with the time of each in
    nanoseconds since the epoch, where its code has changed.
    """

    run_id: str
    flow: str
    is_resumed: bool
    is_code_changed: bool = False
    changed_files: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StepOpened:
    """Work was claimed that is not recorded yet; its body begins. `depth` is 0 at the top of the run.

    `path` holds the 16-byte keys of the steps that it is inside of, outermost first. `is_restarted`: it was under way
    when the run stopped, so that items of a generator step may have been shown already.
    """

    run_id: str
    key: bytes
    kind: StepKind
    name: str
    depth: int
    attempt: int
    path: bytes = b""
    is_restarted: bool = False


@dataclass(frozen=True, slots=True)
class StepClosed:
    """Work has ended, or its recorded outcome was taken (`is_replayed`)."""

    run_id: str
    key: bytes
    kind: StepKind
    name: str
    depth: int
    attempt: int
    status: Literal["completed", "failed", "suppressed", "abandoned"]
    latency_ns: int
    is_replayed: bool
    is_degraded: bool
    call: CallFacts | None
    path: bytes = b""
    is_cached: bool = False


@dataclass(frozen=True, slots=True)
class StepYielded:
    """A generator step hands an item to its reader: live, or from the record (`is_replayed`).

    `index` counts from 0 in each attempt and after each restart (`StepOpened.is_restarted`).
    """

    run_id: str
    key: bytes
    name: str
    attempt: int
    index: int
    item: object
    is_replayed: bool
    path: bytes = b""


@dataclass(frozen=True, slots=True)
class CallStreamed:
    """A piece of an answer is handed to the code that streams it: live, or from the record or cache (`is_replayed`).

    `name` is that of the call, `index` how many characters of the answer's text came before this piece.
    """

    run_id: str
    key: bytes
    name: str
    attempt: int
    index: int
    text: str
    is_replayed: bool
    path: bytes = b""


RunEvent = RunOpened | StepOpened | StepYielded | CallStreamed | StepClosed
Listener = Callable[[RunEvent], None]
