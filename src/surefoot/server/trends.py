"""The page of trends: a metric over time, drawn and as a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import cast
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from surefoot.app import App
from surefoot.evals.trending import SPANS, By, Span, trend
from surefoot.ledger import Evaluations
from surefoot.server.charts import curve
from surefoot.server.experiments import KINDS
from surefoot.server.sight import TRACE, Sight
from surefoot.server.surroundings import Surroundings

DAYS = (1, 7, 30, 90, 365)
_DAY_NS = 86_400_000_000_000
_FORMATS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d"}
_TABLE = 60


class TrendPages:
    """Scores over time, as `surefoot trend` adds them up."""

    def __init__(self, app: App, render: Callable[..., Response], surroundings: Surroundings) -> None:
        self._evaluations = Evaluations(app.ledger)
        self._render = render
        self._around = surroundings

    def routes(self) -> list[Route]:
        return [Route("/trends", self.page, methods=["GET"])]

    def page(self, request: Request) -> Response:
        """`metric`, and by `flow`, `kind`, `by` and `days`."""
        query = request.query_params
        flow, kind, by = query.get("flow", "")[:200], query.get("kind", ""), query.get("by", "day")
        days = query.get("days", "30")
        if kind and kind not in KINDS:
            raise HTTPException(400, f"There is no kind {kind!r}. There are: {', '.join(KINDS)}.")
        if by not in SPANS or days not in map(str, DAYS):
            raise HTTPException(400, "A trend is by hour or day, over 1, 7, 30, 90 or 365 days.")
        sight = self._around.sight(request)
        flows = self._flows(sight)
        is_of_any = sight.may(TRACE)
        if not is_of_any and not flow:
            # Scores of all flows together would tell of those that he may not see.
            flow = flows[0] if flows else ""
        if flow:
            sight.require(TRACE, flow)
        metrics = self._evaluations.metrics(flow, tenant=sight.tenant) if flow or is_of_any else []
        metric = query.get("metric", "")[:200] or (metrics[0] if metrics else "")
        metric = metric if flow or is_of_any else ""
        found = None
        if metric:
            found = trend(
                self._evaluations,
                metric,
                flow=flow,
                kind=kind or None,
                tenant=sight.tenant,
                since_ns=time.time_ns() - int(days) * _DAY_NS,
                by=cast("By", by),
            )
        kept = {"metric": metric, "flow": flow, "kind": kind, "by": by, "days": days}
        begin = query.get("from", "0")
        spans = list(reversed(found.spans)) if found is not None else []
        first = int(begin[:9]) if begin.isascii() and begin.isdigit() and int(begin[:9]) < len(spans) else 0
        return self._render(
            request,
            "trends.html",
            found=found,
            curve=None if found is None else curve(found),
            spans=spans[first : first + _TABLE],
            begin=first,
            size=_TABLE,
            total=len(spans),
            metrics=metrics,
            flows=flows,
            is_of_any=is_of_any,
            kinds=KINDS,
            all_days=DAYS,
            asked=kept,
            kept=urlencode(kept),
            when=partial(_when, by=cast("By", by)),
        )

    def _flows(self, sight: Sight) -> list[str]:
        """Flows that have scores, in experiments of the organisation or in those of production, which are of all."""
        return [flow for flow in self._evaluations.flows(tenant=sight.tenant) if sight.may(TRACE, flow)]


def _when(span: Span, *, by: By) -> str:
    return datetime.fromtimestamp(span.began_ns / 1e9, UTC).strftime(_FORMATS[by])
