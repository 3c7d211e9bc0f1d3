"""A flow whose one step waits for approval, for processes that are killed while it waits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from durable import opened_app
from surefoot import Text, flow, step

WORLD = "world"


@step(sends="mail", effect=True, untrusted="approve")
def deliver(to: str, body: Annotated[str, Text(untrusted=True)], folder: str = "") -> None:
    with (Path(folder) / WORLD).open("a") as world:
        world.write(f"{to} {body}\n")


@flow(trusted=("folder",))
def forward(to: str, body: str, folder: str) -> str:
    deliver(to, body, folder)
    return "sent"


def begin(folder: str, to: str) -> None:
    """The main function of a child process, which never comes to its end."""
    with opened_app(Path(folder), lease=1.0) as app:
        app.run(forward, {"to": to, "body": "hello", "folder": folder})
