"""Flows that a process holds until somebody cancels, kills or lets them go: `perform` is its main function.

What they do is a line in FOLDER/world; how the process came out of it goes to FOLDER/ended-NAME as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from durable import open_app
from killed import do
from surefoot import App, flow, step

LONG = 120.0


def cancel(booked: str) -> None:
    do(f"cancel {booked}")


@step(compensate=cancel)
def book(place: str) -> str:
    do(f"book {place}")
    return place


@step(name="book", compensate=cancel)
async def book_later(place: str) -> str:
    do(f"book {place}")
    return place


@step(pure=True)
def look(n: int) -> int:
    time.sleep(0.01)
    return n


@step
def wait_for_the_word() -> None:
    """Until the test says so: no step ends meanwhile, and no cancellation is noticed."""
    do("waiting")
    end_at = time.monotonic() + LONG
    while not Path("go").exists() and time.monotonic() < end_at:
        time.sleep(0.01)


@flow
def stepping() -> None:
    book("a")
    book("b")
    for n in range(100_000):
        look(n)


@flow
async def awaiting() -> None:
    await book_later("a")
    await book_later("b")
    await asyncio.sleep(LONG)


@flow
def stuck() -> None:
    book("a")
    book("b")
    wait_for_the_word()
    look(0)


@flow
def parent() -> object:
    book("a")
    return App.current().run(stuck_child)


@flow
def stuck_child() -> None:
    book("b")
    wait_for_the_word()
    look(0)


@flow
def keyed(n: int) -> str:
    do(f"begin {n}")
    for i in range(20):
        look(i)
    do(f"end {n}")
    return f"done {n}"


@flow(deadline=1.0)
def hurried() -> str:
    book("a")
    wait_for_the_word()
    return "done"


def perform(folder: Path, url: str, name: str, command: list[Any], kill: str = "") -> None:
    """Do one thing to the runs of a folder, in a process of its own."""
    os.chdir(folder)
    os.environ["KILL"] = kill
    app = open_app(folder, url=url)
    ended: list[Any]
    try:
        match command:
            case ["run", flow_name]:
                ended = ["completed", app.run(globals()[flow_name])]
            case ["key", key, n]:
                ended = ["completed", app.run(keyed, {"n": n}, key=key, wait=60)]
            case ["resume", deadline]:
                ended = ["completed", app.resume("last", deadline=deadline)]
            case ["cancel", wait]:
                ended = ["asked", app.cancel("last", reason="no longer wanted", wait=wait).status]
            case _:
                ended = ["misused", command]
    except Exception as error:  # noqa: BLE001  (it is what the test reads)
        ended = [type(error).__name__, str(error)]
    app.close()
    Path(f"ended-{name}").write_text(json.dumps(ended))
