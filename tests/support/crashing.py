"""Flows for tests that kill: as a process, it forks one child for each line on its standard input.

    FOLDER run NAME        a new run of the flow; FOLDER resume goes on with the last one

It answers with the pid of the child, which stays the child's until another line asks for its exit code. The child
writes what the flow returns to FOLDER/output, and each step that is executed writes a line to FOLDER/effects.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import openai

from durable import open_app
from surefoot import Workflow, flow, step

PAUSE = 0.004

# What the clients import at their first call, so that each child finds it in what it was forked from.
LATE = (
    "anthropic.resources.messages",
    "anyio._backends._asyncio",
    "openai.lib.streaming.chat",
    "openai.pagination",
    "openai.resources.chat.completions",
)


def effect(what: str) -> str:
    """Seen by whoever kills: one line in one write."""
    line = os.open("effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{what}\n".encode())
    os.close(line)
    return what


@step
def write(what: str) -> str:
    time.sleep(PAUSE / 2)
    effect(f"write {what}")
    time.sleep(PAUSE / 2)
    return f"{what}."


@step
async def write_async(what: str) -> str:
    await asyncio.sleep(PAUSE / 2)
    effect(f"write_async {what}")
    await asyncio.sleep(PAUSE / 2)
    return f"{what}."


@step
def write_all(what: str) -> list[str]:
    return [write(f"{what}{n}") for n in range(4)]


@flow
def in_line() -> list[object]:
    first = [write(f"a{n}") for n in range(8)]
    return [first, write_all("b"), [write(f"c {part}") for part in first]]


@flow
async def side_by_side() -> list[object]:
    async def chain(name: str) -> list[str]:
        done = ""
        for n in range(6):
            done = await write_async(f"{name}{n} after {done}"[:20])
        return [done, *await asyncio.gather(write_async(f"{name}x"), write_async(f"{name}y"))]

    return [*await asyncio.gather(*(chain(name) for name in "abcd")), await write_async("end")]


@flow
def in_a_pool() -> list[object]:
    def chain(name: str) -> list[str]:
        return [write(f"{name}{n}") for n in range(5)]

    with ThreadPoolExecutor(4) as pool:
        return [list(pool.map(chain, "abcd")), write("end")]


def question(n: int, before: str) -> list[Any]:
    return [{"role": "user", "content": f"question {n} after {before}"}]


class AskOpenAI(Workflow):
    def __init__(self, client: openai.OpenAI) -> None:
        super().__init__()
        self.client = client

    def run(self) -> list[str]:
        said = [""]
        for n in range(5):
            answer = self.client.chat.completions.create(model="gpt-4o", messages=question(n, said[-1][:20]))
            said.append(write(str(answer.choices[0].message.content)))
        return said


class AskOpenAIAsync(Workflow):
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        super().__init__()
        self.client = client

    async def run(self) -> list[str]:
        async def ask(n: int) -> str:
            stream = await self.client.chat.completions.create(
                model="gpt-4o", messages=question(n, ""), stream=True
            )
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            return await write_async("".join(parts))

        return [*await asyncio.gather(*(ask(n) for n in range(3))), *[await ask(n) for n in range(3, 5)]]


class AskAnthropic(Workflow):
    def __init__(self, client: anthropic.Anthropic) -> None:
        super().__init__()
        self.client = client

    def run(self) -> list[str]:
        said = [""]
        for n in range(5):
            answer = self.client.messages.create(
                model="claude-sonnet-5", max_tokens=50, messages=question(n, said[-1][:20])
            )
            said.append(write("".join(part.text for part in answer.content if part.type == "text")))
        return said


class AskAnthropicAsync(Workflow):
    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        super().__init__()
        self.client = client

    async def run(self) -> list[str]:
        async def ask(n: int) -> str:
            async with self.client.messages.stream(
                model="claude-sonnet-5", max_tokens=50, messages=question(n, "")
            ) as stream:
                return await write_async("".join([text async for text in stream.text_stream]))

        return [*await asyncio.gather(*(ask(n) for n in range(3))), *[await ask(n) for n in range(3, 5)]]


def perform(folder: Path, command: list[str]) -> None:
    os.chdir(folder)
    app = open_app(folder, is_full=True)
    match command:
        case ["run", name]:
            result = app.run(globals()[name])
        case _:
            result = app.resume("last")
    app.close()
    Path("output.draft").write_text(repr(result))
    Path("output.draft").replace("output")


def serve() -> None:
    for module in LATE:
        importlib.import_module(module)
    for line in sys.stdin:
        folder, *command = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                perform(Path(folder), command)
                code = 0
            except BaseException:  # noqa: BLE001  (it is shown, and nothing of the parent may run here)
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
