"""What is not data is refused, with its place, its type and a way out."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import socket
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from openai import OpenAI
from pydantic import BaseModel, Secret, SecretStr

from surefoot.errors import NotData
from surefoot.ledger.encoding import encode, identity


@dataclass
class Holder:
    items: list[Any]


class Credentials(BaseModel):
    user: str
    password: SecretStr


class Opaque:
    pass


class Dated(defaultdict[str, list[int]]):
    pass


def refusal(value: object, name: str = "result") -> str:
    with pytest.raises(NotData) as encoded:
        encode(value, name=name)
    with pytest.raises(NotData) as identified:
        identity(value, name=name)
    assert str(encoded.value) == str(identified.value)
    return str(encoded.value)


def test_it_names_the_place_the_type_and_the_ways_out() -> None:
    message = refusal({"a": Holder([1, 2, 3, {"client": OpenAI(api_key="sk-never-shown")}])})
    assert "result['a'].items[3]['client'] (openai.OpenAI)" in message
    assert "a client is tied to this process" in message
    assert "dataclass" in message
    assert "key=" in message
    assert "sk-never-shown" not in message


def generator() -> Iterator[int]:
    yield 1


async def coroutine() -> None: ...


def test_generators_and_iterators() -> None:
    assert "a generator can be read only once" in refusal(generator())
    assert "an iterator can be read only once" in refusal(iter([1]))
    assert "an iterator can be read only once" in refusal(map(str, [1]))


def test_a_coroutine() -> None:
    unawaited = coroutine()
    assert "Await it first" in refusal([unawaited])
    unawaited.close()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda: 1, "a function is code"),
        (generator, "a function is code"),
        (len, "a function is code"),
        ("".join, "a function is code"),
        (functools.partial(int, "1"), "a function is code"),
        (socket, "a module is code"),
        (Holder, "a class is code"),
        (list[int], "a class is code"),
        (threading.Lock(), "a lock is tied"),
        (threading.RLock(), "a lock is tied"),
        (asyncio.Lock(), "a lock is tied"),
        (io.StringIO("x"), "an open file is tied"),
        (memoryview(b"x"), "bytes(...)"),
        (contextvars.ContextVar[int]("x"), "a context is tied"),
        (threading.Thread(), "a thread or process is tied"),
        (Opaque(), "does not know what of it is data"),
        (defaultdict(lambda: 1), "default_factory"),
        (Dated(list), "plain"),
        (np.array([object()]), "Use .tolist()"),
        (SecretStr("hidden"), "a secret is never recorded"),
        (Secret[int](3), "a secret is never recorded"),
    ],
)
def test_reasons(value: object, reason: str) -> None:
    assert reason in refusal({"inside": [value]})


def test_open_handles(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert "an open file is tied" in refusal((file,))
    with socket.socket() as connection:
        assert "a socket is tied" in refusal({1: connection})
    database = sqlite3.connect(":memory:")
    assert "a database connection is tied" in refusal(database)
    database.close()


def test_a_secret_in_a_model_is_named_and_not_shown() -> None:
    message = refusal(Credentials(user="u", password=SecretStr("hidden")))
    assert "result.password" in message
    assert "hidden" not in message


def test_a_response_that_was_not_read() -> None:
    response = httpx2.Response(200, content=iter([b"x"]))
    assert "its body has not been read" in refusal(response)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("\ud800", "result ("),
        (["ok", "a\udfff"], "result[1]"),
        ({"k": ({"deep": "\ud800"},)}, "result['k'][0]['deep']"),
        ({"\ud800": 1}, "result['\\ud800']"),
        ({("\ud800",): 1}, "result[('\\ud800',)]"),
        (Holder(["\ud800"]), "result.items[0]"),
        ({"\ud800"}, "result[0]"),
    ],
)
def test_a_lone_surrogate(value: object, path: str) -> None:
    message = refusal(value)
    assert path in message
    assert "lone surrogate" in message
    message.encode()


def test_cycles() -> None:
    ring: list[Any] = [1]
    ring.append({"back": ring})
    assert "result[1]['back'] is result again" in refusal(ring)
    holder = Holder([])
    holder.items.append((holder,))
    assert "root.items[0][0] is root again" in refusal(holder, "root")
    inner: dict[str, Any] = {}
    inner["self"] = inner
    assert "result[0]['self'] is result[0] again" in refusal([inner])


def test_a_value_that_stands_in_two_places_is_no_cycle() -> None:
    shared = [1]
    assert encode([shared, shared]) == "[[1],[1]]"


def nested(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: [value],
        lambda value: {"a": value},
        lambda value: (value,),
        lambda value: Holder([value]),
    ],
)
def test_depth(wrap: Any) -> None:
    encode(nested(49, wrap))
    assert "nested more than 200 levels" in refusal(nested(201, wrap))
    assert "nested more than 200 levels" in refusal(nested(5_000, wrap))


def test_a_nearly_full_stack_is_a_clear_error_too() -> None:
    def descend(levels: int) -> str:
        if levels:
            return descend(levels - 1)
        return encode(nested(190, lambda value: [value, (1,)]))

    with pytest.raises(NotData, match="nested"):
        descend(750)
