"""A question to one model, or to those that stand in for it: turns, tools, repairs, and the value in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from surefoot import scope
from surefoot.effects import Program, Together
from surefoot.errors import (
    BreakerOpen,
    ContentRefused,
    MalformedResponse,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
    UsageError,
)
from surefoot.models.fakes import Fake, Script
from surefoot.models.generating.addressing import (
    extra_for,
    in_place_of,
    refuse_unspeakable,
    spoken_for,
    target_for,
    wire_for,
)
from surefoot.models.generating.answering import Answered, Question, Spent
from surefoot.models.generating.asked import Asked
from surefoot.models.generating.asking import Ask, Turn, Wire
from surefoot.models.generating.calling import call, worst_case
from surefoot.models.generating.choices import Call, Single, calls_of
from surefoot.models.generating.fencing import add_answer, add_said
from surefoot.models.generating.prompting import over
from surefoot.models.generating.schemas import Misfit
from surefoot.models.generating.toolbox import Toolbox, note_denied, toolbox_of
from surefoot.models.generating.tools import Tool, ToolFunction, tools_of
from surefoot.values import CallFacts, Json, Message, Money

STANDS_IN = (ModelUnavailable, ModelTimeout, RateLimited, MalformedResponse, BreakerOpen)
"""Failures of a model after which the next one of a `Fallback` is asked."""

logger = scope.logger("surefoot.models")


def tools_in(calls: Iterable[Call]) -> dict[str, Tool]:
    """The tools of calls by name, each once. Raises `UsageError`."""
    functions: list[ToolFunction] = []
    for one in calls:
        functions += [function for function in one.tools if function not in functions]
    return tools_of(functions)


@dataclass(slots=True)
class Conversation:
    """A question that is put to one model, or to those that stand in for it: from its first call to its value."""

    question: Question
    given: tuple[Call, ...]
    """The calls as the code has them, before its prompt adds to them."""
    calls: tuple[Call, ...]
    tools: Toolbox
    messages: list[Message]
    fake: Fake | None = None
    spent: Spent = Spent()
    _standing: int = 0
    """Which of the calls answers: those before have failed."""
    _failed: list[str] = field(default_factory=list[str])
    _spoken: str = ""
    """The format in which the last turn came."""

    @classmethod
    def of(cls, question: Question, using: Single | None, /) -> Conversation:
        """Raises `UsageError` for tools that are none."""
        text = question.rendered
        refuse_unspeakable(text)
        given = calls_of(using)
        calls = tuple(over(one, text.settings) for one in given)
        pairs = [in_place_of(*pair, question.policy) for pair in zip(given, calls, strict=True)]
        given, calls = tuple(one for one, _ in pairs), tuple(one for _, one in pairs)
        tools = toolbox_of(tools_in(calls), text, is_turn=question.form == "turn")
        fake = using if isinstance(using, Script) else None
        return cls(question, given, calls, tools, list(text.messages), fake)

    def worst(self) -> Money:
        """What the first call may cost at most; nothing where no budget is about it. Raises `UnboundedCall`."""
        return worst_case(self._request(0, is_first=True), self.question.policy)

    def program(self) -> Program[Answered]:
        """Ask until there is an answer. See `generate` for what it raises."""
        wanted = self.question.wanted
        repairs = self.calls[0].repairs
        for number in range(self.calls[0].max_turns):
            turn, facts = yield from self._asked(is_first=number == 0)
            if turn.tool_calls and self.tools.answers(turn.tool_calls):
                yield from self._call_tools(turn)
                continue
            for asked in turn.tool_calls if self.question.form == "value" else ():
                if asked.name not in self.tools.tools:
                    note_denied(asked)
            if self.question.form == "turn":
                return self._answered(self._message_of(turn), turn, facts)
            refused = turn.refusal or ("a content filter stopped it" if turn.finish == "filter" else "")
            if refused and not (turn.text and wanted is None):
                raise ContentRefused(f"{facts.provider}:{facts.served_model} refused to answer: {refused}")
            try:
                value = self._value_of(turn)
            except Misfit as misfit:
                where = f"{facts.provider}:{facts.served_model}"
                if turn.finish == "length":
                    raise MalformedResponse(
                        f"{where} was cut off at its limit of tokens before its answer was whole: raise max_tokens"
                    ) from misfit
                if repairs == 0:
                    raise MalformedResponse(
                        f"{where} gave an answer that does not fit what was asked for: {misfit}"
                    ) from misfit
                repairs -= 1
                self._send_back(turn, misfit)
                continue
            return self._answered(value, turn, facts)
        raise ModelError(
            f"{self.calls[self._standing].model} was asked {self.calls[0].max_turns} times and still wants tools or is "
            "being corrected: raise max_turns, or look at what its tools answer"
        )

    def _answered(self, value: object, turn: Turn, facts: CallFacts) -> Answered:
        return Answered(value, turn, facts, self.spent, is_degraded=self._standing > 0)

    def _value_of(self, turn: Turn) -> object:
        """What was asked for, as the turn has it. Raises `Misfit`."""
        if self.question.form == "whole":
            return turn.whole
        return turn.text if self.question.wanted is None else self.question.wanted.parse(turn.text)

    def _message_of(self, turn: Turn) -> Message:
        """The turn as a message; what the model refused with is what it said."""
        said = turn.text or turn.refusal
        return Message("assistant", said, turn.tool_calls, native=turn.native, native_to=self._spoken)

    def _asked(self, *, is_first: bool) -> Program[tuple[Turn, CallFacts]]:
        """The next turn, of the first model that gives one."""
        while True:
            one = self.calls[self._standing]
            is_last = self._standing == len(self.calls) - 1
            try:
                asked = self._request(self._standing, is_first=is_first)
                turn, facts = yield from call(asked, self.question.policy)
            except STANDS_IN as error:
                if is_last:
                    self._tell(error)
                    raise
                self._failed.append(f"{one.model} was asked before, and failed: {error}")
                follower = self.calls[self._standing + 1]
                logger.warning("%s cannot answer, %s is asked: %s", one.model, follower.model, error)
                self._standing += 1
                # What only the one before understands is not given to the next.
                self.messages = [replace(message, native=None, native_to="") for message in self.messages]
            except UsageError as error:
                self._tell(error)
                raise
            else:
                self._spoken = asked.operation
                self.spent += Spent(facts.usage, facts.cost, 1)
                return turn, facts

    def _tell(self, error: Exception) -> None:
        """Let an error say why it came to the model that it is about."""
        for note in self._failed:
            error.add_note(note)

    def _request(self, number: int, *, is_first: bool) -> Asked[Turn]:
        """The request of one of the calls."""
        question, text = self.question, self.question.rendered
        given, one = self.given[number], self.calls[number]
        target = target_for(text, given, one, question.policy, self.fake)
        wire = wire_for(text, given, target)
        one = spoken_for(text, given, one, wire)
        # A tool that has to be called is called first, and not again and again.
        choice = one.tool_choice if is_first or one.tool_choice in ("auto", "none") else "auto"
        ask = Ask(
            model=target.model,
            messages=tuple(self.messages),
            tools=self.tools.specs,
            tool_choice=choice,
            output=None if question.wanted is None else question.wanted.spec,
            temperature=one.temperature,
            top_p=one.top_p,
            max_tokens=one.max_tokens,
            stop=tuple(one.stop or ()),
            seed=one.seed,
            reasoning_effort=one.reasoning_effort,
            top_logprobs=one.logprobs,
            top_k=one.top_k,
            frequency_penalty=one.frequency_penalty,
            presence_penalty=one.presence_penalty,
            parallel_tools=one.parallel_tools,
            is_stream=one.stream is not None or text.section.is_stream,
            extra=extra_for(text, one, wire),
        )
        read = partial(_whole, wire) if question.form == "whole" else wire.read
        return Asked(
            wire.operation,
            target,
            wire.path(ask),
            wire.body(ask),
            read,
            wire.listen if ask.is_stream else None,
            hear=one.stream,
            seconds=one.timeout,
            is_degraded=self._standing > 0,
            prompt=text.ref,
            fake=self.fake,
            cache=one.cache,
            ladder=question.reserve,
            untrusted=question.untrusted,
        )

    def _call_tools(self, turn: Turn) -> Program[None]:
        """Do what the model asks for, side by side, and put the answers behind its message."""
        said = Message("assistant", turn.text, turn.tool_calls, native=turn.native, native_to=self._spoken)
        add_said(self.messages, said)
        prepared = [self.tools.prepared(one) for one in turn.tool_calls]
        results = iter(
            cast("list[object]", (yield Together([work for work in prepared if not isinstance(work, str)])))
        )
        for asked, work in zip(turn.tool_calls, prepared, strict=True):
            result = work if isinstance(work, str) else next(results)
            answer = Message("tool", _said(result), tool_call_id=asked.id, name=asked.name)
            add_answer(self.messages, answer, result)

    def _send_back(self, turn: Turn, misfit: Misfit) -> None:
        add_said(self.messages, Message("assistant", turn.text), misfit=str(misfit))


def _whole(wire: Wire, body: Mapping[str, Json]) -> Turn:
    """What a buffered answer says, with the answer itself."""
    return replace(wire.read(body), whole=dict(body))


def _said(result: object) -> str:
    """A tool's result as a model reads it: a text as it is, other data as JSON."""
    if isinstance(result, str):
        return result
    if result is None:
        return "done"
    from pydantic_core import to_json

    return to_json(result, fallback=repr).decode()
