"""A ledger on Postgres whose server stops, dies, refuses, or is somewhere else: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from ledgers import end, outcome, start, started, take_over
from postgres import Server, execute, private_server
from surefoot.effects import drive
from surefoot.errors import LedgerError, LedgerReadOnly, MissingExtra
from surefoot.ledger import (
    Adopt,
    Append,
    Budget,
    Budgets,
    Keyring,
    Message,
    Payloads,
    Pin,
    PostgresLedger,
    Prompts,
    Send,
    TakeOver,
    lease_of,
    pins_of,
    this_process,
)
from surefoot.ledger.bookkeeping import wrong_accounts
from surefoot.ledger.entries import SweepHolds
from surefoot.ledger.opening import tables_of
from surefoot.prompts import Library
from surefoot.values import Caller, Label, Money, PromptRef, new_id


@pytest.fixture
def server() -> Iterator[Server]:
    with private_server() as server:
        yield server


def opened(url: str, folder: Path, **rest: object) -> PostgresLedger:
    return PostgresLedger(url, Payloads(Keyring(folder / "key")), **rest)  # type: ignore[arg-type]


class Wire:
    """A cable between a ledger and its server, that can be cut before or after what goes over it arrives."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallows_answers = False
        self.seen_answers = 0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._server))
            self._ends += [near, far]
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(65536):
                if is_answer and self.swallows_answers:
                    self.seen_answers += 1
                    continue
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self) -> None:
        for one in self._ends:
            # Closing alone does not wake a thread that reads.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._ends.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.fixture
def wire(postgres_server: Server) -> Iterator[Wire]:
    wire = Wire(postgres_server.port)
    yield wire
    wire.close()


def through(wire: Wire, url: str) -> str:
    return url.replace(url.rpartition(":")[2].partition("/")[0], str(wire.port))


@pytest.mark.parametrize("what", ["hold", "more", "settle", "part", "outcome", "sweep"])
def test_money_of_which_the_answer_was_lost_counts_once(
    wire: Wire, postgres_url: str, tmp_path: Path, what: str
) -> None:
    ledger = opened(through(wire, postgres_url), tmp_path)
    run_id = started(ledger)
    budgets = Budgets(ledger, [Budget("all", Money(100)), Budget("tenants", Money(100), of="tenant")])
    # The accounts are there from now on, so that it is one statement.
    first = drive(budgets.hold(Caller(), Money(50), what="the call", patience=0.0))
    part = drive(first.part(Money(20)))

    def act() -> None:
        if what == "hold":
            drive(drive(budgets.hold(Caller(), Money(40), what="the call", patience=0.0)).settle(Money(5)))
        elif what == "more":
            drive(first.more(Money(40)))
        elif what == "settle":
            drive(part.settle(Money(5)))
            drive(first.settle(Money(6)))
        elif what == "part":
            drive(drive(part.part(Money(60))).settle(None))
        elif what == "outcome":
            ledger.submit(Append(outcome(run_id, 1), [], part.settlement(Money(5)))).wait()
        else:
            ledger.submit(SweepHolds(ledger.hold_owners())).wait()

    wire.swallows_answers = what != "sweep"
    acting = threading.Thread(target=act)
    acting.start()
    end_at = time.monotonic() + 10
    while wire.seen_answers == 0 and wire.swallows_answers and time.monotonic() < end_at:
        time.sleep(0.01)
    wire.swallows_answers = False
    wire.cut()
    acting.join(30)
    expected = {
        "hold": (5, 50, 0),
        "more": (0, 90, 0),
        "settle": (11, 0, 0),
        "part": (60, 30, 0),
        "outcome": (5, 30, 0),
        "sweep": (50, 0, 50),
    }[what]
    for one in budgets.accounts():
        assert (one.spent.nanos, one.held.nanos, one.unsure.nanos) == expected
    with closing(tables_of(ledger)) as tables:
        assert list(wrong_accounts(tables)) == []
    ledger.close()


