"""A prompt and its inputs to text, segments or messages; whatever goes wrong is told with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from surefoot.prompts import budget, messages, roles, segments
from surefoot.prompts.budget import Budget
from surefoot.prompts.definition import Names, Prompt
from surefoot.prompts.prepared import Prepared, prepared
from surefoot.prompts.segments import Segment
from surefoot.prompts.stamps import PLACE, Telling
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
    """
    made = _rendered(prompt, given)
    made.warn_of_blanks()
    return roles.plain(made.text, made.work.stamp, made.shown())


def messages_of(prompt: Prompt, given: Mapping[str, object]) -> list[Message]:
    """The rendered text cut into messages at its role markers. Raises `InvalidInput` or `PromptError`."""
    made = _rendered(prompt, given)
    made.warn_of_blanks()
    if prompt.model.get("api") == "completion":
        return messages.single(made.text, made.work)
    inputs = made.ready.inputs
    unplaced = [] if made.work.placed else inputs.unplaced(made.values)
    return messages.cut(prompt, made.text, made.work, warn=inputs.warn, unplaced=unplaced)


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
    """A rendering: its text with stamps, the work that it took, and the values that were put in."""

    ready: Prepared
    values: Mapping[str, object]
    work: Budget
    text: str

    def warn_of_blanks(self) -> None:
        if self.work.blank:
            self.ready.inputs.warn(*(f"{problem}, and is rendered as nothing" for problem in self.work.blank))

    def shown(self) -> list[str]:
        """What stands in a text for what is no text. Nothing reads it again, so that nobody gains by writing it."""
        if not self.work.placed:
            return []
        names = {id(value): name for name, value in self.values.items()}
        shown: list[str] = []
        for number, value in enumerate(self.work.placed):
            name = names.get(id(value), type(value).__name__.lower() + str(number + 1))
            digits = hashlib.sha256(f"{self.ready.prompt.digest}\0{name}".encode()).hexdigest()[:8]
            shown.append(f"__PROMPTY_THREAD_{digits}_{name}__")
        return shown


def _rendered(prompt: Prompt, given: Mapping[str, object], *, told: Telling | None = None) -> _Made:
    ready = prepared(prompt)
    values = ready.inputs.fitted(given)
    work, token = budget.begin()
    try:
        text = ready.render(values, told=told)
    finally:
        budget.end(token)
    return _Made(ready, values, work, text)
