"""`generate`: a prompt and a type in, a value of that type out, with tools, repairs and stand-ins on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, overload

from surefoot import scope
from surefoot.annotated import checked_parts
from surefoot.effects import Program, drive, drive_async
from surefoot.errors import UsageError
from surefoot.models.chain.endpoints import policy
from surefoot.models.fakes import Script
from surefoot.models.generating import trials
from surefoot.models.generating.addressing import in_place_of, refuse_unspeakable, target_for
from surefoot.models.generating.answering import Answered, Escalation, Question
from surefoot.models.generating.asking import Finish, Logprob
from surefoot.models.generating.choices import Fallback, Single, calls_of, settings_in
from surefoot.models.generating.conversation import Conversation, tools_in
from surefoot.models.generating.ladder import climbed
from surefoot.models.generating.making import Making
from surefoot.models.generating.prompting import Rendered, over, rendered
from surefoot.models.generating.router import Router, routed
from surefoot.models.generating.schemas import UNSAID
from surefoot.models.generating.shaping import fields_of, shaped
from surefoot.models.generating.tiers import Tiered
from surefoot.models.generating.toolbox import note_tools, toolbox_of
from surefoot.models.generating.tools import Tool
from surefoot.models.generating.using import Using, all_calls, plain_using
from surefoot.scope import Work
from surefoot.values import Json, Money, ToolCall, Usage

T = TypeVar("T")


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
    tool_calls: tuple[ToolCall, ...] = ()


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
        self, prompt: object, kind: object = UNSAID, /, *, using: Using = None, **inputs: object
    ) -> object:
        """Ask a model, and return its answer as a value of type `kind`.

        prompt: the reference of a prompt in the library (`name`, `name@version`), a `Prompty`, or messages: a list of
            `Message` or of `{"role": ..., "content": ...}`.
        kind: `str` for the text; a pydantic model, dataclass, TypedDict or other type of plain data, of which the
            model is told the JSON schema; a JSON schema as a mapping; `Message` for what the model says as it is, with
            the tools that it calls and has no function for, or its refusal; or `Reply[...]` of one of these, for usage,
            cost and log-probabilities too. By default what the prompt declares: a dict of its `outputs`, else the text;
            vectors of numbers or an `Image` where it asks for these.
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
    def sync(
        self, prompt: object, kind: object = UNSAID, /, *, using: Using = None, **inputs: object
    ) -> object:
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
    hint: object = None
    """What its answer is annotated as, or its JSON schema."""
    untrusted: str = ""
    """What of its messages is untrusted."""

    @classmethod
    def of(
        cls, prompt: object, kind: object, using: Using, inputs: Mapping[str, object], *, is_async: bool
    ) -> Request:
        """Raises what `generate` raises before a model is asked."""
        trial = trials.current()
        using = using if trial is None else trial.instead_of(using)
        is_reply = kind is Reply or get_origin(kind) is Reply
        inner = (get_args(kind) or (UNSAID,))[0] if is_reply else kind
        with scope.expecting(fields_of(inner)):
            text = rendered(prompt, inputs)
        shape, form = shaped(inner, text)
        tools = tools_in(all_calls(using))
        if text.section.api in ("embedding", "image"):
            if tools or inner is not UNSAID or is_reply:
                refuse_unspeakable(text)
        else:
            toolbox_of(tools, text, is_turn=form == "turn")
        untrusted = _untrusted_in(prompt, inputs, text)
        is_step = bool(tools) or isinstance(using, Tiered | Router)
        question = Question(
            *(text, inputs, shape, policy(), is_async, form),
            # What is a step of its own knows of what its tools have read, too.
            untrusted=None if is_step else untrusted,
        )
        is_schema = inner is UNSAID or isinstance(inner, Mapping)
        hint = cast("object", inner) if not is_schema or shape is None else shape.spec.schema
        return cls(question, using, is_reply, tools, hint, untrusted)

    def as_step(self) -> Callable[[Callable[[], Any]], Any] | None:
        """With tools, tiers or routes, what runs a body as one step of the run that is open here; else None."""
        here, question, using = scope.current(), self.question, self.using
        is_composed = isinstance(using, Tiered | Router)
        if here is None or not (self.tools or is_composed):
            return None
        for tool in self.tools.values():
            here.require_use("tool", tool.spec.name)
            if not tool.is_step:
                raise UsageError(
                    f"tool {tool.spec.name!r} is no step, so a resume would do it again: decorate it with @step"
                )
        note_tools(here, self.tools.values())
        text = question.rendered
        inputs: dict[str, object] = {
            "messages": list(text.messages),
            "calls": plain_using(using)
            if isinstance(using, Tiered | Router)
            else [settings_in(over(one, text.settings)) for one in calls_of(using)],
            "tools": sorted(self.tools),
            "answer": _plain(question),
        }
        if is_composed:
            settings = settings_in(text.settings)
            inputs |= {"settings": settings, "trial": trial.tier if (trial := trials.current()) else None}
            inputs["is_reply"] = self.is_reply
        # Pure: what it does to the world its tools do, which are steps of their own.
        work = Work("step", text.name or "generate", inputs, is_pure=True, untrusted=self.untrusted)
        return lambda body: here.perform(work, body, is_async=question.is_async)

    def program(self) -> Program[Any]:
        """Ask until there is an answer. See `generate` for what it raises."""
        if self.question.rendered.section.api in ("embedding", "image"):
            return (yield from made(self.question, self.using))
        answered = yield from answer(self.question, self.using)
        self._endorse(answered.value)
        return reply_of(answered) if self.is_reply else answered.value

    def _endorse(self, value: object) -> None:
        """Trust an answer that came of trusted messages; of any other without tools the fields that had to fit."""
        here = scope.current()
        if here is None or self.tools:
            return
        if not self.untrusted:
            here.trust(value)
        elif self.hint is not None:
            for part in checked_parts(value, self.hint):
                here.trust(part)


