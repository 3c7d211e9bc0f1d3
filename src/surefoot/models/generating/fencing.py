"""Fences around what comes from outside in the messages of a question that no prompt has rendered."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot import scope
from surefoot.texts.fenced import Fencing, plain, refuse_in_system
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
    made = [fencing.message(one, f"message {number}", here) for number, one in enumerate(messages, start=1)]
    fencing.note(here)
    return [plain(one) for one in fencing.explained(made)]


def add_complaint(messages: list[Message], answer: str, complaint: str, *, is_trusted: bool) -> None:
    """Put an answer behind the messages, and what is wrong with it: which may quote what the model was made to say."""
    here = scope.current()
    said = Message("assistant", answer)
    if here is None or is_trusted:
        messages += [said, _corrected(complaint)]
        return
    settings = fences()
    fencing = Fencing(settings)
    quoted = fencing.around(fencing.stripped(complaint, "answer"), settings.style)
    said = fencing.message(said, "answer", None)
    fencing.note(here)
    made = [*messages, said, _corrected(quoted)]
    messages[:] = [plain(one) for one in fencing.explained(made)]


def _corrected(complaint: str) -> Message:
    return Message(
        "user",
        f"That answer does not fit the JSON schema that was asked for: {complaint}. "
        "Answer again, with the corrected JSON and nothing else.",
    )


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
