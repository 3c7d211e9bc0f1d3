"""What a fenced value looks like in a test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import cast

from surefoot.texts.fences import EXPLAINED, MARK
from surefoot.values import Message

FENCE = re.compile(r"<untrusted-([\w-]{22})>(.*?)</untrusted-\1>", re.DOTALL)


def unfenced(text: str) -> str:
    """A rendered text without fences and without what explains them."""
    for told in EXPLAINED.values():
        text = text.replace(f"\n\n{told}", "").replace(told, "")
    return FENCE.sub(r"\2", text).replace(MARK, "")


def inside(text: str) -> list[str]:
    """What stands in the fences of a text, in order."""
    return [found[2] for found in FENCE.finditer(text)]


def without_fences(messages: Iterable[Message]) -> list[tuple[str, str]]:
    """Role and bare text of each message; one that only explains fences is left out."""
    told = [(message.role, unfenced(message.text), message.text) for message in messages]
    return [(role, bare) for role, bare, text in told if bare or not text]


def texts(messages: Sequence[Message]) -> str:
    return "\n".join(message.text for message in messages)


def outside(value: object) -> object:
    """A value as it comes from outside: its texts are no literals of the test."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, dict):
        return {key: outside(one) for key, one in cast("dict[str, object]", value).items()}
    return [outside(one) for one in cast("list[object]", value)] if isinstance(value, list) else value
