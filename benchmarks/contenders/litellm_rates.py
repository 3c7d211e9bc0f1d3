"""LiteLLM's router: the choice of a deployment by its usage, with limits of requests and tokens, in memory."""

from __future__ import annotations

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the network for prices

from typing import Any

from litellm import Router

from benchmarks.contenders.serving import MODEL, Round, serve_async

MESSAGES: Any = [{"role": "user", "content": "a question"}]


async def main() -> None:
    router = Router(
        model_list=[
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_key": "key",
                    "rpm": 10**9,
                    "tpm": 10**12,
                },
            }
        ],
        routing_strategy="usage-based-routing-v2",
        enable_pre_call_checks=True,
    )

    async def routed(number: int) -> dict[str, float]:
        with Round() as taken:
            for _ in range(number):
                deployment = await router.async_get_available_deployment(
                    model=MODEL, messages=MESSAGES, request_kwargs={}
                )
                await router.async_routing_strategy_pre_call_checks(deployment, parent_otel_span=None)
        return taken.result(number)

    await serve_async({"router": routed})


if __name__ == "__main__":
    asyncio.run(main())
