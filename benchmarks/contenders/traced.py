"""What every contender traces: calls with a question, and an answer of 1 KiB that names model and tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.serving import BYTES, MODEL, Round, serve

TOKENS_IN, TOKENS_OUT = 24, 180


def question(number: int) -> str:
    """About a hundred characters, another for each number."""
    return f"{number:012} Summarize for a customer, in one paragraph, what has become of the order and why it is late."


def _said(text: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": TOKENS_IN,
            "completion_tokens": TOKENS_OUT,
            "total_tokens": TOKENS_IN + TOKENS_OUT,
        },
    }


_WORDS = "The answer is of some length, as they are. " * 24
_TEXT = _WORDS[: BYTES - len(json.dumps(_said(""), separators=(",", ":")))]


def answer(text: str) -> dict[str, Any]:
    """What a model would say to a text, 1 KiB of compact JSON; nothing is asked for it."""
    del text
    return _said(_TEXT)


def rounds(calls: Callable[[range], None], flush: Callable[[], None]) -> Callable[[int], dict[str, float]]:
    """A round of so many calls, in one trace: CPU until all of it is sent, wall time until the last call is back."""
    begin = 0

    def perform(number: int) -> dict[str, float]:
        nonlocal begin
        numbers = range(begin, begin + number)
        begin += number
        whole, called = Round(), Round()
        with whole:
            with called:
                calls(numbers)
            flush()
        return {"cpu": whole.cpu, "wall": called.wall}

    return perform


def serve_calls(calls: Callable[[range], None], flush: Callable[[], None]) -> None:
    """Answer `calls NUMBER`."""
    serve({"calls": rounds(calls, flush)})


def url() -> str:
    """Where this contender sends to."""
    return sys.argv[1]
