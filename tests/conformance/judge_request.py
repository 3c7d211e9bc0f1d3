"""The operation `toRequest` of the Prompty project: a prompt and its messages to the body of a request.

The vector becomes a prompt file, `generate` asks with it, and what would have left is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asking import prompt_of
from fixtures import Fixtures
from surefoot import scripted
from surefoot.values import Message

_ANSWERS: Mapping[str, object] = {"embedding": [0.5, 0.25], "image": "https://example.com/a.png"}


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with the request that we would send, or None."""
    given, expected = vector["input"], vector["expected"]["request_body"]
    prompt, bound = prompt_of(given)
    answer = _ANSWERS.get(given["apiType"], "Hello")
    with scripted([answer]) as script:
        if given["apiType"] in _ANSWERS:
            prompt.generate(**bound)
        else:
            # The turn itself, so that tools need no function.
            prompt.generate(Message, **bound)
    (asked,) = script.requests
    return None if dict(asked.body) == expected else f"ours: {dict(asked.body)}, theirs: {expected}"
