"""pydantic-ai: one run of an agent without tools, which is one chat completion."""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic_ai import Agent

from benchmarks.contenders.serving import MODEL, one_and_many, serve_async


async def main(url: str) -> None:
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "key"}
    agent = Agent(f"openai-chat:{MODEL}")

    async def ask(prompt: str) -> str:
        return (await agent.run(prompt)).output

    await serve_async(one_and_many("agent", ask))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
