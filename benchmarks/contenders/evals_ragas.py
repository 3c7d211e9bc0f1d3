"""ragas: `evaluate` with its aspect critic, which asks through langchain as its metrics do; the target by the SDK."""

from __future__ import annotations

import asyncio
import os
import sys

os.environ |= {"RAGAS_DO_NOT_TRACK": "true", "LANGCHAIN_TRACING_V2": "false"}
import openai
from langchain_openai import ChatOpenAI
from ragas import EvaluationDataset, RunConfig, SingleTurnSample, evaluate
from ragas.llms import LangchainLLMWrapper
from ragas.metrics import AspectCritic

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, serve_rows
from benchmarks.contenders.serving import MODEL, question


async def targets(url: str, number: int) -> list[SingleTurnSample]:
    """What the target answers: `evaluate` takes answers, and calls no target."""
    left = iter(range(number))
    found: list[SingleTurnSample] = []
    async with openai.AsyncOpenAI(base_url=url, api_key="key") as sdk:

        async def work() -> None:
            for one in left:
                prompt = question(one)
                answer = await sdk.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": prompt}]
                )
                response = answer.choices[0].message.content or ""
                found.append(SingleTurnSample(user_input=prompt[:200], response=response))

        await asyncio.gather(*(work() for _ in range(AT_ONCE_ROWS)))
    return found


def rows(url: str, number: int) -> int:
    samples = asyncio.run(targets(url, number))
    judge = LangchainLLMWrapper(ChatOpenAI(model=MODEL, base_url=url, api_key="key"))
    critic = AspectCritic(name="judge", definition="Give your VERDICT: is the question answered?", llm=judge)
    found = evaluate(
        EvaluationDataset(samples=samples),
        metrics=[critic],
        run_config=RunConfig(max_workers=AT_ONCE_ROWS),
        raise_exceptions=True,
        show_progress=False,
    )
    # A plain function is no metric of it.
    return sum(
        int(score["judge"]) and has_answer(sample.response)
        for score, sample in zip(found.scores, samples, strict=True)
    )


if __name__ == "__main__":
    serve_rows(lambda number: rows(sys.argv[1], number))
