"""What a server counts: requests and runs, how long they take and what they use, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.traces.instruments import SECONDS, Instrument, Instruments, braced, number
from surefoot.traces.metering import Meter

if TYPE_CHECKING:
    from surefoot.ledger import Totals
    from surefoot.traces.exporter import Standing
    from surefoot.values import Json

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUESTS = Instrument("surefoot_http_requests_total", "Requests answered.")
_ENDED = Instrument("surefoot_runs_ended_total", "Runs that ended in this process.")
_REFUSED = Instrument("surefoot_runs_refused_total", "Runs that were not taken in.")
_TOKENS = Instrument("surefoot_tokens_total", "Tokens of completed runs.")
_COST = Instrument("surefoot_cost_dollars_total", "Cost of completed runs, US dollars.")
_LATENCY = Instrument(
    "surefoot_http_request_seconds", "From a request to the head of its answer.", "s", SECONDS
)
_DURATIONS = Instrument("surefoot_run_seconds", "From the begin of a run here to its end here.", "s", SECONDS)


class Figures:
    """The figures of one server, from any thread, with those of its meter."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()
        # What others have counted is not this process's to send.
        self._heard = Meter()
        self._own = Instruments(_REQUESTS, _ENDED, _REFUSED, _TOKENS, _COST, _LATENCY, _DURATIONS)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._own.add(_REQUESTS, (("route", route), ("status", str(status))))
        self._own.see(_LATENCY, (("route", route),), seconds)

    def refused(self, reason: str) -> None:
        """A run was not taken in, as the queue is full or the server stops."""
        self._own.add(_REFUSED, (("reason", reason),))

    def ended(self, flow: str, how: str, seconds: float, totals: Totals | None) -> None:
        """This process's part of a run ended. `totals` are those of the whole run, where it completed."""
        whose = ("flow", flow)
        self._own.add(_ENDED, (whose, ("how", how)))
        self._own.see(_DURATIONS, (whose,), seconds)
        if totals is not None:
            self._own.add(_TOKENS, (whose, ("kind", "input")), totals.usage.input)
            self._own.add(_TOKENS, (whose, ("kind", "output")), totals.usage.output)
            self._own.add(_COST, (whose,), totals.cost.nanos / 1e9)

    def said(self) -> dict[str, list[list[Json]]]:
        """All that was counted, as JSON has it, for `add`."""
        return {**self._own.said(), **self._all().said()}

    def add(self, said: Mapping[str, Sequence[Any]]) -> None:
        """Count in what `said` told of other figures."""
        self._own.hear(said)
        self._heard.hear(said)

    def _all(self) -> Meter:
        found = Meter()
        found.hear(self._heard.said())
        found.hear(self._meter.said())
        return found

    def text(
        self,
        *,
        gauges: Mapping[str, float],
        runs: Mapping[str, int],
        behind: Mapping[str, Standing] | None = None,
    ) -> str:
        """All of it as Prometheus reads it, with what stands now.

        `gauges` by name, unfinished runs by status, and how far each receiver of traces is behind.
        """
        lines = [*self._own.lines(), *self._all().lines()]
        for name, value in gauges.items():
            lines += [f"# TYPE surefoot_{name} gauge", f"surefoot_{name} {number(value)}"]
        lines += [
            "# HELP surefoot_runs Runs of the flows served that are not over, in the whole ledger.",
            "# TYPE surefoot_runs gauge",
            *(
                f"surefoot_runs{braced((('status', status),))} {count}"
                for status, count in sorted(runs.items())
            ),
        ]
        return "\n".join([*lines, *_receivers(behind or {}), ""])


_OF_RECEIVERS: tuple[tuple[str, str, str, Callable[[Standing], float]], ...] = (
    ("waiting", "gauge", "Traces that wait to be sent.", lambda one: one.waiting),
    ("failing", "gauge", "Traces that wait after they did not arrive.", lambda one: one.failing),
    ("lag_seconds", "gauge", "Since the first of them ended.", lambda one: one.lag_seconds),
    ("not_taken", "gauge", "Traces that the receiver did not take.", lambda one: one.not_taken),
    ("lost_total", "counter", "Traces of runs that were pruned before they were sent.", lambda one: one.lost),
)


def _receivers(behind: Mapping[str, Standing]) -> Iterable[str]:
    """How far each receiver of traces is, as the ledger says: the same in all processes."""
    for name, kind, told, value in _OF_RECEIVERS:
        if behind:
            yield f"# HELP surefoot_traces_{name} {told}"
            yield f"# TYPE surefoot_traces_{name} {kind}"
        for receiver, standing in sorted(behind.items()):
            yield f"surefoot_traces_{name}{braced((('receiver', receiver),))} {number(value(standing))}"
