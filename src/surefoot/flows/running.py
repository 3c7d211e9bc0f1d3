"""The scopes of an open run, and the claims of steps in them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Token
from hashlib import blake2b
from types import TracebackType
from typing import Final, Literal, Self

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import Diverged, LedgerError, NotRestored, RunError, UsageError
from surefoot.flows import lanes
from surefoot.flows.arguments import restored_as
from surefoot.flows.early import EarlyEnd, Unhurried
from surefoot.flows.events import StepClosed, StepOpened
from surefoot.flows.openrun import Doubt, OpenRun
from surefoot.flows.recall import Identity, Place, Record, ScopeRecall, key_in_lane
from surefoot.flows.stopping import Brake
from surefoot.ledger import Adopt, Append, Freight, Outcome, Pending, SqlBody, Transact
from surefoot.scope import Ending, Recorded, Work
from surefoot.values import PromptRef, StepStatus

log = scope.logger("surefoot.flows")

_scope = scope.variable()


class Here:
    """The scope of the run itself or of one attempt of a step: what `scope.current()` gives to the code inside."""

    __slots__ = (
        "_around",
        "_early",
        "_lane",
        "_lanes",
        "_recall",
        "_token",
        "attempt",
        "closed_by",
        "ending",
        "is_async",
        "name",
        "path",
        "prompt",
        "refusal",
        "run",
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
    ) -> None:
        """`around` is the scope that the step was claimed in, `lane` its lane there; `is_async`: its body awaits."""
        self.run = run
        self.path = path
        self.attempt = attempt
        self.name = name
        self.is_async = is_async
        self._around = around
        self._lane = lane
        self.prompt: PromptRef | None = None
        self.refusal: RunError | None = None
        # The transaction whose body runs: nothing that is recorded begins in it.
        self.closed_by = ""
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

    def note_prompt(self, prompt: PromptRef) -> None:
        self.prompt = prompt

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
        self, work: Work, inputs: records.Encoded | None, *, digest: bytes, user_key: str | None = None
    ) -> StepClaim:
        """Claim work of that digest; `inputs` are its own, encoded when they are needed, if none are given.

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
                run.count(work)
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
        if inputs is None and claim.recorded is None:
            # Now: the body may change them.
            claim.note_inputs(records.encode_large(work.inputs, name=f"{work.name}()"))
        claim.announce()
        return claim

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


