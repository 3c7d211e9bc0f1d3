"""Flows whose process kills itself at a given moment: `perform` is the main function of a child process.

What they do to the world is a line in FOLDER/world; `KILL` names the moment, as the number of lines that are there and
on which side of writing the next one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from durable import open_app
from surefoot import Done, current_step, flow, step
from surefoot.errors import InDoubt, StepFailed

WORLD = Path("world")


def lines() -> list[str]:
    return WORLD.read_text().splitlines() if WORLD.exists() else []


def do(what: str) -> None:
    """A line in the world, written in one go; the process may die right before or right after it."""
    moment = str(len(lines()))
    if os.environ.get("KILL") == f"before {moment}":
        os.kill(os.getpid(), signal.SIGKILL)
    file = os.open(WORLD, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what}\n".encode())
    os.close(file)
    if os.environ.get("KILL") == f"after {moment}":
        os.kill(os.getpid(), signal.SIGKILL)


def send(to: str) -> str:
    here = current_step()
    assert here is not None
    do(f"mail {to} {here.idempotency_key}")
    return f"sent to {to}"


def was_sent(key: str) -> Done | None:
    found = [line for line in lines() if line.endswith(key)]
    return Done(f"sent to {found[0].split()[1]}") if found else None


async def was_sent_async(key: str) -> Done | None:
    await asyncio.sleep(0)
    return was_sent(key)


@step(effect=True)
def mail(to: str) -> str:
    return send(to)


@step(effect=True, check=was_sent)
def checked(to: str) -> str:
    return send(to)


@step(effect=True)
async def mail_async(to: str) -> str:
    await asyncio.sleep(0)
    return send(to)


@step(effect=True, check=was_sent_async)
async def checked_async(to: str) -> str:
    await asyncio.sleep(0)
    return send(to)


@flow
def unchecked() -> list[str]:
    return [mail(to) for to in "abc"]


@flow
def with_check() -> list[str]:
    return [checked(to) for to in "abc"]


@flow
async def unchecked_async() -> list[str]:
    return [await mail_async(to) for to in "abc"]


@flow
async def with_check_async() -> list[str]:
    return list(await asyncio.gather(*(checked_async(to) for to in "abc")))


def cancel(booked: str, place: str) -> None:
    do(f"cancel {booked} {place}")


@step
async def cancel_async(booked: str, place: str) -> None:
    await asyncio.sleep(0)
    do(f"cancel {booked} {place}")


@step(compensate=cancel)
def book(place: str) -> str:
    do(f"book {place}")
    return f"room in {place}"


@step(compensate=cancel_async)
async def book_async(place: str) -> str:
    await asyncio.sleep(0)
    do(f"book {place}")
    return f"room in {place}"


@flow
def trip() -> None:
    for place in "abc":
        book(place)
    raise ValueError("sold out")


@flow
async def trip_async() -> None:
    for place in "abc":
        await book_async(place)
    raise ValueError("sold out")


def perform(folder: Path, command: list[Any], kill: str) -> None:
    """Run or resume in a process of its own; how that ended goes to FOLDER/ended as JSON."""
    os.chdir(folder)
    os.environ["KILL"] = kill
    app = open_app(folder, is_full=True)
    ended: list[Any]
    try:
        match command:
            case ["run", name]:
                ended = ["completed", app.run(globals()[name])]
            case ["resume", decisions]:
                ended = ["completed", app.resume("last", decisions=decisions)]
            case _:
                ended = ["misused", command]
    except InDoubt as error:
        ended = ["in_doubt", list(error.steps)]
    except StepFailed as error:
        ended = ["failed", str(error.__cause__), error.is_over]
    except Exception as error:  # noqa: BLE001  (it is what the test reads)
        ended = [type(error).__name__, str(error)]
    app.close()
    Path("ended").write_text(json.dumps(ended))
