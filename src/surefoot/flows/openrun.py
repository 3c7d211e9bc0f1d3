"""One run in the hands of this process: what all of its scopes share."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar, cast

from surefoot import scope
from surefoot.errors import Fenced, LedgerError, RunCancelled, RunEnded, RunLimit, UnknownRun
from surefoot.flows.cargo import Cargo
from surefoot.flows.changes import NO_CHANGES, Changes
from surefoot.flows.events import Listener, RunEvent
from surefoot.flows.known import Known
from surefoot.flows.recall import Recall
from surefoot.flows.stopping import Brake, Ceilings
from surefoot.ledger import (
    Entry,
    Freight,
    KeepPrompts,
    Ledger,
    Message,
    Outcome,
    Pending,
    Pin,
    PromptRow,
    RunRecord,
    Totals,
)
from surefoot.rights import Rights
from surefoot.scope import Work
from surefoot.values import Caller, Capture, PromptRef, RunTags

if TYPE_CHECKING:
    from surefoot.flows.claims import StepClaim
    from surefoot.flows.confining import Bounds
    from surefoot.flows.host import Meter
    from surefoot.flows.origin import Origin
    from surefoot.flows.running import Here
    from surefoot.flows.undoing import Undoable

ErrorT = TypeVar("ErrorT", bound=Exception)

log = scope.logger("surefoot.flows")


@dataclass(frozen=True, slots=True)
class Doubt:
    """An effect that was begun: its key, its name, and its inputs as people may read them."""

    key: bytes
    name: str
    inputs: str
    because: str = ""
    """Why its check did not tell."""


@dataclass(slots=True)
class Undone:
    """The undoing of a failed run: why it failed and in which step, what was undone, and what could not be."""

    attempt: int
    error: Exception
    step: str | None
    is_begun: bool
    """Whether this attempt at it is under way."""
    is_through: bool = False
    """Whether this process has tried all of it."""
    names: list[str] = field(default_factory=list[str])
    failed: list[tuple[str, Exception]] = field(default_factory=list[tuple[str, Exception]])

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be undone."""
        return self.is_through and not self.failed

    def __str__(self) -> str:
        if self.failed:
            return "not undone: " + "; ".join(f"{name} ({type(e).__name__}: {e})" for name, e in self.failed)
        return f"undone: {', '.join(self.names)}" if self.names else "nothing was to be undone"


