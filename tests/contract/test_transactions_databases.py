"""Transaction steps on databases of the user's own: every driver, and every way to name a database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa

from business import folder, markers_of, rows_of
from durable import names, opened_app
from postgres import execute
from surefoot import App, flow, step
from surefoot.errors import ConfigError, Diverged, StepFailed, TransactionInDoubt, UsageError
from tampering import as_ours

__all__ = ["folder"]


@pytest.fixture
def app(folder: Path) -> Iterator[App]:
    with opened_app(folder) as app:
        yield app


@step(transaction="file")
def by_sqlite(connection: sqlite3.Connection, n: int, sql: str = "") -> int:
    connection.execute("INSERT INTO business VALUES (?, '')", (n,))
    if sql:
        connection.execute(sql)
    return n


@step(transaction="server")
def by_psycopg(connection: psycopg.Connection[Any], n: int, sql: str = "") -> int:
    connection.execute("INSERT INTO business VALUES (%s, '')", (n,))
    if sql:
        connection.execute(sql)
    return n


@step(transaction="server")
async def by_asyncpg(connection: asyncpg.Connection, n: int, sql: str = "") -> int:
    await connection.execute("INSERT INTO business VALUES ($1, '')", n)
    if sql:
        await connection.execute(sql)
    return n


def insert_by_alchemy(connection: sa.Connection, n: int, sql: str = "") -> int:
    connection.execute(sa.text("INSERT INTO business VALUES (:n, '')"), {"n": n})
    if sql == "COMMIT":
        connection.commit()
    elif sql:
        connection.execute(sa.text(sql))
    return n


alchemy_on_file = step(transaction="file", name="alchemy_on_file")(insert_by_alchemy)
alchemy_on_server = step(transaction="server", name="alchemy_on_server")(insert_by_alchemy)

ALL: list[tuple[Any, str]] = [
    (by_sqlite, "file"),
    (by_psycopg, "server"),
    (by_asyncpg, "server"),
    (alchemy_on_file, "file"),
    (alchemy_on_server, "server"),
]
EACH = pytest.mark.parametrize(("save", "where"), ALL, ids=[save.name for save, _ in ALL])


def called(save: Any, *arguments: object) -> Any:
    """What a flow gets that does nothing but this step."""
    if save.is_async:

        async def awaiting() -> Any:
            return await save(*arguments)

        return asyncio.run(flow(name="calling")(awaiting)())
    return flow(name="calling")(lambda: save(*arguments))()


def numbers(folder: Path, where: str) -> list[int]:
    return [n for n, _ in rows_of(folder, where)]


@EACH
def test_rows_and_marker_are_there(save: Any, where: str, app: App, folder: Path) -> None:
    assert called(save, 1) == 1
    assert called(save, 2) == 2
    assert numbers(folder, where) == [1, 2]
    assert markers_of(folder, where) == 2
    assert names(app) == [save.name]


@EACH
def test_a_body_that_raises_leaves_neither(save: Any, where: str, app: App, folder: Path) -> None:
    called(save, 1)
    with pytest.raises(Exception, match="no_such_table"):
        called(save, 2, "INSERT INTO no_such_table VALUES (1)")
    assert numbers(folder, where) == [1]
    assert markers_of(folder, where) == 1
    assert called(save, 3) == 3


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_attempt_is_undone_and_the_next_one_counts(is_async: bool, app: App, folder: Path) -> None:
    tried: list[int] = []

    def fail_twice() -> int:
        tried.append(len(tried))
        if len(tried) < 3:
            raise OSError("not yet")
        return len(tried)

    @step(transaction="server", retries=2, backoff=lambda _: 0.0)
    def flaky(connection: psycopg.Connection[Any]) -> int:
        connection.execute("INSERT INTO business VALUES (1, '')")
        return fail_twice()

    @step(transaction="server", retries=2, backoff=lambda _: 0.0)
    async def flaky_async(connection: asyncpg.Connection) -> int:
        await connection.execute("INSERT INTO business VALUES (1, '')")
        return fail_twice()

    assert called(flaky_async if is_async else flaky) == 3
    assert numbers(folder, "server") == [1]
    assert markers_of(folder, "server") == 1


@EACH
def test_a_body_that_commits_is_refused(save: Any, where: str, app: App, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Surefoot (commits|begins and ends)|may not end its transaction"):
        called(save, 1, "COMMIT")
    assert app.ledger.run("last").status == "failed"
    assert called(save, 2) == 2
    # By psycopg and asyncpg a statement is seen only once it was sent.
    assert numbers(folder, where) == ([1, 2] if save in (by_psycopg, by_asyncpg) else [2])


@EACH
def test_outside_of_a_run_there_is_a_transaction_and_no_marker(
    save: Any, where: str, app: App, folder: Path
) -> None:
    done = save(1)
    assert (asyncio.run(done) if save.is_async else done) == 1
    assert numbers(folder, where) == [1]
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        markers_of(folder, where)


@step
def other_step() -> int:
    return 1


def test_nothing_that_is_recorded_begins_inside(app: App, folder: Path) -> None:
    @step(transaction="server")
    async def calls(connection: asyncpg.Connection) -> int:
        await connection.execute("INSERT INTO business VALUES (1, '')")
        return other_step()

    @step(transaction="file")
    def nests(connection: sqlite3.Connection) -> int:
        return by_sqlite(1)

    for save in (calls, nests):
        with pytest.raises(UsageError, match="called inside"):
            called(save)
    with pytest.raises(UsageError, match="called inside"):
        nests()
    assert rows_of(folder, "server") == rows_of(folder, "file") == []


def test_many_at_once_share_few_connections(app: App, folder: Path) -> None:
    @flow
    async def many() -> list[int]:
        return [*await asyncio.gather(*(by_asyncpg(n) for n in range(50)))]

    for _ in range(2):
        # Each time on a loop of its own.
        assert asyncio.run(many()) == list(range(50))
    assert len(rows_of(folder, "server")) == 100


def test_what_is_in_the_way_is_waited_for(app: App, folder: Path) -> None:
    """Two transactions that each want what the other one holds: one is undone by the server, and tried again."""
    url = (folder / "url").read_text()
    execute(url, "INSERT INTO business VALUES (1, 'a'), (2, 'b')")
    tried: list[int] = []

    @step(transaction="server")
    async def swap(connection: asyncpg.Connection, first: int, second: int) -> int:
        tried.append(first)
        await connection.execute("UPDATE business SET token = token || 'x' WHERE n = $1", first)
        await asyncio.sleep(0.2)
        await connection.execute("UPDATE business SET token = token || 'x' WHERE n = $1", second)
        return first

    @flow
    async def swapping() -> list[int]:
        return [*await asyncio.gather(swap(1, 2), swap(2, 1))]

    assert asyncio.run(swapping()) == [1, 2]
    assert len(tried) > 2
    assert rows_of(folder, "server") == [(1, "axx"), (2, "bxx")]


def test_a_locked_file_is_waited_for(app: App, folder: Path) -> None:
    holder = sqlite3.connect(folder / "orders.db", check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    @flow
    async def waiting() -> int:
        asyncio.get_running_loop().call_later(1.3, holder.execute, "COMMIT")
        return await asyncio.to_thread(by_sqlite, 1)

    assert asyncio.run(waiting()) == 1
    holder.close()


def openers(url: str) -> dict[str, tuple[object, Callable[..., Any]]]:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    return {
        "an engine": (engine, insert_by_alchemy),
        "a function for sqlite3": (lambda: sqlite3.connect("orders.db"), inspect_body(by_sqlite)),
        "a function for psycopg": (lambda: psycopg.connect(url), inspect_body(by_psycopg)),
        "a function for asyncpg": (lambda: asyncpg.connect(url), inspect_body(by_asyncpg)),
    }


def inspect_body(made: Any) -> Callable[..., Any]:
    """The function that a step was made of."""
    body: Callable[..., Any] = made.__wrapped__.__wrapped__
    return body


KINDS = ["an engine", "a function for sqlite3", "a function for psycopg", "a function for asyncpg"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_or_a_function_takes_the_place_of_a_name(
    kind: str, app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    given, body = openers((folder / "url").read_text())[kind]
    save = step(transaction=given, name="saving")(body)
    assert called(save, 1) == 1
    where = "file" if "sqlite3" in kind else "server"
    assert numbers(folder, where) == [1]
    assert markers_of(folder, where) == 1
    if isinstance(given, sa.Engine):
        given.dispose()


def test_a_pool_takes_the_place_of_a_name(app: App, folder: Path) -> None:
    async def go() -> None:
        async with asyncpg.create_pool((folder / "url").read_text(), min_size=0, max_size=2) as pool:
            save = step(transaction=pool, name="saving")(inspect_body(by_asyncpg))

            @flow
            async def many() -> list[int]:
                return [*await asyncio.gather(*(save(n) for n in range(5)))]

            assert await many() == [0, 1, 2, 3, 4]

    asyncio.run(go())
    assert numbers(folder, "server") == [0, 1, 2, 3, 4]


def test_an_unknown_database_is_named_with_those_there_are(app: App) -> None:
    @step(transaction="odrers")
    def lost(connection: sqlite3.Connection) -> None: ...

    with pytest.raises(ConfigError, match=r"'odrers'.*file, ledger, server.*\[databases.odrers\]"):
        called(lost)


def test_an_async_step_on_a_file_is_refused(app: App) -> None:
    @step(transaction="file")
    async def waits(connection: sqlite3.Connection) -> None: ...

    with pytest.raises(UsageError, match="plain functions"):
        called(waits)


def test_who_may_not_create_the_table_of_markers_is_told_how_it_is_made(app: App, folder: Path) -> None:
    url = (folder / "url").read_text()
    execute(url, "DROP ROLE IF EXISTS clerk")
    execute(url, "CREATE ROLE clerk LOGIN")
    execute(url, "GRANT INSERT ON business TO clerk")
    clerk = url.replace("postgres@", "clerk@")
    save = step(transaction=lambda: psycopg.connect(clerk), name="saving")(inspect_body(by_psycopg))
    with pytest.raises(ConfigError, match="CREATE TABLE IF NOT EXISTS surefoot_markers") as raised:
        called(save, 1)
    execute(url, str(raised.value).partition("\n")[2].rstrip(";"))
    execute(url, "GRANT SELECT, INSERT ON surefoot_markers TO clerk")
    assert called(save, 1) == 1
    execute(url, "DROP OWNED BY clerk")
    execute(url, "DROP ROLE clerk")


SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"


@EACH
def test_no_secret_stands_in_a_marker_and_it_is_adopted_all_the_same(
    save: Any, where: str, app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    @step(transaction="file")
    def secretive(connection: sqlite3.Connection) -> str:
        return f"the key is {SECRET}"

    assert called(secretive) == f"the key is {SECRET}"
    connection = sqlite3.connect(folder / "orders.db")
    (stored,) = connection.execute("SELECT result FROM surefoot_markers").fetchone()
    run_id, key = connection.execute("SELECT run_id, step FROM surefoot_markers").fetchone()
    connection.close()
    assert SECRET.encode() not in stored
    assert SECRET in app.ledger.payloads.read_apart(stored, bound_to=f"{run_id}/{key}")
    assert os.environ["OPENAI_API_KEY"] == SECRET


@step(transaction="ledger")
def beside_the_ledger(connection: psycopg.Connection[Any], n: int) -> int:
    connection.execute("INSERT INTO business VALUES (%s, '')", (n,))
    return n


@step(transaction="ledger")
async def beside_the_ledger_async(connection: asyncpg.Connection, n: int) -> int:
    await connection.execute("INSERT INTO business VALUES ($1, '')", n)
    return n


def test_a_ledger_in_postgres_has_markers_beside_it(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "surefoot.toml").write_text(f'[ledger]\nurl = "{postgres_url}"\n')
    execute(postgres_url, "CREATE TABLE business (n INTEGER, token TEXT)")
    with opened_app(tmp_path):
        assert called(beside_the_ledger, 1) == 1
        assert called(beside_the_ledger_async, 2) == 2
        assert beside_the_ledger(3) == 3
    assert execute(postgres_url, "SELECT n FROM business ORDER BY n") == [(1,), (2,), (3,)]
    assert execute(postgres_url, "SELECT count(*) FROM surefoot_markers") == [(2,)]


def test_a_keyed_step_whose_inputs_changed_after_its_commit_is_not_taken_for_the_same(
    app: App, folder: Path
) -> None:
    given = [1]

    @step(transaction="file", key="only one")
    def keyed(connection: sqlite3.Connection, n: int) -> int:
        connection.execute("INSERT INTO business VALUES (?, '')", (n,))
        return n

    @flow
    def keying() -> int:
        return keyed(given[0])

    assert keying() == 1
    forget_outcomes(app.ledger.where)
    given[0] = 2
    with pytest.raises(Diverged, match="committed with other inputs"):
        resumed(app, keying)
    assert numbers(folder, "file") == [1]
    assert app.resume("last", flow=keying, accept_divergence=True) == 2
    assert numbers(folder, "file") == [1, 2]
    assert markers_of(folder, "file") == 1


def resumed(app: App, made: Any) -> NoReturn:
    """Resume the last run, and raise what its flow raises."""
    with pytest.raises(StepFailed) as failed:
        app.resume("last", flow=made)
    raise failed.value.__cause__ or failed.value


def forget_outcomes(ledger: str) -> None:
    """Leave the ledger as a crash right after the commit of its only step would have."""
    connection = sqlite3.connect(ledger)
    connection.execute("DELETE FROM outcomes WHERE kind <> 'start'")
    connection.execute("UPDATE runs SET status = 'running', lease_until_ns = 0, ended_ns = NULL, head = NULL")
    connection.commit()
    connection.close()
    as_ours(Path(ledger))


def test_a_server_that_is_gone_at_the_commit_leaves_the_run_to_be_resumed(
    app: App, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the connection in mid-commit and lets nobody in until the run is resumed."""
    url = (folder / "url").read_text()
    monkeypatch.setattr("surefoot.flows.transactions.transacting._TRIES", 2)
    execute(
        url,
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
    )
    execute(
        url,
        "CREATE CONSTRAINT TRIGGER gone AFTER INSERT ON business DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION gone()",
    )

    @flow
    def saving() -> int:
        return by_psycopg(1)

    with pytest.raises(TransactionInDoubt, match="found out by its marker"):
        saving()
    assert numbers(folder, "server") == []
    assert app.ledger.run("last").status == "running"
    execute(url, "DROP TRIGGER gone ON business")
    assert app.resume("last", flow=saving) == 1
    assert numbers(folder, "server") == [1]


