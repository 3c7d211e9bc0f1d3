"""Flows of transaction steps for tests that kill: as a process, it forks one child for each line on its standard input.

    FOLDER run NAME        a new run of the flow; FOLDER resume goes on with the last one
    wait PID               the exit code of a child, once it has ended

It answers with the pid of the child, which writes what the flow returns to FOLDER/output. The settings of the folder
name two databases, `file` and `server`, each with a table `business (n, token)` that has no unique key; in the
ledger's own file the steps make one.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import sqlalchemy as sa

from durable import open_app
from surefoot import flow, step

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 30
PAUSE = 0.002
LEASE = 0.5

Alchemy = sa.Connection


def token() -> str:
    return os.urandom(8).hex()


def save_by_sqlite(connection: sqlite3.Connection, n: int) -> str:
    made = token()
    connection.execute("INSERT INTO business VALUES (?, ?)", (n, made))
    time.sleep(PAUSE)
    return made


@step(transaction="ledger")
def save_in_ledger(connection: sqlite3.Connection, n: int) -> str:
    connection.execute("CREATE TABLE IF NOT EXISTS business (n INTEGER, token TEXT)")
    return save_by_sqlite(connection, n)


save_in_file = step(transaction="file")(save_by_sqlite)


@step(transaction="server")
def save_by_psycopg(connection: psycopg.Connection[Any], n: int) -> str:
    made = token()
    connection.execute("INSERT INTO business VALUES (%s, %s)", (n, made))
    time.sleep(PAUSE)
    return made


@step(transaction="server")
async def save_by_asyncpg(connection: asyncpg.Connection, n: int) -> str:
    made = token()
    await connection.execute("INSERT INTO business VALUES ($1, $2)", n, made)
    await asyncio.sleep(PAUSE)
    return made


def save_by_alchemy(connection: Alchemy, n: int) -> str:
    made = token()
    connection.execute(sa.text("INSERT INTO business VALUES (:n, :token)"), {"n": n, "token": made})
    time.sleep(PAUSE)
    return made


save_in_file_by_alchemy = step(transaction="file")(save_by_alchemy)
save_in_server_by_alchemy = step(transaction="server")(save_by_alchemy)


def one_by_one(save: Callable[[int], str]) -> list[str]:
    return [save(n) for n in range(COUNT)]


@flow
def in_ledger() -> list[str]:
    return one_by_one(save_in_ledger)


@flow
def in_file() -> list[str]:
    return one_by_one(save_in_file)


@flow
def by_psycopg() -> list[str]:
    return one_by_one(save_by_psycopg)


@flow
async def by_asyncpg() -> list[str]:
    return [*await asyncio.gather(*(save_by_asyncpg(n) for n in range(COUNT)))]


@flow
def in_file_by_alchemy() -> list[str]:
    return one_by_one(save_in_file_by_alchemy)


@flow
def in_server_by_alchemy() -> list[str]:
    return one_by_one(save_in_server_by_alchemy)


def wait_for(name: str) -> None:
    """Say that this point is reached, and wait until somebody says to go on."""
    Path(f"{name}.{os.getpid()}").touch()
    while not Path(f"{name}.go").exists():
        time.sleep(0.01)


@step(transaction="file")
def save_slowly_in_file(connection: sqlite3.Connection) -> str:
    made = token()
    connection.execute("INSERT INTO business VALUES (0, ?)", (made,))
    wait_for("inside")
    return made


@step(transaction="server")
def save_slowly_in_server(connection: psycopg.Connection[Any]) -> str:
    made = token()
    connection.execute("INSERT INTO business VALUES (0, %s)", (made,))
    wait_for("inside")
    return made


@step(transaction="server")
def save_and_commit_slowly(connection: psycopg.Connection[Any]) -> str:
    """A trigger of the table makes the commit wait, once the marker is written."""
    made = token()
    connection.execute("INSERT INTO business VALUES (0, %s)", (made,))
    Path(f"inside.{os.getpid()}").touch()
    return made


@flow
def slowly_in_file() -> str:
    return save_slowly_in_file()


@flow
def slowly_in_server() -> str:
    return save_slowly_in_server()


@flow
def committing_slowly() -> str:
    return save_and_commit_slowly()


def perform(folder: Path, command: list[str]) -> None:
    os.chdir(folder)
    app = open_app(folder, lease=LEASE)
    match command:
        case ["run", name]:
            result = app.run(globals()[name])
        case _:
            result = app.resume("last")
    app.close()
    draft = Path(f"output.{os.getpid()}")
    draft.write_text(repr(result))
    draft.replace("output")


def serve() -> None:
    # Each child finds the dialects imported.
    for driver in ("sqlite", "postgresql+psycopg", "postgresql+asyncpg"):
        sa.make_url(f"{driver}://").get_dialect().import_dbapi()
    for line in sys.stdin:
        folder, *command = line.split()
        if folder == "wait":
            child = int(command[0])
            sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            sys.stdout.flush()
            continue
        child = os.fork()
        if child == 0:
            code = 1
            try:
                perform(Path(folder), command)
                code = 0
            except BaseException:  # noqa: BLE001  (it is shown, and nothing of the parent may run here)
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
