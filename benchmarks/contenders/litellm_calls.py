"""LiteLLM: one chat completion of an OpenAI model."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the network for prices

import litellm

from benchmarks.contenders.serving import MODEL, one_and_many, serve_async


async def main(url: str) -> None:
    async def ask(prompt: str) -> object:
        answer: Any = await litellm.acompletion(
            model=f"openai/{MODEL}",
            messages=[{"role": "user", "content": prompt}],
            api_base=url,
            api_key="key",
        )
        return answer.choices[0].message.content

    await serve_async(one_and_many("litellm", ask))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
