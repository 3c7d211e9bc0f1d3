"""Steps that write to the ledger's own file: their rows and their outcome are one commit, and nobody else's suffer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from durable import history, names, open_app, opened_app
from surefoot import App, flow, step
from surefoot.errors import NotData, UsageError

R = TypeVar("R")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        create()
        yield app


@step(transaction="ledger")
def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS business (n INTEGER, what TEXT)")
    connection.execute("CREATE INDEX IF NOT EXISTS business_by_n ON business (n)")


@step(transaction="ledger")
def save(connection: sqlite3.Connection, n: int, what: str = "") -> int:
    connection.execute("INSERT INTO business VALUES (?, ?)", (n, what))
    return int(connection.execute("SELECT count(*) FROM business").fetchone()[0])


@step(transaction="ledger")
async def save_async(connection: sqlite3.Connection, n: int) -> int:
    connection.execute("INSERT INTO business VALUES (?, '')", (n,))
    return n


@step(transaction="ledger")
def execute(connection: sqlite3.Connection, sql: str) -> None:
    connection.execute("INSERT INTO business VALUES (-1, 'before')")
    connection.execute(sql)


@flow
def saving(n: int) -> list[int]:
    return [save(n), save(n), save(n, "other")]


@flow
def executing(sql: str) -> None:
    execute(sql)


def called(body: Callable[[], R]) -> R:
    """What a flow gives that does nothing else."""
    return flow(name="calling")(body)()


def rows(app: App) -> list[int]:
    connection = sqlite3.connect(app.ledger.where)
    try:
        return [row[0] for row in connection.execute("SELECT n FROM business ORDER BY rowid")]
    finally:
        connection.close()


def test_rows_and_outcomes_are_there_and_are_not_made_again(app: App) -> None:
    assert saving(7) == [1, 2, 3]
    assert rows(app) == [7, 7, 7]
    assert names(app) == ["save", "save", "save"]
    assert app.resume("last") == [1, 2, 3]
    assert rows(app) == [7, 7, 7]
    assert app.ledger.run("last").totals.steps == 3
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_the_connection_is_no_part_of_the_inputs(app: App) -> None:
    saving(7)
    shown = [app.ledger.view(link.outcome.inputs) for link in history(app) if link.outcome.kind == "step"]
    assert shown == ['{"n":7,"what":""}', '{"n":7,"what":""}', '{"n":7,"what":"other"}']


def test_outside_of_a_run_the_body_is_a_transaction_of_its_own(app: App) -> None:
    assert save(1) == 1
    with pytest.raises(sqlite3.OperationalError):
        execute("SELECT no_such_column FROM business")
    assert asyncio.run(save_async(2)) == 2
    assert rows(app) == [1, 2]
    assert app.ledger.runs() == []


REFUSED = [
    ("COMMIT", "return to commit it"),
    ("ROLLBACK", "return to commit it"),
    ("BEGIN", "return to commit it"),
    ("END", "return to commit it"),
    ("SAVEPOINT mine", "the whole body is one"),
    ("RELEASE body", "the whole body is one"),
    ("ROLLBACK TO body", "the whole body is one"),
    ("ATTACH ':memory:' AS other", "databases"),
    ("PRAGMA synchronous = OFF", "the ledger's own connection"),
    ("PRAGMA writable_schema = ON", "the ledger's own connection"),
    ("CREATE TEMP TABLE outcomes (n)", "the ledger's own connection"),
    ("CREATE TEMP TRIGGER t AFTER INSERT ON outcomes BEGIN SELECT 1; END", "the ledger's own connection"),
    ("ANALYZE", "how the ledger is searched"),
    ("INSERT INTO ledger VALUES ('x', 1, 'y')", "table of the ledger"),
    ("UPDATE runs SET epoch = 7", "table of the ledger"),
    ("DELETE FROM OUTCOMES", "table of the ledger"),
    ("DROP TABLE runs", "table of the ledger"),
    ("ALTER TABLE inbox RENAME TO mine", "table of the ledger"),
    ("CREATE INDEX mine ON outcomes (name)", "table of the ledger"),
    ("CREATE TRIGGER t AFTER INSERT ON outcomes BEGIN SELECT 1; END", "table of the ledger"),
    # What the writer says itself, which its connection knows already.
    ("BEGIN IMMEDIATE", "return to commit it"),
    ("SAVEPOINT body", "the whole body is one"),
    ("UPDATE runs SET lease_until_ns = 0 WHERE id = 'x' AND epoch = 1", "table of the ledger"),
]


@pytest.mark.parametrize(("sql", "said"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_what_is_not_the_bodys_to_do_is_refused_and_undone(sql: str, said: str, app: App) -> None:
    with pytest.raises(UsageError, match=said):
        executing(sql)
    assert rows(app) == []
    assert app.ledger.run("last").status == "failed"
    assert saving(1) == [1, 2, 3]


@step(transaction="ledger")
def trigger(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TRIGGER sly AFTER INSERT ON business BEGIN DELETE FROM runs; END")
    connection.execute("INSERT INTO business VALUES (1, '')")


def test_a_trigger_of_the_users_does_not_reach_the_ledger_either(app: App) -> None:
    with pytest.raises(UsageError, match="table of the ledger"):
        called(trigger)
    assert saving(1) == [1, 2, 3]


def call(method: str) -> Any:
    @step(transaction="ledger", name=method)
    def calling(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO business VALUES (1, '')")
        arguments = ("SELECT 1",) if method == "executescript" else ()
        getattr(connection, method)(*arguments)

    return calling


@pytest.mark.parametrize("method", ["commit", "rollback", "close", "executescript", "__enter__"])
def test_a_method_that_would_end_the_transaction_is_refused(method: str, app: App) -> None:
    with pytest.raises(UsageError, match="may not call"):
        called(call(method))
    assert rows(app) == []


kept: list[Any] = []


@step(transaction="ledger")
def keep(connection: sqlite3.Connection) -> None:
    kept[:] = [connection, connection.execute("SELECT * FROM business")]


def test_a_connection_that_was_kept_is_of_no_use(app: App) -> None:
    save(1)
    keep()
    with pytest.raises(UsageError, match="has ended"):
        kept[0].execute("INSERT INTO business VALUES (2, '')")
    with pytest.raises(sqlite3.ProgrammingError):
        kept[1].fetchall()
    assert isinstance(kept[0], sqlite3.Connection)
    assert not kept[0].in_transaction
    assert rows(app) == [1]


@step(transaction="ledger")
def save_badly(connection: sqlite3.Connection, n: int, how: str) -> object:
    connection.execute("INSERT INTO business VALUES (?, ?)", (n, how))
    match how:
        case "raise":
            raise ValueError(f"no {n}")
        case "escape":
            connection.execute("CREATE TABLE IF NOT EXISTS strict (n UNIQUE)")
            connection.execute("INSERT INTO strict VALUES (1)")
            connection.execute("INSERT OR ROLLBACK INTO strict VALUES (1)")
        case "hide":
            connection.execute("CREATE TABLE IF NOT EXISTS strict (n UNIQUE)")
            connection.execute("INSERT INTO strict VALUES (1)")
            try:
                connection.execute("INSERT OR ROLLBACK INTO strict VALUES (1)")
            except sqlite3.IntegrityError:
                connection.execute("INSERT INTO business VALUES (?, 'in no transaction')", (n,))
        case "exit":
            raise SystemExit(3)
        case "no data":
            return object()
        case _:
            return n
    return None


BAD = {
    "raise": ValueError,
    "escape": sqlite3.IntegrityError,
    "hide": UsageError,
    "exit": SystemExit,
    "no data": NotData,
}


@pytest.mark.parametrize("how", BAD)
def test_a_body_that_fails_leaves_nothing(how: str, app: App) -> None:
    with pytest.raises(BAD[how]):
        called(lambda: save_badly(1, how))
    assert rows(app) == []
    assert saving(1) == [1, 2, 3]


def test_of_64_bodies_at_once_those_that_fail_take_no_other_along(app: App) -> None:
    hows = [list(BAD)[n // 4 % 4] if n % 4 == 0 else "well" for n in range(64)]
    hows = ["no data" if how == "exit" else how for how in hows]

    @flow
    def one(n: int) -> object:
        return save_badly(n, hows[n])

    ready = threading.Barrier(64)

    def go(n: int) -> object:
        ready.wait()
        with app.entered():
            try:
                return one(n)
            except Exception as error:  # noqa: BLE001  (compared below)
                return type(error)

    with ThreadPoolExecutor(64) as pool:
        done = list(pool.map(go, range(64)))
    assert done == [n if how == "well" else BAD[how] for n, how in enumerate(hows)]
    assert sorted(rows(app)) == [n for n, how in enumerate(hows) if how == "well"]
    for run in app.ledger.runs(limit=None):
        assert app.ledger.first_break(run.id) is None


def test_what_is_committed_with_a_body_that_spoils_the_batch_is_written_all_the_same(app: App) -> None:
    @flow
    async def together() -> list[object]:
        async def badly() -> object:
            try:
                return await asyncio.to_thread(save_badly, 1, "escape")
            except sqlite3.IntegrityError as error:
                return type(error).__name__

        return [*await asyncio.gather(*(save_async(n) for n in range(20)), badly(), save_async(20))]

    assert asyncio.run(together()) == [*range(20), "IntegrityError", 20]
    assert sorted(rows(app)) == list(range(21))


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "


@step(transaction="ledger")
def loop(connection: sqlite3.Connection, how: str) -> None:
    connection.execute("INSERT INTO business VALUES (1, '')")
    match how:
        case "reading":
            connection.execute(f"{ENDLESS} SELECT count(*) FROM c")
        case "fetching":
            for _ in connection.execute(f"{ENDLESS} SELECT x FROM c WHERE x < 0"):
                pass
        case "writing":
            connection.execute(f"INSERT INTO business {ENDLESS} SELECT x, '' FROM c")
        case _:
            while True:
                connection.execute("SELECT 1")


@pytest.mark.parametrize("how", ["reading", "fetching", "writing", "in Python"])
def test_a_body_that_loops_is_stopped(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "surefoot.toml").write_text("[ledger]\nbody_seconds = 0.2\n")
    with opened_app(tmp_path) as app:
        create()
        with pytest.raises(UsageError, match="longer than it may"):
            called(lambda: loop(how))
        assert rows(app) == []
        assert saving(1) == [1, 2, 3]


def test_a_failed_attempt_is_undone_and_the_next_one_counts(app: App) -> None:
    tried: list[int] = []

    @step(transaction="ledger", retries=2, backoff=lambda _: 0.0)
    def flaky(connection: sqlite3.Connection) -> int:
        tried.append(len(tried))
        connection.execute("INSERT INTO business VALUES (?, '')", (tried[-1],))
        if len(tried) < 3:
            raise OSError("not yet")
        return tried[-1]

    assert called(flaky) == 2
    assert rows(app) == [2]
    attempts = [link.outcome for link in history(app) if link.outcome.kind == "step"]
    assert [(outcome.attempt, outcome.status) for outcome in attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "completed"),
    ]


@step
def plain_step() -> int:
    return 1


@step(transaction="ledger")
def calls_a_step(connection: sqlite3.Connection) -> int:
    return plain_step()


@step(transaction="ledger")
def calls_a_transaction(connection: sqlite3.Connection) -> int:
    return save(1)


@flow
def inner() -> int:
    return 1


@step(transaction="ledger")
def calls_a_flow(connection: sqlite3.Connection) -> int:
    return inner()


@pytest.mark.parametrize("body", [calls_a_step, calls_a_transaction, calls_a_flow], ids=str)
def test_what_is_recorded_cannot_begin_in_a_body(body: Any, app: App) -> None:
    with pytest.raises(UsageError, match="was called inside"):
        called(body)
    assert rows(app) == []
    # Behind the body it can.
    assert called(lambda: [plain_step(), save(1)]) == [1, 1]


def test_an_async_body_may_await_nothing(app: App) -> None:
    @step(transaction="ledger")
    async def sleepy(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO business VALUES (1, '')")
        await asyncio.sleep(0)

    @flow
    async def sleeping() -> None:
        await sleepy()

    with pytest.raises(UsageError, match="awaits something"):
        asyncio.run(sleeping())
    assert rows(app) == []


def test_a_run_that_was_taken_over_writes_no_rows(app: App) -> None:
    @step
    def lose() -> None:
        connection = sqlite3.connect(app.ledger.where)
        connection.execute("UPDATE runs SET epoch = epoch + 1")
        connection.commit()
        connection.close()

    @flow
    def losing() -> int:
        lose()
        return save(1)

    with pytest.raises(Exception, match="taken over"):
        losing()
    assert rows(app) == []


def test_a_method_gets_the_connection_behind_its_object(app: App) -> None:
    class Shop:
        @step(transaction="ledger", key="the only one")
        def sell(self, connection: sqlite3.Connection, n: int) -> int:
            connection.execute("INSERT INTO business VALUES (?, '')", (n,))
            return n

    assert called(lambda: Shop().sell(3)) == 3
    assert rows(app) == [3]


def test_rows_of_the_users_outlive_the_application(tmp_path: Path) -> None:
    with opened_app(tmp_path):
        create()
        saving(1)
    app = open_app(tmp_path)
    with app.entered():
        assert saving(2) == [4, 5, 6]
    app.close()


def test_a_step_that_says_effect_or_has_no_parameter_is_refused() -> None:
    def body(connection: sqlite3.Connection) -> None: ...

    # As a call looks that no type checker has seen.
    undeclared: Any = step
    for options in ({"effect": True}, {"pure": True}, {"plain": True}):
        with pytest.raises(UsageError, match="exactly once"):
            undeclared(transaction="ledger", **options)(body)
    with pytest.raises(UsageError, match="no parameter for the connection"):
        undeclared(transaction="ledger")(lambda: None)
    with pytest.raises(UsageError, match="transaction= got a int"):
        step(transaction=7)(body)
