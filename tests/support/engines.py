"""A ledger on each engine, for tests that hold on all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

import postgres
from begun import Begun
from surefoot.ledger import Keyring, Ledger, Owner, Payloads, PostgresLedger, SqliteLedger, this_process
from warm import IMPORTS, warm


@dataclass
class Place:
    """Where one ledger is. Whoever opens it again sees what another process would."""

    engine: Literal["sqlite", "postgres"]
    folder: Path
    url: str = ""
    opened: list[Ledger] = field(default_factory=list)

    def open(self, **options: Any) -> Ledger:
        """`privacy`, `key` and `inline_bytes` go to the ledger's payloads."""
        keyring = Keyring(self.folder / "key", key=options.pop("key", None))
        payloads = Payloads(keyring, **options)
        ledger: Ledger
        if self.engine == "sqlite":
            ledger = SqliteLedger(self.folder / "ledger.db", payloads, synchronous="normal")
        else:
            ledger = PostgresLedger(self.url, payloads)
        self.opened.append(ledger)
        return ledger

    def execute(self, statement: str, *values: object) -> list[Any]:
        """A statement behind the ledger's back, with `?` for parameters."""
        if self.engine == "postgres":
            first, *rest = statement.split("?")
            numbered = first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
            return postgres.execute(self.url, numbered, *values, search_path="surefoot")
        import sqlite3

        connection = sqlite3.connect(self.folder / "ledger.db", isolation_level=None)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def in_child(self, code: str, *arguments: str) -> Begun:
        """Another process that runs `code`, where `place` is this and `arguments` are `sys.argv[1:]`."""
        support = str(Path(__file__).parent)
        opening = (
            f"import sys; sys.path[:0] = [{support!r}]; from pathlib import Path; from engines import Place; "
            f"place = Place({self.engine!r}, Path({str(self.folder)!r}), {self.url!r})\n"
        )
        return warm(IMPORTS).begin(opening + code, arguments, cwd=Path.cwd())


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    place = Place(request.param, tmp_path, url)
    yield place
    for ledger in place.opened:
        ledger.close()


@pytest.fixture
def ledger(place: Place) -> Ledger:
    return place.open()


@pytest.fixture
def other(place: Place, ledger: Ledger) -> Ledger:
    """The same ledger as another process sees it."""
    return place.open()


def a_living_owner() -> tuple[subprocess.Popen[bytes], Owner]:
    """A process that sleeps, as the owner of runs."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return process, replace(this_process(), pid=process.pid, started=stat.rpartition(")")[2].split()[19])