@pytest.mark.parametrize("what", ["append", "start", "end", "takeover"])
def test_a_commit_whose_answer_was_lost_counts_once(
    wire: Wire, postgres_url: str, tmp_path: Path, what: str
) -> None:
    ledger = opened(through(wire, postgres_url), tmp_path)
    run_id = started(ledger, 1, lease=-1.0)
    new = new_id()
    entries = {
        "append": [Append(outcome(run_id, n), []) for n in (2, 3)],
        "start": [start(new), Append(outcome(run_id, 2), [])],
        "end": [Append(outcome(run_id, 2), []), end(run_id)],
    }
    wire.swallows_answers = True
    if what == "takeover":
        taking = threading.Thread(target=lambda: taken.append(take_over(ledger, run_id).epoch))
        taken: list[int] = []
        taking.start()
        waiting = []
    else:
        waiting = [ledger.submit(entry) for entry in entries[what]]
        ledger.nudge()
    end_at = time.monotonic() + 10
    while wire.seen_answers == 0 and time.monotonic() < end_at:
        time.sleep(0.01)
    # The server has answered: it has committed. The ledger does not know.
    wire.swallows_answers = False
    wire.cut()
    for pending in waiting:
        pending.wait()
    if what == "takeover":
        taking.join()
        assert taken == [ledger.run(run_id).epoch]
        ledger.submit(Append(outcome(run_id, 2, epoch=taken[0]), [])).wait()
    names = [link.outcome.name for link in ledger.history(run_id)]
    assert len(names) == len(set(names)) + (what == "end")
    assert len(names) == {"append": 4, "start": 3, "end": 4, "takeover": 3}[what]
    assert ledger.first_break(run_id) is None
    if what == "start":
        assert len(ledger.history(new)) == 1
    if what == "end":
        assert ledger.run(run_id).status == "completed"
    ledger.close()


@pytest.mark.parametrize("what", ["move", "outcome"])
def test_what_is_kept_of_prompts_while_answers_are_lost_is_there_once(
    wire: Wire, postgres_url: str, tmp_path: Path, what: str
) -> None:
    ledger = opened(through(wire, postgres_url), tmp_path)
    run_id = started(ledger)
    archive = Prompts(ledger)
    archive.move(Label("p", "production", "1", "d1"))
    pin = Pin(run_id, 1, "p", "p", "2", "d2")

    def act() -> None:
        if what == "move":
            archive.move(Label("p", "production", "2", "d2", by="ann"))
        else:
            ledger.submit(Append(outcome(run_id, 1), [pin])).wait()

    wire.swallows_answers = True
    acting = threading.Thread(target=act)
    acting.start()
    end_at = time.monotonic() + 10
    while wire.seen_answers == 0 and time.monotonic() < end_at:
        time.sleep(0.01)
    wire.swallows_answers = False
    wire.cut()
    acting.join(30)
    moves = [(move.digest, move.before) for move in archive.moves("p")]
    assert moves == [*([("d2", "d1")] if what == "move" else []), ("d1", "")]
    assert len(ledger.history(run_id)) == 1 + (what == "outcome")
    assert pins_of(ledger, run_id) == ({"p": PromptRef("p", "2", "d2")} if what == "outcome" else {})
    ledger.close()


def test_labels_that_are_known_go_on_to_count_while_the_server_is_away(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "prompts").mkdir()
    for version in ("1", "2"):
        (tmp_path / "prompts" / f"{version}.yaml").write_text(
            f"prompt_id: p\nversion: '{version}'\ntemplate: hi {version}\n"
        )

    def library(ledger: PostgresLedger) -> Library:
        return Library(tmp_path / "prompts", archive=Prompts(ledger), refresh=0.0)

    # Whoever waits for outcomes is as patient as that; labels are not worth it.
    ledger = opened(server.url(), tmp_path, outage_seconds=600.0)
    ours = library(ledger)
    ours.promote("p@1", "production")
    assert ours.find("p").version == "1"
    server.kill()
    with caplog.at_level("WARNING", "surefoot.prompts"):
        for _ in range(3):
            assert ours.find("p").version == "1"
    assert caplog.text.count("those that were known go on to count") == 1
    # Of a version that is named the ledger is asked only whether it was edited.
    assert library(ledger).find("p@2").version == "2"
    stranger = opened(server.url(), tmp_path)
    with pytest.raises(LedgerError, match=r"name one by its version or digest, as in `name@2`"):
        library(stranger).find("p")
    server.start()
    library(ledger).promote("p@2", "production")
    ours.labels.forget()
    assert ours.find("p").version == "2"
    ledger.close()
    stranger.close()


