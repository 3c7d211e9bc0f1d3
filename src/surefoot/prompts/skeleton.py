"""A prompt as messages with its variables left open, where its template is text and plain names alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import budget, messages
from surefoot.prompts.definition import Prompt
from surefoot.prompts.prepared import prepared
from surefoot.values import Message

_OPEN, _CLOSE = "\N{START OF GUARDED AREA}", "\N{END OF GUARDED AREA}"
_HOLE = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_NO_TEXT = frozenset({"thread", "image", "file", "audio"})


@dataclass(frozen=True, slots=True)
class Part:
    """A message: texts and the names between them in turn, beginning and ending with a text."""

    role: str
    texts: tuple[str, ...]
    names: tuple[str, ...]


def skeleton(prompt: Prompt) -> list[Part] | None:
    """The messages of a prompt with holes for its inputs, which are put in as they are.

    None where that is not all that it is: where its template branches, loops or filters, where an input is no text, or
    where a message is more than a role and a text. Raises `PromptError` for a template with a mistake.
    """
    ready = prepared(prompt)
    if not ready.is_flat or any(entry.type in _NO_TEXT for entry in prompt.inputs.values()):
        return None
    if _OPEN in prompt.template or _CLOSE in prompt.template:
        return None
    work, token = budget.begin()
    try:
        text = ready.render({name: f"{_OPEN}{name}{_CLOSE}" for name in ready.used})
        if prompt.model.get("api") == "completion":
            cut = messages.single(text, work)
        else:
            cut = messages.cut(prompt, text, work, warn=ready.inputs.warn)
    except (InvalidInput, PromptError):
        # As where a name stands for a role, or for the place of a picture.
        return None
    finally:
        budget.end(token)
    return _parts(cut)


def _parts(cut: Sequence[Message]) -> list[Part] | None:
    parts: list[Part] = []
    for message in cut:
        if not isinstance(message.content, str) or message != Message(message.role, message.content):
            return None
        pieces = _HOLE.split(message.content)
        parts.append(Part(message.role, tuple(pieces[::2]), tuple(pieces[1::2])))
    return parts