@dataclass(slots=True)
class OpenRun:
    """One run in the hands of this process."""

    id: str
    flow: str
    epoch: int
    ledger: Ledger
    tenant: str = ""
    recall: Recall = field(default_factory=Recall)
    listener: Listener | None = None
    accepts_divergence: bool = False
    is_open: bool = True
    is_fenced: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    pending: dict[bytes, StepClaim] = field(default_factory=dict[bytes, "StepClaim"])
    causes: list[tuple[object, bytes, str]] = field(default_factory=list[tuple[object, bytes, str]])
    newest: bytes = b""
    """The key of the outcome that was recorded or replayed last."""
    labels: RunTags = RunTags()
    """For whom the run is made, which its child runs inherit."""
    created_ns: int = 0
    deadline_ns: int | None = None
    ceilings: Ceilings = Ceilings()
    guarded_databases: frozenset[str] = frozenset()
    """Those whose steps may be given nothing untrusted."""
    brake: Brake = field(init=False)
    caller: Caller = field(init=False)
    """For whom it is made, as limits know it; `within` puts those before it that it is a part of."""
    children: list[OpenRun] = field(default_factory=list["OpenRun"])
    """The child runs that are open in this process."""
    depth: int = 0
    """How deep in other runs it began."""
    begun_steps: int = 0
    begun_calls: int = 0
    doubts: dict[bytes, Doubt] = field(default_factory=dict[bytes, "Doubt"])
    """Effects that were begun and whose outcome is not known, by key."""
    undoable: dict[bytes, Undoable] = field(default_factory=dict[bytes, "Undoable"])
    """How steps that were claimed in this process are undone, by key."""
    has_compensations: bool = False
    """Whether any step that has begun, in whichever process, can be undone."""
    undone: Undone | None = None
    """How far what the run did is undone; None where that has not begun."""
    suppresses_effects: bool = False
    capture: Capture = "redacted"
    """What of its payloads people may read, where a step does not say."""
    unshown: set[bytes] = field(default_factory=set[bytes])
    """The keys of steps that have failed and of which nothing is readable: what they said is not either."""
    meter: Meter | None = None
    is_strict: bool = False
    """Whether fresh results are restored from their record at once, to see that they can be."""
    entry: Entry | None = None
    """Where the flow's code is, for messages that say how to go on."""
    poison: Exception | None = None
    """Why this process must not go on with the run, though the flow may have caught the error that said so."""
    has_refusals: bool = False
    """Whether some scope of the run admits nothing any more."""
    dropped: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])
    """What the garbage collector could not do in the midst of other work: for whoever claims something next."""
    mail: Sequence[Message] = ()
    """The events and approvals that were sent to the run, as the last look into its inbox found them."""
    has_looked: bool = False
    """Whether this process has looked into it at all."""
    taken: set[str] = field(default_factory=set[str])
    """The ids of those that a wait of this process has taken, or put aside."""
    read: set[object] = field(default_factory=set[object])
    """Generator steps that are under way: held here, their bodies are closed by us and not by the garbage collector."""
    unconfirmed: deque[Pending] = field(default_factory=deque["Pending"])
    """Outcomes of calls, which are awaited by code that may hide from the flow that the ledger refused one."""
    pins: dict[str, PromptRef] = field(default_factory=dict[str, PromptRef])
    """What references to prompts mean in the run."""
    inherited: Mapping[str, PromptRef] = field(default_factory=dict[str, PromptRef])
    """What they mean in the runs that it is a part of."""
    changes: Changes = NO_CHANGES
    """What is different in it from its code and settings."""
    origin: Origin | None = None
    """The run that it is a fork of."""
    cargo: Cargo = field(default_factory=Cargo)
    trusted_inputs: tuple[str, ...] | None = None
    """The inputs of the flow that are trusted, by name; None for all of them."""
    uses: Rights | None = None
    """What its flow says that its steps may send to; None for anything."""
    bounds: Bounds | None = None
    """What it may use and nothing else; None where it is not confined."""
    root: Here | None = None
    """The scope of the flow itself."""
    parks: float | None = None
    """After how many seconds of nothing but waiting it is let go of; None for never."""
    waits: dict[bytes, int | None] = field(default_factory=dict[bytes, "int | None"])
    """The steps that only wait, by key, and when each is over at the latest (nanoseconds since the epoch)."""
    known: Known = field(default_factory=Known)
    """What is trusted in it although something untrusted was read."""
    _used: Totals = Totals()
    # Counted apart, as all that most steps add to the totals is themselves.
    _more_steps: int = 0

    def __post_init__(self) -> None:
        self.brake = Brake(self.id, deadline_ns=self.deadline_ns)
        labels = self.labels
        self.caller = Caller((self.id,), (self.flow,), self.tenant, labels.principal, labels.session)

    def within(self, around: Caller) -> None:
        """Note that it is a child run of the run of that caller: what bounds that one bounds this one too."""
        own = self.caller
        self.caller = replace(own, runs=(*around.runs, *own.runs), flows=(*around.flows, *own.flows))

    @classmethod
    def of(cls, record: RunRecord, ledger: Ledger) -> OpenRun:
        """The run of a record, taken into the hands of this process."""
        labels = RunTags(record.tenant, record.principal, record.session, record.tags)
        return cls(
            id=record.id,
            flow=record.flow,
            epoch=record.epoch,
            ledger=ledger,
            tenant=record.tenant,
            labels=labels,
            created_ns=record.created_ns,
            deadline_ns=record.deadline_ns,
            entry=record.entry,
        )

    @property
    def totals(self) -> Totals:
        """What the run has used so far."""
        used, more = self._used, self._more_steps
        return replace(used, steps=used.steps + more) if more else used

    def count_done(self, outcome: Outcome) -> None:
        """Count what an outcome has used. Called under the lock."""
        self.newest = outcome.key
        if outcome.call is None and not outcome.is_degraded:
            self._more_steps += outcome.kind in ("step", "flow") and not outcome.is_intent
        else:
            self._used = self._used.plus(outcome)

    def measure(self, outcome: Outcome) -> None:
        """Count what was recorded just now, where somebody reads that."""
        if self.meter is not None:
            try:
                self.meter.take(self.flow, outcome)
            except Exception:
                log.exception("run %s: an outcome could not be counted", self.id)

    def tell(self, event: RunEvent) -> None:
        """Show an event to whoever watches; a listener that fails must not fail the run."""
        if self.listener is not None:
            try:
                self.listener(event)
            except Exception:
                log.exception("run %s: a listener failed", self.id)

    def pinned(self, reference: str) -> PromptRef | None:
        """What a reference means in the run: what it does in the runs around it, where it was not used in this one."""
        known = self.pins.get(reference)
        if known is None and self.changes.prompts:
            # Names have no `@`.
            known = self.changes.prompts.get(reference.rpartition("@")[0] or reference)
            if known is not None:
                return self.pin(reference, known)
        if known is None and (inherited := self.inherited.get(reference)) is not None:
            return self.pin(reference, inherited)
        return known

    def pin(self, reference: str, prompt: PromptRef) -> PromptRef:
        """See `surefoot.scope.Scope.pin`."""
        # A file that is loaded by its path is known by its prompt's name.
        prompt = self.changes.prompts.get(prompt.name, prompt)
        with self.lock:
            known = self.pins.setdefault(reference, prompt)
            if known is prompt:
                self.cargo.add(
                    Pin(self.id, self.epoch, reference, prompt.name, prompt.version, prompt.digest)
                )
        return known

    def note_rendered(self, step: bytes, prompt: PromptRef) -> None:
        """Note that a step rendered a prompt that its outcome may not name, for whoever changes that prompt."""
        self.cargo.add(Pin.of_step(self.id, self.epoch, step, prompt))

    def rendered_before(self, outcome: Outcome) -> Sequence[PromptRef]:
        """What a step of the origin rendered beside the prompt that its outcome names."""
        return () if self.origin is None else self.origin.rendered.get(outcome.key, ())

    def unload(self) -> Pending | None:
        """Hand over what goes with outcomes without one; None where there is nothing."""
        freight: Freight = []
        self.cargo.load(freight)
        rows = [item for item in freight if isinstance(item, PromptRow)]
        return self.ledger.submit(KeepPrompts(rows)) if rows else None

    def check_open(self, what: object) -> None:
        """Raise `Fenced` or `RunEnded` where nothing may be recorded any more; `what` is a text in errors only."""
        if self.is_open and not self.is_fenced:
            return
        if self.is_fenced:
            raise Fenced(
                f"run {self.id} was taken over by another process; {what} is not recorded here any more"
            )
        raise RunEnded(
            f"{what} was called after run {self.id} had ended: await every task and join every thread of a flow "
            "before it returns"
        )

    def check_going(self, what: object) -> None:
        """`check_open` for what begins now: it is refused, with `RunStopped`, where the run stops too."""
        self.check_open(what)
        self.brake.check()
        if self.unconfirmed or self.poison is not None:
            self.check_sound()

    def check_sound(self) -> None:
        """Raise what said that this process must not go on with the run, though somebody caught it then."""
        if self.unconfirmed:
            self._confirm()
        if (poison := self.stopped_by) is not None:
            raise poison

    @property
    def stopped_by(self) -> Exception | None:
        """A copy of what stopped the run: each place that raises it adds its traceback and its causes."""
        return None if self.poison is None else copy.copy(self.poison)

    def poisoned(self, error: ErrorT) -> ErrorT:
        """The error, after which nothing more is begun in the run: it ends by the first of these, caught or not."""
        if self.poison is None:
            self.poison = error
        return error

    def _confirm(self) -> None:
        """Notice a refusal of the ledger that reached nobody who minds."""
        with self.lock:
            while self.unconfirmed and self.unconfirmed[0].is_done:
                try:
                    self.unconfirmed.popleft().wait()
                except (LedgerError, Fenced) as error:
                    self.poisoned(error)

    def count(self, work: Work, *, depth: int) -> None:
        """Count work that is new to the run; `RunLimit` stops the run at a ceiling. Called under the lock.

        `depth` is how many steps of the run it is inside of.
        """
        if depth + self.depth >= self.ceilings.max_depth and not self.brake.is_lifted:
            self.brake.pull(
                RunLimit(
                    f"run {self.id}: {work} lies {depth + self.depth} steps and flows deep, as deep as runs.max_depth "
                    f"allows: if it is no endless recursion, raise the setting and `surefoot resume {self.id}`",
                    run_id=self.id,
                )
            )
            self.brake.check()
        is_call = work.kind == "call"
        begun = self.begun_calls if is_call else self.begun_steps
        ceiling = self.ceilings.max_calls if is_call else self.ceilings.max_steps
        if begun >= ceiling and not self.brake.is_lifted:
            what, setting = ("model calls", "max_calls") if is_call else ("steps", "max_steps")
            self.brake.pull(
                RunLimit(
                    f"run {self.id} has made {begun:,} {what}, as many as runs.{setting} allows: raise the setting and "
                    f"`surefoot resume {self.id}` goes on with it, if it is no endless loop",
                    run_id=self.id,
                )
            )
            self.brake.check()
        if is_call:
            self._check_cost()
            self.begun_calls += 1
        else:
            self.begun_steps += 1

    def _check_cost(self) -> None:
        most = self.ceilings.max_cost
        if most is None or self._used.cost < most or self.brake.is_lifted:
            return
        self.brake.pull(
            RunLimit(
                f"run {self.id} has cost {self._used.cost}, and runs.max_cost is {most}: raise the setting and "
                f"`surefoot resume {self.id}` goes on with it",
                run_id=self.id,
            )
        )
        self.brake.check()

    def refuse_cancelled(self, reason: str) -> None:
        """Begin nothing more, because somebody asked for the end of the run. `cancel` does the rest."""
        said = f": {reason}" if reason else ""
        self.brake.refuse(RunCancelled(f"run {self.id} was cancelled{said}", run_id=self.id))

    def cancel(self, reason: str) -> None:
        """Stop the run, and the child runs that are open in it, because somebody asked for it."""
        # All of them know why before any of them wakes up: what is cancelled for one may run in another.
        for run in self._refuse_all(reason):
            run.brake.rouse()

    def _refuse_all(self, reason: str) -> list[OpenRun]:
        self.refuse_cancelled(reason)
        with self.lock:
            children = list(self.children)
        said = f"with run {self.id}, which began it{f' ({reason})' if reason else ''}"
        return [self, *(run for child in children for run in child._refuse_all(said))]  # noqa: SLF001  (another run)

    @contextmanager
    def beginning(self, child: OpenRun) -> Generator[None]:
        """While the block lasts a child run is open, which stops with this one."""
        with self.lock:
            self.children.append(child)
        try:
            # It may have been cancelled just before it knew of the child.
            if isinstance(self.brake.reason, RunCancelled):
                child.cancel(f"with run {self.id}, which began it")
            yield
        finally:
            with self.lock:
                self.children.remove(child)

    def unfit_answer(self) -> list[bytes]:
        """The key of the call whose answer was none, if nothing came after it.

        What a client or the flow makes of such an answer has no trace of it, as there was no exception at first: it
        fails at the form of something. The failure that came right behind it is taken for its consequence.
        """
        if not self.causes:
            return []
        cause, key, _ = self.causes[-1]
        is_answer = getattr(cause, "is_success", False) is True
        return [key] if is_answer and key == self.newest else []

    def disown(self) -> None:
        """In a forked child: the run is the parent's, whichever thread held its lock."""
        self.lock = threading.Lock()
        self.is_open = False

    def close(self) -> None:
        """From here on nothing is recorded but the end."""
        with self.lock:
            self.is_open = False

    def clear_dropped(self) -> None:
        """Do what the garbage collector has left to others."""
        while self.dropped:
            with suppress(IndexError):
                self.dropped.popleft()()

    def failed_steps(self, error: BaseException) -> list[bytes]:
        """Keys of the failures that `error` is or comes from, found by exceptions and the responses they carry.

        What it was raised `from` caused it. What it was merely raised in the handling of may be a failure that was
        survived, and counts only if nothing nearer is found.
        """
        seen: list[BaseException] = []
        keys: list[bytes] = []
        link: BaseException | None = error
        while link is not None and not any(link is other for other in seen):
            seen.append(link)
            response: object = getattr(link, "response", None) or link
            # google-genai puts the response of a stream into one of its own.
            raised = (link, response, getattr(response, "response_stream", link))
            found = [key for cause, key, _ in self.causes if any(cause is one for one in raised)]
            if isinstance(link, BaseExceptionGroup):
                parts = cast("BaseExceptionGroup[BaseException]", link).exceptions
                found += [key for part in parts for key in self.failed_steps(part)]
            keys = found + keys
            is_context_meant = not keys and not link.__suppress_context__
            link = link.__cause__ or (link.__context__ if is_context_meant else None)
        return keys


def callers_around(ledger: Ledger, parent: str | None) -> Caller:
    """The runs that a run is a part of which is gone on with by itself: what bounds them bounds it too."""
    runs: list[str] = []
    flows: list[str] = []
    while parent is not None:
        try:
            record = ledger.run(parent)
        except UnknownRun:
            break
        runs.insert(0, record.id)
        flows.insert(0, record.flow)
        parent = record.parent_run
    return Caller(tuple(runs), tuple(flows))
