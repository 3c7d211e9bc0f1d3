"""Flows that a server of a test serves. Gates let a test say when they go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from surefoot import Workflow, flow, generate, scripted, step, wait_for

gate = threading.Event()
began = threading.Semaphore(0)
made: list[str] = []


@dataclass
class Answer:
    text: str
    score: float


@step
def doubled(n: int) -> int:
    made.append("doubled")
    return 2 * n


@flow(version="3")
def twice(n: int, note: str = "none") -> int:
    """Doubles a number.

    And nothing else.
    """
    return doubled(n)


@step
async def answered(text: str) -> Answer:
    return Answer(text.upper(), 0.5)


@flow
async def shout(text: str) -> Answer:
    return await answered(text)


@flow
def fails(why: str) -> str:
    raise ValueError(why)


@flow
def held(name: str) -> str:
    made.append(name)
    began.release()
    gate.wait(60)
    return finished(name)


@step
def finished(name: str) -> str:
    return f"{name} finished"


@flow
def asks(what: str) -> str:
    return f"{what}: {wait_for('answer').result()}"


@step
def counted(most: int) -> Iterator[str]:
    for number in range(most):
        yield f"item {number}"


@flow
def counts(most: int) -> int:
    return len(list(counted(most)))


@flow(trusted=True)
async def says(topic: str) -> str:
    with scripted(lambda request: f"all about {request.text}"):
        return await generate([{"role": "user", "content": topic}], using="openai:gpt-4o-mini")


class Greets(Workflow, name="greets"):
    """Greets somebody."""

    def run(self, name: str) -> str:
        return f"hello {name}"


@step(untrusted="approve", sends="mail")
def mailed(text: str) -> str:
    made.append(text)
    return f"sent {text}"


@flow
def mails(text: str) -> str:
    return mailed(text)


def _never(n: int) -> None:
    raise SystemExit("it cannot be undone")


@step(compensate=_never)
def lasting(n: int) -> int:
    return n


@flow
def lasts(n: int) -> object:
    lasting(n)
    return wait_for("answer").result()
