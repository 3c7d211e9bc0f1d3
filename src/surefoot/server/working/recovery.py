"""Goes on with the runs that nobody is at: looks into the ledger at the start, now and then, and when it is told to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.errors import LedgerError
from surefoot.ledger import due_runs, letters_of, statuses
from surefoot.server.working.cancelling import cancel
from surefoot.server.working.executor import Unavailable
from surefoot.server.working.switched import switched_off

if TYPE_CHECKING:
    from surefoot.ledger import RunRecord
    from surefoot.server.working.runs import Runs

log = scope.logger("surefoot.server")

_MINE_NS = 5_000_000_000
"""For how long a run that was accepted is left to whoever has accepted it."""
_FRUITLESS = 5
"""How often a run may end its process without getting anywhere before it is left for somebody to look at."""
_NUDGED_S = 0.05


class Recovery:
    """Looks for runs of the flows that are served, of all organisations, and has them gone on with.

    Several servers share a ledger: who takes a run over first has it, and the others leave it.
    """

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self._executor = runs.executor
        self._ledger = runs.executor.app.ledger
        self._flows = sorted(runs.served)
        self._is_over = threading.Event()
        self._news = threading.Event()
        # The newest letter to each run that waits when it was last gone on with here, and the epoch that this began: it
        # may not be what it waits for. With another epoch that did not begin, or others have gone on with it.
        self._read: dict[str, tuple[int, int]] = {}
        self._left: set[str] = set()
        self.unfinished: dict[str, int] = {}
        """How many runs are not over, by status, as the last look found them."""
        self.is_reachable = True
        """Whether the last look could read the ledger."""
        self._thread = threading.Thread(target=self._serve, name="surefoot-recovery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def nudge(self) -> None:
        """Look soon: something was sent to a run."""
        self._news.set()

    def look(self, *, is_first: bool = False) -> int:
        """Take in what can be gone on with, as far as there is room; how many runs that were.

        is_first: this server begins, so that whoever has accepted a run before is most likely gone.
        """
        if self._executor.is_draining:
            return 0
        self.unfinished = statuses(self._ledger, self._flows)
        now = time.time_ns()
        room = self._executor.room
        due = due_runs(
            self._ledger,
            self._flows,
            now_ns=now,
            pending_before_ns=now if is_first else now - _MINE_NS,
            most=room,
        )
        return sum(self._taken(run) for run in due) + self._wake()

    def _wake(self) -> int:
        """Take in the runs that wait and were written to; how many those were."""
        letters = letters_of(self._ledger, self._flows)
        fresh = [run_id for run_id, found in letters.items() if self._read.get(run_id) != found]
        # A letter is read once the run was taken in with it, for as long as it waits or is at work here.
        self._read = {
            run_id: read
            for run_id, read in self._read.items()
            if run_id in letters or self._executor.job(run_id) is not None
        }
        taken = [run_id for run_id in fresh if self._taken(self._ledger.run(run_id))]
        self._read |= {run_id: (letters[run_id][0], letters[run_id][1] + 1) for run_id in taken}
        return len(taken)

    def _taken(self, run: RunRecord) -> bool:
        """Whether a run was taken in. One that cannot be is left, and the others are not. Raises `LedgerError`."""
        try:
            return self._take(run)
        except LedgerError:
            raise
        except Exception:
            self._left.add(run.id)
            log.exception("run %s of %s cannot be gone on with: it is left alone", run.id, run.flow)
            return False

    def _take(self, run: RunRecord) -> bool:
        if run.id in self._left or self._executor.job(run.id) is not None:
            return False
        if self._is_fruitless(run) or self._is_switched_off(run):
            return False
        try:
            self.runs.go_on(run)
        except Unavailable:
            return False
        return True

    def _is_switched_off(self, run: RunRecord) -> bool:
        """Whether nothing of a run's flow, or of whose it is, goes on: then it is cancelled instead."""
        app = self._executor.app
        off = switched_off(app.access, run.flow, run.tenant, run.principal)
        if off:
            cancel(app, run.id, reason=f"{off} is switched off")
        return bool(off)

    def _is_fruitless(self, run: RunRecord) -> bool:
        """Whether a run was begun time and again and got nowhere, as one does that ends its process."""
        if run.status != "running" or run.epoch < _FRUITLESS:
            return False
        newest = self._ledger.outcomes(run.id)[-_FRUITLESS:]
        if len(newest) < _FRUITLESS or any(one.kind != "start" for one in newest):
            return False
        self._left.add(run.id)
        log.error(
            "run %s of %s was begun %d times and ended its process each time without a further step: it is left alone; "
            "`surefoot resume %s` goes on with it once its code is mended",
            *(run.id, run.flow, _FRUITLESS, run.id),
        )
        return True

    def _serve(self) -> None:
        is_first = True
        while not self._is_over.is_set():
            try:
                self.look(is_first=is_first)
                self.is_reachable, is_first = True, False
            except LedgerError as error:
                self.is_reachable = False
                log.warning("runs to go on with could not be looked for: %s", error)
            except Exception:
                log.exception("runs to go on with could not be looked for")
            self._news.wait(self._executor.settings.look)
            if self._news.is_set():
                # What is sent at the same time is found in one look.
                self._is_over.wait(_NUDGED_S)
                self._news.clear()
