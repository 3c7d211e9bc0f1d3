"""Events: sent before, while and after a run waits, to a process that has it or to nobody; each is taken once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable import history, names
from surefoot import App, flow, send, step, wait_for
from surefoot.config import load
from surefoot.errors import (
    InvalidInput,
    NotData,
    RunCancelled,
    RunEnded,
    StepFailed,
    StepTimeout,
    UnknownRun,
    UsageError,
)


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Decision:
    approved: bool
    by: str


@pytest.fixture(params=["sqlite", "postgres"])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    own = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "SUREFOOT_RUNS_STRICT": "true"}
    if request.param == "postgres":
        own["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    return own


@pytest.fixture
def app(tmp_path: Path, environ: dict[str, str]) -> Iterator[App]:
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@step
def publish(text: str) -> str:
    return f"published {text}"


@flow
def approving(text: str) -> str:
    decision = wait_for("approval", Decision).result()
    return publish(text) if decision.approved else f"refused by {decision.by}"


@flow
async def approving_async(text: str) -> str:
    decision = await wait_for("approval", Decision)
    return publish(text) if decision.approved else f"refused by {decision.by}"


def when_waiting(app: App, send_it: object) -> threading.Thread:
    """A thread that calls `send_it` with the id of the run, once that waits."""

    def watch() -> None:
        end_at = time.monotonic() + 20
        while time.monotonic() < end_at:
            runs = app.ledger.runs()
            if runs and any(detail.kind == "started" for detail in app.ledger.details(runs[0].id)):
                send_it(runs[0].id)  # type: ignore[operator]
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("target", [approving, approving_async], ids=["sync", "async"])
def test_a_run_goes_on_once_somebody_sends(app: App, target: object) -> None:
    thread = when_waiting(app, lambda run_id: app.send(run_id, "approval", {"approved": True, "by": "ann"}))
    assert app.run(target, {"text": "news"}) == "published news"  # type: ignore[arg-type]
    thread.join()
    assert names(app) == ["wait_for approval", "publish"]
    assert app.ledger.messages([app.ledger.run("last").id]) == []
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_another_process_sends(app: App, tmp_path: Path, environ: dict[str, str]) -> None:
    def command(run_id: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "surefoot.cli", "send", run_id, "approval", "--value", value],
            cwd=tmp_path,
            env={**os.environ, **environ},
            check=True,
            capture_output=True,
        )

    value = '{"approved": false, "by": "bob"}'
    thread = when_waiting(app, command)
    assert approving("news") == "refused by bob"
    thread.join()


def interrupted(app: App, target: object) -> str:
    """The run of a process that dies while it waits."""
    from surefoot.flows import waiting

    with pytest.MonkeyPatch.context() as patch:

        def pause(*args: object) -> object:
            raise Crash

        patch.setattr(waiting, "Pause", pause)
        with pytest.raises(Crash):
            app.run(target, {"text": "news"})  # type: ignore[arg-type]
    return app.ledger.run("last").id


def test_what_was_sent_while_nobody_had_the_run_is_there_at_its_resume(app: App) -> None:
    run_id = interrupted(app, approving)
    app.send(run_id, "approval", {"approved": True, "by": "ann"})
    assert app.resume(run_id) == "published news"
    assert app.resume(run_id) == "published news"


def test_a_taken_event_is_not_waited_for_again(app: App) -> None:
    crashes = [True]

    @flow
    async def crashing(text: str) -> list[object]:
        first = await wait_for("go")
        if crashes:
            crashes.clear()
            raise Crash
        return [first, await wait_for("go")]

    run_id = interrupted(app, crashing)
    for number in (1, 2):
        app.send(run_id, "go", number)
    with pytest.raises(Crash):
        app.resume(run_id, flow=crashing)
    assert app.resume(run_id, flow=crashing) == [1, 2]


def test_side_by_side_each_event_is_taken_once(app: App) -> None:
    @flow
    async def gathering(text: str) -> list[object]:
        return list(await asyncio.gather(*(wait_for_one() for _ in range(5)), wait_for("other")))

    async def wait_for_one() -> object:
        return await wait_for("piece")

    run_id = interrupted(app, gathering)
    app.send(run_id, "other", "o")
    for number in range(5):
        app.send(run_id, "piece", number)
    output = app.resume(run_id, flow=gathering)
    assert isinstance(output, list)
    assert sorted(map(str, output)) == ["0", "1", "2", "3", "4", "o"]
    assert output[-1] == "o"


def test_nobody_sends_in_time(app: App) -> None:
    @flow
    def waiting(text: str) -> object:
        return wait_for("approval", timeout=0.3).result()

    run_id = interrupted(app, waiting)
    time.sleep(0.3)
    # The time counts from when the wait began, in whichever process.
    began = time.monotonic()
    with pytest.raises(StepFailed, match=r"nobody sent 'approval' within 0\.3 s"):
        app.resume(run_id, flow=waiting)
    assert time.monotonic() - began < 5
    # The failure that ended the run is tried again: it waits once more.
    app.send(run_id, "approval", 7)
    assert app.resume(run_id, flow=waiting) == 7


def test_a_flow_goes_another_way_when_nobody_sends(app: App) -> None:
    @flow
    async def waiting() -> str:
        try:
            await wait_for("approval", timeout=0.05)
        except StepTimeout:
            return "as usual"
        return "approved"

    assert asyncio.run(waiting()) == "as usual"
    assert app.resume("last", flow=waiting) == "as usual"


def test_what_does_not_fit_is_put_aside(app: App, caplog: pytest.LogCaptureFixture) -> None:
    run_id = interrupted(app, approving)
    app.send(run_id, "approval", "yes")
    app.send(run_id, "approval", Decision(approved=True, by="ann"))
    assert app.resume(run_id) == "published news"
    assert "does not fit" in caplog.text


def test_a_run_that_sends_does_not_send_twice(app: App) -> None:
    crashes = [True]

    @flow
    def sending(to: str) -> str:
        send(to, "approval", {"approved": True, "by": "a flow"})
        if crashes:
            crashes.clear()
            raise Crash
        return "sent"

    receiver = interrupted(app, approving)
    with pytest.raises(Crash):
        app.run(sending, {"to": receiver})
    assert len(app.ledger.messages([receiver])) == 1
    assert app.resume("last", flow=sending) == "sent"
    assert len(app.ledger.messages([receiver])) == 1
    assert app.resume(receiver) == "published news"


def test_a_waiting_run_is_cancelled(app: App) -> None:
    thread = when_waiting(app, lambda run_id: app.cancel(run_id, reason="enough"))
    with pytest.raises(RunCancelled, match="enough"):
        approving("news")
    thread.join()
    with pytest.raises(RunEnded, match="takes no events"):
        app.send("last", "approval", None)


def test_what_cannot_be_sent_or_waited_for(app: App) -> None:
    run_id = interrupted(app, approving)
    with pytest.raises(UnknownRun):
        app.send("01J", "approval")
    with pytest.raises(InvalidInput, match="needs a name"):
        app.send(run_id, " ")
    with pytest.raises(InvalidInput, match="secret"):
        app.send(run_id, "approval", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")
    with pytest.raises(NotData):
        app.send(run_id, "approval", object())
    with pytest.raises(UsageError, match="outside of a run"):
        wait_for("approval")
    asyncio.run(app.send_async(run_id, "approval", {"approved": False, "by": "bob"}))
    assert app.resume(run_id) == "refused by bob"
    assert history(app, run_id)[-1].outcome.status == "completed"
