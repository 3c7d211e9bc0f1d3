"""The operation `process` of the Prompty project: a provider's answer to what the caller gets.

The answer is given by a local server, and `generate` asks it. What the model said as it is, is `generate(prompt,
Message)`: there a refusal is its text, and an answer that does not fit the outputs is the text that came. Where a value
is asked for, these are errors of ours (`ContentRefused`, `MalformedResponse`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from answering import answering
from asking import prompt_of
from fixtures import Fixtures
from surefoot import Call
from surefoot.errors import MalformedResponse
from surefoot.values import Image, Message

_ANY_OBJECT = {"type": "object"}


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with what we make of the answer, or None."""
    given, expected = vector["input"], vector["expected"]["result"]
    result = _result(given)
    return None if result == expected else f"ours: {result!r}, theirs: {expected!r}"


def _result(given: Mapping[str, Any]) -> object:
    texts = len(given["response"].get("data", ())) if given["apiType"] == "embedding" else 1
    messages = [{"role": "user", "content": f"Text {number}"} for number in range(texts)]
    prompt, _ = prompt_of(
        {**given, "model_id": given["response"].get("model", "a-model"), "messages": messages}
    )
    with answering(given["response"]):
        if given["apiType"] in ("embedding", "image"):
            return _plain(prompt.generate())
        if given["has_outputs"]:
            try:
                return prompt.generate(_ANY_OBJECT, using=Call(repairs=0))
            except MalformedResponse:
                pass
        said = prompt.generate(Message)
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in said.tool_calls]
    return calls or said.content


def _plain(made: object) -> object:
    """Vectors as lists, a picture as its address, or as its base64."""
    if isinstance(made, Image):
        return made.url.partition(";base64,")[2] or made.url
    if isinstance(made, tuple):
        return list(made)
    return [list(one) for one in made] if isinstance(made, list) else made
