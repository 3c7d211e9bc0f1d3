"""`generate`: a prompt and a type in, a value of that type out, with tools, repairs and stand-ins on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, overload

from surefoot import scope
from surefoot.effects import Program, Together, drive, drive_async
from surefoot.errors import (
    BreakerOpen,
    ConfigError,
    ContentRefused,
    MalformedResponse,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
    UsageError,
)
from surefoot.models import fakes
from surefoot.models.chain.connections import SCRIPTED, unnamed
from surefoot.models.chain.endpoints import policy
from surefoot.models.fakes import Fake, Script
from surefoot.models.generating import trials
from surefoot.models.generating.answering import Answered, Escalation, Question, Spent
from surefoot.models.generating.asking import Ask, Finish, Logprob, Turn
from surefoot.models.generating.calling import Asked, call, worst_case
from surefoot.models.generating.choices import Call, Single, calls_of, settings_in
from surefoot.models.generating.ladder import climbed
from surefoot.models.generating.prompting import over, rendered
from surefoot.models.generating.router import Router, routed
from surefoot.models.generating.schemas import Misfit, wanted
from surefoot.models.generating.tiers import Tiered
from surefoot.models.generating.tools import Tool, ToolFunction, tools_of
from surefoot.models.generating.using import Using, all_calls, plain_using
from surefoot.models.wires import wire_of
from surefoot.scope import Work
from surefoot.values import CallFacts, Json, Message, Money, ToolCall, Usage

T = TypeVar("T")

STANDS_IN = (ModelUnavailable, ModelTimeout, RateLimited, MalformedResponse, BreakerOpen)
"""Failures of a model after which the next one of a `Fallback` is asked."""

logger = scope.logger("surefoot.models")


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """An answer and what is known of it: `generate(prompt, Reply[Summary])`.

    `usage`, `cost` and `calls` are those of all calls that it took; `cost` is None where the price of one is not known.
    `model`, `finish`, `reasoning` and `logprobs` are of the last one. `is_degraded`: a stand-in answered.

    Of a `Tiered`: which `tier` answered (1, 2, ...; 0 where there are none), `escalations` why those before it did not,
    and `is_accepted` whether its checks take the answer, which of the last tier is taken even if they do not. Of a
    `Router`: the `route` that was taken.
    """

    value: T
    text: str
    model: str
    provider: str
    finish: Finish
    usage: Usage
    cost: Money | None
    calls: int
    is_degraded: bool = False
    reasoning: str = ""
    logprobs: tuple[Logprob, ...] = field(default=(), repr=False)
    tier: int = 0
    is_accepted: bool = True
    escalations: tuple[Escalation, ...] = ()
    route: str = ""


class Generate:
    """See `generate`."""

    def __init__(self) -> None:
        # To whoever looks at it, it is a function.
        self.__name__ = self.__qualname__ = "generate"

    @overload
    async def __call__(self, prompt: object, /, *, using: Using = None, **inputs: object) -> str: ...
    @overload
    async def __call__(
        self, prompt: object, kind: type[T], /, *, using: Using = None, **inputs: object
    ) -> T: ...
    @overload
    async def __call__(
        self, prompt: object, kind: Mapping[str, Json], /, *, using: Using = None, **inputs: object
    ) -> Json: ...
    @overload
    async def __call__(
        self, prompt: object, kind: object, /, *, using: Using = None, **inputs: object
    ) -> object: ...
    async def __call__(
        self, prompt: object, kind: object = str, /, *, using: Using = None, **inputs: object
    ) -> object:
        """Ask a model, and return its answer as a value of type `kind`.

        prompt: the reference of a prompt in the library (`name`, `name@version`), a `Prompty`, or messages: a list of
            `Message` or of `{"role": ..., "content": ...}`.
        kind: `str` for the text; a pydantic model, dataclass, TypedDict or other type of plain data, of which the
            model is told the JSON schema; a JSON schema as a mapping; or `Reply[...]` of one of these, for usage, cost
            and log-probabilities too.
        using: a model reference, a `Call` with settings and tools, a `Fallback` over several, a `Tiered` ladder of
            cheap and strong ones, a `Router` between them, or a script.
        inputs: what the prompt takes.

        Inside a run each call is recorded, and not made again by a resume; with tools, tiers or routes the whole is one
        step of the run, of which each turn, each call of a tool and each verdict on a tier is a part. Outside of runs
        nothing is recorded.

        Raises `ModelError` (`RateLimited`, `ModelTimeout`, `ModelUnavailable`, `MalformedResponse`), `UnknownModel`,
        `UnknownPrompt`, `InvalidInput`, `UsageError`, and what a tool raises; before anything is sent `BudgetExceeded`,
        `UnboundedCall`, `Throttled` and `BreakerOpen`, where limits are set.
        """
        asked = Request.of(prompt, kind, using, inputs, is_async=True)
        inside = asked.as_step()
        if inside is None:
            return await drive_async(asked.program())
        return await inside(lambda: drive_async(asked.program()))

    @overload
    def sync(self, prompt: object, /, *, using: Using = None, **inputs: object) -> str: ...
    @overload
    def sync(self, prompt: object, kind: type[T], /, *, using: Using = None, **inputs: object) -> T: ...
    @overload
    def sync(
        self, prompt: object, kind: Mapping[str, Json], /, *, using: Using = None, **inputs: object
    ) -> Json: ...
    @overload
    def sync(self, prompt: object, kind: object, /, *, using: Using = None, **inputs: object) -> object: ...
    def sync(self, prompt: object, kind: object = str, /, *, using: Using = None, **inputs: object) -> object:
        """`generate` for blocking code: the same, and it returns the answer itself."""
        asked = Request.of(prompt, kind, using, inputs, is_async=False)
        inside = asked.as_step()
        if inside is None:
            return drive(asked.program())
        return inside(lambda: drive(asked.program()))

    def __repr__(self) -> str:
        return "<function surefoot.generate>"


generate = Generate()


@dataclass(frozen=True, slots=True)
class Request:
    """One `generate`: a question, who is to answer it, and how the answer is wanted."""

    question: Question
    using: Using
    is_reply: bool
    tools: Mapping[str, Tool]

    @classmethod
    def of(
        cls, prompt: object, kind: object, using: Using, inputs: Mapping[str, object], *, is_async: bool
    ) -> Request:
        """Raises what `generate` raises before a model is asked."""
        trial = trials.current()
        using = using if trial is None else trial.instead_of(using)
        is_reply = kind is Reply or get_origin(kind) is Reply
        inner = (get_args(kind) or (str,))[0] if is_reply else kind
        kind_of_answer = wanted(inner)
        with scope.expecting(None if kind_of_answer is None else kind_of_answer.fields):
            text = rendered(prompt, inputs)
        question = Question(text, inputs, kind_of_answer, policy(), is_async)
        return cls(question, using, is_reply, tools_in(all_calls(using)))

    def as_step(self) -> Callable[[Callable[[], Any]], Any] | None:
        """With tools, tiers or routes, what runs a body as one step of the run that is open here; else None."""
        here, question, using = scope.current(), self.question, self.using
        is_composed = isinstance(using, Tiered | Router)
        if here is None or not (self.tools or is_composed):
            return None
        for tool in self.tools.values():
            if not tool.is_step:
                raise UsageError(
                    f"tool {tool.spec.name!r} is no step, so a resume would do it again: decorate it with @step"
                )
        text = question.rendered
        inputs: dict[str, object] = {
            "messages": list(text.messages),
            "calls": plain_using(using)
            if isinstance(using, Tiered | Router)
            else [settings_in(over(one, text.settings)) for one in calls_of(using)],
            "tools": sorted(self.tools),
            "answer": "text" if question.wanted is None else dict(question.wanted.spec.schema or {}),
        }
        if is_composed:
            settings = settings_in(text.settings)
            inputs |= {"settings": settings, "trial": trial.tier if (trial := trials.current()) else None}
            inputs["is_reply"] = self.is_reply
        # Pure: what it does to the world its tools do, which are steps of their own.
        work = Work("step", text.name or "generate", inputs, is_pure=True)
        return lambda body: here.perform(work, body, is_async=question.is_async)

    def program(self) -> Program[Any]:
        """Ask until there is an answer. See `generate` for what it raises."""
        answered = yield from answer(self.question, self.using)
        return reply_of(answered) if self.is_reply else answered.value


def answer(question: Question, using: Using) -> Program[Answered]:
    """The answer to a question of whatever is to give it. Raises what `generate` raises."""
    if isinstance(using, Router):
        return (yield from routed(question, using, Conversation.of, answer))
    if isinstance(using, Tiered):
        trial = trials.current()
        only = None if trial is None else trial.tier
        return (yield from climbed(question, using, Conversation.of, only=only))
    return (yield from Conversation.of(question, using).program())


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
    calls: tuple[Call, ...]
    tools: Mapping[str, Tool]
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
        calls = tuple(over(one, text.settings) for one in calls_of(using))
        fake = using if isinstance(using, Script) else None
        return cls(question, calls, tools_in(calls), list(text.messages), fake)

    def worst(self) -> Money:
        """What the first call may cost at most; nothing where no budget is about it. Raises `UnboundedCall`."""
        return worst_case(self._request(self.calls[0], is_first=True), self.question.policy)

    def program(self) -> Program[Answered]:
        """Ask until there is an answer. See `generate` for what it raises."""
        wanted = self.question.wanted
        repairs = self.calls[0].repairs
        for number in range(self.calls[0].max_turns):
            turn, facts = yield from self._asked(is_first=number == 0)
            if turn.tool_calls and self.tools:
                yield from self._call_tools(turn)
                continue
            refused = turn.refusal or ("a content filter stopped it" if turn.finish == "filter" else "")
            if refused and not (turn.text and wanted is None):
                raise ContentRefused(f"{facts.provider}:{facts.served_model} refused to answer: {refused}")
            try:
                value = turn.text if wanted is None else wanted.parse(turn.text)
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
            return Answered(value, turn, facts, self.spent, is_degraded=self._standing > 0)
        raise ModelError(
            f"{self.calls[self._standing].model} was asked {self.calls[0].max_turns} times and still wants tools or is "
            "being corrected: raise max_turns, or look at what its tools answer"
        )

    def _asked(self, *, is_first: bool) -> Program[tuple[Turn, CallFacts]]:
        """The next turn, of the first model that gives one."""
        while True:
            one = self.calls[self._standing]
            is_last = self._standing == len(self.calls) - 1
            try:
                asked = self._request(one, is_first=is_first)
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

    def _request(self, one: Call, *, is_first: bool) -> Asked[Turn]:
        wanted = self.question.wanted
        reference = one.model or self.question.policy.default
        if not reference and (self.fake or fakes.current()) is not None:
            reference = SCRIPTED
        if not reference:
            raise ConfigError(
                "no model is named: give using='openai:gpt-4o', a model in the prompt's file, or `default` in [models]"
            )
        with nullcontext() if self.fake is None else fakes.standing_in(self.fake):
            target = unnamed() if reference == SCRIPTED else self.question.policy.target(reference)
        # A tool that has to be called is called first, and not again and again.
        choice = one.tool_choice if is_first or one.tool_choice in ("auto", "none") else "auto"
        ask = Ask(
            model=target.model,
            messages=tuple(self.messages),
            tools=tuple(tool.spec for tool in self.tools.values()),
            tool_choice=choice,
            output=None if wanted is None else wanted.spec,
            temperature=one.temperature,
            top_p=one.top_p,
            max_tokens=one.max_tokens,
            stop=tuple(one.stop or ()),
            seed=one.seed,
            reasoning_effort=one.reasoning_effort,
            top_logprobs=one.logprobs,
            is_stream=one.stream is not None,
            extra=one.extra,
        )
        wire = wire_of(target.wire, target.provider)
        return Asked(
            wire.operation,
            target,
            wire.path(ask),
            wire.body(ask),
            wire.read,
            wire.listen if ask.is_stream else None,
            hear=one.stream,
            seconds=one.timeout,
            is_degraded=self._standing > 0,
            prompt=self.question.rendered.ref,
            fake=self.fake,
            cache=one.cache,
            ladder=self.question.reserve,
        )

    def _call_tools(self, turn: Turn) -> Program[None]:
        """Do what the model asks for, side by side, and put the answers behind its message."""
        self.messages.append(
            Message("assistant", turn.text, turn.tool_calls, native=turn.native, native_to=self._spoken)
        )
        prepared: list[Callable[[], object] | str] = [self._prepared(one) for one in turn.tool_calls]
        results = iter(
            cast("list[object]", (yield Together([work for work in prepared if not isinstance(work, str)])))
        )
        for asked, work in zip(turn.tool_calls, prepared, strict=True):
            said = work if isinstance(work, str) else _said(next(results))
            self.messages.append(Message("tool", said, tool_call_id=asked.id, name=asked.name))

    def _prepared(self, asked: ToolCall) -> Callable[[], object] | str:
        """The call of a tool, or what the model is told where that cannot be made."""
        tool = self.tools.get(asked.name)
        if tool is None:
            return f"There is no tool {asked.name!r}. There are: {', '.join(self.tools)}."
        try:
            given = tool.arguments(asked.arguments)
        except Misfit as misfit:
            return f"The arguments do not fit: {misfit}. Call the tool again with arguments that do."
        return lambda: tool.function(**given)

    def _send_back(self, turn: Turn, misfit: Misfit) -> None:
        self.messages.append(Message("assistant", turn.text))
        self.messages.append(
            Message(
                "user",
                f"That answer does not fit the JSON schema that was asked for: {misfit}. "
                "Answer again, with the corrected JSON and nothing else.",
            )
        )


def reply_of(answered: Answered) -> Reply[Any]:
    """An answer with what is known of it."""
    turn, facts, spent = answered.turn, answered.facts, answered.spent
    return Reply(
        answered.value,
        turn.text,
        facts.served_model,
        facts.provider,
        turn.finish,
        spent.usage,
        spent.cost,
        spent.calls,
        is_degraded=answered.is_degraded,
        reasoning=turn.reasoning,
        logprobs=turn.logprobs,
        tier=answered.tier,
        is_accepted=answered.is_accepted,
        escalations=answered.escalations,
        route=answered.route,
    )


def _said(result: object) -> str:
    """A tool's result as a model reads it: a text as it is, other data as JSON."""
    if isinstance(result, str):
        return result
    if result is None:
        return "done"
    from pydantic_core import to_json

    return to_json(result, fallback=repr).decode()
