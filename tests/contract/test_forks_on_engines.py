"""Forks on each engine: what is shared, what is sealed, a kill in the middle, and the chain that holds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from durable import open_app
from engines import Place
from surefoot import App, flow, now, step
from surefoot.flows import fork

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
DONE: list[str] = []
DYING: list[str] = []


@step
def first(x: int) -> dict[str, object]:
    DONE.append("first")
    return {"x": x, "key": SECRET, "at": now(), "long": "y" * 20_000}


@step
def second(given: dict[str, object]) -> str:
    DONE.append("second")
    return f"{given['x']} {len(str(given['long']))}"


@step
def third(said: str) -> str:
    if DYING:
        os.kill(os.getpid(), signal.SIGKILL)
    DONE.append("third")
    return said


@flow
def line(x: int) -> str:
    return third(second(first(x)))


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    DONE.clear()
    DYING.clear()
    app = open_app(place.folder, url=place.url)
    try:
        with app.entered():
            yield app
    finally:
        app.close()


def anew(app: App, run_id: str) -> list[str]:
    rows = [o for o in app.ledger.outcomes(run_id) if o.kind == "step"]
    return [outcome.name for outcome in rows if not outcome.is_cached]


def test_what_is_shared_is_what_it_was(app: App) -> None:
    output = line(3)
    origin = app.ledger.run("last").id
    DONE.clear()
    forked = fork(origin)
    assert (forked.output, DONE) == (output, [])
    assert app.ledger.first_break(forked.id) is None
    mine, its = ([o for o in app.ledger.outcomes(run) if o.kind == "step"] for run in (forked.id, origin))
    assert [o.key for o in mine] == [o.key for o in its if o.path == b""]
    sealed = mine[0].output
    assert sealed.sealed is not None
    assert SECRET not in app.ledger.view(sealed)
    assert app.ledger.exact(forked.id, sealed) == app.ledger.exact(origin, its[-3].output)
    assert [run.id for run in app.ledger.runs(tags={"forked_from": origin})] == [forked.id]


def test_a_fork_that_is_killed_goes_on_in_another_process(app: App, place: Place) -> None:
    line(3)
    origin = app.ledger.run("last").id
    app.close()
    child = os.fork()
    if child == 0:
        # Nothing of the parent's is used: the ledger is opened anew.
        own = open_app(place.folder, url=place.url)
        with own.entered():
            DYING.append("third")
            fork(origin, "second")
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    again = open_app(place.folder, url=place.url)
    try:
        with again.entered():
            (killed,) = again.ledger.runs(tags={"forked_from": origin})
            DONE.clear()
            assert again.resume(killed.id) == "3 20000"
            assert DONE == ["third"]
            assert anew(again, killed.id) == ["second", "third"]
            assert again.ledger.first_break(killed.id) is None
            # A fork of the fork shares what that one shares.
            assert anew(again, fork(killed.id).id) == []
    finally:
        again.close()
