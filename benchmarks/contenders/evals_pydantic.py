"""pydantic-evals: a dataset with two evaluators, of which one asks a judge by the OpenAI SDK, as the task does."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import openai
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, judging, serve_rows, verdict
from benchmarks.contenders.serving import MODEL, question


@dataclass
class Judge(Evaluator):
    ask: Any

    async def evaluate(self, context: EvaluatorContext) -> bool:
        return verdict(await self.ask(judging(context.inputs, context.output)))


@dataclass
class HasAnswer(Evaluator):
    def evaluate(self, context: EvaluatorContext) -> bool:
        return has_answer(context.output)


async def rows(url: str, number: int) -> int:
    async with openai.AsyncOpenAI(base_url=url, api_key="key") as sdk:

        async def ask(prompt: str) -> str:
            answer = await sdk.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}]
            )
            return answer.choices[0].message.content or ""

        cases = [Case(name=f"c{one}", inputs=question(one)) for one in range(number)]
        data = Dataset(name="rows", cases=cases, evaluators=[Judge(ask), HasAnswer()])
        report = await data.evaluate(ask, max_concurrency=AT_ONCE_ROWS, progress=False)
    return sum(all(each.value for each in case.assertions.values()) for case in report.cases)


if __name__ == "__main__":
    serve_rows(lambda number: asyncio.run(rows(sys.argv[1], number)))