class StepClaim:
    """A claimed step: replayed from its record, or under way until it is finished."""

    __slots__ = (
        "_digest",
        "_here",
        "_inputs",
        "_is_noted",
        "_lane",
        "_occurrence",
        "_scope",
        "_started_ns",
        "_user_key",
        "_work",
        "attempt",
        "is_in_doubt",
        "key",
        "recorded",
        "replayed_from",
        "retry_at_ns",
    )

    def __init__(
        self,
        here: Here,
        work: Work,
        inputs: records.Encoded | None,
        digest: bytes,
        user_key: str | None,
        *,
        key: bytes,
        occurrence: int,
        lane: int,
        attempt: int = 1,
    ) -> None:
        self.key = key
        self._here = here
        self._work = work
        self._inputs: records.Encoded = inputs or "null"
        self._digest = digest
        self._user_key = user_key
        self._occurrence = occurrence
        self._lane = lane
        self._started_ns = time.time_ns()
        self._is_noted = False
        self.attempt = attempt
        self._scope: int | None = None
        self.is_in_doubt = False
        """Whether this attempt was begun by a former process and nobody knows how it ended."""
        self.recorded: Recorded | None = None
        self.replayed_from: Outcome | None = None
        self.retry_at_ns: int | None = None

    def __str__(self) -> str:
        """What it hands over, as messages call it."""
        return f"the outcome of {self._work}"

    @property
    def idempotency_key(self) -> str:
        return f"{self._here.run.id}-{self.key.hex()}"

    @property
    def digest(self) -> bytes:
        """The digest of the inputs."""
        return self._digest

    @property
    def started_ns(self) -> int:
        return self._started_ns

    @property
    def is_restarted(self) -> bool:
        """Whether it was under way when the run stopped, and begins again."""
        return self.recorded is None and self.key in self._here.run.recall.begun

    def is_of(self, here: Here) -> bool:
        """Whether it was claimed in this very scope."""
        return self._here is here

    @property
    def run(self) -> OpenRun:
        """The run that this work is part of."""
        return self._here.run

    @property
    def name(self) -> str:
        return self._work.name

    @property
    def brake(self) -> Brake:
        """What stops the run that this work is part of."""
        return self._here.run.brake

    def begin_next_attempt(self, *, retry_at_ns: int | None = None, scope: int | None = None) -> None:
        """The last attempt ended in an exception: what happened inside does not count for the next one.

        Unless the failure came from inside and is tried again there: then `scope` is the attempt to go on with.
        """
        self.attempt += 1
        self.is_in_doubt = False
        self._scope = scope
        self.retry_at_ns = retry_at_ns
        self._started_ns = time.time_ns()
        self._is_noted = False
        # The outcome of the last attempt has closed it.
        self._here.run.pending[self.key] = self

    def note_inputs(self, inputs: records.Encoded) -> None:
        """What the work is done with, for its record."""
        self._inputs = inputs

    def replay(self, outcome: Outcome) -> None:
        """Take the recorded outcome; it is decoded when somebody reads it."""
        self.replayed_from = outcome
        run = self._here.run
        try:
            value = records.decode(run.ledger.exact_large(run.id, outcome.output))
        except NotRestored:
            if self._work.function is None or outcome.status == "failed":
                raise
            value = restored_as(self._work.function, run.ledger.exact(run.id, outcome.output))
        if outcome.status == "failed" and isinstance(value, BaseException):
            self.recorded = Recorded("failed", error=value)
        else:
            self.recorded = Recorded("failed" if outcome.status == "failed" else "completed", output=value)
        if outcome.status == "failed":
            run.causes.append((value, self.key, outcome.name))

    def inside(self, *, is_async: bool = False) -> Here:
        """The scope of this attempt's body."""
        here = self._here
        path = here.path + self.key
        return Here(
            here.run,
            path=path,
            attempt=self._scope or self.attempt,
            name=self._work.name,
            around=here,
            lane=self._lane,
            is_async=is_async,
        )

    def announce(self) -> None:
        """Tell a listener that the work begins, or that its recorded outcome was taken."""
        run = self._here.run
        if self.recorded is None:
            run.pending[self.key] = self
            if run.listener is not None:
                work = self._work
                here = self._here
                run.tell(
                    StepOpened(
                        run.id,
                        self.key,
                        work.kind,
                        work.name,
                        here.depth,
                        self.attempt,
                        here.path,
                        self.is_restarted,
                    )
                )
        elif run.listener is not None and (outcome := self.replayed_from) is not None:
            self._tell_closed(outcome)

    def finish(
        self,
        ending: Ending,
        *,
        text: records.Encoded | None = None,
        retry_at_ns: int | None = None,
        prompt: PromptRef | None = None,
    ) -> scope.Ticket:
        """Hand the outcome to the ledger; `text` is the output if it is encoded already.

        Raises `NotData` for an output that cannot be recorded.
        """
        here, work = self._here, self._work
        value = ending.output
        if ending.status == "failed" and value is None:
            value = ending.cause
        if text is None:
            text = records.encode_large(value, name=f"{work.name}()")
            if here.run.is_strict and ending.status == "completed":
                records.check_exact(value, text, name=f"{work.name}()")
        freight: Freight = []
        outcome = self._outcome(ending, text, freight, retry_at_ns=retry_at_ns, prompt=prompt)
        early = here.ending
        if early is not None and self.key in early.covered:
            early.add(lambda: self._hand_over(outcome, freight, ending), self.abandon)
            return Unhurried()
        return self._hand_over(outcome, freight, ending)

    def _hand_over(self, outcome: Outcome, freight: Freight, ending: Ending) -> Pending:
        here, work, run = self._here, self._work, self._here.run
        with run.lock:
            # In one go with the hand-over: behind the end of a run nothing may stand.
            run.check_open(self)
            here.check_admitted(self)
            run.pending.pop(self.key, None)
            if run.doubts:
                run.doubts.pop(self.key, None)
            run.count_done(outcome)
            if ending.status == "failed" and ending.cause is not None:
                run.causes.append((ending.cause, self.key, work.name))
            pending = run.ledger.submit(Append(outcome, freight))
            if work.kind == "call":
                run.unconfirmed.append(pending)
        if run.listener is not None:
            self._tell_closed(outcome)
        return pending

    def transact(
        self,
        body: SqlBody,
        *,
        what: str,
        seconds: float,
        prompt: PromptRef | None,
    ) -> Pending:
        """Hand over a body that is committed with the outcome of this claim. See `surefoot.ledger.Transact`."""
        here, run = self._here, self._here.run

        def record(value: object) -> tuple[Outcome, Freight]:
            freight: Freight = []
            text = records.encode_large(value, name=f"{self._work.name}()")
            return self._outcome(Ending("completed", value), text, freight, prompt=prompt), freight

        with run.lock:
            run.check_open(what)
            here.check_admitted(what)
            return run.ledger.submit(Transact(what, body, record, run.id, run.epoch, seconds))

    def take(
        self, message_ids: Sequence[str], value: object, *, prompt: PromptRef | None
    ) -> tuple[Pending, Outcome]:
        """Hand over that messages were taken, in one commit with the outcome of this claim, which is the value."""
        here, run = self._here, self._here.run
        what = f"{self._work.kind} {self._work.name!r}"
        freight: Freight = []
        text = records.encode_large(value, name=f"{self._work.name}()")
        outcome = self._outcome(Ending("completed", value), text, freight, prompt=prompt)
        with run.lock:
            run.check_open(what)
            here.check_admitted(what)
            return run.ledger.submit(Adopt(message_ids, outcome, freight)), outcome

    def transacted(self, outcome: Outcome) -> None:
        """What `transact` or `take` handed over is durable."""
        run = self._here.run
        with run.lock:
            run.pending.pop(self.key, None)
            run.count_done(outcome)
        if run.listener is not None:
            self._tell_closed(outcome)

    def intend(self) -> Pending:
        """Hand the intent to the ledger: that this attempt begins. Without an outcome behind it, it is in doubt."""
        here, run = self._here, self._here.run
        freight: Freight = []
        outcome = self._outcome(Ending("completed"), "null", freight, is_intent=True)
        what = self._work
        inputs = self._inputs if isinstance(self._inputs, str) else self._inputs.decode()
        doubt = Doubt(self.key, self._work.name, run.ledger.payloads.readable(inputs))
        with run.lock:
            run.check_open(what)
            here.check_admitted(what)
            run.doubts[self.key] = doubt
            return run.ledger.submit(Append(outcome, freight))

    def _outcome(
        self,
        ending: Ending,
        output: records.Encoded,
        freight: Freight,
        *,
        retry_at_ns: int | None = None,
        prompt: PromptRef | None = None,
        is_intent: bool = False,
    ) -> Outcome:
        here, work, run = self._here, self._work, self._here.run
        return Outcome(
            run_id=run.id,
            key=self.key,
            path=here.path,
            parent_attempt=here.attempt,
            kind=work.kind,
            name=work.name,
            digest=self._digest,
            occurrence=self._occurrence,
            lane=self._lane,
            attempt=self.attempt,
            epoch=run.epoch,
            status="running" if is_intent else ending.status,
            started_ns=self._started_ns,
            ended_ns=self._started_ns if is_intent else max(time.time_ns(), self._started_ns),
            user_key=self._user_key,
            retry_at_ns=retry_at_ns,
            is_pure=work.is_pure,
            is_degraded=ending.is_degraded,
            is_cached=ending.is_cached,
            prompt=prompt or (here.prompt if work.kind == "call" else None),
            call=ending.call,
            inputs=run.ledger.payloads.store(run.id, self._inputs, freight, tenant=run.tenant),
            output=run.ledger.payloads.store(run.id, output, freight, tenant=run.tenant),
        )

    def handed_over(self, cause: object) -> None:
        """See `surefoot.scope.Claim.handed_over`."""
        run = self._here.run
        with run.lock:
            run.causes.append((cause, self.key, self._work.name))

    def abandon(self) -> None:
        """See `surefoot.scope.Claim.abandon`."""
        run = self._here.run
        with run.lock:
            run.pending.pop(self.key, None)
        self._note_begun()
        work, depth, taken = self._work, self._here.depth, time.time_ns() - self._started_ns
        run.tell(
            StepClosed(
                run.id,
                self.key,
                work.kind,
                work.name,
                depth,
                self.attempt,
                "abandoned",
                taken,
                False,
                False,
                None,
                self._here.path,
            )
        )

    def _note_begun(self) -> None:
        """Note at once that a step that is given up had begun: the flow may go on without it, and do so again."""
        detail = self.started_detail(time.time_ns(), after_ns=0)
        if detail is not None and self._here.run.is_open:
            with suppress(LedgerError):
                self._here.run.ledger.submit(records.Note([detail]))

    def note_begun(self) -> Pending | None:
        """Note that it has begun, as somebody is about to see what it does; None if that is noted already."""
        detail = self.started_detail(time.time_ns(), after_ns=0)
        return None if detail is None else self._here.run.ledger.submit(records.Note([detail]))

    def started_detail(self, now_ns: int, *, after_ns: int) -> records.Detail | None:
        """A note that the step has begun, once, if it has been open for long enough to be worth a row."""
        # The clock may have been set back since it began.
        if self._is_noted or max(0, now_ns - self._started_ns) < after_ns:
            return None
        self._is_noted = True
        body = records.encode(
            {"name": self._work.name, "kind": self._work.kind, "path": self._here.path.hex()}
        )
        return records.Detail(self._here.run.id, self.key, self.attempt, "started", self._started_ns, body)

    def _tell_closed(self, outcome: Outcome) -> None:
        run = self._here.run
        run.tell(
            StepClosed(
                run_id=run.id,
                key=self.key,
                kind=self._work.kind,
                name=outcome.name,
                depth=self._here.depth,
                attempt=outcome.attempt,
                status=_CLOSED.get(outcome.status, "completed"),
                latency_ns=outcome.latency_ns,
                is_replayed=self.replayed_from is not None,
                is_degraded=outcome.is_degraded,
                call=outcome.call,
                path=self._here.path,
            )
        )


_CLOSED: Final[dict[StepStatus, Literal["failed", "suppressed", "abandoned"]]] = {
    "failed": "failed",
    "suppressed": "suppressed",
    "cancelled": "abandoned",
}
"""How an outcome is told to a listener, where it did not complete."""


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
