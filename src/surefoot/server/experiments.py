"""The pages of experiments: their list, and one of them with its metrics, slices, failures and cases."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from surefoot.app import App
from surefoot.errors import UnknownExperiment
from surefoot.evals.experiments.loading import opened
from surefoot.evals.experiments.results import Experiment, Metric, Row
from surefoot.evals.experiments.trusting import withheld_without_labels
from surefoot.evals.parts import Lack, Part, interval_of, keys_of, lacks_of, parts_of
from surefoot.evals.scales import direction_of_name
from surefoot.evals.trending import Span, summed
from surefoot.ledger import Evaluations, ExperimentKind, ExperimentRecord, Summary
from surefoot.locks import ForkSafeLock
from surefoot.server.charts import Axis, Whisker, whisker
from surefoot.server.sight import TRACE, Sight
from surefoot.server.surroundings import Surroundings
from surefoot.values import first_id

T = TypeVar("T")

KINDS: tuple[ExperimentKind, ...] = ("eval", "backtest", "online")
PAGE = 20
CASES = 50
_LACKS = 20
_BESIDE = 6
_ONLINE_NS = 7 * 86_400_000_000_000
"""An experiment of production has no end: its page is about the last 7 days."""

_KEPT = 24


class Kept:
    """What was made of experiments that have not changed since: a page that is turned is not made of all cases anew."""

    def __init__(self) -> None:
        self._made: OrderedDict[object, object] = OrderedDict()
        self._lock = ForkSafeLock()

    def of(self, key: object, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return cast("T", self._made[key])
        made = make()
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True)
class Sum:
    """A metric in the list: its value over all rows, repeats counted one by one."""

    name: str
    kind: str
    span: Span
    withheld: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An experiment in the list."""

    record: ExperimentRecord
    summary: Summary
    metrics: tuple[Sum, ...]

    @property
    def address(self) -> str:
        return address_of(self.record.id)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of an experiment, with its interval, and both drawn."""

    metric: Metric
    interval: tuple[float, float] | None
    drawn: Whisker | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An experiment as its page shows it, made once for as long as nothing is added to it."""

    mark: object
    """Another one where anything of it is."""
    experiment: Experiment
    measures: tuple[Measure, ...]
    keys: tuple[str, ...]
    lacks: tuple[Lack, ...]
    worst: tuple[Row, ...]


