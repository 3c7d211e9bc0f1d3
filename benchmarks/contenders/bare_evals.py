"""The floors of an evaluation: for each row a call of the target and one of a judge, with nothing around them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import aiohttp
import openai

from benchmarks.contenders.bare_calls import HEADERS, body, text_of
from benchmarks.contenders.rows import AT_ONCE_ROWS, judging, taken_by, verdict
from benchmarks.contenders.serving import MODEL, Ask, Round, question, serve_async


async def rows(ask: Ask, number: int) -> int:
    """How many of so many rows the judge lets pass, `AT_ONCE_ROWS` under way at a time."""
    left, passed = iter(range(number)), 0

    async def work() -> None:
        nonlocal passed
        for one in left:
            answer = str(await ask(question(one)))
            said = str(await ask(judging(question(one), answer)))
            passed += verdict(said)

    await asyncio.gather(*(work() for _ in range(AT_ONCE_ROWS)))
    return passed


def rounds_of_rows(ask: Ask) -> Callable[[int], Awaitable[dict[str, float]]]:
    """A round of so many rows."""

    async def perform(number: int) -> dict[str, float]:
        with Round() as taken:
            passed = await rows(ask, number)
        if passed != number:
            raise SystemExit(f"{passed} of {number} rows passed")
        return taken_by(number, taken)

    return perform


async def main(url: str) -> None:
    connector = aiohttp.TCPConnector(limit=AT_ONCE_ROWS)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        openai.AsyncOpenAI(base_url=url, api_key="key") as sdk,
    ):

        async def by_aiohttp(prompt: str) -> str:
            async with session.post(
                f"{url}/chat/completions", data=body(prompt), headers=HEADERS
            ) as response:
                return text_of(await response.read())

        async def by_sdk(prompt: str) -> str | None:
            answer = await sdk.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}]
            )
            return answer.choices[0].message.content

        await serve_async({"aiohttp": rounds_of_rows(by_aiohttp), "openai": rounds_of_rows(by_sdk)})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