def test_a_run_that_suppresses_effects_writes_nothing(app: App, folder: Path) -> None:
    from surefoot.flows.running import open_scope

    @step(transaction="file", stand_in=7)
    def spared(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO business VALUES (1, '')")
        return 1

    @flow
    def trying() -> int:
        here = open_scope()
        assert here is not None
        here.run.suppresses_effects = True
        return spared()

    assert trying() == 7
    assert numbers(folder, "file") == []


@pytest.mark.parametrize(
    "save", [by_psycopg, by_asyncpg, alchemy_on_server], ids=["psycopg", "asyncpg", "sqlalchemy"]
)
def test_a_connection_that_broke_while_nobody_used_it_is_replaced(save: Any, app: App, folder: Path) -> None:
    url = (folder / "url").read_text()

    def end_the_others() -> None:
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    if save.is_async:

        @flow
        async def twice() -> list[int]:
            first = await save(1)
            await asyncio.to_thread(end_the_others)
            return [first, await save(2)]

        assert asyncio.run(twice()) == [1, 2]
    else:
        called(save, 1)
        end_the_others()
        called(save, 2)
    assert numbers(folder, "server") == [1, 2]


@pytest.mark.parametrize("save", [by_sqlite, by_psycopg, alchemy_on_server], ids=lambda save: save.name)
def test_a_forked_child_opens_its_own(save: Any, app: App, folder: Path) -> None:
    called(save, 1)
    child = os.fork()
    if child == 0:
        try:
            called(save, 2)
        except BaseException:  # noqa: BLE001  (nothing of the parent may run here)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    called(save, 3)
    assert numbers(folder, "file" if save is by_sqlite else "server") == [1, 2, 3]
