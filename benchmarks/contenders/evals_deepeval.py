"""deepeval: `evaluate` over test cases with a metric of our own, which asks by the OpenAI SDK, as the target does."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

# Read when it is imported.
os.environ |= {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "DEEPEVAL_NO_INSPECT_PROMPT": "1",
    "DEEPEVAL_FILE_SYSTEM": "READ_ONLY",
    "DEEPEVAL_DISABLE_DOTENV": "1",
}

import openai
from deepeval import evaluate
from deepeval.evaluate.configs import (
    AsyncConfig,
    CacheConfig,
    DisplayConfig,
)
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, judging, serve_rows, verdict
from benchmarks.contenders.serving import MODEL, Ask, question


class Verdict(BaseMetric):
    """A metric of one verdict; without `ask` the plain one."""

    def __init__(self, ask: Ask | None = None) -> None:
        self.threshold, self.async_mode, self.verbose_mode = 0.5, True, False
        self._ask = ask

    async def a_measure(self, case: LLMTestCase, *_: object, **__: object) -> float:
        response = case.actual_output
        if self._ask is None:
            passed = has_answer(response)
        else:
            passed = verdict(str(await self._ask(judging(case.input, response))))
        self.score, self.success = float(passed), passed
        return self.score

    def measure(self, case: LLMTestCase, *_: object, **__: object) -> float:
        return asyncio.run(self.a_measure(case))

    def is_successful(self) -> bool:
        return bool(self.success)

    @property
    def __name__(self) -> str:
        return "has_answer" if self._ask is None else "judge"


def asking(url: str) -> tuple[Any, Ask]:
    sdk = openai.AsyncOpenAI(base_url=url, api_key="key")

    async def ask(prompt: str) -> str | None:
        answer = await sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}]
        )
        return answer.choices[0].message.content

    return sdk, ask


async def targets(url: str, number: int) -> list[LLMTestCase]:
    """What the target answers: `evaluate` takes answers, and calls no target."""
    sdk, ask = asking(url)
    left = iter(range(number))
    found: list[LLMTestCase] = []

    async def work() -> None:
        for one in left:
            prompt = question(one)
            found.append(LLMTestCase(input=prompt, actual_output=str(await ask(prompt)), name=f"c{one}"))

    async with sdk:
        await asyncio.gather(*(work() for _ in range(AT_ONCE_ROWS)))
    return found


def rows(url: str, number: int) -> int:
    cases = asyncio.run(targets(url, number))
    _, ask = asking(url)
    found = evaluate(
        cases,
        metrics=[Verdict(ask), Verdict()],
        async_config=AsyncConfig(max_concurrent=AT_ONCE_ROWS),
        display_config=DisplayConfig(show_indicator=False, print_results=False, inspect_after_run=False),
        cache_config=CacheConfig(write_cache=False),
    )
    return sum(result.success for result in found.test_results)


if __name__ == "__main__":
    serve_rows(lambda number: rows(sys.argv[1], number))
