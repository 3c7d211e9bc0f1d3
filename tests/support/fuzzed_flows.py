"""Flows whose descriptions say exactly what they take, so that whatever fits is taken and nothing fails by itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from surefoot import flow, step, wait_for

PLAIN = r"^[a-zA-Z0-9 ]*$"


class Tone(StrEnum):
    kind = "kind"
    stern = "stern"


@dataclass
class Address:
    street: Annotated[str, Field(pattern=PLAIN, max_length=40)]
    number: Annotated[int, Field(ge=1, le=9999, strict=True)]


@dataclass
class Weighed:
    total: float
    heaviest: int | None


@step
def weighed(numbers: list[int]) -> Weighed:
    return Weighed(float(sum(numbers)), max(numbers, default=None))


@flow(trusted=True, uses=())
def weigh(
    numbers: Annotated[list[Annotated[int, Field(ge=-(10**6), le=10**6, strict=True)]], Field(max_length=20)],
) -> Weighed:
    """Adds numbers up."""
    return weighed(numbers)


@step
async def addressed(to: Address, tone: Tone) -> str:
    return f"{tone}: {to.number} {to.street}"


@flow(trusted=True, uses=())
async def address(
    to: Address, tone: Tone = Tone.kind, times: Annotated[int, Field(ge=1, le=3, strict=True)] = 1
) -> list[str]:
    """Says where somebody lives, so many times."""
    return [await addressed(to, tone) for _ in range(times)]


@flow(uses=())
def tick() -> None:
    """Does nothing, and takes nothing."""


@flow(trusted=True, uses=())
def ask(kind: Literal["short", "long"]) -> str:
    """Waits until somebody has answered."""
    return f"{kind}: {wait_for('approval')}"


@step(untrusted="approve", sends="mail")
def mailed(text: str) -> str:
    return f"sent {text}"


@flow(uses=("tool:mail",))
def mail(text: Annotated[str, Field(pattern=PLAIN, max_length=40)]) -> str:
    """Sends a text, once somebody has approved it."""
    return mailed(text)
