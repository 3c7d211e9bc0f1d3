"""A process that forks inside of a run: the child is free, and the run is its parent's alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from durable import names
from surefoot import App, current_run, flow, step
from surefoot.ledger import Renew

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@step
def double(x: int) -> int:
    return 2 * x


@flow
def doubling() -> int:
    return double(1) + double(2)


def in_child(work: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_step_in_a_forked_child_is_plain(app: App) -> None:
    @flow
    def forking() -> int:
        double(1)
        assert in_child(lambda: current_run() is None and double(5) == 10) == 0
        return double(2)

    assert forking() == 4
    assert names(app) == ["double", "double"]


def test_a_forked_child_has_runs_of_its_own(app: App) -> None:
    @flow
    def forking() -> int:
        double(1)
        assert in_child(lambda: doubling() == 6) == 0
        return double(2)

    assert forking() == 4
    assert sorted((run.flow, run.status) for run in app.ledger.runs()) == [
        ("doubling", "completed"),
        ("forking", "completed"),
    ]
    for run in app.ledger.runs():
        assert len(names(app, run.id)) == 2
        assert app.ledger.first_break(run.id) is None


def test_a_forked_child_does_not_keep_its_parents_run_alive(app: App) -> None:
    @flow
    def forking() -> None:
        def renews_nothing() -> bool:
            submitted: list[object] = []
            app.ledger.submit = submitted.append  # type: ignore[method-assign, assignment]
            app.keeper._next_renewal = 0.0
            app.keeper._tick()
            return not any(isinstance(entry, Renew) for entry in submitted)

        assert in_child(renews_nothing) == 0

    forking()
