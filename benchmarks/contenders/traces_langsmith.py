"""LangSmith: a run of the type `llm` for each call, by its decorator."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contenders.serving import MODEL
from benchmarks.contenders.traced import answer, question, serve_calls, url

os.environ |= {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_ENDPOINT": url(),
    "LANGSMITH_API_KEY": "lsv2_pt_benchmark",
    "LANGSMITH_PROJECT": "benchmark",
}

from langsmith import Client, get_current_run_tree, traceable

client = Client()


@traceable(run_type="llm", metadata={"ls_provider": "openai", "ls_model_name": MODEL}, client=client)
def call(text: str) -> dict[str, Any]:
    said, run = answer(text), get_current_run_tree()
    usage = said["usage"]
    run.set(
        usage_metadata={
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
        }
    )
    return said


@traceable(client=client)
def calls(numbers: range) -> None:
    for number in numbers:
        call(question(number))


def main() -> None:
    serve_calls(calls, client.flush)


if __name__ == "__main__":
    main()
