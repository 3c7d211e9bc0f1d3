"""The attempts at a call: over another library than the SDKs use, and in a run that stops while they wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import openai
import pytest

from durable import history
from faults import FaultServer
from surefoot import App, flow
from surefoot.config import load
from surefoot.effects import Await, Program, drive_async
from surefoot.errors import DeadlineExceeded, RunCancelled
from surefoot.models.chain.attempts import Attempts, Head
from surefoot.models.chain.retries import Retries
from surefoot.models.chain.retry_budget import RetryBudget
from wire import Fault

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(load(tmp_path, environ={"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@dataclass
class OverAiohttp:
    """The attempts at one chat completion, made with aiohttp."""

    session: aiohttp.ClientSession
    url: str
    closed: list[int] = field(default_factory=list)

    def send(self, number: int, /) -> Program[aiohttp.ClientResponse]:
        body = {"model": "gpt-4o", "messages": MESSAGES}
        headers = {"authorization": "Bearer test", "x-attempt": str(number)}

        async def post() -> aiohttp.ClientResponse:
            return await self.session.post(f"{self.url}/chat/completions", json=body, headers=headers)

        return cast("aiohttp.ClientResponse", (yield Await(post)))

    def head(self, response: aiohttp.ClientResponse, /) -> Head:
        return Head(response.status, response.headers)

    def close(self, response: aiohttp.ClientResponse, /) -> Program[None]:
        async def close() -> None:
            response.close()

        self.closed.append(response.status)
        yield Await(close)


def asked(server: FaultServer, retries: Retries, budget: RetryBudget | None = None) -> tuple[Any, Any]:
    """What came of a call with aiohttp, as its status or the class of its error, and the attempts at it."""

    async def use() -> tuple[Any, Any]:
        async with aiohttp.ClientSession() as session:
            transport = OverAiohttp(session, server.openai_url)
            attempts = Attempts(transport, "openai.chat", retries, "openai", budget)
            try:
                response = await drive_async(attempts.run())
            except aiohttp.ClientError as error:
                return error, attempts
            status = response.status
            response.release()
            return status, attempts

    return asyncio.run(use())


SOON = Retries(count=2, base=0.0)


def test_failures_that_pass_are_tried_again_with_aiohttp(server: FaultServer) -> None:
    server.fail(Fault("reset"), Fault(status=503, headers={"retry-after": "0"}))
    came, attempts = asked(server, SOON)
    assert came == 200
    assert attempts.made == 3
    assert attempts.note == ""
    assert attempts.transport.closed == [503]
    assert [call.headers["x-attempt"] for call in server.received] == ["1", "2", "3"]


def test_the_last_failure_is_handed_over_with_aiohttp(server: FaultServer) -> None:
    server.break_down(Fault(status=500))
    came, attempts = asked(server, SOON)
    assert (came, attempts.made, server.count()) == (500, 3, 3)
    assert attempts.transport.closed == [500, 500]


def test_a_connection_that_keeps_breaking_with_aiohttp(server: FaultServer) -> None:
    server.break_down(Fault("reset"))
    came, attempts = asked(server, SOON)
    assert isinstance(came, aiohttp.ServerDisconnectedError)
    assert (attempts.made, server.count()) == (3, 3)


def test_a_spent_budget_is_noted_with_aiohttp(server: FaultServer) -> None:
    server.break_down(Fault("reset"))
    came, attempts = asked(server, SOON, RetryBudget(share=0.0, reserve=1))
    assert isinstance(came, aiohttp.ServerDisconnectedError)
    assert (attempts.made, server.count()) == (2, 2)
    assert attempts.note.startswith("no further attempt after 2 attempts in ")
    assert came.__notes__ == [attempts.note]


def ask(server: FaultServer) -> str:
    with openai.OpenAI(base_url=server.openai_url, api_key="test") as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        return answer.choices[0].message.content or ""


async def ask_async(server: FaultServer) -> str:
    async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="test") as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        return answer.choices[0].message.content or ""


def flows_of(server: FaultServer, deadline: float | None = None) -> list[Any]:
    @flow(deadline=deadline)
    def asking() -> str:
        return ask(server)

    @flow(deadline=deadline)
    async def asking_later() -> str:
        return await ask_async(server)

    return [asking, asking_later]


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
def test_a_wait_between_attempts_ends_with_the_cancelled_run(
    app: App, server: FaultServer, which: int
) -> None:
    server.break_down(Fault(status=429, headers={"retry-after": "500"}))
    raised: list[BaseException] = []

    def run() -> None:
        try:
            app.run(flows_of(server)[which])
        except BaseException as error:  # noqa: BLE001 - this is what is looked at
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: server.count() == 1)
    time.sleep(0.1)  # most likely it waits by now; where it does not yet, nothing else is to come of it
    run_id = app.ledger.run("last").id
    app.cancel(run_id)
    thread.join(60)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [RunCancelled]
    assert server.count() == 1
    assert app.ledger.run(run_id).status == "cancelled"


@pytest.mark.parametrize("which", [0, 1], ids=["sync", "async"])
def test_a_call_that_hangs_ends_with_the_deadline_of_its_run(
    app: App, server: FaultServer, which: int
) -> None:
    """The client would wait for ten minutes. The call has no outcome: with a later deadline it is made again."""
    ask(server)  # the first client takes its time to be made
    server.break_down(Fault("hang"))
    asking = flows_of(server, deadline=3.0)[which]
    with pytest.raises(DeadlineExceeded):
        app.run(asking)
    assert server.count() == 2
    run_id = app.ledger.run("last").id
    assert [link.outcome.kind for link in history(app, run_id)] == ["start", "end"]
    server.mend()
    assert app.resume(run_id, flow=asking, deadline=600.0) == "gpt-4o heard: hello"
    assert server.count() == 3


def test_a_wait_beyond_the_deadline_of_the_run_is_not_begun(app: App, server: FaultServer) -> None:
    """The run fails with what the provider said, and goes on with the call when it is resumed."""
    server.break_down(Fault(status=429, headers={"retry-after": "100"}))
    asking = flows_of(server, deadline=60.0)[0]
    began = time.monotonic()
    with pytest.raises(Exception, match="told to fail with 429"):
        app.run(asking)
    assert time.monotonic() - began < 50
    assert server.count() == 1
    server.mend()
    assert app.resume(app.ledger.run("last").id, flow=asking) == "gpt-4o heard: hello"
    assert server.count() == 2
