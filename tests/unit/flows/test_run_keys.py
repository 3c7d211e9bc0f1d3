"""Run keys: one run of a flow under each, whoever asks for it and however often."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from durable import names
from stopped import begun, ends
from surefoot import App, Workflow, flow, step
from surefoot.errors import Compensated, InvalidInput, RunBusy, RunCancelled, StepFailed
from surefoot.values import RunTags


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


DONE: list[str] = []
DYING: list[BaseException] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()
    DYING.clear()


@step
def noted(what: str) -> str:
    DONE.append(what)
    return what


@flow
def invoice(number: int, note: str = "none") -> str:
    noted(f"draw up {number}")
    if DYING:
        raise DYING.pop()
    return noted(f"send {number}")


@flow(name="later")
async def invoice_later(number: int) -> str:
    await asyncio.sleep(0)
    return noted(f"send {number}")


def test_the_same_key_twice_is_one_run(app: App) -> None:
    outputs = [app.run(invoice, {"number": 17}, key="17") for _ in range(3)]
    assert outputs == ["send 17"] * 3
    assert DONE == ["draw up 17", "send 17"]
    assert [run.run_key for run in app.ledger.runs()] == ["17"]


def test_an_async_flow_has_keys_too(app: App) -> None:
    async def main() -> list[object]:
        return [await app.run_async(invoice_later, {"number": 1}, key="1") for _ in range(2)]

    assert asyncio.run(main()) == ["send 1"] * 2
    assert DONE == ["send 1"]


def test_an_unfinished_run_is_gone_on_with(app: App) -> None:
    DYING.append(Killed())
    with pytest.raises(Killed):
        app.run(invoice, {"number": 17}, key="17")
    assert app.run(invoice, {"number": 17}, key="17") == "send 17"
    assert DONE == ["draw up 17", "send 17"]
    assert len(app.ledger.runs()) == 1


def test_a_failed_run_is_tried_again_under_its_key(app: App) -> None:
    DYING[:] = [ConnectionError("second"), ConnectionError("first")]
    for said in ("first", "second"):
        with pytest.raises(StepFailed, match=said):
            app.run(invoice, {"number": 17}, key="17")
    assert app.run(invoice, {"number": 17}, key="17") == "send 17"
    assert DONE == ["draw up 17", "send 17"]
    assert ends(app) == ["failed", "failed", "completed"]


def test_other_inputs_under_a_key_are_refused_by_their_names(app: App) -> None:
    app.run(invoice, {"number": 17}, key="17")
    run = app.ledger.run("last")
    with pytest.raises(InvalidInput) as caught:
        app.run(invoice, {"number": 18, "note": "urgent"}, key="17")
    assert str(caught.value) == (
        f"key '17' is that of run {run.id}, which invoice was begun with other values of number, note: give this "
        f"call another key, or the inputs that `surefoot show {run.id}` shows"
    )
    assert app.run(invoice, {"number": 17, "note": "none"}, key="17") == "send 17", "a default is a value"
    assert DONE == ["draw up 17", "send 17"]


def test_inputs_that_are_sealed_are_compared_as_they_are(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [f"sk-proj-{letter * 40}" for letter in "ab"]
    app.run(invoice, {"number": 1, "note": secrets[0]}, key="1")
    assert secrets[0] not in app.ledger.start(app.ledger.run("last").id).inputs.view
    assert app.run(invoice, {"number": 1, "note": secrets[0]}, key="1") == "send 1"
    with pytest.raises(InvalidInput, match="other values of note") as caught:
        app.run(invoice, {"number": 1, "note": secrets[1]}, key="1")
    assert not any(secret in str(caught.value) for secret in secrets)


class Letter(Workflow):
    def __init__(self, sender: str, printer: object = None) -> None:
        super().__init__()
        self.sender = sender

    def run(self, to: str) -> str:
        return noted(f"{self.sender} to {to}")


def test_settings_of_a_workflow_count_and_its_surroundings_do_not(app: App) -> None:
    assert app.run(Letter, {"to": "bob"}, init={"sender": "ann"}, key="k") == "ann to bob"
    assert app.run(Letter, {"to": "bob"}, init={"sender": "ann"}, key="k") == "ann to bob"
    with pytest.raises(InvalidInput, match="other values of sender"):
        app.run(Letter, {"to": "bob"}, init={"sender": "eve"}, key="k")
    assert DONE == ["ann to bob"]


def test_a_key_is_of_one_flow_and_one_tenant(app: App) -> None:
    app.run(invoice, {"number": 1}, key="k")
    app.run(invoice_later, {"number": 2}, key="k")
    for tenant in ("acme", "acme", "ajax"):
        app.run(invoice, {"number": 1}, key="k", tags=RunTags(tenant=tenant))
    assert len(app.ledger.runs()) == 4
    assert ["draw up 1", "send 1", "send 2", *["draw up 1", "send 1"] * 2] == DONE


def test_a_key_of_blanks_is_refused(app: App) -> None:
    for key in ("", " "):
        with pytest.raises(InvalidInput, match="key of a run is empty"):
            app.run(invoice, {"number": 1}, key=key)
    assert app.ledger.runs() == []


@flow
def slow(number: int) -> str:
    HAS_BEGUN.set()
    assert GO_ON.wait(30)
    return noted(f"slow {number}")


HAS_BEGUN, GO_ON = threading.Event(), threading.Event()


def test_who_asks_while_it_runs_waits_or_is_told(app: App) -> None:
    HAS_BEGUN.clear()
    GO_ON.clear()
    future = begun(app, lambda: app.run(slow, {"number": 1}, key="k"), HAS_BEGUN)
    with pytest.raises(RunBusy, match="is open in this process"):
        app.run(slow, {"number": 1}, key="k")
    with pytest.raises(InvalidInput):
        app.run(slow, {"number": 2}, key="k")
    threading.Timer(0.1, GO_ON.set).start()
    assert app.run(slow, {"number": 1}, key="k", wait=30) == "slow 1"
    assert future.result(30) == "slow 1"
    assert DONE == ["slow 1"]


def test_many_at_once_get_one_run(app: App) -> None:
    @flow
    def work(number: int) -> str:
        time.sleep(0.05)
        return noted(f"work {number}")

    def ask(_: int) -> Any:
        return app.run(work, {"number": 1}, key="k", wait=30)

    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(ask, range(8)))
    assert outputs == ["work 1"] * 8
    assert DONE == ["work 1"]
    assert ends(app) == ["completed"]


def test_who_waits_in_vain_goes_on_with_what_failed_meanwhile(app: App) -> None:
    @flow
    def work() -> str:
        HAS_BEGUN.set()
        assert GO_ON.wait(30)
        if DYING:
            raise DYING.pop()
        return noted("work")

    HAS_BEGUN.clear()
    GO_ON.clear()
    DYING.append(ConnectionError("no"))
    future = begun(app, lambda: app.run(work, key="k"), HAS_BEGUN)
    threading.Timer(0.1, GO_ON.set).start()
    assert app.run(work, key="k", wait=30) == "work"
    with pytest.raises(StepFailed):
        future.result(30)
    assert ends(app) == ["failed", "completed"]


def test_a_run_that_is_over_for_good_keeps_its_key(app: App) -> None:
    DYING.append(Killed())
    with pytest.raises(Killed):
        app.run(invoice, {"number": 1}, key="k")
    app.cancel("last", reason="no longer wanted")
    with pytest.raises(RunCancelled, match="no longer wanted; it cannot go on"):
        app.run(invoice, {"number": 1}, key="k")

    @step(compensate=lambda result: noted(f"undo {result}"))
    def book() -> str:
        return "room"

    @flow
    def trip() -> None:
        book()
        raise ValueError("sold out")

    with pytest.raises(StepFailed):
        app.run(trip, key="k")
    with pytest.raises(Compensated):
        app.run(trip, key="k")
    assert names(app).count("undo book") == 1
