"""What the ledger holds: runs, outcomes and their payloads, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from surefoot.decisions import Decision
from surefoot.values import CallFacts, Money, PromptRef, RunStatus, StepStatus, Trust, Usage

OutcomeKind = Literal["step", "call", "flow", "message", "start", "end"]
MessageKind = Literal["cancel", "event", "approval"]

START_KEY = bytes(16)
END_KEY = b"\xff" * 16
"""The keys under which a run's starts and ends stand; their attempt is the epoch."""


# This and `Outcome` are not frozen, though nobody changes them, as they are made for each step and for each row that
# is read: freezing makes that three times as expensive.
@dataclass(slots=True, unsafe_hash=True)
class Payload:
    """One recorded value, as stored.

    `view` is what people may read: self-describing JSON, or a reference to a blob. `sealed` is set where the view
    is redacted: the exact text under the run's data key `key_id`, without which it cannot be read again.
    """

    view: str = "null"
    sealed: bytes | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A large payload, stored once however often it appears; `data` is zstd-compressed."""

    digest: str
    size: int
    data: bytes


@dataclass(slots=True)
class Outcome:
    """One row of the ledger: how a step, a call or a run ended (or, for `start`, began). Never changed.

    A row of a step with the status `running` is its *intent*: durable before the body runs, and followed by a row of
    the same key and attempt once the body has ended. A `message` is what the run has adopted from its inbox.

    `path` holds the 16-byte keys of the steps it is inside of, outermost first, so that the tree can be drawn and
    searched though an enclosing step has not ended. `parent_attempt` is the attempt of the innermost of them.

    `trust` is that of the output (of a `start`: of the inputs). `endorsed` are the JSON pointers of the texts in an
    untrusted one that are trusted all the same. `decisions` are those of guards.
    """

    run_id: str
    key: bytes
    path: bytes
    parent_attempt: int
    kind: OutcomeKind
    name: str
    digest: bytes
    occurrence: int
    lane: int
    attempt: int
    epoch: int
    status: StepStatus
    started_ns: int
    ended_ns: int
    user_key: str | None = None
    retry_at_ns: int | None = None
    trust: Trust = "untrusted"
    is_pure: bool = False
    is_degraded: bool = False
    is_cached: bool = False
    prompt: PromptRef | None = None
    call: CallFacts | None = None
    inputs: Payload = Payload()
    output: Payload = Payload()
    decisions: tuple[Decision, ...] = ()
    endorsed: tuple[str, ...] = ()

    @property
    def latency_ns(self) -> int:
        return self.ended_ns - self.started_ns

    @property
    def is_intent(self) -> bool:
        """Whether it says that a step is about to run, and not how it ended."""
        return self.status == "running" and self.kind != "start"

    @property
    def parent(self) -> bytes:
        """The key of the innermost enclosing step; empty at the top of the run."""
        return self.path[-16:]


@dataclass(frozen=True, slots=True)
class Detail:
    """Something worth seeing that a crash may lose without harm, such as a step that has begun."""

    run_id: str
    key: bytes
    attempt: int
    kind: Literal["started"]
    at_ns: int
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something that another process sends to a run; its owner adopts it as a row of its own."""

    id: str
    run_id: str
    kind: MessageKind
    sent_ns: int
    body: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Where an answer lies, how old it is, and for how long it is still given again (nanoseconds, below 0: no more)."""

    run_id: str
    age_ns: int
    left_ns: int
    output: Payload


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the code of a flow is, so that another process can load it: module, file and qualified name."""

    module: str
    qualname: str
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.file or self.module}:{self.qualname}"

    @property
    def is_typed_in(self) -> bool:
        """Whether the code came from a notebook or a prompt, where no other process finds it."""
        return self.file is None and self.module == "__main__"

    def resuming(self, run_id: str) -> str:
        """What a person writes to go on with a run of this code: a command, or Python where there is no file."""
        if self.is_typed_in:
            return f'App.current().resume("{run_id}", flow={self.qualname.rpartition(".")[2]})'
        return f"surefoot resume {run_id}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a run. Boot id and start time make the pid unambiguous on its host."""

    host: str
    boot: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run, or a step with all below it, has used; `cost` counts the calls whose price is known."""

    steps: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: Money = Money(0)
    is_cost_complete: bool = True
    is_degraded: bool = False

    def plus(self, outcome: Outcome) -> Totals:
        """These totals with one more outcome counted."""
        call = outcome.call
        return Totals(
            steps=self.steps + (outcome.kind in ("step", "flow") and not outcome.is_intent),
            calls=self.calls + (call is not None),
            usage=self.usage if call is None or outcome.is_cached else self.usage + call.usage,
            cost=self.cost + call.cost if call and call.cost else self.cost,
            is_cost_complete=self.is_cost_complete and (call is None or call.cost is not None),
            is_degraded=self.is_degraded or outcome.is_degraded,
        )

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.steps + other.steps,
            self.calls + other.calls,
            self.usage + other.usage,
            self.cost + other.cost,
            self.is_cost_complete and other.is_cost_complete,
            self.is_degraded or other.is_degraded,
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of `runs`, the only projection: written when a run starts, changes hands and ends.

    `deadline_ns` is when it has to be over, `pruned_ns` when its payloads were dropped (nanoseconds since the epoch).
    """

    id: str
    flow: str
    entry: Entry
    status: RunStatus
    created_ns: int
    flow_version: str = ""
    code_digest: str = ""
    tenant: str = ""
    principal: str = ""
    session: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    run_key: str | None = None
    parent_run: str | None = None
    epoch: int = 1
    owner: Owner | None = None
    lease_until_ns: int = 0
    ended_ns: int | None = None
    failed_step: str | None = None
    error: str | None = None
    totals: Totals = Totals()
    deadline_ns: int | None = None
    pruned_ns: int | None = None

    @property
    def is_child(self) -> bool:
        """Whether a step of its parent run began it, of which its key is made: `PARENT/STEP`."""
        return self.parent_run is not None and (self.run_key or "").startswith(f"{self.parent_run}/")

    def is_abandoned(self, now_ns: int) -> bool:
        """Whether it claims to run but nobody holds its lease any more."""
        return self.status == "running" and self.lease_until_ns < now_ns
