"""A prompt and its inputs to text, segments or messages; whatever goes wrong is told with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.prompts import budget, canary, messages, roles, segments
from surefoot.prompts.budget import Budget
from surefoot.prompts.definition import Names, Prompt
from surefoot.prompts.fencing import Pass, Plan, finished, plan_of
from surefoot.prompts.prepared import Prepared, prepared
from surefoot.prompts.segments import Segment
from surefoot.prompts.stamps import PLACE, Telling
from surefoot.prompts.threads import Thread
from surefoot.texts.fenced import SYSTEM, instructed
from surefoot.texts.fences import Fenced, explanation, fences
from surefoot.values import Message


def check(prompt: Prompt) -> None:
    """Parse the template. Raises `PromptError` with the line of the mistake."""
    prepared(prompt)


def names_of(prompt: Prompt) -> Names:
    """The names that the template takes from its inputs. Raises `PromptError`."""
    ready = prepared(prompt)
    return Names(ready.used, ready.awaited)


def values_of(prompt: Prompt, given: Mapping[str, object]) -> dict[str, object]:
    """The inputs as the template gets them, with the defaults of those that are not given. Raises `InvalidInput`."""
    return prepared(prompt).inputs.fitted(given)


def text_of(prompt: Prompt, given: Mapping[str, object]) -> str:
    """The rendered text, role markers as they stand. Raises `InvalidInput` or `PromptError`.

    What is no text stands there as `__PROMPTY_THREAD_<8 digits>_<name>__`, the same for the same prompt and input.
    Inputs that the prompt declares as untrusted stand in fences.
    """
    made = _rendered(prompt, given, is_fenced="declared")
    made.warn_of_blanks()
    if (plan := made.plan) is None:
        return roles.plain(made.text, made.work.stamp, made.shown())
    _check_roles(made, plan)
    text = _fenced_text(made, plan, made.text)
    told = explanation(tuple(plan.fencing.styles))
    if told:
        text = _fenced_text(made, plan, roles.instructed(made.text, made.work.stamp, told))
    plan.fencing.note(scope.current())
    return text


def messages_of(prompt: Prompt, given: Mapping[str, object]) -> list[Message]:
    """The rendered text cut into messages at its role markers. Raises `InvalidInput` or `PromptError`.

    Inputs that the prompt declares as untrusted stand in fences, and in an open run all that it does not trust.
    """
    here = scope.current()
    made = _rendered(prompt, given, is_fenced="declared" if here is None else "all")
    made.warn_of_blanks()
    plan, inputs = made.plan, made.ready.inputs
    through = None if plan is None else Pass(plan, made.work, is_marked=True)
    unplaced: list[Thread] = [] if made.work.placed else inputs.unplaced(made.values)
    if plan is not None:
        made.work.placed = [made.thread(value, plan) for value in made.work.placed]
        unplaced = [cast("Thread", made.thread(value, plan)) for value in unplaced]
    if is_single := prompt.model.get("api") == "completion":
        cut = messages.single(made.text, made.work, through)
    else:
        cut = messages.cut(prompt, made.text, made.work, warn=inputs.warn, unplaced=unplaced, fences=through)
    if plan is not None or here is not None:
        cut = finished(cut, made.work)
    if here is not None and fences().has_canaries:
        cut = _with_canary(cut, canary.canary_of(prompt))
    if plan is None:
        return cut
    plan.fencing.note(here)
    told = explanation(tuple(plan.fencing.styles))
    if is_single and told:
        # A completion takes one text, and no system message.
        return [_headed(message, told) for message in cut]
    return instructed(cut, told)


def segments_of(prompt: Prompt, given: Mapping[str, object]) -> list[Segment]:
    """The rendered text in order, each stretch with the input that it came of. Raises `InvalidInput` or `PromptError`.

    The texts joined are those of `text_of`, but for a template that measures or takes apart what a macro gave.
    """
    made = _rendered(prompt, given, told="sources")
    runs = roles.tagged(made.text, made.work.stamp, made.shown())
    return segments.segments(runs, made.work.sources, prompt.inputs, is_strict=prompt.is_strict)


def parsed(prompt: Prompt, text: str) -> list[Message]:
    """The messages of a text that is all the team's own, by the markers of the prompt's dialect; nothing is rendered.

    Raises `InvalidInput` or `PromptError`.
    """
    ready, work = prepared(prompt), Budget()
    stamped = roles.stamped(replace(prompt, template=text)).replace(PLACE, work.stamp)
    return messages.cut(prompt, stamped, work, warn=ready.inputs.warn)


@dataclass(frozen=True, slots=True)
class _Made:
    """A rendering: its text with stamps, the work that it took, the values that were put in, and what is fenced."""

    ready: Prepared
    values: Mapping[str, object]
    work: Budget
    text: str
    plan: Plan | None = None

    def warn_of_blanks(self) -> None:
        if self.work.blank:
            self.ready.inputs.warn(*(f"{problem}, and is rendered as nothing" for problem in self.work.blank))

    def name_of(self, value: object) -> str:
        """The name of an input; the empty text for another value."""
        return next((name for name, given in self.values.items() if given is value), "")

    def thread(self, value: object, plan: Plan) -> object:
        """A conversation that comes from outside, with fences; other values as they are."""
        if not isinstance(value, Thread):
            return value
        name = self.name_of(value)
        # What is none of the inputs was made of them.
        style = plan.style_of((name,) if name else tuple(plan.styles))
        return value if style is None else plan.thread(value, name, style)

    def shown(self) -> list[str]:
        """What stands in a text for what is no text. Nothing reads it again, so that nobody gains by writing it."""
        shown: list[str] = []
        for number, value in enumerate(self.work.placed):
            name = self.name_of(value) or type(value).__name__.lower() + str(number + 1)
            digits = hashlib.sha256(f"{self.ready.prompt.digest}\0{name}".encode()).hexdigest()[:8]
            shown.append(f"__PROMPTY_THREAD_{digits}_{name}__")
        return shown


def _rendered(
    prompt: Prompt,
    given: Mapping[str, object],
    *,
    told: Telling | None = None,
    is_fenced: Literal["declared", "all"] | None = None,
) -> _Made:
    ready = prepared(prompt)
    values = ready.inputs.fitted(given)
    if ready.has_canary:
        values.setdefault(canary.NAME, canary.canary_of(prompt))
    plan = None
    if is_fenced == "all" or (is_fenced == "declared" and ready.has_untrusted):
        plan = plan_of(prompt, given, values, here=scope.current() if is_fenced == "all" else None)
    if plan is not None:
        told = "fences"
    work, token = budget.begin()
    try:
        text = ready.render(values, told=told)
    finally:
        budget.end(token)
    return _Made(ready, values, work, text, plan)


def _check_roles(made: _Made, plan: Plan) -> None:
    """Raise `InvalidInput` where what comes from outside stands in a system message."""
    prompt = made.ready.prompt
    if prompt.dialect == "short" or prompt.model.get("api") == "completion":
        return
    try:
        parts = roles.split(made.text, made.work.stamp)
    except roles.RoleError as error:
        raise InvalidInput(f"prompt {prompt.label} cannot be rendered: {error}") from None
    checking = Pass(plan, made.work, is_marked=False)
    for part in parts:
        checking.part(part, part.role or "system")
    plan.fencing.removed.clear()


def _fenced_text(made: _Made, plan: Plan, rendered: str) -> str:
    runs = roles.tagged(rendered, made.work.stamp, made.shown())
    return "".join(str(run) for run, _ in Pass(plan, made.work, is_marked=False).runs(runs, ""))


def _with_canary(cut: Sequence[Message], token: str) -> list[Message]:
    """The messages with a canary in the first one of the system; without such a one there is nothing to give away."""
    if not any(message.role in SYSTEM for message in cut) or any(token in message.text for message in cut):
        return [*cut]
    return instructed(cut, canary.line_of(token))


def _headed(message: Message, text: str) -> Message:
    content = message.content
    if isinstance(content, Fenced):
        before = len(text) + 2
        stretches = [(begin + before, end + before) for begin, end in content.stretches]
        return replace(message, content=Fenced(f"{text}\n\n{content}", stretches))
    return replace(message, content=(Fenced(text), *content))
