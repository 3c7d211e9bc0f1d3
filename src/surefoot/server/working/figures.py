"""What a server counts: requests and runs, how long they take and what they use, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    from surefoot.ledger import Totals
    from surefoot.traces.exporter import Standing
    from surefoot.values import Json

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How many of what was seen lie at or below each bound (seconds), and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.total = 0.0

    def see(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds


class Figures:
    """The figures of one server, from any thread. Labels are names of flows and routes, never ids: there are few."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._requests: Counter[Labels] = Counter()
        self._ended: Counter[Labels] = Counter()
        self._refused: Counter[Labels] = Counter()
        self._tokens: Counter[Labels] = Counter()
        self._cost_nanos: Counter[Labels] = Counter()
        self._latency: dict[Labels, Histogram] = {}
        self._durations: dict[Labels, Histogram] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        with self._lock:
            self._requests[("route", route), ("status", str(status))] += 1
            _of(self._latency, (("route", route),)).see(seconds)

    def refused(self, reason: str) -> None:
        """A run was not taken in, as the queue is full or the server stops."""
        with self._lock:
            self._refused[(("reason", reason),)] += 1

    def ended(self, flow: str, how: str, seconds: float, totals: Totals | None) -> None:
        """This process's part of a run ended. `totals` are those of the whole run, where it completed."""
        with self._lock:
            self._ended[("flow", flow), ("how", how)] += 1
            _of(self._durations, (("flow", flow),)).see(seconds)
            if totals is not None:
                usage = totals.usage
                self._tokens[("flow", flow), ("kind", "input")] += usage.input
                self._tokens[("flow", flow), ("kind", "output")] += usage.output
                self._cost_nanos[(("flow", flow),)] += totals.cost.nanos

    def said(self) -> dict[str, list[list[Json]]]:
        """All that was counted, as JSON has it: by kind, rows of labels and values."""
        with self._lock:
            return {
                **{
                    name: [[_listed(labels), value] for labels, value in counter.items()]
                    for name, counter in self._counters().items()
                },
                **{
                    name: [[_listed(labels), [*one.counts], one.total] for labels, one in histograms.items()]
                    for name, histograms in self._histograms().items()
                },
            }

    def add(self, said: Mapping[str, Sequence[Any]]) -> None:
        """Count in what `said` told of other figures, of this version."""
        with self._lock:
            for name, counter in self._counters().items():
                for labels, value in said[name]:
                    counter[_labels(labels)] += value
            for name, histograms in self._histograms().items():
                for labels, counts, total in said[name]:
                    known = _of(histograms, _labels(labels))
                    known.counts = [ours + theirs for ours, theirs in zip(known.counts, counts, strict=True)]
                    known.total += total

    def _counters(self) -> dict[str, Counter[Labels]]:
        return {
            "requests": self._requests,
            "ended": self._ended,
            "refused": self._refused,
            "tokens": self._tokens,
            "cost_nanos": self._cost_nanos,
        }

    def _histograms(self) -> dict[str, dict[Labels, Histogram]]:
        return {"latency": self._latency, "durations": self._durations}

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
        with self._lock:
            lines = [
                *_counter("surefoot_http_requests_total", "Requests answered.", self._requests),
                *_counter("surefoot_runs_ended_total", "Runs that ended in this process.", self._ended),
                *_counter("surefoot_runs_refused_total", "Runs that were not taken in.", self._refused),
                *_counter("surefoot_tokens_total", "Tokens of completed runs.", self._tokens),
                *_counter(
                    "surefoot_cost_dollars_total",
                    "Cost of completed runs, US dollars.",
                    {labels: nanos / 1e9 for labels, nanos in self._cost_nanos.items()},
                ),
                *_histogram(
                    "surefoot_http_request_seconds",
                    "From a request to the head of its answer.",
                    self._latency,
                ),
                *_histogram(
                    "surefoot_run_seconds", "From the begin of a run here to its end here.", self._durations
                ),
            ]
        for name, value in gauges.items():
            lines += [f"# TYPE surefoot_{name} gauge", f"surefoot_{name} {_number(value)}"]
        lines += [
            "# HELP surefoot_runs Runs of the flows served that are not over, in the whole ledger.",
            "# TYPE surefoot_runs gauge",
            *(
                f"surefoot_runs{_braced((('status', status),))} {count}"
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
            yield f"surefoot_traces_{name}{_braced((('receiver', receiver),))} {_number(value(standing))}"


def _listed(labels: Labels) -> Json:
    return [[name, value] for name, value in labels]


def _labels(listed: Sequence[Sequence[str]]) -> Labels:
    return tuple((name, value) for name, value in listed)


def _of(found: dict[Labels, Histogram], labels: Labels) -> Histogram:
    known = found.get(labels)
    if known is None:
        known = found[labels] = Histogram()
    return known


def _counter(name: str, told: str, values: Mapping[Labels, float]) -> Iterable[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} counter"
    for labels, value in sorted(values.items()):
        yield f"{name}{_braced(labels)} {_number(value)}"


def _histogram(name: str, told: str, values: Mapping[Labels, Histogram]) -> Iterable[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} histogram"
    for labels, histogram in sorted(values.items()):
        reached = 0
        for bound, count in zip((*map(_number, _SECONDS), "+Inf"), histogram.counts, strict=True):
            reached += count
            yield f"{name}_bucket{_braced((*labels, ('le', bound)))} {reached}"
        yield f"{name}_sum{_braced(labels)} {histogram.total:.6f}"
        yield f"{name}_count{_braced(labels)} {reached}"


def _braced(labels: Sequence[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.9g}"
