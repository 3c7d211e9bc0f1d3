"""The checks of a tier made on an answer, and the verdict that is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from surefoot.effects import Invoke, Program
from surefoot.errors import BreakerOpen, ModelError
from surefoot.models.generating.answering import Answered, Ask, Question, Spent
from surefoot.models.generating.checks import (
    JUDGEMENT,
    Agreement,
    Check,
    Confidence,
    Finding,
    Judge,
    confidence_in,
    is_same,
    judged_by,
    refuse_cold,
    said_by,
    sampled,
    scored,
    takes_reply,
)
from surefoot.models.generating.choices import with_calls
from surefoot.models.generating.prompting import rendered
from surefoot.models.generating.schemas import wanted
from surefoot.models.generating.tiers import Tier
from surefoot.values import Json, Message, Money

_CUT = {"length": "it was cut off at its limit of tokens", "filter": "a content filter stopped it"}
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a tier's answer, as it is recorded. `checking` is what the checks themselves have used."""

    model: str
    is_accepted: bool
    reason: str = ""
    checking: Spent = Spent()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Verdict:
        """What `Examination.record` gave."""
        checking = record.get("checking")
        return cls(
            record["model"],
            record["accepted"],
            record.get("reason", ""),
            Spent() if checking is None else Spent.from_record(checking),
        )


@dataclass(slots=True)
class Examination:
    """The checks of one tier. `is_thorough`: all of them are made, also where one has failed."""

    question: Question
    tier: Tier
    number: int
    of: int
    ask: Ask
    is_thorough: bool = False
    spent: Spent = Spent()
    findings: list[Finding] = field(default_factory=list[Finding])

    def record(
        self, answered: Answered | None, asking: Spent, failure: Exception | None
    ) -> Program[dict[str, Json]]:
        """The verdict on an answer, or on its failure, as plain data. Raises what a function raises."""
        if answered is None:
            reason = f"{type(failure).__name__}: {failure}"[:_SHOWN]
            model = self.tier.model
        else:
            yield from self._examine(answered)
            reason = next((one.reason for one in self.findings if not one.is_passed), "")
            model = answered.model
        record: dict[str, Json] = {
            "tier": self.number,
            "of": self.of,
            "model": model,
            "accepted": not reason,
            "reason": reason,
        }
        if self.findings:
            record["checks"] = [one.to_record() for one in self.findings]
        record["asking"] = asking.to_record()
        if self.spent.calls:
            record["checking"] = self.spent.to_record()
        return record

    def _examine(self, answered: Answered) -> Program[None]:
        tier, finish = self.tier, answered.turn.finish
        if finish in _CUT:
            self._note(Finding("finish", is_passed=False, reason=_CUT[finish]))
        for check in tier.accept:
            if self._goes_on:
                said = yield Invoke(self._called(check, answered))
                self._note(said_by(check, said))
        for measure in tier.checks:
            if self._goes_on:
                yield from self._measure(measure, answered)

    @property
    def _goes_on(self) -> bool:
        return self.is_thorough or all(one.is_passed for one in self.findings)

    def _note(self, finding: Finding, before: Spent | None = None) -> None:
        if before is not None:
            now, was = self.spent.cost, before.cost
            cost = None if now is None or was is None else (now - was).nanos
            finding = replace(finding, cost_nanos=cost)
        self.findings.append(finding)

    def _called(self, check: Check, answered: Answered) -> Callable[[], object]:
        if takes_reply(check):
            from surefoot.models.generating.generate import reply_of

            return partial(check, reply_of(answered))
        return partial(check, answered.value)

    def _measure(self, check: Confidence | Agreement | Judge, answered: Answered) -> Program[None]:
        """One of the built-in checks. A judge or a sample that cannot be had speaks against the answer."""
        before = self.spent
        try:
            match check:
                case Confidence():
                    finding = confidence_in(check, answered.turn.logprobs)
                case Agreement():
                    finding = yield from self._agree(check, answered)
                case Judge():
                    finding = yield from self._judged(check, answered)
        except (ModelError, BreakerOpen) as error:
            name = type(check).__name__.lower()
            finding = Finding(name, is_passed=False, reason=f"{name} cannot tell: {error}"[:_SHOWN])
        self._note(finding, before)

    def _agree(self, check: Agreement, answered: Answered) -> Program[Finding]:
        refuse_cold(self.tier.using, self.question.rendered.settings)
        same, agreeing, made = check.same or is_same, 1, 1
        while made < check.samples:
            is_settled = agreeing >= check.needed or agreeing + check.samples - made < check.needed
            if is_settled and not self.is_thorough:
                break
            other = yield from self._another(made)
            agreeing += bool(same(answered.value, other.value))
            made += 1
        value = agreeing / made
        if agreeing >= check.needed:
            return Finding("agreement", is_passed=True, value=value)
        said = f"{agreeing} of {made} answers agree, and {check.needed} of {check.samples} have to"
        return Finding("agreement", is_passed=False, value=value, reason=said)

    def _another(self, number: int) -> Program[Answered]:
        using = with_calls(self.tier.asked(), lambda call: sampled(call, number))
        return (yield from self._counted(self.question, using))

    def _judged(self, judge: Judge, answered: Answered) -> Program[Finding]:
        model = judge.model
        if model is None:
            function = cast("Check", judge.by)
            return judged_by(judge, (yield Invoke(self._called(function, answered))))
        said = yield from self._counted(judging(self.question, judge, answered.turn.text), model)
        return scored(judge, said.value["score"] / 10, said.value["reason"])

    def _counted(self, question: Question, using: Any) -> Program[Answered]:
        asking = self.ask(question, using)
        try:
            return (yield from asking.program())
        finally:
            self.spent += asking.spent


def judging(question: Question, judge: Judge, answer: str) -> Question:
    """What a judging model is asked about an answer."""
    messages = judge.messages(transcript(question.rendered.messages), answer)
    return replace(
        question, rendered=rendered(messages, {}), inputs={}, wanted=wanted(JUDGEMENT), form="value"
    )


def most_of_checks(question: Question, tier: Tier, ask: Ask) -> Money:
    """What the checks of a tier may cost at most: further samples, and a judge of an answer that is still to come.

    How long that is nobody knows; its bytes are set aside when it is there. Raises `UnboundedCall`.
    """
    total = 0
    if tier.agreement is not None:
        using = with_calls(tier.asked(), lambda call: sampled(call, 1))
        total += ask(question, using).worst().nanos * (tier.agreement.samples - 1)
    if tier.judge is not None and (model := tier.judge.model) is not None:
        total += ask(judging(question, tier.judge, ""), model).worst().nanos
    return Money(total)


def transcript(messages: tuple[Message, ...]) -> str:
    """A conversation as text."""
    return "\n\n".join(f"{message.role}: {message.text}" for message in messages)
