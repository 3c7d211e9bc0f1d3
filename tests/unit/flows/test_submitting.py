"""A run that is recorded now and made later."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from durable import history, open_app, opened_app
from surefoot import App, flow, step
from surefoot.errors import DeadlineExceeded, InvalidInput, RunCancelled
from surefoot.values import RunTags

made: list[int] = []


@step
def double(n: int) -> int:
    made.append(n)
    return 2 * n


@flow
def doubled(n: int) -> int:
    return double(n)


@flow(trusted=True)
async def doubled_later(n: int) -> int:
    return double(n)


@pytest.fixture(autouse=True)
def app(tmp_path: Path) -> App:
    made.clear()
    return open_app(tmp_path)


def test_nothing_of_it_runs_before_somebody_takes_it_over(app: App) -> None:
    run = app.submit(doubled, {"n": 4}, tags=RunTags(tenant="acme", principal="user:ann", tags={"a": "b"}))
    record = app.ledger.run(run.id)
    assert (record.status, record.owner, record.totals.steps, made) == ("pending", None, 0, [])
    assert (record.tenant, record.principal, dict(record.tags)) == ("acme", "user:ann", {"a": "b"})
    assert app.resume(run.id) == 8
    assert app.ledger.run(run.id).status == "completed"
    assert app.resume(run.id) == 8
    assert made == [4]
    app.close()


def test_another_process_makes_it(app: App, tmp_path: Path) -> None:
    run = app.submit(doubled, {"n": 4})
    app.close()
    with opened_app(tmp_path) as other:
        assert other.resume(run.id) == 8
    assert made == [4]


def test_async(app: App) -> None:
    async def both() -> object:
        run = await app.submit_async(doubled_later, {"n": 5})
        return await app.resume_async(run.id)

    assert asyncio.run(both()) == 10
    assert history(app)[0].outcome.trust == "trusted"
    app.close()


def test_of_one_key_there_is_one_run(app: App) -> None:
    first = app.submit(doubled, {"n": 4}, key="order 7")
    assert app.submit(doubled, {"n": 4}, key="order 7").id == first.id
    with pytest.raises(InvalidInput, match="other values of n"):
        app.submit(doubled, {"n": 5}, key="order 7")
    # Whoever calls the flow under that key makes the run that was submitted.
    assert app.run(doubled, {"n": 4}, key="order 7") == 8
    assert app.submit(doubled, {"n": 4}, key="order 7").status == "completed"
    assert len(app.ledger.runs()) == len(made) == 1
    app.close()


def test_inputs_that_do_not_fit_leave_no_run(app: App) -> None:
    with pytest.raises(InvalidInput):
        app.submit(doubled, {"n": "many"})
    with pytest.raises(InvalidInput):
        app.submit(doubled, {"m": 1})
    assert app.ledger.runs() == []
    app.close()


def test_its_deadline_counts_from_when_it_was_submitted(app: App) -> None:
    run = app.submit(doubled, {"n": 4}, deadline=0.01)
    time.sleep(0.02)
    with pytest.raises(DeadlineExceeded):
        app.resume(run.id)
    assert made == []
    app.close()


def test_it_is_cancelled_before_it_begins(app: App) -> None:
    run = app.submit(doubled, {"n": 4})
    assert app.cancel(run.id).status == "cancelled"
    with pytest.raises(RunCancelled):
        app.resume(run.id)
    assert made == []
    app.close()
