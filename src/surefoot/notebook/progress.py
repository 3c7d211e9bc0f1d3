"""What is known of a run while it goes on, from the events that its listener is told."""

from __future__ import annotations

import time

from surefoot.flows import CallStreamed, RunEvent, RunOpened, StepClosed, StepYielded
from surefoot.ledger import Totals
from surefoot.locks import ForkSafeLock
from surefoot.traces import Card, Line, LineState, figures, fitting
from surefoot.traces.live import Row, Tree

_STATES: dict[str, LineState] = {"abandoned": "cut off", "failed": "failed"}
"""How a step that has ended is drawn, unless as completed."""


class Progress:
    """The steps of one run as a tree that grows. Events may come from any thread."""

    def __init__(self) -> None:
        self.run_id = ""
        self.flow = ""
        self.changes = 0
        self._lock = ForkSafeLock()
        self._begun_ns = time.time_ns()
        self._is_resumed = False
        self._steps = Tree[StepClosed]()
        self._totals = Totals()

    def see(self, event: RunEvent) -> None:
        if isinstance(event, StepYielded | CallStreamed):
            return
        with self._lock:
            self.changes += 1
            if isinstance(event, RunOpened):
                self.run_id, self.flow, self._is_resumed = event.run_id, event.flow, event.is_resumed
                return
            row = self._steps.row(event, time.time_ns())
            if isinstance(event, StepClosed):
                row.closed = event
                self._count(event)

    def card(self, now_ns: int) -> Card:
        """The run as it stands."""
        with self._lock:
            lines = [self._line(row, now_ns) for row in self._steps.walk()]
            hidden, shown = fitting(lines)
            return Card(
                run_id=self.run_id,
                flow=self.flow,
                state="running",
                took_ns=max(now_ns - self._begun_ns, 0),
                lines=shown,
                hidden=hidden,
                totals=figures.totals(self._totals) if lines else "",
                notes=("resumed",) if self._is_resumed else (),
            )

    def _count(self, event: StepClosed) -> None:
        if event.status == "abandoned":
            return
        usage, cost = Totals().usage, Totals().cost
        is_known = True
        if (call := event.call) is not None:
            usage, is_known = call.usage, call.cost is not None
            cost = call.cost or cost
        is_step, is_call = event.kind != "call", event.call is not None
        self._totals += Totals(int(is_step), int(is_call), usage, cost, is_known, event.is_degraded)

    def _line(self, row: Row[StepClosed], now_ns: int) -> Line:
        closed, all_ns = row.closed, max(now_ns - self._begun_ns, 1)
        state: LineState = "running"
        took = max(now_ns - row.begun_ns, 0)
        details = [f"attempt {row.attempt}"] if row.attempt > 1 else []
        if closed is not None:
            took = closed.latency_ns
            state = _STATES.get(closed.status, "completed")
            state = "kept" if closed.is_replayed and state == "completed" else state
            details += [figures.call(closed.call)] if closed.call is not None else []
            details += ["degraded"] if closed.is_degraded else []
        bar = None
        if closed is None or not closed.is_replayed:
            begin = 100 * max(row.begun_ns - self._begun_ns, 0) / all_ns
            bar = (min(begin, 100.0), min(begin + 100 * took / all_ns, 100.0))
        return Line(row.name, row.depth, state, took, bar, " · ".join(details))
