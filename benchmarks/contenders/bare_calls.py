"""The floors: one POST of a chat completion by aiohttp, by httpx2, and by the OpenAI SDK, with nothing around it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp
import httpx2
import openai

from benchmarks.contenders.serving import MODEL, one_and_many, serve_async

HEADERS = {"authorization": "Bearer key", "content-type": "application/json"}


def body(prompt: str) -> bytes:
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}]}).encode()


def text_of(answer: bytes) -> str:
    found: Any = json.loads(answer)
    return str(found["choices"][0]["message"]["content"])


async def main(url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        httpx2.AsyncClient() as client,
        openai.AsyncOpenAI(base_url=url, api_key="key") as sdk,
    ):

        async def by_aiohttp(prompt: str) -> str:
            async with session.post(
                f"{url}/chat/completions", data=body(prompt), headers=HEADERS
            ) as response:
                return text_of(await response.read())

        async def by_httpx2(prompt: str) -> str:
            return text_of(
                (await client.post(f"{url}/chat/completions", content=body(prompt), headers=HEADERS)).content
            )

        async def by_sdk(prompt: str) -> str | None:
            answer = await sdk.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}]
            )
            return answer.choices[0].message.content

        await serve_async(
            one_and_many("aiohttp", by_aiohttp)
            | one_and_many("httpx2", by_httpx2)
            | one_and_many("openai", by_sdk)
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
