"""One call on its way past budgets, rate limits and breakers, whatever library carries its requests.

The owner of a call asks `enter` before each attempt, `Attempts` tells how each of them went, and the owner says how the
last one ended: by `over`, and by `conclude` or `abandon` what becomes of the money that was held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from surefoot.effects import Commit, Program, handed_over
from surefoot.errors import SurefootError, UnboundedCall
from surefoot.models.chain.answers import is_whole, read_buffered, read_events
from surefoot.models.chain.bounds import Load, capped, expected_tokens, worst_of
from surefoot.models.chain.limits import Hold, Permit, Trial
from surefoot.models.chain.published import thinks_unseen
from surefoot.models.chain.received import bytes_said
from surefoot.models.chain.record import Answer
from surefoot.models.chain.reserve import Reserve
from surefoot.models.chain.retries import is_unsent
from surefoot.models.chain.sse import events_of
from surefoot.models.chain.weighing import Weight, weigh
from surefoot.scope import Claim, Ending, Scope
from surefoot.values import CallFacts, Demand, Money

if TYPE_CHECKING:
    from surefoot.models.chain.attempts import Head
    from surefoot.models.chain.endpoints import Policy

Word = Literal["succeeded", "failed", "dropped"]
"""What a breaker is told of an attempt."""

_NO_FAULT = frozenset({402, 429})
"""The account is over its limits: the server works, and whether it would answer nobody knows."""
_SERVER = 500
_TIMED_OUT = 408


@dataclass(frozen=True, slots=True)
class Way:
    """Where a call goes: the connection by its name, or the `address` of its server, and who breaks down as a whole."""

    breaker: str
    connection: str = ""
    address: str = ""


def passage_of(
    policy: Policy, here: Scope, load: Callable[[], Load], way: Way, ladder: Reserve | None = None
) -> Passage | None:
    """The passage of a call; None where nothing bounds it."""
    if policy.budgets is None and policy.admission is None and policy.breakers is None:
        return None
    return Passage(policy, here, load(), way, ladder)


@dataclass(slots=True)
class Passage:
    """What one call holds: money under budgets, and for its present attempt a permit and a trial.

    `cap` is the limit that was put on its answer, as the request named none; `body` is the request with it. The money
    comes out of the `ladder`, where one was held for several calls.
    """

    policy: Policy
    scope: Scope
    load: Load
    way: Way
    ladder: Reserve | None = None
    cap: int | None = None
    body: dict[str, object] | None = None
    is_alone: bool = False
    """Whether the last attempt was admitted by this process alone, as Redis was down."""
    _hold: Hold | None = None
    _weight: Weight = Weight()
    _is_open: bool = False
    _is_out: bool = False
    """Whether an attempt was sent of which it is not known that it costs nothing."""
    _doubts: int = 0
    """Attempts that may have been paid and that others have followed: each stays booked at the worst case."""
    _permit: Permit | None = None
    _trial: Trial | None = None

    # Before an attempt

    def enter(self, seconds_left: Callable[[], float], *, is_faked: bool = False) -> Program[None]:
        """Hold money, wait for room and ask the breaker, before an attempt is sent.

        `seconds_left` is how long the call may take still. Where a fake answers nothing leaves: then money is held if
        it can be told how much, and nothing else is asked. Raises `UnboundedCall`, `BudgetExceeded`, `Throttled` and
        `BreakerOpen`.
        """
        if not self._is_open:
            self._is_open = True
            yield from self._open(seconds_left, is_faked=is_faked)
        elif self._is_out:
            # The one before was sent, and nobody knows whether it was paid: it stays booked.
            self._doubts += 1
            self._is_out = False
            if self._hold is not None:
                yield from self._hold.more(self._weight.worst)
        if is_faked:
            return
        yield from self._admit(seconds_left)
        breakers = self.policy.breakers
        if breakers is not None:
            try:
                self._trial = breakers.enter(self.way.breaker)
            except BaseException:
                self._leave(0)
                raise
        self._is_out = True

    def worst(self) -> Money:
        """The most that one attempt may cost, with the limit that a budget puts on its answer.

        Nothing where no budget is about the caller. Raises `UnboundedCall`.
        """
        budgets, caller = self.policy.budgets, self.scope.caller
        if budgets is None or not budgets.bound(caller):
            return Money()
        limit = budgets.cap_output(caller)
        if self.body is None and limit is not None and (body := capped(self.load, limit)) is not None:
            self.cap, self.body = limit, body
            self.load = replace(self.load, body=body)
        self._weight = weigh(
            self.load,
            self.policy.prices,
            connections=(self.way.connection,),
            address=self.way.address,
            local_context=self.policy.local_context,
        )
        return self._weight.worst

    def _open(self, seconds_left: Callable[[], float], *, is_faked: bool) -> Program[None]:
        budgets, patience = self.policy.budgets, max(seconds_left(), 0.0)
        try:
            worst = self.worst()
        except UnboundedCall:
            if is_faked:
                return
            raise
        if budgets is None or not worst.nanos:
            return
        if self.ladder is not None:
            self._hold = yield from self.ladder.part(worst, patience=patience)
        else:
            self._hold = yield from budgets.hold(
                self.scope.caller, worst, what=str(self.load), patience=patience
            )

    def _admit(self, seconds_left: Callable[[], float]) -> Program[None]:
        admission, load = self.policy.admission, self.load
        if admission is None:
            return
        demand = Demand(
            self.scope.caller,
            load.provider,
            self.way.connection or self.way.address,
            load.model,
        )
        if admission.bound(demand):
            demand = replace(demand, tokens=expected_tokens(load))
            self._permit = yield from admission.admit(
                demand, patience=max(seconds_left(), 0.0), pause=self._pause
            )
            self.is_alone = self._permit.is_local

    def _pause(self, seconds: float) -> None:
        """Wait as blocking code does; raises where the run goes on no further."""
        self.scope.pause(seconds)
        self.scope.check()

    # How an attempt goes, as `Attempts` tells

    def answered(self, head: Head, *, is_stream: bool) -> None:
        """Its headers are there. A refusal is a word for the breaker; an answer is one when it has been read."""
        if self._permit is not None:
            self._permit.answered(head.status, head.headers)
        if not head.is_success:
            self._is_out = False
            self._say(word_of(head.status))
        elif is_stream and self._trial is not None:
            self._trial.answered()

    def raised(self, error: Exception) -> None:
        """It ended in an exception before its headers were there."""
        if isinstance(error, SurefootError):
            # One of ours, from before it was sent, or of a fake.
            self._is_out = False
            self._say("dropped")
            self._leave(0)
        elif is_unsent(error):
            self._is_out = False
            self._say("failed")
            self._leave(0)
        else:
            self._say("failed")
            self._leave(None)

    def refused(self, head: Head) -> None:
        """Its answer is a failure, and has been given up or read."""
        self._leave(None if head.status >= _SERVER else 0)

    def over(self, word: Word, tokens: int | None) -> None:
        """Its last byte was read, or will never be. `tokens` is what it took, None where nobody knows."""
        self._say(word)
        self._leave(tokens)

    def _say(self, word: Word) -> None:
        trial, self._trial = self._trial, None
        if trial is None:
            return
        match word:
            case "succeeded":
                trial.succeeded()
            case "failed":
                trial.failed()
            case "dropped":
                trial.dropped()

    def _leave(self, tokens: int | None) -> None:
        permit, self._permit = self._permit, None
        if permit is not None:
            permit.done(tokens)

    # What becomes of the money

    def conclude(self, claim: Claim, ending: Ending, charged: Money | None) -> Program[None]:
        """Record the outcome with what it has cost; where none is recorded, settle all the same.

        `charged` is for the last attempt, None for all that it may have cost. Raises what the claim raises.
        """
        outside = self._settlement(ending, charged)
        if outside is not None:
            yield from outside
        yield Commit(claim.finish(ending))

    def put_into(self, ending: Ending, charged: Money | None) -> None:
        """`conclude` for code that is no program, and records the outcome itself."""
        outside = self._settlement(ending, charged)
        if outside is not None:
            handed_over(outside)

    def _settlement(self, ending: Ending, charged: Money | None) -> Program[None] | None:
        """Put the settlement into an outcome that is recorded; else what settles without one."""
        hold, self._hold = self._hold, None
        if hold is None:
            return None
        if not self.scope.run_id:
            return hold.settle(self._total(charged))
        ending.settlement = hold.settlement(self._total(charged))
        return None

    @property
    def is_holding(self) -> bool:
        """Whether money is held."""
        return self._hold is not None

    def abandon(self, charged: Money | None = None) -> None:
        """The call is given up in its midst. Waits for nothing, as a cancelled task must not.

        `charged` is what the part of an answer costs that was received; by default all that it may have cost.
        """
        self._say("dropped")
        self._leave(None if self._is_out else 0)
        hold, self._hold = self._hold, None
        if hold is not None:
            handed_over(hold.settle(self._total(charged if self._is_out else Money())))

    @property
    def is_out(self) -> bool:
        """Whether the last attempt may cost something: it was sent, and has not been refused."""
        return self._is_out

    @property
    def is_free(self) -> bool:
        """Whether no attempt may have cost anything."""
        return not self._is_out and not self._doubts

    def _total(self, charged: Money | None) -> Money | None:
        """What is booked: this attempt, and those before it that may have been paid."""
        if charged is None:
            return None
        return Money(charged.nanos + self._doubts * self._weight.worst.nanos)

    def charge(self, answer: Answer, facts: CallFacts, *, is_events: bool) -> Money | None:
        """What an answer has cost; of one that was cut off, or counts no tokens, at most. None for the worst case."""
        if self._hold is None or not answer.is_success:
            return Money()
        is_cut = answer.is_closed_early or answer.error is not None
        is_cut = is_cut or (is_events and not is_whole(events_of(answer.body)))
        if facts.cost is not None and not (is_cut and facts.cost.nanos):
            return facts.cost + self._weight.most.fees if facts.cost.nanos else facts.cost
        return self._received(answer.body, is_events=is_events)

    def charge_part(self, body: bytes) -> Money | None:
        """What the part of a stream costs at most that was received before it broke off."""
        return None if self._hold is None else self._received(body, is_events=True)

    def _received(self, body: bytes, *, is_events: bool) -> Money | None:
        said = bytes_said(body, is_events=is_events)
        if said is None:
            return None
        reading = read_events(events_of(body)) if is_events else read_buffered(body)
        load, usage = self.load, reading.usage
        written = max(usage.output, said)
        # Gemini counts its thoughts in every chunk.
        is_counted = load.provider == "google" and usage.output > 0
        if thinks_unseen(load.operation, load.provider, load.name, body) and not is_counted:
            written = self._weight.most.written
        most = replace(self._weight.most, read=usage.input or self._weight.most.read, written=written)
        return min(worst_of(most, self._weight.rates, load), self._weight.worst)


def tokens_of(facts: CallFacts) -> int | None:
    """The tokens that an answer took, None where it does not say."""
    return facts.usage.total or None


def word_of(status: int) -> Word:
    """What a refusal says of the health of a server."""
    if status in _NO_FAULT:
        return "dropped"
    return "failed" if status >= _SERVER or status == _TIMED_OUT else "succeeded"
