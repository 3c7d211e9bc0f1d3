"""The way up a ladder of tiers: ask one, check what it says, take it or ask the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from surefoot import scope
from surefoot.effects import Invoke, Program
from surefoot.errors import BreakerOpen, ContentRefused, ContextOverflow, ModelError, RequestRefused
from surefoot.models.chain.reserve import Reserve
from surefoot.models.generating import shadowing
from surefoot.models.generating.answering import (
    Answered,
    Ask,
    Escalation,
    Question,
    Spent,
    within,
)
from surefoot.models.generating.asked import Hear, Withheld
from surefoot.models.generating.checking import Examination, Verdict, most_of_checks
from surefoot.models.generating.choices import Call, Single, calls_of, with_calls
from surefoot.models.generating.tiers import Numbered, Tier, Tiered
from surefoot.models.sdk.chained import OUTSIDE
from surefoot.scope import Work
from surefoot.values import Money

logger = scope.logger("surefoot.models")


def climbed(question: Question, tiered: Tiered, ask: Ask, *, only: int | None = None) -> Program[Answered]:
    """The answer of the first tier whose checks take it, else that of the last.

    only: the number of the one tier that is asked, or of the last where there are fewer: all of its checks are made,
        for what they measure, and its answer is taken whatever they say.

    Raises what `generate` raises, where the last tier fails.
    """
    tiers = tiered.numbered
    chosen = tiers if only is None else [tiers[min(only, len(tiers)) - 1]]
    ladder = _Ladder(question, tiered, ask, is_trial=only is not None)
    try:
        answered = yield from ladder.climb(chosen)
    except BaseException:
        ladder.abandon()
        raise
    yield from ladder.end()
    if answered.tier < len(tiers) and only is None:
        yield from shadowing.shadow(question, tiered, answered, ask)
    return answered


@dataclass(slots=True)
class _Ladder:
    """One way up."""

    question: Question
    tiered: Tiered
    ask: Ask
    is_trial: bool
    spent: Spent = Spent()
    escalations: list[Escalation] = field(default_factory=list[Escalation])

    def climb(self, tiers: Sequence[Numbered]) -> Program[Answered]:
        """The answer of one of these tiers."""
        most = self._reserve(tiers)
        for place, (number, tier) in enumerate(tiers):
            if self.question.reserve is not None:
                self.question.reserve.ahead = Money(sum(most[place:]))
            if place == len(tiers) - 1:
                break
            answered = yield from self.try_tier(number, tier)
            if answered is not None:
                return answered
        return (yield from self.take(*tiers[-1]))

    def _reserve(self, tiers: Sequence[Numbered]) -> list[int]:
        """What each tier may cost at most, where a budget wants to know: then it is held for all of them at once.

        Raises `UnboundedCall`: a ladder of which one tier cannot be bounded is not begun.
        """
        question, here = self.question, scope.current() or OUTSIDE
        budgets = question.policy.budgets
        if budgets is None or not budgets.bound(here.caller):
            return []
        most = [
            self.ask(question, tier.asked()).worst().nanos + most_of_checks(question, tier, self.ask).nanos
            for _, tier in tiers
        ]
        what = f"a ladder of {' and '.join(tier.model or 'the model of its prompt' for _, tier in tiers)}"
        reserve = Reserve(budgets, here.caller, what, Money(sum(most)))
        self.question = replace(question, reserve=reserve)
        return most

    def end(self) -> Program[None]:
        """What was held for tiers that were not asked is free."""
        if self.question.reserve is not None:
            yield from self.question.reserve.end()

    def abandon(self) -> None:
        """The same where the ladder failed or was given up."""
        if self.question.reserve is not None:
            self.question.reserve.abandon()

    def try_tier(self, number: int, tier: Tier) -> Program[Answered | None]:
        """The answer of a tier, or None where it is not taken, or where there is none."""
        held = _Held()
        asking = self.ask(self.question, held.holding(tier.asked()))
        failure: Exception | None = None
        answered: Answered | None = None
        try:
            answered = yield from asking.program()
        except (ModelError, ContextOverflow, BreakerOpen) as error:
            if not is_escalated(error):
                raise
            failure = error
        self.spent += asking.spent
        verdict = yield from self._judge(number, tier, answered, asking.spent, failure)
        if answered is None or not verdict.is_accepted:
            reason = verdict.reason
            self.escalations.append(Escalation(number, verdict.model, reason))
            logger.info("tier %d (%s) is not enough: %s", number, verdict.model, reason)
            return None
        yield from held.hand_on()
        return self._answer(number, answered, verdict)

    def take(self, number: int, tier: Tier) -> Program[Answered]:
        """The answer of the last tier, streamed as it comes."""
        asking = self.ask(self.question, tier.asked())
        try:
            answered = yield from asking.program()
        except Exception as error:
            for one in self.escalations:
                error.add_note(f"tier {one.tier} ({one.model}) was asked before: {one.reason}")
            raise
        self.spent += asking.spent
        verdict = yield from self._judge(number, tier, answered, asking.spent, None)
        return self._answer(number, answered, verdict)

    def _judge(
        self, number: int, tier: Tier, answered: Answered | None, spent: Spent, failure: Exception | None
    ) -> Program[Verdict]:
        """What becomes of a tier's answer: found out, and recorded, as a step of its own."""
        reference = tier.model or calls_of(tier.asked())[0].model
        inputs = {
            "tier": number,
            "of": len(self.tiered.tiers),
            "model": reference if answered is None else answered.model,
            "answer": None if answered is None else answered.turn.text,
        }
        examination = Examination(
            self.question, tier, number, len(self.tiered.tiers), self.ask, is_thorough=self.is_trial
        )
        made = partial(examination.record, answered, spent, failure)
        record = yield from within(
            Work("step", f"tier {number}", inputs, is_pure=True), made, is_async=self.question.is_async
        )
        verdict = Verdict.from_record(cast("dict[str, Any]", record))
        self.spent += verdict.checking
        return verdict

    def _answer(self, number: int, answered: Answered, verdict: Verdict) -> Answered:
        return replace(
            answered,
            spent=self.spent,
            tier=number,
            is_accepted=verdict.is_accepted,
            escalations=tuple(self.escalations),
        )


@dataclass(slots=True)
class _Held:
    """The pieces of a streamed answer that is not taken yet, with whom they are for."""

    pieces: list[tuple[Hear, str]] = field(default_factory=list[tuple[Hear, str]])

    def holding(self, using: Single) -> Single:
        """The same calls, whose pieces are held back."""

        def held(call: Call) -> Call:
            hear = call.stream
            return call if hear is None else replace(call, stream=Withheld(hear, self.pieces))

        return with_calls(using, held)

    def hand_on(self) -> Program[None]:
        """Give the pieces to whom they are for."""
        for hear, piece in self.pieces:
            yield Invoke(partial(hear, piece))


def is_escalated(error: Exception) -> bool:
    """Whether a tier's failure is one after which the next tier is asked: not where the request itself is refused."""
    return not isinstance(error, RequestRefused) or isinstance(error, ContentRefused)
