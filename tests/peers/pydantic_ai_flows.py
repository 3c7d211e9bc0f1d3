"""pydantic-ai's agents as its own documentation uses them, inside flows."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry, RunContext, RunUsage, UnexpectedModelBehavior

from surefoot import flow

MODEL = "openai-chat:gpt-4o"


class CityLocation(BaseModel):
    """Where a city is."""

    city: str
    country: str


class Small(BaseModel):
    """What the server of the tests never says."""

    number: int = Field(le=10)


def counted(*usages: RunUsage) -> list[int]:
    """The tokens that pydantic-ai saw: of the input and of the output."""
    return [sum(usage.input_tokens for usage in usages), sum(usage.output_tokens for usage in usages)]


def dice_game() -> Agent[str, str]:
    """The dice game of its documentation, with a die that always shows four."""
    agent = Agent(MODEL, deps_type=str, instructions="You're a dice game, you should roll the die.")

    @agent.tool_plain
    def roll_dice() -> str:
        """Roll a six-sided die and return the result."""
        return "4"

    @agent.tool
    async def get_player_name(ctx: RunContext[str]) -> str:
        """Get the player's name."""
        return ctx.deps

    return agent


@flow
def chat() -> dict[str, Any]:
    """Each way to run an agent, one after the other."""
    plain = Agent(MODEL, instructions="Be concise, reply with one sentence.")
    greeted = plain.run_sync('Where does "hello world" come from?')
    again = plain.run_sync("And who wrote it?", message_history=greeted.new_messages())
    located = Agent(MODEL, output_type=CityLocation).run_sync("Where were the olympics held in 2012?")
    played = dice_game().run_sync("My guess is 4", deps="Anne")
    streamed = plain.run_stream_sync("What is the capital of the UK?")
    texts = list(streamed.stream_text(debounce_by=None))
    return {
        "greeted": greeted.output,
        "again": again.output,
        "located": located.output.model_dump(),
        "played": played.output,
        "texts": texts,
        # That of an agent's run includes what it was given as history of no run.
        "tokens": counted(greeted.usage, again.usage, located.usage, played.usage, streamed.usage),
    }


@flow
async def chat_async() -> dict[str, Any]:
    """The same on an event loop."""
    plain = Agent(MODEL, instructions="Be concise, reply with one sentence.")
    greeted = await plain.run('Where does "hello world" come from?')
    located = await Agent(MODEL, output_type=CityLocation).run("Where were the olympics held in 2012?")
    played = await dice_game().run("My guess is 4", deps="Anne")
    async with plain.run_stream("What is the capital of the UK?") as streamed:
        texts = [text async for text in streamed.stream_text(debounce_by=None)]
    async with Agent(MODEL, output_type=CityLocation).run_stream("Where were they in 2016?") as partial:
        locations = [one.model_dump() async for one in partial.stream_output(debounce_by=None)]
    kinds: list[str] = []
    async with dice_game().iter("My guess is 5", deps="Bert") as run:
        kinds.extend([type(node).__name__ async for node in run])
    return {
        "greeted": greeted.output,
        "located": located.output.model_dump(),
        "played": played.output,
        "texts": texts,
        "locations": locations,
        "kinds": kinds,
        "tokens": counted(
            greeted.usage, located.usage, played.usage, streamed.usage, partial.usage, run.usage
        ),
    }


@flow
def refused() -> dict[str, Any]:
    """An output that never validates: the agent asks again, gives up, and the flow goes on."""
    usage = RunUsage()
    agent = Agent(MODEL, output_type=Small, retries=2)

    @agent.output_validator
    def never(output: Small) -> Small:
        raise ModelRetry(f"{output.number} is no small number")

    try:
        said = str(agent.run_sync("A small number, please", usage=usage).output)
    except UnexpectedModelBehavior as error:
        said = type(error).__name__
    last = Agent(MODEL).run_sync(f"After {said}", usage=usage)
    return {"said": said, "last": last.output, "tokens": counted(usage)}


@flow
async def at_once() -> dict[str, Any]:
    """Agents side by side."""
    agent = Agent(MODEL)
    results = await asyncio.gather(*(agent.run(f"question {n}") for n in range(6)))
    return {
        "answers": [result.output for result in results],
        "tokens": counted(*(result.usage for result in results)),
    }
