"""Langfuse: a generation for each call, by its decorator."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contenders.traced import answer, question, serve_calls, url

os.environ |= {
    "LANGFUSE_BASE_URL": url(),
    "LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark",
    "LANGFUSE_SECRET_KEY": "sk-lf-benchmark",
}

from langfuse import get_client, observe


@observe(as_type="generation")
def call(text: str) -> dict[str, Any]:
    said = answer(text)
    usage = {"input": said["usage"]["prompt_tokens"], "output": said["usage"]["completion_tokens"]}
    get_client().update_current_generation(model=said["model"], usage_details=usage)
    return said


@observe()
def calls(numbers: range) -> None:
    for number in numbers:
        call(question(number))


def main() -> None:
    serve_calls(calls, get_client().flush)


if __name__ == "__main__":
    main()
