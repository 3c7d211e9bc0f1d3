"""The claim of one piece of work: replayed from its record, or under way until it is handed to the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from surefoot import ledger as records
from surefoot import scope
from surefoot.decisions import Decision, merged
from surefoot.errors import LedgerError, NotRestored
from surefoot.flows import credit
from surefoot.flows.arguments import restored_as
from surefoot.flows.early import Unhurried
from surefoot.flows.events import CallStreamed, StepClosed, StepOpened
from surefoot.flows.openrun import Doubt, OpenRun
from surefoot.flows.stopping import Brake
from surefoot.ledger import Adopt, Append, Freight, Outcome, Pending, Settle, SqlBody, Transact
from surefoot.scope import Ending, Recorded, Work
from surefoot.tracecontext import headers_at
from surefoot.values import Capture, Money, PromptRef, StepKind, StepStatus, Trust

if TYPE_CHECKING:
    from surefoot.flows.origin import Twin
    from surefoot.flows.running import Here
    from surefoot.rights import Rights


class StepClaim:
    """A claimed step: replayed from its record, or under way until it is finished."""

    __slots__ = (
        "_digest",
        "_inputs",
        "_is_noted",
        "_occurrence",
        "_scope",
        "_started_ns",
        "_streamed",
        "_user_key",
        "_work",
        "attempt",
        "decided",
        "endorsed",
        "here",
        "inside",
        "is_handing_out",
        "is_in_doubt",
        "key",
        "lane",
        "recorded",
        "replayed_from",
        "retry_at_ns",
        "tainted",
        "twin",
        "uses",
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
        self.here = here
        self._work = work
        self._inputs: records.Encoded = inputs or "null"
        self._digest = digest
        self._user_key = user_key
        self._occurrence = occurrence
        self.lane = lane
        self._started_ns = time.time_ns()
        self._is_noted = False
        self.attempt = attempt
        self._scope: int | None = None
        self._streamed = 0
        self.is_in_doubt = False
        """Whether this attempt was begun by a former process and nobody knows how it ended."""
        self.recorded: Recorded | None = None
        self.replayed_from: Outcome | None = None
        self.retry_at_ns: int | None = None
        self.twin: Twin | None = None
        self.tainted = ""
        """What of its inputs is untrusted."""
        self.decided: tuple[Decision, ...] = ()
        """What was decided of the call before it was made."""
        self.inside: Here | None = None
        """The scope of its body, in the attempt of now."""
        self.is_handing_out = False
        """Whether parts of its result were handed out before its end, each judged by itself."""
        self.endorsed: list[str] | None = None
        """Where in these there is what is trusted though the rest is not, as JSON pointers."""
        self.uses: Rights | None = None
        """What the flow that it is says it may send to."""

    def __str__(self) -> str:
        """What it hands over, as messages call it."""
        return f"the outcome of {self._work}"

    @property
    def idempotency_key(self) -> str:
        return f"{self.here.run.id}-{self.key.hex()}"

    @property
    def trace_headers(self) -> Mapping[str, str]:
        run = self.here.run
        return headers_at(run.id, run.labels.tags, f"{self.key.hex()}.{self.attempt}")

    @property
    def digest(self) -> bytes:
        """The digest of the inputs."""
        return self._digest

    @property
    def started_ns(self) -> int:
        return self._started_ns

    @property
    def capture(self) -> Capture:
        """What of it people may read."""
        return self._work.capture or self.here.capture

    @property
    def is_restarted(self) -> bool:
        """Whether it was under way when the run stopped, and begins again."""
        return self.recorded is None and self.key in self.here.run.recall.begun

    def is_of(self, here: Here) -> bool:
        """Whether it was claimed in this very scope."""
        return self.here is here

    @property
    def run(self) -> OpenRun:
        """The run that this work is part of."""
        return self.here.run

    @property
    def name(self) -> str:
        return self._work.name

    @property
    def kind(self) -> StepKind:
        return self._work.kind

    @property
    def is_reading(self) -> bool:
        """Whether what it gives is untrusted, whatever it is."""
        return self._work.is_reading

    @property
    def tainted_by(self) -> str:
        """What of its inputs is untrusted, or what was read in its body."""
        return self.tainted if self.inside is None else self.inside.tainted

    @property
    def brake(self) -> Brake:
        """What stops the run that this work is part of."""
        return self.here.run.brake

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
        self.here.run.pending[self.key] = self

    def note_inputs(self, inputs: records.Encoded) -> None:
        """What the work is done with, for its record."""
        self._inputs = inputs

    def replay(self, outcome: Outcome) -> None:
        """Take the recorded outcome."""
        self._take(outcome, self.here.run.ledger.exact_large(outcome.run_id, outcome.output))

    def _take(self, outcome: Outcome, text: records.Encoded) -> None:
        """Take a recorded outcome, of this run or of its origin, whose output is this."""
        run = self.here.run
        try:
            value = records.decode(text)
        except NotRestored:
            if self._work.function is None or outcome.status == "failed":
                raise
            value = restored_as(self._work.function, run.ledger.exact(outcome.run_id, outcome.output))
        self.replayed_from = outcome
        credit.recall(self, outcome, value)
        run.newest = outcome.key
        if outcome.status == "failed" and isinstance(value, BaseException):
            self.recorded = Recorded("failed", error=value)
        else:
            self.recorded = Recorded("failed" if outcome.status == "failed" else "completed", output=value)
        if outcome.status == "failed":
            run.causes.append((value, self.key, outcome.name))

    def share(self, outcome: Outcome) -> None:
        """Take an outcome of the run's origin, as one of its own that has cost nothing.

        Nobody waits for it: what is recorded later is written later, and the origin has it in any case. Where it cannot
        be restored, as its class is gone, the work is done anew.
        """
        run, payloads = self.here.run, self.here.run.ledger.payloads
        text = run.ledger.exact_large(outcome.run_id, outcome.output)
        try:
            self._take(outcome, text)
        except NotRestored:
            return
        for prompt in run.rendered_before(outcome):
            run.note_rendered(self.key, prompt)
        freight: Freight = []
        if run.cargo:
            run.cargo.load(freight)
        now = time.time_ns()

        def copied(payload: records.Payload) -> records.Payload:
            return payloads.copied(
                *(payload, run.ledger, freight),
                of=outcome.run_id,
                to=run.id,
                tenant=run.tenant,
                capture=self.capture,
            )

        own = replace(
            outcome,
            run_id=run.id,
            key=self.key,
            path=self.here.path,
            parent_attempt=self.here.attempt,
            occurrence=self._occurrence,
            lane=self.lane,
            attempt=self.attempt,
            epoch=run.epoch,
            started_ns=self._started_ns,
            ended_ns=max(now, self._started_ns),
            retry_at_ns=None,
            is_cached=True,
            call=None if outcome.call is None else replace(outcome.call, cost=Money(0)),
            inputs=copied(outcome.inputs),
            output=copied(outcome.output),
        )
        with run.lock:
            run.check_open(self)
            self.here.check_admitted(self)
            run.count_done(own)
            pending = run.ledger.submit(Append(own, freight))
            if run.cargo:
                run.cargo.sent(pending, freight)
            run.unconfirmed.append(pending)
        self.replayed_from = own

    @property
    def inner_attempt(self) -> int:
        """The attempt under which what happens inside is recorded."""
        return self._scope or self.attempt

    def announce(self) -> None:
        """Tell a listener that the work begins, or that its recorded outcome was taken."""
        run = self.here.run
        if self.recorded is None:
            run.pending[self.key] = self
            if run.listener is not None:
                work = self._work
                here = self.here
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

        Raises `NotData` for an output that cannot be recorded, and `RunEnded` where nothing is any more; what it has
        cost is booked all the same.
        """
        try:
            return self._finish(ending, text, retry_at_ns=retry_at_ns, prompt=prompt)
        except BaseException:
            self._book(ending)
            raise

    def _finish(
        self,
        ending: Ending,
        text: records.Encoded | None,
        *,
        retry_at_ns: int | None,
        prompt: PromptRef | None,
    ) -> scope.Ticket:
        here, work = self.here, self._work
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
            early.add(lambda: self._hand_over(outcome, freight, ending), lambda: self._give_up(ending))
            return Unhurried()
        return self._hand_over(outcome, freight, ending)

    def _hand_over(self, outcome: Outcome, freight: Freight, ending: Ending) -> Pending:
        here, work, run = self.here, self._work, self.here.run
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
                if self.capture in records.WITHHELD:
                    run.unshown.add(self.key)
            pending = run.ledger.submit(Append(outcome, freight, ending.settlement, ending.cache))
            if run.cargo:
                run.cargo.sent(pending, freight)
            if work.kind == "call":
                run.unconfirmed.append(pending)
        run.measure(outcome)
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
        here, run = self.here, self.here.run

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
        here, run = self.here, self.here.run
        what = f"{self._work.kind} {self._work.name!r}"
        freight: Freight = []
        text = records.encode_large(value, name=f"{self._work.name}()")
        # What somebody else has sent.
        arrived = Ending("completed", value, trust="untrusted")
        outcome = self._outcome(arrived, text, freight, prompt=prompt)
        with run.lock:
            run.check_open(what)
            here.check_admitted(what)
            return run.ledger.submit(Adopt(message_ids, outcome, freight)), outcome

    def transacted(self, outcome: Outcome) -> None:
        """What `transact` or `take` handed over is durable."""
        run = self.here.run
        with run.lock:
            run.pending.pop(self.key, None)
            run.count_done(outcome)
        run.measure(outcome)
        if run.listener is not None:
            self._tell_closed(outcome)

    def intend(self) -> Pending:
        """Hand the intent to the ledger: that this attempt begins. Without an outcome behind it, it is in doubt."""
        here, run = self.here, self.here.run
        freight: Freight = []
        outcome = self._outcome(Ending("completed"), "null", freight, is_intent=True)
        what = self._work
        inputs = self._inputs if isinstance(self._inputs, str) else self._inputs.decode()
        doubt = Doubt(self.key, self._work.name, run.ledger.payloads.readable(inputs, capture=self.capture))
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
        here, work, run = self.here, self._work, self.here.run
        if run.cargo:
            run.cargo.load(freight)
        decisions = () if is_intent else self._decisions(ending)
        trust: Trust = "untrusted"
        endorsed: tuple[str, ...] = ()
        if not is_intent:
            trust, endorsed = credit.trust_of(self, ending, size=len(output))
        given, came = run.ledger.payloads.store_both(
            run.id, self._inputs, output, freight, tenant=run.tenant, capture=self.capture
        )
        return Outcome(
            run_id=run.id,
            key=self.key,
            path=here.path,
            parent_attempt=here.attempt,
            kind=work.kind,
            name=work.name,
            digest=self._digest,
            occurrence=self._occurrence,
            lane=self.lane,
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
            prompt=prompt or ending.prompt or (here.prompt if work.kind == "call" else None),
            call=ending.call,
            inputs=given,
            output=came,
            trust=trust,
            endorsed=endorsed,
            decisions=decisions,
        )

    def _decisions(self, ending: Ending) -> tuple[Decision, ...]:
        """What guards have decided of it, in its body, and before it in the scope around."""
        inside = self.inside
        noted = () if inside is None else inside.noted or ()
        before = self.here.take_decisions()
        if not (noted or before or ending.decisions or self.decided):
            return ()
        return merged((*self.decided, *before, *noted, *ending.decisions))

    def handed_over(self, cause: object) -> None:
        """See `surefoot.scope.Claim.handed_over`."""
        run = self.here.run
        with run.lock:
            run.causes.append((cause, self.key, self._work.name))

    @property
    def is_watched(self) -> bool:
        """See `surefoot.scope.Claim.is_watched`."""
        return self.here.run.listener is not None

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        """See `surefoot.scope.Claim.streamed`."""
        here, run = self.here, self.here.run
        if run.listener is None or not piece:
            return
        index, self._streamed = self._streamed, self._streamed + len(piece)
        run.tell(
            CallStreamed(run.id, self.key, self.name, self.attempt, index, piece, is_replayed, here.path)
        )

    def abandon(self) -> None:
        """See `surefoot.scope.Claim.abandon`."""
        run = self.here.run
        if self.inside is not None and self.inside.tainted:
            # What its body has read may lie in what it was given.
            self.here.taint(credit.source(self.kind, self.name))
        with run.lock:
            run.pending.pop(self.key, None)
        self._note_begun()
        work, depth, taken = self._work, self.here.depth, time.time_ns() - self._started_ns
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
                self.here.path,
            )
        )

    def _give_up(self, ending: Ending) -> None:
        """`abandon` work of which it is known how it ended."""
        self._book(ending)
        self.abandon()

    def _book(self, ending: Ending) -> None:
        """Book what work has cost of which no outcome is recorded."""
        if ending.settlement is not None:
            with suppress(LedgerError):
                self.here.run.ledger.submit(Settle(ending.settlement))
                self.here.run.ledger.nudge()

    def _note_begun(self) -> None:
        """Note at once that a step that is given up had begun: the flow may go on without it, and do so again."""
        detail = self.started_detail(time.time_ns(), after_ns=0)
        if detail is not None and self.here.run.is_open:
            with suppress(LedgerError):
                self.here.run.ledger.submit(records.Note([detail]))

    def note_begun(self) -> Pending | None:
        """Note that it has begun, as somebody is about to see what it does; None if that is noted already."""
        detail = self.started_detail(time.time_ns(), after_ns=0)
        return None if detail is None else self.here.run.ledger.submit(records.Note([detail]))

    def started_detail(self, now_ns: int, *, after_ns: int) -> records.Detail | None:
        """A note that the step has begun, once, if it has been open for long enough to be worth a row."""
        # The clock may have been set back since it began.
        if self._is_noted or max(0, now_ns - self._started_ns) < after_ns:
            return None
        self._is_noted = True
        body = records.encode(
            {"name": self._work.name, "kind": self._work.kind, "path": self.here.path.hex()}
        )
        return records.Detail(self.here.run.id, self.key, self.attempt, "started", self._started_ns, body)

    def _tell_closed(self, outcome: Outcome) -> None:
        run = self.here.run
        run.tell(
            StepClosed(
                run_id=run.id,
                key=self.key,
                kind=self._work.kind,
                name=outcome.name,
                depth=self.here.depth,
                attempt=outcome.attempt,
                status=_CLOSED.get(outcome.status, "completed"),
                latency_ns=outcome.latency_ns,
                is_replayed=self.replayed_from is not None,
                is_degraded=outcome.is_degraded,
                call=outcome.call,
                path=self.here.path,
                is_cached=outcome.is_cached,
            )
        )


_CLOSED: Final[dict[StepStatus, Literal["failed", "suppressed", "abandoned"]]] = {
    "failed": "failed",
    "suppressed": "suppressed",
    "cancelled": "abandoned",
}
"""How an outcome is told to a listener, where it did not complete."""
