"""Runs that are stopped while they are under way in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from durable import history
from surefoot import App


def begun(app: App, run: Callable[[], object], has_begun: threading.Event) -> Future[object]:
    """What becomes of a run that a thread of its own makes, once the run says that it has begun."""
    result: Future[object] = Future()

    def work() -> None:
        try:
            result.set_result(run())
        except BaseException as error:  # noqa: BLE001  (it is what the test reads)
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    assert has_begun.wait(30)
    return result


def ends(app: App, run_id: str = "last") -> list[str]:
    """How the run ended, each time that it did."""
    return [link.outcome.status for link in history(app, run_id) if link.outcome.kind == "end"]


def is_sound(app: App, run_id: str = "last") -> bool:
    """Whether the chain of the run holds and nothing stands behind its end."""
    run = app.ledger.run(run_id)
    links: list[Any] = history(app, run.id)
    return app.ledger.first_break(run.id) is None and links[-1].outcome.kind == "end"
