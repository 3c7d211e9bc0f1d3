"""A prompt and its inputs to text, segments or messages; whatever goes wrong is told with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from surefoot.prompts import budget, messages, roles, segments
from surefoot.prompts.budget import Budget
from surefoot.prompts.definition import Prompt
from surefoot.prompts.prepared import Prepared, prepared
from surefoot.prompts.segments import Segment
from surefoot.prompts.stamps import PLACE
from surefoot.prompts.threads import Thread
from surefoot.values import Message


def check(prompt: Prompt) -> None:
    """Parse the template. Raises `PromptError` with the line of the mistake."""
    prepared(prompt)


def names_of(prompt: Prompt) -> frozenset[str]:
    """The names that the template takes from its inputs. Raises `PromptError`."""
    return prepared(prompt).used


def values_of(prompt: Prompt, given: Mapping[str, object]) -> dict[str, object]:
    """The inputs as the template gets them, with the defaults of those that are not given. Raises `InvalidInput`."""
    return prepared(prompt).inputs.fitted(given)


def names(prompt: Prompt) -> tuple[frozenset[str], frozenset[str]]:
    """The names that the template uses, and those that every rendering comes by. Raises `PromptError`."""
    ready = prepared(prompt)
    return ready.used, ready.awaited


def text_of(prompt: Prompt, given: Mapping[str, object]) -> str:
    """The rendered text, role markers as they stand. Raises `InvalidInput` or `PromptError`.

    What is no text stands there as `__PROMPTY_THREAD_<8 digits>_<name>__`, the same for the same prompt and input.
    """
    ready = prepared(prompt)
    values = ready.inputs.fitted(given)
    work, token = budget.begin()
    try:
        rendered = ready.render(values)
    finally:
        budget.end(token)
    _warn_of_blanks(ready, work)
    return roles.plain(rendered, work.stamp, _shown(prompt, work, values))


def messages_of(prompt: Prompt, given: Mapping[str, object]) -> list[Message]:
    """The rendered text cut into messages at its role markers. Raises `InvalidInput` or `PromptError`."""
    ready = prepared(prompt)
    values = ready.inputs.fitted(given)
    work, token = budget.begin()
    try:
        rendered = ready.render(values)
    finally:
        budget.end(token)
    _warn_of_blanks(ready, work)
    if prompt.model.get("api") == "completion":
        return messages.single(rendered, work)
    unplaced = [] if work.placed else ready.inputs.unplaced(values)
    return messages.cut(prompt, rendered, work, warn=ready.inputs.warn, unplaced=unplaced)


def segments_of(prompt: Prompt, given: Mapping[str, object]) -> list[Segment]:
    """The rendered text in order, each stretch with the input that it came of. Raises `InvalidInput` or `PromptError`.

    The texts joined are those of `text_of`, but for a template that measures or takes apart what a macro gave.
    """
    ready = prepared(prompt)
    values = ready.inputs.fitted(given)
    work, token = budget.begin()
    try:
        rendered = ready.render(values, is_sourced=True)
    finally:
        budget.end(token)
    runs = roles.tagged(rendered, work.stamp, _shown(prompt, work, values))
    return segments.segments(runs, work.sources, prompt.inputs, is_strict=prompt.is_strict)


def parsed(prompt: Prompt, text: str) -> list[Message]:
    """The messages of a text that is all the team's own, by the markers of the prompt's dialect; nothing is rendered.

    Raises `InvalidInput` or `PromptError`.
    """
    ready, work = prepared(prompt), Budget()
    stamped = roles.stamped(replace(prompt, template=text)).replace(PLACE, work.stamp)
    return messages.cut(prompt, stamped, work, warn=ready.inputs.warn)


def _warn_of_blanks(ready: Prepared, work: Budget) -> None:
    if work.blank:
        ready.inputs.warn(*(f"{problem}, and is rendered as nothing" for problem in work.blank))


def _shown(prompt: Prompt, work: Budget, values: Mapping[str, object]) -> list[str]:
    """What stands in a text for what is no text. Nothing reads it again, so that nobody gains by writing it."""
    if not work.placed:
        return []
    names = {id(value): name for name, value in values.items()}
    shown: list[str] = []
    for number, value in enumerate(work.placed):
        name = names.get(id(value), type(value).__name__.lower() + str(number + 1))
        digits = hashlib.sha256(f"{prompt.digest}\0{name}".encode()).hexdigest()[:8]
        shown.append(f"__PROMPTY_THREAD_{digits}_{name}__")
    return shown


__all__ = [
    "Segment",
    "Thread",
    "check",
    "messages_of",
    "names_of",
    "parsed",
    "segments_of",
    "text_of",
    "values_of",
]
