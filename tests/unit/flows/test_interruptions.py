"""Ctrl-C, cancelled tasks, exits: the run is let go, and anybody can go on with it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

from durable import names
from surefoot import App, flow, step
from surefoot.errors import RunBusy, UsageError

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@step
def first() -> str:
    calls.append("first")
    return "first"


def interrupted_once(error: BaseException) -> Any:
    @flow(name="interrupted")
    def interrupted() -> str:
        result = first()
        if calls == ["first"]:
            calls.append("interrupted")
            raise error
        return result

    return interrupted


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_an_interrupted_run_is_let_go_at_once(app: App, error: BaseException) -> None:
    target = interrupted_once(error)
    with pytest.raises(type(error)) as caught:
        target()
    run = app.ledger.run("last")
    assert run.status == "running"
    assert run.lease_until_ns == 0
    assert any(f"surefoot resume {run.id}" in note for note in caught.value.__notes__)
    assert app.resume(run.id, flow=target) == "first"
    assert calls == ["first", "interrupted"]


def test_ctrl_c_in_a_step_of_a_sync_flow(app: App) -> None:
    @step
    def long() -> str:
        calls.append("long")
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        return "done"

    @flow
    def working() -> str:
        first()
        return long()

    with pytest.raises(KeyboardInterrupt):
        working()
    assert names(app) == ["first"]
    assert app.resume(app.ledger.run("last").id, flow=working) == "done"
    assert calls == ["first", "long", "long"]


def test_ctrl_c_while_an_async_flow_runs_on_the_background_loop(app: App) -> None:
    cleaned: list[str] = []

    @step
    async def long() -> str:
        calls.append("long")
        if calls.count("long") == 1:
            try:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                await asyncio.sleep(5)
            finally:
                cleaned.append("long")
        return "done"

    @flow
    async def working() -> str:
        first()
        return await long()

    with pytest.raises(KeyboardInterrupt):
        app.run(working)
    assert cleaned == ["long"]
    assert app.resume(app.ledger.run("last").id, flow=working) == "done"
    assert calls == ["first", "long", "long"]


def test_a_cancelled_task_lets_its_run_go(app: App) -> None:
    @step
    async def slow() -> str:
        calls.append("slow")
        if calls.count("slow") == 1:
            begun.set()
            await asyncio.sleep(60)
        return "done"

    @flow
    async def working() -> str:
        first()
        return await slow()

    begun = asyncio.Event()

    async def main() -> str:
        task = asyncio.create_task(working())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert app.ledger.run("last").lease_until_ns == 0
        return str(await app.resume_async("last", flow=working))

    assert asyncio.run(main()) == "done"
    assert calls == ["first", "slow", "slow"]


def test_an_exit_in_a_task_does_not_end_the_background_loop(app: App) -> None:
    @flow
    async def leaving() -> None:
        async def leave() -> None:
            sys.exit(3)

        await asyncio.gather(leave())

    @flow
    async def staying() -> int:
        return 1

    with pytest.raises(SystemExit):
        app.run(leaving)
    assert app.run(staying) == 1


def test_a_blocking_call_on_the_background_loop_is_refused(app: App) -> None:
    """It would wait for itself."""

    @flow
    async def inner() -> int:
        return 1

    @flow
    async def outer() -> object:
        return app.run(inner)

    with pytest.raises(Exception, match="await it") as caught:
        app.run(outer)
    assert isinstance(caught.value.__cause__, UsageError)


def test_a_run_that_is_open_here_is_busy(app: App) -> None:
    @flow
    def resuming_itself() -> object:
        return app.resume("last", flow=resuming_itself)

    with pytest.raises(RunBusy, match="open in this process"):
        resuming_itself()


def test_a_coroutine_that_is_thrown_away_records_nothing_false(app: App) -> None:
    begun = asyncio.Event()

    @step
    async def endless() -> None:
        begun.set()
        await asyncio.sleep(60)

    @flow
    async def working() -> None:
        await endless()

    loop = asyncio.new_event_loop()
    coroutine = working()
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.append(loop.create_task(coroutine))
        await begun.wait()

    loop.run_until_complete(start())
    loop.close()
    coroutine.close()
    tasks[0]._log_destroy_pending = False  # type: ignore[attr-defined]
    run = app.ledger.run("last")
    assert run.status == "running"
    assert run.lease_until_ns == 0
    assert names(app) == []