def _untrusted_in(prompt: object, inputs: Mapping[str, object], text: Rendered) -> str:
    """What is put into the messages that nobody vouches for: an input, or messages that were made by the code."""
    here = scope.current()
    if here is None:
        return ""
    named = text.untrusted or next(
        (name for name, value in inputs.items() if not here.is_trusted(value)), None
    )
    if named is not None:
        return f"its input {named}"
    if isinstance(prompt, str) or not isinstance(prompt, Sequence):
        return "its messages" if text.is_outside else ""
    given: object = cast("object", prompt)
    return "" if here.is_trusted(given) else "its messages"


def answer(question: Question, using: Using) -> Program[Answered]:
    """The answer to a question of whatever is to give it. Raises what `generate` raises."""
    if isinstance(using, Router):
        return (yield from routed(question, using, Conversation.of, answer))
    if isinstance(using, Tiered):
        trial = trials.current()
        only = None if trial is None else trial.tier
        return (yield from climbed(question, using, Conversation.of, only=only))
    return (yield from Conversation.of(question, using).program())


def made(question: Question, using: Using) -> Program[Any]:
    """The vectors or pictures that a prompt asks for. Raises what `generate` raises."""
    text, policy = question.rendered, question.policy
    if isinstance(using, Tiered | Router | Fallback):
        refuse_unspeakable(text)
    (given,) = calls_of(cast("Single", using))
    given, one = in_place_of(given, over(given, text.settings), policy)
    fake = using if isinstance(using, Script) else None
    target = target_for(text, given, one, policy, fake)
    making = Making(text, one, target, policy, fake)
    return (yield from (making.pictures() if text.section.api == "image" else making.vectors()))


def _plain(question: Question) -> object:
    """How the answer is wanted, as plain data."""
    if question.wanted is None:
        return "text" if question.form == "value" else question.form
    schema = question.wanted.spec.schema
    return "object" if schema is None else dict(schema)


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
        tool_calls=turn.tool_calls,
    )
