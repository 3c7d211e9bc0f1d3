"""Scoring in the background of a process that serves, pass by pass, beside the runs and never in their way."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from weakref import WeakSet

from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.evals.online.passing import Pass
from surefoot.evals.online.sample import Sample
from surefoot.evals.online.scoring import Scoring
from surefoot.flows import Host

log = scope.logger("surefoot.evals.online")

OnPass = Callable[[Pass], object]

_EXIT_SECONDS = 10.0
"""How long the end of the process waits for judgements that are under way; the next process goes on with the others."""


class Watch:
    """A thread that scores samples again and again. Runs know nothing of it: it reads what the ledger has of them.

    What goes wrong in it is logged and tried again in the next pass. A process that ends without `close` lets what is
    being judged end, for some seconds. A child that is forked has no such thread, and its `close` does nothing.
    """

    def __init__(
        self, samples: Sequence[Sample], app: Host, *, every: float = 60.0, on_pass: OnPass | None = None
    ) -> None:
        """Begins at once. every: seconds between two passes. Raises `InvalidInput`."""
        if not every > 0:
            raise InvalidInput(f"every is {every:g}: give the seconds between two passes")
        self._scorings = [Scoring(sample, app=app) for sample in samples]
        self._every = every
        self._on_pass = on_pass
        self._ending = threading.Event()
        self._process = os.getpid()
        # What is current where it begins is current in it: the app, for one.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="surefoot-online", daemon=True
        )
        self._thread.start()
        _begun.add(self)

    def close(self, *, wait: float | None = None) -> None:
        """Let the judgements that are under way end, and begin no others; what is left is scored by the next process.

        wait: seconds to wait for them; None for as long as they take.
        """
        if self._process != os.getpid():
            # The thread is its parent's, and may have held the lock of the event when this process was forked.
            return
        self._ending.set()
        for scoring in self._scorings:
            scoring.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(wait)

    def _work(self) -> None:
        while not self._ending.is_set():
            for scoring in self._scorings:
                self._pass(scoring)
            self._ending.wait(self._every)

    def _pass(self, scoring: Scoring) -> None:
        if self._ending.is_set():
            return
        try:
            found = scoring.score()
            if self._on_pass is not None:
                self._on_pass(found)
        except Exception as error:
            if self._ending.is_set():
                # The ledger was closed over it, or the process ends: what is left is in the ledger.
                log.info("online.%s: a pass was ended (%s)", scoring.sample.name, error)
            else:
                log.exception("online.%s: a pass failed, the next one tries again", scoring.sample.name)


_begun: WeakSet[Watch] = WeakSet()


def _end_all() -> None:
    watches = list(_begun)
    for watch in watches:
        watch.close(wait=0)
    for watch in watches:
        watch.close(wait=_EXIT_SECONDS)


# `atexit` comes too late: by then worker threads take no work any more, and judges would fail by that. What is
# registered last is called first, and the pools of threads have been imported above.
if (_register := getattr(threading, "_register_atexit", None)) is not None:
    with suppress(RuntimeError):  # the process ends already
        _register(_end_all)
