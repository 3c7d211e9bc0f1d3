"""The operation `parse` of the Prompty project: rendered text to messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fixtures import Fixtures
from judge_render import prompt_of
from surefoot.prompts import Property, rendering
from surefoot.values import Audio, File, Image, Message

_PLACE = re.compile(r"__PROMPTY_THREAD_[a-f0-9]+_(\w+?)__")


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with the messages that we make, or None."""
    given, expected = vector["input"], vector["expected"]
    threads = given.get("thread_inputs", {})
    if threads:
        # Our places for threads cannot be written by hand, so the text is a template again.
        prompt = prompt_of(
            _PLACE.sub(r"{{ \1 }}", given["rendered"]),
            inputs={name: Property(name, "thread") for name in threads},
        )
        ours = rendering.messages_of(prompt, threads)
    else:
        ours = rendering.parsed(prompt_of(""), given["rendered"])
    shown = [_shown(message) for message in ours]
    theirs = [_plain(message) for message in expected["messages"]]
    return None if shown == theirs else f"ours: {shown}, theirs: {theirs}"


def _shown(message: Message) -> dict[str, Any]:
    parts = (message.content,) if isinstance(message.content, str) else message.content
    return {
        "role": message.role,
        "content": [_part(part) for part in parts],
        "metadata": dict(message.metadata or {}),
    }


def _part(part: str | Image | Audio | File) -> dict[str, Any]:
    if isinstance(part, str):
        return {"kind": "text", "value": part}
    return {"kind": type(part).__name__.lower(), "source": part.url}


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "role": message["role"],
        "content": message["content"],
        "metadata": message.get("metadata", {}),
    }