class ExperimentPages:
    """Shows what the ledger has of experiments. Nothing here writes."""

    def __init__(self, app: App, render: Callable[..., Response], surroundings: Surroundings) -> None:
        self._evaluations = Evaluations(app.ledger)
        self._render = render
        self._around = surroundings
        self._kept = Kept()

    def routes(self) -> list[Route]:
        return [
            Route("/experiments", self.index, methods=["GET"]),
            Route("/experiments/{experiment:path}", self.one, methods=["GET"]),
        ]

    def index(self, request: Request) -> Response:
        """The newest first, by flow and kind."""
        query = request.query_params
        kind = query.get("kind", "")
        if kind and kind not in KINDS:
            raise HTTPException(400, f"There is no kind {kind!r}. There are: {', '.join(KINDS)}.")
        flow, before = query.get("flow", "")[:200], query.get("before", "")
        sight = self._around.sight(request)
        found = self._page_of(
            sight, flow, kind or None, _moment_of(before) if before.isascii() and before.isdigit() else None
        )
        kept = {name: text for name, text in (("flow", flow), ("kind", kind)) if text}
        older = urlencode({**kept, "before": found[PAGE - 1].begun_ns}) if len(found) > PAGE else ""
        return self._render(
            request,
            "experiments.html",
            experiments=[self._listed(record, sight.tenant) for record in found[:PAGE]],
            flow=flow,
            kind=kind,
            kinds=KINDS,
            flows=self.flows(sight),
            newest=urlencode(kept) if before else None,
            older=older,
            now_ns=time.time_ns(),
        )

    def _page_of(
        self, sight: Sight, flow: str, kind: ExperimentKind | None, until_ns: int | None
    ) -> list[ExperimentRecord]:
        """One more than a page, so that it is known whether there are more; those of flows that are not seen not."""
        found: list[ExperimentRecord] = []
        while True:
            read = self._evaluations.experiments(
                flow=flow, kind=kind, tenant=sight.tenant, until_ns=until_ns, limit=PAGE + 1
            )
            found += [record for record in read if sight.may(TRACE, record.flow)]
            if len(found) > PAGE or len(read) <= PAGE:
                return found
            until_ns = read[-1].begun_ns

    def flows(self, sight: Sight) -> list[str]:
        """Flows that have experiments, for filters."""
        found = {record.flow for record in self._evaluations.experiments(tenant=sight.tenant, limit=200)}
        return sorted(flow for flow in found if sight.may(TRACE, flow))

    def one(self, request: Request) -> Response:
        """One experiment; `by` cuts it into slices, `show` and `from` choose its cases."""
        sight = self._around.sight(request)
        record = self.record(request.path_params["experiment"], sight)
        if record.id != request.path_params["experiment"]:
            asked = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{self._around.base}{address_of(record.id)}{asked}", status_code=302)
        found = self.opened(record, sight.tenant)
        experiment, query = found.experiment, request.query_params
        by = query.get("by", "")
        parts: Sequence[Part] = ()
        if by:
            if by not in found.keys:
                raise HTTPException(
                    404, f"The cases are not cut by {by[:80]!r}. There are: {', '.join(found.keys)}."
                )
            parts = self._kept.of(("parts", found.mark, by), lambda: parts_of(experiment, by))
        show = query.get("show", "worst")
        rows = _shown(found, show)
        begin = begin_of(query.get("from"), len(rows))
        return self._render(
            request,
            "experiment.html",
            record=record,
            experiment=experiment,
            found=found,
            address=address_of(record.id),
            by=by,
            parts=[(part, self._drawn(part, found)) for part in parts],
            lacks=found.lacks[:_LACKS],
            more_lacks=max(len(found.lacks) - _LACKS, 0),
            show=show if show in ("all", "failed") else "worst",
            rows=rows[begin : begin + CASES],
            begin=begin,
            total=len(rows),
            size=CASES,
            others=self._others(record, sight.tenant),
            cases=len({row.case for row in experiment.rows}),
            since_days=_ONLINE_NS // 86_400_000_000_000 if record.kind == "online" else 0,
            now_ns=time.time_ns(),
        )

    def record(self, asked: str, sight: Sight) -> ExperimentRecord:
        """Raises a 404 where there is none that is of the organisation, and `AccessDenied`."""
        try:
            record = self._evaluations.experiment(asked, tenant=sight.tenant)
        except UnknownExperiment as error:
            # The words of the error name the ledger, which is nothing that others are told.
            said = f"There is no experiment {asked[:80]!r}." if self._around.has_login else str(error)
            raise HTTPException(404, said) from None
        sight.require(TRACE, record.flow)
        return record

    def opened(self, record: ExperimentRecord, tenant: str | None) -> Opened:
        """The experiment with its cases, or those of a tenant, as it is now."""
        is_online = record.kind == "online"
        # To the hour, so that what was made is found again.
        hour = 3_600_000_000_000
        since_ns = (time.time_ns() - _ONLINE_NS) // hour * hour if is_online else 0
        first = first_id(since_ns) if is_online else ""
        mark = self._evaluations.summary(record.id, tenant=tenant, first=first)
        key = ("opened", record.id, tenant, since_ns, mark.judged, mark.failed, mark.judging, _sums(mark))
        return self._kept.of(
            key, lambda: _made(key, opened(record, self._evaluations, since_ns=since_ns, tenant=tenant))
        )

    def _listed(self, record: ExperimentRecord, tenant: str | None) -> Listed:
        first = first_id(time.time_ns() - _ONLINE_NS) if record.kind == "online" else ""
        summary = self._evaluations.summary(record.id, tenant=tenant, first=first)
        declared = record.settings.get("scorers")
        order = list(declared) if isinstance(declared, dict) else []
        names = [name for name in order if name in summary.metrics]
        names += [name for name in summary.metrics if name not in order]
        return Listed(record, summary, tuple(self._sum(record, summary, name, tenant) for name in names))

    def _sum(self, record: ExperimentRecord, summary: Summary, name: str, tenant: str | None) -> Sum:
        kind, span = summed(summary.metrics[name])
        withheld = ""
        if name in summary.by_judges:
            key = ("judges", record.id, tenant, name, summary.judged)
            served = self._kept.of(key, lambda: self._evaluations.judges(record.id, name, tenant=tenant))
            withheld = withheld_without_labels(served)
        return Sum(name, kind, span, withheld)

    def _others(self, record: ExperimentRecord, tenant: str | None) -> list[ExperimentRecord]:
        """Experiments of the flow that it may be compared with, those on the same dataset first."""
        if record.kind == "online":
            return []
        found = [
            each
            for each in self._evaluations.experiments(flow=record.flow, tenant=tenant, limit=50)
            if each.id != record.id and each.kind != "online"
        ]
        found.sort(key=lambda each: each.dataset_version != record.dataset_version)
        return found[:_BESIDE]

    def _drawn(self, part: Part, found: Opened) -> list[Measure]:
        """The metrics of a slice, on the axes of the whole."""
        axes = {each.metric.name: _axis(each.metric, each.interval) for each in found.measures}
        return [
            Measure(
                metric,
                part.intervals[metric.name],
                whisker(axes[metric.name], metric.value, part.intervals[metric.name]),
            )
            for metric in part.metrics
        ]


def _shown(found: Opened, show: str) -> Sequence[Row]:
    """The cases that are asked for: by default the worst ones, the worst first."""
    every = found.experiment.rows
    if show == "all":
        return every
    return (
        [row for row in every if row.failures or row.status == "failed"] if show == "failed" else found.worst
    )


def address_of(experiment: str) -> str:
    """The page of an experiment."""
    return f"/experiments/{quote(experiment, safe='')}"


def begin_of(asked: str | None, total: int) -> int:
    """The first row of a page; 0 where something else is asked for."""
    begin = int(asked[:9]) if asked and asked.isascii() and asked.isdigit() else 0
    return begin if begin < total else 0


def _moment_of(digits: str) -> int:
    """Nanoseconds since the epoch, of which no ledger holds more than 63 bits."""
    return min(int(digits[:19]), (1 << 63) - 1)


def _sums(mark: Summary) -> tuple[Any, ...]:
    return tuple((name, each.n, each.failures, each.total) for name, each in mark.metrics.items())


def _made(mark: object, experiment: Experiment) -> Opened:
    measures: list[Measure] = []
    for metric in experiment.metrics:
        interval = interval_of(metric, experiment.rows)
        axis = _axis(metric, interval)
        measures.append(Measure(metric, interval, whisker(axis, metric.value, interval)))
    return Opened(
        mark,
        experiment,
        tuple(measures),
        tuple(keys_of(experiment.rows)),
        tuple(lacks_of(experiment.rows)),
        tuple(experiment.worst(len(experiment.rows))),
    )


def _axis(metric: Metric, interval: tuple[float, float] | None) -> Axis:
    if metric.kind == "rate":
        return Axis(0.0, 1.0)
    if direction_of_name(metric.name) == "higher" and metric.value is not None and 0 <= metric.value <= 1:
        return Axis(0.0, 1.0)
    return Axis.around([metric.value, *(interval or ())], holds=(0.0,))
