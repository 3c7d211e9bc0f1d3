"""What is said of a value that is not data: where it is, what it is, and the ways out."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import io
import socket
import sqlite3
import subprocess
import threading
import types
from collections.abc import AsyncIterator, Iterator
from contextvars import Context, ContextVar
from typing import Any

from surefoot.errors import NotData
from surefoot.ledger.encoding.names import canonical_module
from surefoot.ledger.encoding.walk import DEPTH, Refused

_RESOURCE = "is tied to this process. Open it inside the step that uses it"
_KNOWN: tuple[tuple[tuple[Any, ...], str], ...] = (
    (
        (types.GeneratorType, types.AsyncGeneratorType),
        (
            "a generator can be read only once. Return list(...) of it, "
            "or make the step itself a generator function"
        ),
    ),
    (
        (types.CoroutineType, asyncio.Future, concurrent.futures.Future),
        "it is work that has not ended. Await it first (a missing `await`?) and return its result",
    ),
    (
        (
            types.FunctionType,
            types.MethodType,
            types.BuiltinFunctionType,
            types.MethodWrapperType,
            functools.partial,
        ),
        "a function is code, not data. Call it first, or record its name",
    ),
    ((types.ModuleType,), "a module is code, not data. Record its name"),
    (
        (type, types.GenericAlias, types.UnionType),
        "a class is code, not data. Record its name, or an instance of it",
    ),
    ((io.IOBase,), f"an open file {_RESOURCE}; return its path or what it holds"),
    ((socket.socket,), f"a socket {_RESOURCE}"),
    (
        (
            type(threading.Lock()),
            type(threading.RLock()),
            threading.Condition,
            threading.Semaphore,
            threading.Event,
            asyncio.Lock,
            asyncio.Semaphore,
            asyncio.Event,
            asyncio.Condition,
        ),
        f"a lock {_RESOURCE}",
    ),
    ((threading.Thread, subprocess.Popen), f"a thread or process {_RESOURCE}"),
    ((sqlite3.Connection, sqlite3.Cursor), f"a database connection {_RESOURCE}"),
    ((memoryview,), "a memoryview shows memory that may change. Return bytes(...) of it"),
    ((Context, ContextVar), f"a context {_RESOURCE}"),
    (
        (types.TracebackType, types.FrameType),
        "it holds the running program. Record traceback.format_exc() instead",
    ),
    (
        (Iterator, AsyncIterator),
        "an iterator can be read only once. Return list(...) of it",
    ),
)
_BUILT_IN: frozenset[Any] = frozenset({str, int, float, list, dict, tuple, set, frozenset})
_SECRETS = frozenset({"Secret", "SecretStr", "SecretBytes", "_SecretBase"})
_WAYS_OUT = (
    "Return plain values, a dataclass or a pydantic model instead; for an input of a step, "
    "name what identifies it with key="
)


def _reason(value: object) -> str:
    kind = type(value)
    if any(parent.__name__ in _SECRETS for parent in kind.__mro__):
        return (
            "a secret is never recorded. Read it from the configuration (${env:NAME}) "
            "inside the step that uses it"
        )
    for kinds, reason in _KNOWN:
        if isinstance(value, kinds):
            return reason
    if _is_client(kind):
        return (
            f"a client {_RESOURCE}, or keep it on the Workflow (self.client), "
            "which is no part of a step's inputs"
        )
    base = next((parent for parent in kind.__mro__ if parent in _BUILT_IN), None)
    if base is not None:
        return f"this subclass keeps more than Python shows. Convert it to a plain {base.__name__}"
    return "Surefoot does not know what of it is data"


def _is_client(kind: type) -> bool:
    return kind.__name__.endswith(("Client", "Session", "Engine", "Connection", "Pool", "Redis")) or any(
        parent.__module__.split(".")[0] in ("openai", "anthropic") and "Client" in parent.__name__
        for parent in kind.__mro__
    )


def not_data(refused: Refused, name: str) -> NotData:
    """The error for a refusal, where `name` is what the whole value is called."""
    trail = list(reversed(refused.trail))
    path = name + "".join(step for _, step in trail)
    if refused.is_too_deep:
        return NotData(_too_deep(name, trail))
    kind = type(refused.value)
    what = f"{canonical_module(kind.__module__)}.{kind.__qualname__}"
    return NotData(f"cannot record {path} ({what}): {refused.reason or _reason(refused.value)}. {_WAYS_OUT}")


def _too_deep(name: str, trail: list[tuple[object, str]]) -> str:
    seen: dict[int, str] = {}
    path = name
    for container, step in trail:
        first = seen.setdefault(id(container), path)
        if first != path:
            return (
                f"cannot record {name}: {path} is {first} again, so the value contains itself. "
                f"Break the cycle, as by ids in place of references. {_WAYS_OUT}"
            )
        path += step
    return (
        f"cannot record {name}: it is nested more than {DEPTH} levels of JSON deep, at {path[:200]}. "
        f"Return it flatter, as a list whose items refer to each other by id. {_WAYS_OUT}"
    )
