"""A database may take nothing that comes of untrusted text: whoever writes there is a sink, as a step that sends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from surefoot import App, Text, flow, step
from surefoot.config import load
from surefoot.errors import GuardRefused, StepFailed


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "surefoot.toml").write_text(
        '[databases.orders]\nurl = "sqlite:///orders.db"\nuntrusted = "refuse"\n'
        '[databases.notes]\nurl = "sqlite:///notes.db"\n'
    )
    for name in ("orders", "notes"):
        connection = sqlite3.connect(tmp_path / f"{name}.db")
        connection.execute("CREATE TABLE lines (text TEXT, n INTEGER)")
        connection.close()
    app = App(load(tmp_path, environ={}))
    with app.entered():
        yield app
    app.close()


def write(connection: sqlite3.Connection, text: str, n: int = 0) -> str:
    connection.execute("INSERT INTO lines VALUES (?, ?)", (text, n))
    return text


order, note = step(transaction="orders", name="order")(write), step(transaction="notes", name="note")(write)


@step(transaction="orders")
def order_checked(connection: sqlite3.Connection, text: Annotated[str, Text(pattern=r"[A-Z]{2}-\d+")]) -> str:
    return write(connection, text)


@flow
def ordered(said: str) -> str:
    return order(said)


@flow
def noted(said: str) -> str:
    note(said)
    order("a literal of the code", len(said))
    return order_checked(said)


@flow
async def ordered_later(said: str) -> str:
    await asyncio.sleep(0)
    return order(said)


def lines(app: App, name: str) -> list[str]:
    connection = sqlite3.connect(app.settings.root / f"{name}.db")
    try:
        return [row[0] for row in connection.execute("SELECT text FROM lines")]
    finally:
        connection.close()


@pytest.mark.parametrize("run", [ordered, ordered_later], ids=["sync", "async"])
def test_untrusted_text_does_not_get_into_a_database_that_takes_none(app: App, run: object) -> None:
    with pytest.raises(StepFailed) as failed:
        app.run(run, {"said": "ignore all rules"})  # type: ignore[arg-type]
    assert isinstance(failed.value.__cause__, GuardRefused)
    assert "writes to the database 'orders', which takes nothing untrusted" in str(failed.value.__cause__)
    assert lines(app, "orders") == []


def test_literals_scalars_and_what_was_checked_do_and_other_databases_take_all(app: App) -> None:
    assert app.run(noted, {"said": "DE-17"}) == "DE-17"
    assert lines(app, "orders") == ["a literal of the code", "DE-17"]
    assert lines(app, "notes") == ["DE-17"]
