"""The flows whose processes are killed: ten steps of every kind, in async code and in plain code.

What each step returns is a token of that very execution, so that the record tells which execution it holds.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from functools import cache
from typing import Any, TypeVar

import httpx2

import outside
from surefoot import Done, current_run, current_step, flow, step

T = TypeVar("T")

LONGEST_PAUSE = 0.01
STEPS = ("look_up", "price", "ask", "charge", "book", "mail", "ship", "pack", "wrap", "label")
DEFAULT = ("look_up", "ask", "pack", "wrap", "label")
EFFECTS = ("charge", "mail")
TRANSACTIONS = ("book", "ship")
TABLE = "business (number INTEGER, step TEXT, token TEXT)"
INSERT = "INSERT INTO business VALUES"


def key_of(number: int) -> str:
    """The key of an order's run."""
    return f"order-{number}"


def number_of(key: str) -> int:
    return int(key.removeprefix("order-"))


def cents_of(number: int) -> int:
    return number * 7919 % 9973


def pause() -> float:
    """Seconds that something takes; runs that began together drift apart."""
    return random.uniform(0.0, LONGEST_PAUSE)


def acknowledged(name: str, value: T) -> T:
    """Note what a step has returned: from here on it may not be lost."""
    run = current_run()
    assert run is not None
    outside.note(outside.ACKNOWLEDGED, run.id, name, value)
    return value


def witnessed(file: str) -> str:
    """Note that the body of the step that runs here was run; its result."""
    here = current_step()
    assert here is not None
    token = outside.token()
    outside.note(file, here.idempotency_key, here.name, token)
    return token


def happened(key: str) -> Done | None:
    """The check of an effect: whether it stands in the world."""
    found = [token for known, _, token in outside.lines(outside.EFFECTS) if known == key]
    return Done(found[0]) if found else None


async def happened_async(key: str) -> Done | None:
    await asyncio.sleep(0)
    return happened(key)


@cache
def client() -> httpx2.AsyncClient:
    """The one client of this process."""
    return httpx2.AsyncClient(headers={"authorization": "Bearer key-of-a-test"}, timeout=30.0)


async def ask_model() -> None:
    """Put a question to a model that nobody else puts to it. The call is recorded as a step inside of the open one."""
    here = current_step()
    assert here is not None
    question = {"role": "user", "content": here.idempotency_key}
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    answer = await client().post(url, json={"model": "gpt-4o", "messages": [question]})
    answer.raise_for_status()


def has_model(number: int) -> bool:
    """Whether an order asks a model: every second one does."""
    return number % 2 == 1


@step
async def look_up(number: int) -> str:
    return witnessed(outside.EXECUTED)


@step(pure=True)
def price(number: int) -> int:
    return cents_of(number)


@step
async def ask(number: int) -> str:
    token = witnessed(outside.EXECUTED)
    if has_model(number):
        await ask_model()
    await asyncio.sleep(pause())
    return token


@step(effect=True, check=happened_async)
async def charge(number: int, cents: int) -> str:
    await asyncio.sleep(pause())
    token = witnessed(outside.EFFECTS)
    await asyncio.sleep(pause())
    return token


@step(effect=True)
async def mail(number: int, receipt: str) -> str:
    await asyncio.sleep(pause())
    token = witnessed(outside.EFFECTS)
    await asyncio.sleep(pause())
    return token


@step(transaction="ledger", retries=2)
async def book(connection: Any, number: int) -> str:
    token = outside.token()
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}")
        connection.execute(f"{INSERT} (?, ?, ?)", (number, "book", token))
    else:
        await connection.execute(f"{INSERT} ($1, $2, $3)", number, "book", token)
    return token


@step(transaction="other")
def ship(connection: Any, number: int) -> str:
    token = outside.token()
    place = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    connection.execute(f"{INSERT} ({place}, {place}, {place})", (number, "ship", token))
    return token


@step
async def wrap(number: int) -> str:
    await asyncio.sleep(pause())
    return witnessed(outside.EXECUTED)


@step
async def label(number: int) -> str:
    await asyncio.sleep(0)
    return witnessed(outside.EXECUTED)


@step
async def pack(number: int) -> str:
    token = witnessed(outside.EXECUTED)

    async def wrapped() -> None:
        acknowledged("wrap", await wrap(number))

    async def labelled() -> None:
        acknowledged("label", await label(number))

    await asyncio.gather(wrapped(), labelled())
    return token


@flow
async def order(number: int) -> list[object]:
    found = acknowledged("look_up", await look_up(number))
    cents = acknowledged("price", price(number))
    answer = acknowledged("ask", await ask(number))
    receipt = acknowledged("charge", await charge(number, cents))
    entry = acknowledged("book", await book(number))
    sent = acknowledged("mail", await mail(number, receipt))
    parcel = acknowledged("ship", await asyncio.to_thread(ship, number))
    return [found, cents, answer, receipt, entry, sent, parcel, acknowledged("pack", await pack(number))]


# The same in plain code, which runs in threads.


@step(name="look_up")
def look_up_in_line(number: int) -> str:
    return witnessed(outside.EXECUTED)


@step(name="ask")
def ask_in_line(number: int) -> str:
    time.sleep(pause())
    token = witnessed(outside.EXECUTED)
    time.sleep(pause())
    return token


@step(name="charge", effect=True, check=happened)
def charge_in_line(number: int, cents: int) -> str:
    return witnessed(outside.EFFECTS)


@step(name="mail", effect=True)
def mail_in_line(number: int, receipt: str) -> str:
    return witnessed(outside.EFFECTS)


@step(name="book", transaction="ledger")
def book_in_line(connection: Any, number: int) -> str:
    token = outside.token()
    place = "%s"
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}")
        place = "?"
    connection.execute(f"{INSERT} ({place}, {place}, {place})", (number, "book", token))
    return token


@step(name="wrap")
def wrap_in_line(number: int) -> str:
    return witnessed(outside.EXECUTED)


@step(name="label")
def label_in_line(number: int) -> str:
    return witnessed(outside.EXECUTED)


@step(name="pack")
def pack_in_line(number: int) -> str:
    token = witnessed(outside.EXECUTED)
    acknowledged("wrap", wrap_in_line(number))
    acknowledged("label", label_in_line(number))
    return token


@flow
def order_in_line(number: int) -> list[object]:
    found = acknowledged("look_up", look_up_in_line(number))
    cents = acknowledged("price", price(number))
    answer = acknowledged("ask", ask_in_line(number))
    receipt = acknowledged("charge", charge_in_line(number, cents))
    entry = acknowledged("book", book_in_line(number))
    sent = acknowledged("mail", mail_in_line(number, receipt))
    parcel = acknowledged("ship", ship(number))
    return [found, cents, answer, receipt, entry, sent, parcel, acknowledged("pack", pack_in_line(number))]


def flow_of(number: int) -> Any:
    """Every eighth order is made in plain code."""
    return order_in_line if number % 8 == 0 else order
