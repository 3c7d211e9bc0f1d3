"""The scopes of an open run, and the claims of steps in them."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import Token
from hashlib import blake2b
from types import TracebackType
from typing import Self

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import Diverged
from surefoot.flows import lanes
from surefoot.flows.events import StepClosed, StepOpened
from surefoot.flows.openrun import OpenRun
from surefoot.flows.recall import Identity, Place, Record, ScopeRecall
from surefoot.ledger import Append, Freight, Outcome, Pending
from surefoot.scope import Ending, Recorded, Work
from surefoot.values import PromptRef

log = scope.logger("surefoot.flows")


class Here:
    """The scope of the run itself or of one attempt of a step: what `scope.current()` gives to the code inside."""

    __slots__ = (
        "_around",
        "_lane",
        "_lanes",
        "_recall",
        "_token",
        "attempt",
        "name",
        "path",
        "prompt",
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
    ) -> None:
        """`around` is the scope that the step was claimed in, `lane` its lane there."""
        self.run = run
        self.path = path
        self.attempt = attempt
        self.name = name
        self._around = around
        self._lane = lane
        self.prompt: PromptRef | None = None
        # Most steps do no others: this is made for those that do.
        self._recall: ScopeRecall | None = None
        self._lanes = lanes.Lanes()
        self._token: Token[scope.Scope | None] | None = None

    def __enter__(self) -> Self:
        self._lanes.enter()
        self._token = scope.variable().set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.leave()
        if self._token is not None:
            # A coroutine that is thrown away unfinished is closed in a context that is not its own.
            with suppress(ValueError):
                scope.variable().reset(self._token)
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

    def claim(self, work: Work) -> StepClaim:
        """See `surefoot.scope.Scope.claim`."""
        text = records.encode(work.inputs, name=f"{work.name}()")
        return self.claim_step(work, text, digest=records.identity(work.inputs, name=f"{work.name}()"))

    def claim_step(self, work: Work, inputs: str, *, digest: bytes, user_key: str | None = None) -> StepClaim:
        """Claim work whose inputs are encoded already. Raises `Diverged`, `RunEnded`, `Fenced`."""
        run = self.run
        run.check_open(f"{work.kind} {work.name!r}")
        identity: Identity = (work.name, digest if user_key is None else user_key)
        with run.lock:
            if self._recall is None:
                self._recall = run.recall.scope((self.path, self.attempt))
            recall, lane = self._recall, self._lanes.current()
            record = recall.match(identity, lane)
            if record is None:
                place = recall.place(identity, lane)
                key = self._new_key(work.name, identity, place)
                if not run.recall.is_empty and work.kind != "call" and not work.is_pure:
                    self._check_diverged(recall, work, identity, digest=digest, lane=lane, key=key)
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
        claim.announce()
        return claim

    def _reclaim(
        self, work: Work, inputs: str, digest: bytes, user_key: str | None, record: Record
    ) -> StepClaim:
        outcome = record.outcome
        is_changed = outcome.digest != digest
        if is_changed and not work.is_pure and work.kind != "call" and not self.run.accepts_divergence:
            raise Diverged(
                f"run {self.run.id}: step {work.name!r} with key {user_key!r} was recorded with other inputs: "
                "give changed inputs another key, or resume with --accept-divergence"
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
        if is_changed or not record.is_over or outcome.key in self.run.recall.retry:
            claim.begin_next_attempt(
                retry_at_ns=outcome.retry_at_ns, scope=self.run.recall.continued.get(outcome.key)
            )
        else:
            claim.replay(outcome)
        return claim

    def _new_key(self, name: str, identity: Identity, place: Place) -> bytes:
        """The key of new work: the same in every process, and none that is recorded."""
        marker = identity[1]
        index = place.index
        while True:
            address = b"%s|%d|%d|%d|" % (self.path, self.attempt, place.lane, index)
            named = b"%d|%s|" % (len(name.encode()), name.encode())
            # A digest and a text of the user's are kept apart, whatever the text is.
            what = b"=" + marker if isinstance(marker, bytes) else b":" + marker.encode()
            key = blake2b(address + named + what, digest_size=16).digest()
            if self.run.recall.is_new(key):
                return key
            index += 1

    def _check_diverged(
        self, here: ScopeRecall, work: Work, identity: Identity, *, digest: bytes, lane: int, key: bytes
    ) -> None:
        recall = self.run.recall
        # A step that had begun and has no outcome was cancelled by code that then went on: no change.
        if self.run.accepts_divergence or key in recall.begun:
            return
        found = here.changed_in_lane(identity, digest, lane) or recall.moved(
            identity, self.path, self.lanes_around, self.run.pending
        )
        if found is None:
            return
        done = found.outcome
        what = "other inputs" if done.name == work.name else "another name"
        if done.path != self.path:
            what = "another place in the flow"
        raise Diverged(
            f"run {self.run.id}: step {work.name!r} is about to run, but {done.name!r} was already done with {what} "
            f"and the code no longer asks for it there; running it could repeat a side effect. Restore the code, "
            f"declare the step pure, or `surefoot resume {self.run.id} --accept-divergence` to run it all the same"
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
        "key",
        "recorded",
        "replayed_from",
        "retry_at_ns",
    )

    def __init__(
        self,
        here: Here,
        work: Work,
        inputs: str,
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
        self._inputs = inputs
        self._digest = digest
        self._user_key = user_key
        self._occurrence = occurrence
        self._lane = lane
        self._started_ns = time.time_ns()
        self._is_noted = False
        self.attempt = attempt
        self._scope: int | None = None
        self.recorded: Recorded | None = None
        self.replayed_from: Outcome | None = None
        self.retry_at_ns: int | None = None

    @property
    def idempotency_key(self) -> str:
        return f"{self._here.run.id}-{self.key.hex()}"

    @property
    def started_ns(self) -> int:
        return self._started_ns

    def begin_next_attempt(self, *, retry_at_ns: int | None = None, scope: int | None = None) -> None:
        """The last attempt ended in an exception: what happened inside does not count for the next one.

        Unless the failure came from inside and is tried again there: then `scope` is the attempt to go on with.
        """
        self.attempt += 1
        self._scope = scope
        self.retry_at_ns = retry_at_ns
        self._started_ns = time.time_ns()
        self._is_noted = False

    def replay(self, outcome: Outcome) -> None:
        """Take the recorded outcome; it is decoded when somebody reads it."""
        self.replayed_from = outcome
        run = self._here.run
        value = records.decode(run.ledger.exact(run.id, outcome.output))
        if outcome.status == "failed" and isinstance(value, BaseException):
            self.recorded = Recorded("failed", error=value)
        else:
            self.recorded = Recorded("failed" if outcome.status == "failed" else "completed", output=value)
        if outcome.status == "failed":
            run.causes.append((value, self.key, outcome.name))

    def inside(self) -> Here:
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
                    StepOpened(run.id, self.key, work.kind, work.name, here.depth, self.attempt, here.path)
                )
        elif run.listener is not None and (outcome := self.replayed_from) is not None:
            self._tell_closed(outcome)

    def finish(
        self, ending: Ending, *, retry_at_ns: int | None = None, prompt: PromptRef | None = None
    ) -> Pending:
        """Hand the outcome to the ledger. Raises `NotData` for an output that cannot be recorded."""
        here, work, run = self._here, self._work, self._here.run
        value = ending.output
        if ending.status == "failed" and value is None:
            value = ending.cause
        text = records.encode(value, name=f"{work.name}()")
        freight: Freight = []
        outcome = Outcome(
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
            status=ending.status,
            started_ns=self._started_ns,
            ended_ns=max(time.time_ns(), self._started_ns),
            user_key=self._user_key,
            retry_at_ns=retry_at_ns,
            is_pure=work.is_pure,
            is_degraded=ending.is_degraded,
            is_cached=ending.is_cached,
            prompt=prompt or (here.prompt if work.kind == "call" else None),
            call=ending.call,
            inputs=run.ledger.payloads.store(run.id, self._inputs, freight, tenant=run.tenant),
            output=run.ledger.payloads.store(run.id, text, freight, tenant=run.tenant),
        )
        with run.lock:
            # In one go with the hand-over: behind the end of a run nothing may stand.
            run.check_open(f"the outcome of {work.kind} {work.name!r}")
            run.pending.pop(self.key, None)
            run.totals = run.totals.plus(outcome)
            if ending.status == "failed" and ending.cause is not None:
                run.causes.append((ending.cause, self.key, work.name))
            pending = run.ledger.submit(Append(outcome, freight))
        if run.listener is not None:
            self._tell_closed(outcome)
        return pending

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

    def started_detail(self, now_ns: int, *, after_ns: int) -> records.Detail | None:
        """A note that the step has begun, once, if it has been open for long enough to be worth a row."""
        if self._is_noted or now_ns - self._started_ns < after_ns:
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
                status="failed" if outcome.status == "failed" else "completed",
                latency_ns=outcome.latency_ns,
                is_replayed=self.replayed_from is not None,
                is_degraded=outcome.is_degraded,
                call=outcome.call,
                path=self._here.path,
            )
        )


def open_scope() -> Here | None:
    """The scope of a run of this room, where one is open."""
    here = scope.current()
    return here if isinstance(here, Here) else None
