"""Holding runs: heartbeats, deadlines, their inbox, and notes of steps that take their time."""

from __future__ import annotations

import threading
import time

from surefoot import scope
from surefoot.errors import LedgerError
from surefoot.flows import cancelling
from surefoot.flows.openrun import OpenRun
from surefoot.flows.stopping import Suspension
from surefoot.ledger import Ledger, Note, Pending, Release, Renew, lease_of
from surefoot.locks import in_forked_child

log = scope.logger("surefoot.flows")

NOTED_AFTER_S = 0.1
"""A step that is open for longer gets a row that says so; a shorter one is not worth it."""


_INBOX_EVERY_S = 0.5
"""How long a message waits at most until its run's owner sees it."""


class Keeper:
    """Keeps the leases of this process's runs, from the thread of the ledger's writer.

    A third of the lease lies between two heartbeats, so that two may be late before anybody takes the run over.
    """

    def __init__(self, ledger: Ledger, *, lease_seconds: float = 30.0) -> None:
        self.lease_seconds = lease_seconds
        self._ledger = ledger
        self._runs: dict[str, OpenRun] = {}
        self._lock = threading.Lock()
        self._next_renewal = 0.0
        self._next_look = 0.0
        self._renewal: Pending | None = None
        self._is_ticking = False
        ledger.on_tick(self._tick)
        in_forked_child(self.forget)

    def hold(self, run: OpenRun) -> None:
        with self._lock:
            self._runs[run.id] = run
            if len(self._runs) == 1:
                self._next_renewal = time.monotonic() + self.lease_seconds / 3
            was_ticking, self._is_ticking = self._is_ticking, True
        if not was_ticking:
            self._ledger.nudge()

    def forget(self) -> None:
        """A forked child does not keep its parent's runs alive, nor go on with them."""
        for run in self._runs.values():
            run.disown()
        self._runs = {}
        self._lock = threading.Lock()
        self._renewal = None
        self._is_ticking = False

    @property
    def held(self) -> list[OpenRun]:
        """The runs that this process has in its hands."""
        with self._lock:
            return list(self._runs.values())

    def hand_over(self) -> int:
        """Let go of all runs at their next step, for others to go on with; how many there are."""
        runs = self.held
        for run in runs:
            run.brake.suspend(Suspension())
        return len(runs)

    def give_up(self) -> int:
        """Let go of the runs that are still held, whatever they are at: nothing more is recorded of them here."""
        runs = self.held
        for run in runs:
            with run.lock:
                run.is_fenced = True
            self._ledger.submit(Release(run.id, run.epoch))
            self.let_go(run)
        self._ledger.nudge()
        return len(runs)

    def look(self) -> None:
        """Look into the inboxes at the next tick, as this very process has sent something."""
        self._next_look = 0.0

    def let_go(self, run: OpenRun) -> None:
        with self._lock:
            self._runs.pop(run.id, None)

    def _tick(self) -> float | None:
        with self._lock:
            runs = list(self._runs.values())
            self._is_ticking = bool(runs)
        if not runs:
            return None
        self._note_slow(runs)
        self._drop_lost(runs)
        for run in runs:
            # A deadline that has passed pulls the brake when it is asked.
            _ = run.brake.reason
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _INBOX_EVERY_S
            self._read_inboxes(runs)
        if now >= self._next_renewal and self._renewal is None:
            self._next_renewal = now + self.lease_seconds / 3
            held = [(run.id, run.epoch) for run in runs]
            self._renewal = self._ledger.submit(Renew(held, lease_of(self.lease_seconds)))
        return NOTED_AFTER_S

    def _read_inboxes(self, runs: list[OpenRun]) -> None:
        """Take what was sent to the runs. Nobody waits for it here: this is the thread that writes."""
        try:
            messages = self._ledger.messages([run.id for run in runs])
        except LedgerError as error:
            log.warning("the messages of %d open runs could not be read: %s", len(runs), error)
            return
        for run in runs:
            mine = [message for message in messages if message.run_id == run.id]
            cancelling.adopt(run, mine)
            run.mail = [message for message in mine if message.kind in ("event", "approval")]
            run.has_looked = True

    def _note_slow(self, runs: list[OpenRun]) -> None:
        now, after = time.time_ns(), round(NOTED_AFTER_S * 1e9)
        claims = [claim for run in runs for claim in tuple(run.pending.values())]
        details = [d for claim in claims if (d := claim.started_detail(now, after_ns=after)) is not None]
        if details:
            self._ledger.submit(Note(details))

    def _drop_lost(self, runs: list[OpenRun]) -> None:
        """Mark the runs that the last heartbeat found in other hands."""
        renewal = self._renewal
        if renewal is None or not renewal.is_done:
            return
        self._renewal = None
        try:
            lost = renewal.result()
        except Exception as error:
            log.warning("a heartbeat could not be written: %s", error)
            return
        for run in runs:
            if isinstance(lost, list) and run.id in lost and run.is_open:
                run.is_fenced = True
                log.warning("run %s was taken over by another process", run.id)
