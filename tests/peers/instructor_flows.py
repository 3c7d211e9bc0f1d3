"""Instructor as its own documentation uses it, inside flows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import instructor
from instructor.core.exceptions import InstructorRetryException
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field

from surefoot import flow

MODEL: Any = "gpt-4o"
PROVIDER: Any = "openai/gpt-4o"


class User(BaseModel):
    """A user to be extracted."""

    name: str
    age: int


class Child(BaseModel):
    """What the server of the tests never says."""

    age: int = Field(le=10)


def asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class Tokens:
    """The tokens that instructor's own hook was shown: of the input and of the output."""

    def __init__(self) -> None:
        self.counted = [0, 0]

    def __call__(self, response: ChatCompletion) -> None:
        if response.usage is not None:
            self.counted[0] += response.usage.prompt_tokens
            self.counted[1] += response.usage.completion_tokens


@flow
def extract() -> dict[str, Any]:
    """Structured answers by a tool call, by a JSON schema, as JSON, and with a re-ask that is of no use."""
    tokens = Tokens()
    client = instructor.from_provider(PROVIDER)
    client.on("completion:response", tokens)
    user = client.create(response_model=User, messages=asked("John Doe is 30 years old."))
    by_schema = instructor.from_openai(OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    by_schema.on("completion:response", tokens)
    schema = by_schema.chat.completions.create(
        model=MODEL, response_model=User, messages=asked(f"{user.name} again")
    )
    by_tool = instructor.from_openai(OpenAI())
    by_tool.on("completion:response", tokens)
    tool, completion = by_tool.chat.completions.create_with_completion(
        model=MODEL, response_model=User, messages=asked("Jane, with the completion")
    )
    try:
        said = by_schema.chat.completions.create(
            model=MODEL, response_model=Child, messages=asked("A child"), max_retries=2
        ).model_dump_json()
    except InstructorRetryException as error:
        said = f"{type(error).__name__} after {error.n_attempts}"
    last = by_tool.chat.completions.create(model=MODEL, response_model=User, messages=asked(f"After {said}"))
    return {
        "users": [found.model_dump() for found in (user, schema, tool, last)],
        "id": completion.id,
        "said": said,
        "tokens": tokens.counted,
    }


@flow
async def extract_async() -> dict[str, Any]:
    """The same on an event loop."""
    tokens = Tokens()
    client = instructor.from_provider(PROVIDER, async_client=True)
    client.on("completion:response", tokens)
    user = await client.create(response_model=User, messages=asked("John Doe is 30 years old."))
    by_tool = instructor.from_openai(AsyncOpenAI())
    by_tool.on("completion:response", tokens)
    tool, completion = await by_tool.chat.completions.create_with_completion(
        model=MODEL, response_model=User, messages=asked("Jane, with the completion")
    )
    try:
        said = (
            await by_tool.chat.completions.create(
                model=MODEL, response_model=Child, messages=asked("A child"), max_retries=2
            )
        ).model_dump_json()
    except InstructorRetryException as error:
        said = f"{type(error).__name__} after {error.n_attempts}"
    return {
        "users": [found.model_dump() for found in (user, tool)],
        "id": completion.id,
        "said": said,
        "tokens": tokens.counted,
    }


@flow
def stream() -> dict[str, Any]:
    """Partial and iterable answers, which are streams."""
    client = instructor.from_openai(OpenAI())
    partial = [
        found.model_dump()
        for found in client.chat.completions.create_partial(
            model=MODEL, response_model=User, messages=asked("John Doe is 30 years old.")
        )
    ]
    users: Iterable[User] = client.chat.completions.create_iterable(
        model=MODEL, response_model=User, messages=asked("Jason is 25, Sarah is 30")
    )
    return {"partial": partial, "users": [user.model_dump() for user in users]}


@flow
async def stream_async() -> dict[str, Any]:
    """The same on an event loop."""
    client = instructor.from_openai(AsyncOpenAI())
    partial = [
        found.model_dump()
        async for found in client.chat.completions.create_partial(
            model=MODEL, response_model=User, messages=asked("John Doe is 30 years old.")
        )
    ]
    users = [
        user.model_dump()
        async for user in client.chat.completions.create_iterable(
            model=MODEL, response_model=User, messages=asked("Jason is 25, Sarah is 30")
        )
    ]
    return {"partial": partial, "users": users}


@flow
async def at_once() -> dict[str, Any]:
    """Extractions side by side."""
    tokens = Tokens()
    client = instructor.from_openai(AsyncOpenAI())
    client.on("completion:response", tokens)
    users = await asyncio.gather(
        *(
            client.chat.completions.create(
                model=MODEL, response_model=User, messages=asked(f"User number {n}")
            )
            for n in range(6)
        )
    )
    return {"users": [user.model_dump() for user in users], "tokens": tokens.counted}
