"""The loop under a ledger on a server: how it ends while others still read."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from surefoot.errors import LedgerError
from surefoot.ledger import postgres_loop
from surefoot.ledger.postgres_loop import LoopWriter
from surefoot.ledger.writer import Settled

NAME = "test-loop"


class Server:
    """Counts what is open. Each reading opens something and leaves it idle; only the loop's end closes that."""

    def __init__(self) -> None:
        self.open = 0
        self.idle = 0
        self.was_left = threading.Event()
        self.at_leaving: Callable[[], Awaitable[None]] = _nothing
        self.writer: LoopWriter[int] = LoopWriter(
            self.commit, leave=self.leave, name=NAME, on_fork=lambda: None
        )

    async def commit(self, entries: Sequence[int]) -> Sequence[Settled]:
        return [(n * 10, None) for n in entries]

    async def read(self) -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        self.open += 1
        self.idle += 1
        return asyncio.get_running_loop()

    async def leave(self) -> None:
        """As a ledger does it: it looks up what is idle, waits until that is closed, and begins anew."""
        found = self.idle
        self.was_left.set()
        await self.at_leaving()
        self.open -= found
        self.idle = 0


async def _nothing() -> None: ...


async def until(event: threading.Event, *, seconds: float) -> None:
    end_at = time.monotonic() + seconds
    while not event.is_set() and time.monotonic() < end_at:  # noqa: ASYNC110  (it is set in a thread)
        await asyncio.sleep(0.001)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # However slow the machine is.
    monkeypatch.setattr(postgres_loop, "_GRACE_S", 20.0)
    server = Server()
    yield server
    server.writer.close()
    assert server.open == 0
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_what_is_queued_is_written_before_the_end(server: Server) -> None:
    pending = server.writer.submit(1)
    server.writer.close()
    assert pending.result() == 10
    with pytest.raises(LedgerError, match="was closed"):
        server.writer.submit(2)


def test_a_tick_under_way_is_waited_for(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    begun, ended = threading.Event(), threading.Event()

    def tick() -> float:
        begun.set()
        # What is opened while the rest is closed would be closed by nobody.
        server.was_left.wait(0.2)
        server.writer.call(server.read())
        ended.set()
        return 60.0

    async def until_it_has_read() -> None:
        await until(ended, seconds=0.2)

    server.at_leaving = until_it_has_read
    server.writer.on_tick(tick)
    server.writer.call_tick()
    assert begun.wait(10)
    with caplog.at_level(logging.WARNING, logger="surefoot"):
        server.writer.close()
    assert ended.is_set()
    assert server.open == 0
    assert not caplog.records


def test_a_tick_that_wants_to_write_as_the_ledger_is_closed_is_no_news(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    begun, refused = threading.Event(), threading.Event()

    def tick() -> float:
        begun.set()
        try:
            while True:
                server.writer.submit(1)
                time.sleep(0.001)
        finally:
            refused.set()

    server.writer.on_tick(tick)
    server.writer.call_tick()
    assert begun.wait(10)
    with caplog.at_level(logging.WARNING, logger="surefoot"):
        server.writer.close()
    assert refused.is_set()
    assert not caplog.records


def test_what_takes_too_long_is_given_up_and_says_so(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is away is waited for by whoever reads, but not by who closes the ledger."""
    monkeypatch.setattr(postgres_loop, "_GRACE_S", 0.05)
    waiting = threading.Barrier(3)

    async def read_for_ever() -> None:
        await asyncio.to_thread(waiting.wait, 10)
        await asyncio.Event().wait()

    def read() -> str:
        with pytest.raises(LedgerError) as raised:
            server.writer.call(read_for_ever())
        return str(raised.value)

    said: list[str] = []

    def tick() -> float:
        said.append(read())
        raise LedgerError(said[0])

    server.writer.on_tick(tick)
    server.writer.call_tick()
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING, logger="surefoot"):
        reader = pool.submit(read)
        waiting.wait(10)
        server.writer.close()
        assert "open it again to read it" in reader.result(10)
    assert len(said) == 1
    assert "open it again to read it" in said[0]
    assert not caplog.records


def test_who_comes_as_the_connections_are_let_go_reads_on_the_next_loop(server: Server) -> None:
    first = server.writer.call(server.read())
    has_come = threading.Event()

    def come() -> Any:
        assert server.was_left.wait(10)
        has_come.set()
        return server.writer.call(server.read())

    async def until_somebody_comes() -> None:
        await until(has_come, seconds=10)
        # He has said so, and calls now.
        await asyncio.sleep(0.1)
        assert server.open == 1

    server.at_leaving = until_somebody_comes
    with ThreadPoolExecutor(1) as pool:
        comer = pool.submit(come)
        server.writer.close()
        second = comer.result(10)
    assert first.is_closed()
    assert second is not first
    assert second.is_running()
    assert server.open == 1
    server.at_leaving = _nothing
    server.writer.close()
    assert second.is_closed()
    assert server.open == 0


def test_who_reads_after_the_end_is_served_until_it_is_closed_again(server: Server) -> None:
    server.writer.close()
    assert not threads()
    server.writer.call(server.read())
    assert len(threads()) == 1
    server.writer.close()
    assert not threads()
    # Nor does a nudge begin a loop for which there is nothing to write.
    server.writer.nudge()
    server.writer.call_tick()
    assert not threads()
