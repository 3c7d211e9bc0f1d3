"""Steps whose code visibly reads from somewhere or sends somewhere, by the libraries that it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from surefoot.flows.checking.frames import Walk
from surefoot.flows.checking.marks import Hop
from surefoot.prompts.fitting.meaning import Function, Symbol
from surefoot.prompts.fitting.scopes import Place, Scope

Does: TypeAlias = Literal["reads", "keeps", "sends", "both"]

_DEEP = 6
_LIBRARIES: dict[str, Does] = {
    **dict.fromkeys(("urllib.request", "feedparser", "imaplib", "poplib", "selenium", "playwright"), "reads"),
    **dict.fromkeys(
        ("smtplib", "ftplib", "paramiko", "slack_sdk", "twilio", "sendgrid", "telnetlib"), "sends"
    ),
    **dict.fromkeys(
        ("sqlite3", "psycopg", "psycopg2", "asyncpg", "aiosqlite", "pymysql", "MySQLdb", "sqlalchemy"),
        "keeps",
    ),
    **dict.fromkeys(("pymongo", "redis", "boto3", "google.cloud"), "keeps"),
    **dict.fromkeys(
        ("requests", "httpx", "httpx2", "aiohttp", "urllib3", "http.client", "websockets"), "both"
    ),
    **dict.fromkeys(
        ("subprocess", "socket", "os.system", "os.popen", "asyncio.create_subprocess_exec"), "both"
    ),
    "asyncio.create_subprocess_shell": "both",
    "surefoot.retrieval": "reads",
}
_READING = frozenset({"get", "head", "options"})
_WRITING = frozenset({"post", "put", "patch", "delete"})
_HTTP = frozenset({"requests", "httpx", "httpx2"})

_ADVICE: dict[Does, str] = {
    "reads": 'reads="untrusted", if what it fetches was not written by the team',
    "keeps": 'reads="private", if there is in it what not everybody may see, or reads=()',
    "sends": 'sends= with what it reaches, such as sends="mail"',
    "both": 'reads="untrusted" if it fetches, sends="..." if it passes something on, or both',
}


@dataclass(frozen=True, slots=True)
class Outside:
    """A step that says nothing of what it reads or sends; `calls` are the first calls that show that it does."""

    step: str
    at: Hop
    calls: tuple[tuple[str, Does], ...]

    @property
    def text(self) -> str:
        """What is missing, and what to write."""
        names = list(dict.fromkeys(name for name, _ in self.calls))
        kinds: list[Does] = list(dict.fromkeys(does for _, does in self.calls))
        one: Does = kinds[0] if len(kinds) == 1 else "both"
        return (
            f"step {self.step} calls {', '.join(names[:3])} and does not say what it reads or sends: "
            f"say {_ADVICE[one]}"
        )


def looked_through(scope: Scope, walk: Walk) -> tuple[tuple[str, Does], ...]:
    """The calls of a function, and of those of the project that it calls, that go outside of the program."""
    found: dict[str, Does] = {}
    seen: set[Scope] = set()
    waiting = [(scope, 0)]
    while waiting:
        one, depth = waiting.pop()
        if one in seen or depth > _DEEP:
            continue
        seen.add(one)
        for call, place in _calls_in(one):
            for meant in walk.meanings.of(call.func, place):
                if isinstance(meant, Symbol) and (does := _does(meant.dotted)):
                    found.setdefault(meant.dotted, does)
                elif isinstance(meant, Function) and walk.declarations.of(meant.scope) is None:
                    # A step inside speaks for itself.
                    waiting.append((meant.scope, depth + 1))
    return tuple(found.items())


def _calls_in(scope: Scope) -> Iterator[tuple[ast.Call, Place]]:
    for call, place in scope.module.calls:
        around = place.scope.function
        if around is scope:
            yield call, place


def _does(dotted: str) -> Does | None:
    parts = dotted.split(".")
    if parts[0] in _HTTP:
        return "reads" if parts[-1] in _READING else "sends" if parts[-1] in _WRITING else "both"
    for count in range(len(parts), 0, -1):
        if does := _LIBRARIES.get(".".join(parts[:count])):
            return does
    return None
