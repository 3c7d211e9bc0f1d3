"""The flow that each request to the gateway is a run of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from surefoot.app import App
from surefoot.flows import current_run, flow
from surefoot.models import Forwarded, Spoken, ends_in_error, forward
from surefoot.server.gateway import relay
from surefoot.server.gateway.passing import handed_on
from surefoot.traces import Said, said_in
from surefoot.values import Json

NAME = "gateway"


@flow(name=NAME, version="1", uses=("connection:*", "model:*"))
async def gateway(
    operation: str, model: str, body: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    """One call of a model that a client of the gateway has written, and what the model said.

    Raises what the call raises, and the error that a refusal of the provider stands for.
    """
    waiting, run = relay.current(), current_run()
    if waiting is not None and run is not None:
        waiting.begin(run.id)
    spoken = cast("Spoken", operation)
    answer = await forward(App.current().target(model), spoken, body, headers=headers)
    take = _streamed if answer.is_stream else _whole
    said = await take(answer, spoken, waiting)
    calls: list[Json] = [{"name": call.name, "arguments": call.arguments} for call in said.tool_calls]
    told: dict[str, Any] = {"run": "" if run is None else run.id, "text": said.text, "finish": said.finish}
    return told | ({"tool_calls": calls} if calls else {})


async def _whole(answer: Forwarded, operation: Spoken, waiting: relay.Relay | None) -> Said:
    content = await answer.body()
    problem = answer.refusal(content)
    if waiting is not None and (shown := handed_on(answer, content, problem)) is not None:
        head, passed = shown
        await waiting.hand(head)
        await waiting.hand(passed)
    if problem is not None:
        raise problem
    return said_in(operation, content.decode("utf-8", "replace"), is_stream=False)


async def _streamed(answer: Forwarded, operation: Spoken, waiting: relay.Relay | None) -> Said:
    """What the model said, each part of which the client is handed as it comes."""
    received = bytearray() if waiting is None else waiting.received
    if waiting is not None:
        await waiting.hand(relay.Head(answer.status, _stream_headers(answer.headers), is_stream=True))
    async for chunk in answer.chunks():
        received += chunk
        if waiting is not None:
            await waiting.hand(chunk)
    content = bytes(received)
    said = said_in(operation, content.decode("utf-8", "replace"), is_stream=True)
    problem = answer.break_in(content, is_finished=bool(said.finish))
    if problem is not None:
        if waiting is not None:
            waiting.is_told = ends_in_error(content)
        raise problem
    return said


def _stream_headers(headers: Mapping[str, str]) -> dict[str, str]:
    # Proxies that gather what passes through them before they hand it on are told not to.
    return {"content-type": headers["content-type"], "cache-control": "no-cache", "x-accel-buffering": "no"}
