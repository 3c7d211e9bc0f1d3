"""Fences around what comes from outside in the messages of a question that no prompt has rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from surefoot import scope
from surefoot.scope import Scope
from surefoot.texts.fenced import Fencing, is_vouched, plain, refuse_in_system
from surefoot.texts.fences import fences
from surefoot.values import Message


def fenced(messages: Sequence[Message]) -> list[Message]:
    """The messages as they are asked with in the open run: what it does not trust in them is fenced.

    Outside of runs, and what a prompt has rendered in one, they are as they were given. Raises `InvalidInput` for a
    message of the system that is not trusted.
    """
    here = scope.current()
    if here is None:
        return [plain(one) for one in messages]
    settings = fences()
    refuse_in_system(messages, settings, here)
    fencing = Fencing(settings)
    made = [
        fencing.message(_spoken(one, here), f"message {number}", here)
        for number, one in enumerate(messages, start=1)
    ]
    fencing.note(here)
    return [plain(one) for one in fencing.explained(made)]


def _spoken(message: Message, here: Scope) -> Message:
    """The message without a form that nobody has looked at: its provider would be given that in its place."""
    if message.native is None or here.is_trusted(message) or here.is_trusted(message.native):
        return message
    return replace(message, native=None, native_to="")


def fenced_by_prompt(messages: Sequence[Message]) -> tuple[list[Message], bool]:
    """The messages that a prompt has made, and whether something in them comes from outside.

    What it has not rendered by the means of a prompt file (an object of the code may be a prompt, too) is fenced as
    any message is. Outside of runs they are as they were made, and nothing is known of them. Raises `InvalidInput` as
    `fenced` does.
    """
    here = scope.current()
    if here is None:
        return [plain(one) for one in messages], False
    return fenced(messages), not is_vouched(messages, here)


def add_said(messages: list[Message], said: Message, *, misfit: str = "") -> None:
    """Put what the model has said behind the messages, stripped where the open run does not trust it.

    misfit: how it does not fit what was asked for, which the model is told of. It quotes what was said: fenced, then.
    """
    here = scope.current()
    asked = "That answer does not fit the JSON schema that was asked for: {}. "
    asked += "Answer again, with the corrected JSON and nothing else."
    if here is None or here.is_trusted(said.content):
        messages += [said, *([Message("user", asked.format(misfit))] if misfit else [])]
        return
    fencing = Fencing(fences())
    made = [*messages, fencing.message(said, "an answer", None)]
    if misfit:
        why = fencing.around(fencing.stripped(misfit, "an answer"), fencing.fences.style)
        made.append(Message("user", asked.format(why)))
    fencing.note(here)
    messages[:] = [plain(one) for one in fencing.explained(made)]


def add_answer(messages: list[Message], answer: Message, result: object) -> None:
    """Put the answer of a tool behind the messages, fenced where the open run does not trust its result."""
    here = scope.current()
    if here is None or here.is_trusted(result):
        messages.append(answer)
        return
    fencing = Fencing(fences())
    made = fencing.message(answer, f"answer of {answer.name}", None)
    fencing.note(here)
    messages[:] = [plain(one) for one in fencing.explained([*messages, made])]
