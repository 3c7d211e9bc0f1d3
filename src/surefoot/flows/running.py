"""The scopes of an open run, in which work is claimed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import Token
from hashlib import blake2b
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from surefoot import ledger as records
from surefoot import scope
from surefoot.decisions import Decision
from surefoot.errors import AccessDenied, Diverged, RunError, UsageError
from surefoot.flows import lanes
from surefoot.flows.claims import StepClaim
from surefoot.flows.credit import source
from surefoot.flows.early import EarlyEnd
from surefoot.flows.openrun import OpenRun
from surefoot.flows.recall import Identity, Place, Record, ScopeKey, ScopeRecall, key_in_lane
from surefoot.ledger import Outcome
from surefoot.rights import Rights, UseKind
from surefoot.scope import Work
from surefoot.tracecontext import headers_at
from surefoot.values import Caller, Capture, PromptRef

if TYPE_CHECKING:
    from surefoot.flows.origin import Origin, Twin

log = scope.logger("surefoot.flows")

_scope = scope.variable()


class Here:
    """The scope of the run itself or of one attempt of a step: what `scope.current()` gives to the code inside."""

    __slots__ = (
        "_around",
        "_early",
        "_lane",
        "_lanes",
        "_next",
        "_recall",
        "_token",
        "_twin_at",
        "_twins",
        "attempt",
        "capture",
        "closed_by",
        "ending",
        "is_async",
        "name",
        "noted",
        "path",
        "prompt",
        "refusal",
        "rights",
        "run",
        "tainted",
        "uses",
    )

    def __init__(
        self,
        run: OpenRun,
        *,
        path: bytes = b"",
        attempt: int = 1,
        name: str = "",
        around: Here | None = None,
        lane: int = 0,
        is_async: bool = False,
        tainted: str = "",
        capture: Capture | None = None,
    ) -> None:
        """`around` is the scope that the step was claimed in, `lane` its lane there; `is_async`: its body awaits.

        `tainted` names what is untrusted of what it was given, or what was read in it since.
        """
        self.run = run
        bounds = run.bounds
        self.rights: Rights | None = None
        if bounds is not None:
            self.rights = bounds.rights if around is None else around.rights
        self.capture: Capture = capture or run.capture
        self.path = path
        self.attempt = attempt
        self.name = name
        self.is_async = is_async
        self._around = around
        self._lane = lane
        self.prompt: PromptRef | None = None
        self.tainted = tainted
        self.uses: Rights | None = run.uses if around is None else around.uses
        # Decisions of guards: all of them, and those that go onto the next outcome.
        self.noted: list[Decision] | None = None
        self._next: list[Decision] | None = None
        self.refusal: RunError | None = None
        # The transaction whose body runs: nothing that is recorded begins in it.
        self.closed_by = ""
        # In a fork: where the origin has recorded what happened here, and that.
        self._twin_at: ScopeKey | None = None
        self._twins: ScopeRecall | None = None
        # Most steps do no others: this is made for those that do.
        self._recall: ScopeRecall | None = None
        self._lanes = lanes.Lanes()
        self._token: Token[scope.Scope | None] | None = None
        # Work of this scope that was left early, and what its own body's being left early means.
        self._early: list[EarlyEnd] | None = None
        self.ending: EarlyEnd | None = None

    def __enter__(self) -> Self:
        self._lanes.enter()
        self._token = _scope.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.leave()
        if self._token is not None:
            try:  # noqa: SIM105  (each step leaves a scope, and `suppress` costs as much as the rest of it)
                _scope.reset(self._token)
            except ValueError:
                # A coroutine that is thrown away unfinished is closed in a context that is not its own.
                pass
        if not self.path and self.run.dropped:
            self.run.clear_dropped()
        if self._early is not None:
            self.settle_early(is_kept=kind is None)
        if kind is None and not self.run.recall.is_empty:
            self._report_unclaimed()

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def step_id(self) -> str:
        return self.path[-16:].hex()

    @property
    def trace_headers(self) -> Mapping[str, str]:
        """See `surefoot.scope.Scope.trace_headers`."""
        place = f"{self.step_id}.{self.attempt}" if self.path else ""
        return headers_at(self.run.id, self.run.labels.tags, place)

    @property
    def depth(self) -> int:
        return len(self.path) // 16

    @property
    def lanes_around(self) -> dict[bytes, int]:
        """In which lane of each scope around it this scope lies, by the path of that scope."""
        found: dict[bytes, int] = {}
        here = self
        while here._around is not None:
            found[here._around.path] = here._lane
            here = here._around
        return found

    @property
    def idempotency_key(self) -> str:
        return f"{self.run.id}-{self.path[-16:].hex()}"

    @property
    def caller(self) -> Caller:
        return self.run.caller

    @property
    def seconds_left(self) -> float | None:
        return self.run.brake.seconds_left

    def check(self) -> None:
        """See `surefoot.scope.Scope.check`."""
        what = f"what {self.name or 'the flow'} was about to do"
        self.run.check_going(what)
        self.check_admitted(what)

    def pause(self, seconds: float) -> None:
        """See `surefoot.scope.Scope.pause`."""
        self.run.brake.pause(seconds)

    def note_prompt(self, prompt: PromptRef) -> None:
        before, self.prompt = self.prompt, prompt
        if before is not None and before.name != prompt.name and self.path:
            # Its outcome names the last one only.
            self.run.note_rendered(self.path[-16:], before)

    def pinned(self, reference: str) -> PromptRef | None:
        """See `surefoot.scope.Scope.pinned`."""
        return self.run.pinned(reference)

    def pin(self, reference: str, prompt: PromptRef) -> PromptRef:
        """See `surefoot.scope.Scope.pin`."""
        return self.run.pin(reference, prompt)

    @property
    def other_models(self) -> Mapping[str, str]:
        """See `surefoot.scope.Scope.other_models`."""
        return self.run.changes.models

    def carry(self, row: object, *, when_kept: Callable[[], None]) -> None:
        """See `surefoot.scope.Scope.carry`."""
        self.run.cargo.add(cast("records.PromptRow", row), when_kept)

    def is_trusted(self, value: object) -> bool:
        """See `surefoot.scope.Scope.is_trusted`."""
        return not self.tainted or self.run.known.is_trusted(value)

    def trust(self, value: object) -> None:
        """See `surefoot.scope.Scope.trust`."""
        self.run.known.vouch(value)

    def taint(self, what: str) -> None:
        """See `surefoot.scope.Scope.taint`."""
        # What was read first is what is named.
        if not self.tainted:
            self.run.known.settle()
            self.tainted = what or "something"

    def note_decision(self, decision: Decision) -> None:
        """See `surefoot.scope.Scope.note_decision`."""
        with self.run.lock:
            self.noted = [*(self.noted or ()), decision]
            self._next = [*(self._next or ()), decision]

    def require_use(self, kind: UseKind, name: str) -> None:
        """See `surefoot.scope.Scope.require_use`."""
        if self.rights is None or (lacking := self.rights.lacking(kind, name)) is None:
            return
        # To people a database is one more connection.
        shown = "connection" if kind == "database" else kind
        because = f"{lacking.whose or 'what it declares'} does not name {shown}:{name}"
        bounds = self.run.bounds
        if bounds is None or self.closed_by:
            # Whoever keeps the audit may be who runs this, and would wait for himself.
            raise self.run.poisoned(AccessDenied(f"run {self.run.id}", f"{shown}:use", name, because))
        raise self.run.poisoned(bounds.refused(shown, name, because))

    def take_decisions(self) -> Sequence[Decision]:
        """Those that were noted here since the last outcome."""
        if self._next is None:
            return ()
        with self.run.lock:
            taken, self._next = self._next, None
        return taken or ()

    def _taint_of(self, work: Work) -> str:
        """What of the inputs of work is not trusted here; empty where all of it is."""
        if work.untrusted is not None:
            return work.untrusted
        if not self.tainted or work.kind == "call":
            # What a client sends is made of texts: nobody knows of which.
            return self.tainted
        inputs = work.inputs
        is_trusted = self.run.known.is_trusted
        if isinstance(inputs, dict):
            for name, value in cast("dict[str, object]", inputs).items():
                if not is_trusted(value):
                    return f"its argument {name}"
            return ""
        return "" if is_trusted(inputs) else "what it was given"

    def perform(self, work: Work, body: Callable[[], Any], *, is_async: bool) -> Any:
        """See `surefoot.scope.Scope.perform`."""
        # These stand above this file: they open scopes.
        from surefoot.flows.drive import drive, drive_async
        from surefoot.flows.performing import Plan, perform

        def logic() -> Generator[Any, Any, Any]:
            return (yield from perform(self.claim(work), Plan(body, is_async=is_async)))

        return drive_async(logic()) if is_async else drive(logic())

    def refuse(self, error: RunError) -> None:
        """From here on nothing is begun or recorded in this scope and in those inside of it."""
        self.refusal = error
        self.run.has_refusals = True

    def check_admitted(self, what: object) -> None:
        """Raise the error of the innermost scope around that admits nothing any more."""
        if not self.run.has_refusals:
            return
        here: Here | None = self
        while here is not None:
            if here.refusal is not None:
                raise type(here.refusal)(f"{what} is not recorded any more: {here.refusal}")
            here = here._around  # noqa: SLF001  (another scope of the same run)

    def adopt(self) -> None:
        """The code that runs now runs the body of this scope, whoever did before."""
        self._lanes.adopt()

    def left_early(self, inside: Here, *, is_collected: bool = False) -> EarlyEnd:
        """Note that the code that runs now leaves work of this scope, with the body `inside`, before its end.

        The garbage collector comes in the midst of anything, so it may not wait for a lock and knows no lane.
        """
        lane: int | None = None
        if not is_collected and scope.current() is self:
            with self.run.lock:
                lane = self._lanes.current()
        claims = tuple(self.run.pending.values())
        early = EarlyEnd(lane=lane, covered=frozenset(claim.key for claim in claims if claim.is_of(inside)))
        inside.ending = early
        self._early = [*(self._early or ()), early]
        return early

    def settle_early(self, *, is_kept: bool) -> None:
        """The scope ends: what was left early is all that was wanted, or is to be done again."""
        early, self._early = self._early, None
        for ended in early or ():
            ended.settle(is_kept=is_kept)

    def _keep_early(self) -> None:
        """The lane that runs now goes on: what it left early is all that it wanted."""
        with self.run.lock:
            lane = self._lanes.current()
            kept = [ended for ended in self._early or () if ended.lane == lane]
            self._early = [ended for ended in self._early or () if ended.lane != lane] or None
        for ended in kept:
            ended.settle(is_kept=True)

    def claim(self, work: Work) -> StepClaim:
        """See `surefoot.scope.Scope.claim`."""
        return self.claim_step(work, None, digest=records.identity(work.inputs, name=f"{work.name}()"))

    def claim_step(
        self,
        work: Work,
        inputs: records.Encoded | None,
        *,
        digest: bytes,
        user_key: str | None = None,
        is_given: bool = False,
    ) -> StepClaim:
        """Claim work of that digest; `inputs` are its own, encoded when they are needed, if none are given.

        `is_given`: its result is what the world gives to the run, which a fork takes from its origin in any case.

        Raises `Diverged`, `RunEnded`, `RunStopped`, `Fenced`.
        """
        run = self.run
        run.check_going(work)
        self.check_admitted(work)
        if self.closed_by:
            raise UsageError(
                f"{work} was called inside of {self.closed_by}, and undoing that would not undo it: "
                "do it before, and hand its result in"
            )
        if run.dropped:
            run.clear_dropped()
        if self._early is not None:
            self._keep_early()
        identity: Identity = (work.name, digest if user_key is None else user_key)
        with run.lock:
            if self._recall is None:
                self._recall = run.recall.scope((self.path, self.attempt))
            recall, lane = self._recall, self._lanes.current()
            record = recall.match(identity, lane)
            if record is None:
                run.count(work, depth=len(self.path) // 16)
                place = recall.place(identity, lane)
                key = self._new_key(work.name, identity, place)
                if not run.recall.is_empty and work.kind != "call" and not work.is_pure:
                    self._check_diverged(recall, work, identity, digest, lane=lane, place=place, key=key)
                claim = StepClaim(
                    self,
                    work,
                    inputs,
                    digest,
                    user_key,
                    key=key,
                    occurrence=place.occurrence,
                    lane=place.lane,
                )
            else:
                claim = self._reclaim(work, inputs, digest, user_key, record)
            if self._twin_at is not None:
                # Of what the fork has recorded by itself too, so that the rest goes to whom it is meant for.
                claim.twin = self._twin(self._twin_at, identity, digest, lane, is_given=is_given)
        if record is None and claim.twin is not None and claim.twin.is_usable:
            claim.share(claim.twin.outcome)
        if claim.recorded is None:
            claim.tainted = self._taint_of(work)
            if claim.tainted and work.kind == "call":
                # Now: a stream hands on what it brings before its end.
                self.taint(source(work.kind, work.name))
            if inputs is None:
                # Now: the body may change them.
                claim.note_inputs(records.encode_large(work.inputs, name=f"{work.name}()"))
        claim.announce()
        return claim

    def _twin(
        self, at: ScopeKey, identity: Identity, digest: bytes, lane: int, *, is_given: bool
    ) -> Twin | None:
        """What the origin of the run has recorded of a claim. Called under the lock."""
        origin = cast("Origin", self.run.origin)
        if self._twins is None:
            self._twins = origin.scope(at)
        return origin.twin(self._twins, identity, digest, lane, is_given=is_given)

    def twinned(self, at: ScopeKey) -> Self:
        """Note where the origin of the run has recorded what happened here."""
        self._twin_at = at
        return self

    def _reclaim(
        self, work: Work, inputs: records.Encoded | None, digest: bytes, user_key: str | None, record: Record
    ) -> StepClaim:
        outcome = record.outcome
        is_changed = outcome.digest != digest
        if is_changed and not work.is_pure and work.kind != "call" and not self.run.accepts_divergence:
            raise self.run.poisoned(
                Diverged(
                    f"run {self.run.id}: step {work.name!r} with key {user_key!r} was recorded with other inputs: "
                    "give changed inputs another key, restore the code, or "
                    f"`surefoot resume {self.run.id} --accept-divergence` to run it all the same"
                )
            )
        claim = StepClaim(
            self,
            work,
            inputs,
            digest,
            user_key,
            key=outcome.key,
            occurrence=outcome.occurrence,
            lane=outcome.lane,
            attempt=outcome.attempt,
        )
        if outcome.is_intent:
            claim.is_in_doubt = True
        elif is_changed or not record.is_over or outcome.key in self.run.recall.retry:
            claim.begin_next_attempt(
                retry_at_ns=_retry_at(outcome), scope=self.run.recall.continued.get(outcome.key)
            )
        else:
            claim.replay(outcome)
        return claim

    def _new_key(self, name: str, identity: Identity, place: Place) -> bytes:
        """The key of new work: the same in every process, and none that is recorded."""
        marker = identity[1]
        index = place.index
        named = name.encode()
        # A digest and a text of the user's are kept apart, whatever the text is.
        what = b"=" + marker if isinstance(marker, bytes) else b":" + marker.encode()
        while True:
            address = b"%s|%d|%d|%d|%d|%s|%s" % (
                *(self.path, self.attempt, place.lane, index),
                *(len(named), named, what),
            )
            digest = blake2b(address, digest_size=16).digest()
            key = key_in_lane(digest, place.lane)
            if self.run.recall.is_new(key):
                return key
            index += 1

    def _check_diverged(
        self,
        here: ScopeRecall,
        work: Work,
        identity: Identity,
        digest: bytes,
        *,
        lane: int,
        place: Place,
        key: bytes,
    ) -> None:
        recall = self.run.recall
        # A step that had begun and has no outcome was cancelled by code that then went on: no change.
        if self.run.accepts_divergence or key in recall.begun:
            return
        found = here.changed_in_lane(identity, digest, lane) or recall.moved(
            identity, self.path, lane=place.lane, lanes=self.lanes_around, open_keys=self.run.pending
        )
        if found is None:
            return
        done = found.outcome
        what = "other inputs" if done.name == work.name else "another name"
        if done.path != self.path:
            what = "another place in the flow"
        raise self.run.poisoned(
            Diverged(
                f"run {self.run.id}: step {work.name!r} is about to run, but {done.name!r} was already done "
                f"with {what} and the code no longer asks for it there; running it could repeat a side effect. "
                f"Restore the code, declare the step pure, or `surefoot resume {self.run.id} --accept-divergence` "
                "to run it all the same"
            )
        )

    def _report_unclaimed(self) -> None:
        # Nothing was asked for here, and perhaps something is recorded.
        recall = self._recall or self.run.recall.scope((self.path, self.attempt))
        for record in recall.unclaimed():
            log.warning(
                "run %s: %s %r is recorded, but the code did not ask for it this time",
                self.run.id,
                record.outcome.kind,
                record.outcome.name,
            )


def inside_of(claim: StepClaim, *, is_async: bool = False) -> Here:
    """The scope of the body of a claim, in its attempt of now."""
    here = claim.here
    inside = Here(
        here.run,
        path=here.path + claim.key,
        attempt=claim.inner_attempt,
        name=claim.name,
        around=here,
        lane=claim.lane,
        is_async=is_async,
        tainted=claim.tainted,
        capture=claim.capture,
    )
    claim.inside = inside
    if claim.uses is not None:
        # A flow inside may send to no more than the one around it.
        inside.uses = claim.uses if here.uses is None else here.uses.meet(claim.uses)
        if inside.rights is not None:
            inside.rights = inside.rights.meet(claim.uses)
    if claim.tainted:
        here.run.known.settle()
    if claim.twin is not None and here.run.origin is not None:
        inside.twinned(here.run.origin.inside_of(claim.twin.outcome))
    return inside


def _retry_at(outcome: Outcome) -> int | None:
    """When a failed attempt is followed by the next: no later from now than it was to be from its end.

    The clock may have been set back since.
    """
    if outcome.retry_at_ns is None:
        return None
    return min(outcome.retry_at_ns, time.time_ns() + outcome.retry_at_ns - outcome.ended_ns)


def open_scope() -> Here | None:
    """The scope of a run of this room, where one is open."""
    here = scope.current()
    return here if isinstance(here, Here) else None