@pytest.mark.parametrize("what", ["append", "adopt", "takeover"])
def test_a_wire_that_falls_silent_without_being_cut(
    wire: Wire, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("surefoot.ledger.postgres._SILENT_SECONDS", 0.5)
    ledger = opened(through(wire, postgres_url), tmp_path)
    run_id = started(ledger, 1, lease=-1.0)
    ledger.submit(Send(Message("m", run_id, "event", 1, "{}"))).wait()
    entry = {
        "append": Append(outcome(run_id, 2), []),
        "adopt": Adopt(["m"], outcome(run_id, 2, kind="message"), []),
        "takeover": TakeOver(run_id, this_process(), lease_of(30)),
    }[what]
    wire.swallows_answers = True
    waiting = ledger.submit(entry)
    ledger.nudge()
    end_at = time.monotonic() + 10
    while wire.seen_answers == 0 and time.monotonic() < end_at:
        time.sleep(0.01)
    # Nobody will ever hear of what was answered, nor that anything is wrong.
    wire.swallows_answers = False
    waiting.wait()
    epoch = ledger.run(run_id).epoch
    ledger.submit(Append(outcome(run_id, 3, epoch=epoch), [])).wait()
    names = [link.outcome.name for link in ledger.history(run_id)]
    assert names == ["flow", "step-1", *([] if what == "takeover" else ["step-2"]), "step-3"]
    assert ledger.messages([run_id]) == ([] if what == "adopt" else [Message("m", run_id, "event", 1, "{}")])
    assert ledger.first_break(run_id) is None
    ledger.close()


def test_tables_that_another_session_has_locked(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.ledger.postgres_connection._LOCK_SECONDS", 0.3)
    ledger = opened(postgres_url, tmp_path)
    run_id = started(ledger, 1)
    with holding(postgres_url, "LOCK TABLE surefoot.outcomes IN SHARE MODE"):
        with pytest.raises(
            LedgerError, match=r"locked by another session.*pg_stat_activity.*resume"
        ) as caught:
            ledger.submit(Append(outcome(run_id, 2), [])).wait()
        assert ledger.where in str(caught.value)
        assert len(ledger.history(run_id)) == 2
    ledger.submit(Append(outcome(run_id, 2), [])).wait()
    assert len(ledger.history(run_id)) == 3
    assert ledger.first_break(run_id) is None
    ledger.close()


@contextmanager
def holding(url: str, statement: str) -> Iterator[None]:
    """A transaction of somebody else that has run a statement and does not come to its end."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        transaction = connection.transaction()
        runner.run(transaction.start())
        runner.run(connection.execute(statement))
        try:
            yield
        finally:
            runner.run(transaction.rollback())
            runner.run(connection.close())


def test_a_wire_that_is_cut_all_the_time(wire: Wire, postgres_url: str, tmp_path: Path) -> None:
    ledger = opened(through(wire, postgres_url), tmp_path)
    run_ids = [started(ledger) for _ in range(4)]
    is_over = threading.Event()

    done: list[int] = []

    def cut() -> None:
        cut_at = 0
        while not is_over.wait(0.02):
            # On a slow machine it must be possible to get something done between two cuts.
            if len(done) >= cut_at + 8:
                cut_at = len(done)
                wire.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()

    def work(run_id: str) -> None:
        for n in range(1, 100):
            ledger.submit(Append(outcome(run_id, n), [])).wait()
            done.append(n)

    workers = [threading.Thread(target=work, args=(run_id,), daemon=True) for run_id in run_ids]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    is_over.set()
    cutter.join()
    for run_id in run_ids:
        assert [link.outcome.name for link in ledger.history(run_id)[1:]] == [
            f"step-{n}" for n in range(1, 100)
        ]
        assert ledger.first_break(run_id) is None
    ledger.close()


def test_a_server_that_is_killed_and_started_again(server: Server, tmp_path: Path) -> None:
    ledger = opened(server.new_database(), tmp_path)
    run_ids = [started(ledger) for _ in range(4)]
    done: dict[str, int] = dict.fromkeys(run_ids, 0)

    def work(run_id: str) -> None:
        for n in range(1, 200):
            ledger.submit(Append(outcome(run_id, n), [])).wait()
            done[run_id] = n

    workers = [threading.Thread(target=work, args=(run_id,), daemon=True) for run_id in run_ids]
    for worker in workers:
        worker.start()
    for kill in (server.kill, server.stop):
        time.sleep(0.05)
        kill()
        acknowledged = dict(done)
        server.start()
        for run_id, n in acknowledged.items():
            assert len(ledger.history(run_id)) > n
    for worker in workers:
        worker.join()
    for run_id in run_ids:
        assert [link.outcome.name for link in ledger.history(run_id)[1:]] == [
            f"step-{n}" for n in range(1, 200)
        ]
        assert ledger.first_break(run_id) is None
    ledger.close()


def test_a_server_that_stays_away_is_an_error_in_bounded_time(server: Server, tmp_path: Path) -> None:
    ledger = opened(server.new_database(), tmp_path, outage_seconds=0.3)
    run_id = started(ledger, 1)
    server.stop()
    with pytest.raises(LedgerError, match=r"cannot be reached|is stopping"):
        ledger.submit(Append(outcome(run_id, 2), [])).wait()
    with pytest.raises(LedgerError, match=r"cannot be reached"):
        ledger.history(run_id)
    server.start()
    ledger.submit(Append(outcome(run_id, 2), [])).wait()
    assert len(ledger.history(run_id)) == 3
    ledger.close()


# Errors that say what to do


def refused(url: str, folder: Path, **rest: object) -> LedgerError:
    ledger = opened(url, folder, **rest)
    with pytest.raises(LedgerError) as writing:
        ledger.submit(start(new_id())).wait()
    with pytest.raises(LedgerError) as reading:
        ledger.runs()
    ledger.close()
    assert "s3cr3t" not in f"{writing.value} {reading.value} {ledger.where}"
    assert ledger.where in str(writing.value)
    return writing.value


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = refused(f"postgresql://me:s3cr3t@127.0.0.1:{port}/db", tmp_path)
    assert "cannot be reached" in str(error)


def test_a_wrong_password_and_a_right_one_given_apart(server: Server, tmp_path: Path) -> None:
    execute(server.url(), "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'right:/@'")
    (server.data / "pg_hba.conf").write_text(
        "host all postgres 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n"
    )
    execute(server.url(), "SELECT pg_reload_conf()")
    url = server.url(user="app")
    error = refused(server.url(user="app", password="s3cr3t"), tmp_path)
    assert "refuses this user or password" in str(error)
    ledger = opened(url, tmp_path, password="right:/@")
    started(ledger)
    ledger.close()


def test_no_such_database(postgres_server: Server, tmp_path: Path) -> None:
    assert "createdb" in str(refused(postgres_server.url("nowhere", password="s3cr3t"), tmp_path))


def test_a_server_that_may_not_be_written(postgres_server: Server, postgres_url: str, tmp_path: Path) -> None:
    ledger = opened(postgres_url, tmp_path)
    run_id = started(ledger, 1)
    ledger.close()
    name = postgres_url.rpartition("/")[2]
    execute(postgres_server.url(), f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    ledger = opened(postgres_url, tmp_path)
    with pytest.raises(LedgerReadOnly, match="primary"):
        ledger.submit(Append(outcome(run_id, 2), [])).wait()
    assert len(ledger.history(run_id)) == 2
    ledger.close()


def test_a_server_with_no_connection_left(tmp_path: Path) -> None:
    with private_server(
        max_connections="4", superuser_reserved_connections="0", reserved_connections="0"
    ) as server:
        url = server.new_database()
        ledgers = [opened(url, tmp_path, outage_seconds=0.2) for _ in range(5)]
        fine = 0
        with pytest.raises(LedgerError, match="max_connections"):  # noqa: PT012  (which one is refused may vary)
            for ledger in ledgers:
                started(ledger)
                fine += 1
        assert fine > 0
        for ledger in ledgers:
            ledger.close()


def test_the_driver_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    ledger = opened("postgresql://localhost/db", tmp_path)
    with pytest.raises(MissingExtra, match=r"surefoot\[postgres\]"):
        ledger.submit(start(new_id())).wait()
    with pytest.raises(MissingExtra):
        ledger.runs()
    ledger.close()


def test_a_schema_of_something_else(postgres_url: str, tmp_path: Path) -> None:
    execute(postgres_url, "CREATE SCHEMA surefoot")
    execute(postgres_url, "CREATE TABLE surefoot.customers (name text)")
    ledger = opened(postgres_url, tmp_path)
    with pytest.raises(LedgerError, match="'customers'"):
        ledger.submit(start(new_id())).wait()
    assert ledger.runs() == []
    ledger.close()
