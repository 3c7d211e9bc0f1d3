"""The pages as an ASGI application over an app."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from surefoot import scope
from surefoot.app import App
from surefoot.errors import AccessDenied, InvalidInput, LedgerError, UnknownRun
from surefoot.ledger import RunRecord
from surefoot.server import detail, figures
from surefoot.server.comparisons import ComparisonPages
from surefoot.server.datasets import DATASETS, FILTERS, DatasetPages
from surefoot.server.entry.caller import RUN as LOOKED_UP
from surefoot.server.experiments import ExperimentPages
from surefoot.server.gate import Gate
from surefoot.server.listing import SCANNED, Wanted, page
from surefoot.server.shown import LIMIT, brief, plainly, pretty, visible
from surefoot.server.sight import RUN, TRACE, Sight
from surefoot.server.surroundings import Surroundings
from surefoot.server.timeline import ROWS, timeline
from surefoot.server.trends import TrendPages
from surefoot.server.values import part_of, values_of
from surefoot.traces import Span, Standing, Trace, standing, trace
from surefoot.traces.figures import counted, duration, round_duration, tokens
from surefoot.traces.listing import STANDINGS

log = scope.logger("surefoot.server")

_HERE = Path(__file__).parent
_STATIC = {"ui.css": "text/css", "ui.js": "text/javascript", "icon.svg": "image/svg+xml"}
_LIVE = frozenset({"pending", "running", "waiting"})
_RAW_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_LONGEST_WORD = 64
_FILTERS: dict[str, Any] = {
    "visible": visible,
    "plainly": plainly,
    "brief": brief,
    "duration": duration,
    "round_duration": round_duration,
    "moment": figures.moment,
    "exact_moment": figures.exact_moment,
    "iso": figures.iso,
    "total_cost": figures.total_cost,
    "tokens": tokens,
    "size": partial(counted, noun="character"),
    "percent": "{:.2f}%".format,
    "metric_value": figures.metric_value,
    "metric_interval": figures.metric_interval,
    "cases": partial(counted, noun="case"),
    "runs": partial(counted, noun="run"),
    "seconds": figures.seconds,
    **FILTERS,
}


def web(app: App, *, hosts: frozenset[str], is_read_only: bool = False) -> ASGIApp:
    """The pages of an app for requests whose `Host` is one of `hosts` (name and port).

    is_read_only: nothing can be posted, so that datasets can be looked at and not reviewed.
    """
    pages = Pages(app, is_read_only=is_read_only)
    written = "" if is_read_only else DATASETS
    return Gate(
        Starlette(routes=pages.routes(), exception_handlers=pages.errors()), hosts=hosts, written=written
    )


class Pages:
    """Renders what the ledger holds. Every endpoint of these reads, in a worker thread; none writes."""

    def __init__(
        self, app: App, *, is_read_only: bool = False, surroundings: Surroundings | None = None
    ) -> None:
        self._app = app
        self._around = around = surroundings or Surroundings()
        self._static = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC}
        self._version = _digest(b"".join(self._static.values()))
        self._templates = _environment(
            version=self._version,
            project=app.settings.root.name,
            limit=LIMIT,
            scanned=SCANNED,
            base=around.base,
        )
        self._templates.filters["at"] = self._at
        self._datasets = DatasetPages(app, self.page, around, is_read_only=is_read_only)
        self._experiments = ExperimentPages(app, self.page, around)
        self._comparisons = ComparisonPages(app, self._experiments, self.page, around)
        self._trends = TrendPages(app, self.page, around)

    def routes(self) -> list[Route]:
        """The routes of all pages; those below `/datasets/` are the only ones by which something is posted."""
        return [
            Route("/", self.home),
            Route("/runs", self.runs),
            Route("/runs/{run}", self.run),
            Route("/runs/{run}/raw", self.raw),
            Route("/static/{name}", self.static),
            *self._datasets.routes(),
            *self._comparisons.routes(),
            *self._experiments.routes(),
            *self._trends.routes(),
        ]

    def errors(self) -> dict[Any, Any]:
        """What errors of the routes are answered with."""
        return {
            HTTPException: self.refused,
            AccessDenied: self.denied,
            UnknownRun: self.unknown,
            InvalidInput: self.misread,
            LedgerError: self.unreadable,
            Exception: self.broken,
        }

    def home(self, request: Request) -> Response:  # noqa: ARG002
        return RedirectResponse(self._at("/runs"), status_code=302)

    def runs(self, request: Request) -> Response:
        """The list of runs; `part` asks for the part that changes, for live updates."""
        query = request.query_params
        state = query.get("status", "")
        if state and state not in STANDINGS:
            raise HTTPException(400, f"There is no status {state!r}. There are: {', '.join(STANDINGS)}.")
        sight = self._around.sight(request)
        sees = cache(partial(sight.may, RUN))
        wanted = Wanted(
            flow=query.get("flow", ""),
            status=cast("Standing", state),
            text=query.get("id", "").strip()[:_LONGEST_WORD],
            before=query.get("before", "").upper(),
            tenant=sight.tenant,
            sees=sees,
        )
        now_ns = time.time_ns()
        found = page(self._app.ledger, wanted, now_ns)
        filters = {"flow": wanted.flow, "status": wanted.status, "id": wanted.text}
        kept = {name: text for name, text in filters.items() if text}
        return self._live_page(
            request,
            "runs.html",
            "_rows.html",
            wanted=wanted,
            page=found,
            now_ns=now_ns,
            states=STANDINGS,
            flows=self._flows(sight, sees) if "part" not in query else [],
            opens=cache(partial(sight.may, TRACE)),
            newest=str(request.url.replace_query_params(**kept).query) if kept else "",
            older=request.url.replace_query_params(**kept, before=found.older).query if found.older else None,
            ledger=self._app.ledger.where,
        )

    def _flows(self, sight: Sight, sees: Callable[[str], bool]) -> list[str]:
        """Flows that have run lately, for the filter."""
        found = {run.flow for run in self._app.ledger.runs(tenant=sight.tenant, limit=200)}
        return sorted(filter(sees, found))

    def run(self, request: Request) -> Response:
        """One run; `step` chooses a step of it, `from` the row that a long list begins with."""
        asked = request.path_params["run"]
        record = self._seen(request)
        if record.id != asked:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(self._at(f"/runs/{record.id}{query}"), status_code=302)
        found = trace(self._app.ledger, record.id)
        now_ns = time.time_ns()
        state = standing(found.run, now_ns)
        span = _chosen(found, request)
        lines = timeline(
            found,
            now_ns=now_ns,
            is_open=state == "running",
            begin=_begin(found, span, request.query_params.get("from")),
        )
        return self._live_page(
            request,
            "run.html",
            "_run.html",
            trace=found,
            run=found.run,
            state=state,
            is_live=state in _LIVE,
            lines=lines,
            row=next((row for row in lines.rows if row.span is span), None),
            span=span,
            parameters=detail.parameters(span.call) if span is not None and span.call is not None else [],
            facts=detail.facts(span) if span is not None else [],
            run_facts=detail.run_facts(found, now_ns, is_open=state == "running"),
            sections=detail.sections(found, span),
            now_ns=now_ns,
        )

    def raw(self, request: Request) -> Response:
        """One recorded value whole, as plain text."""
        found = trace(self._app.ledger, self._seen(request).id)
        span = _chosen(found, request)
        of, at = request.query_params.get("of", ""), request.query_params.get("at")
        try:
            value = part_of(values_of(found, span)[of], at)
        except KeyError:
            where = f"{of}, {at}" if at is not None else of
            raise HTTPException(404, f"Nothing is recorded under {where!r}.") from None
        # What is no Unicode, a lone half of a surrogate pair, is spelled out.
        text = pretty(value).encode("utf-8", errors="backslashreplace")
        return PlainTextResponse(
            text, headers={"content-security-policy": _RAW_POLICY, "cache-control": "no-store"}
        )

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise HTTPException(404, "There is no such file.")
        is_current = request.query_params.get("v") == self._version
        cache = "public, max-age=31536000, immutable" if is_current else "no-cache"
        return Response(self._static[name], media_type=_STATIC[name], headers={"cache-control": cache})

    def _seen(self, request: Request) -> RunRecord:
        """The run that the path names. Raises `UnknownRun`, also for one of others, and `AccessDenied`."""
        asked = request.path_params["run"]
        looked_up: RunRecord | None = request.scope.get(LOOKED_UP)
        record = looked_up or self._app.ledger.run(asked)
        sight = self._around.sight(request)
        if sight.tenant not in (None, record.tenant):
            raise UnknownRun(f"there is no run {asked}")
        for needed in (RUN, TRACE):
            sight.require(needed, record.flow)
        return record

    def _at(self, address: str) -> str:
        """The address of a page from the top of the server."""
        return self._around.base + address if address.startswith("/") else address

    # Errors

    def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = error.detail if isinstance(error, HTTPException) else ""
        if status == 404 and said == "Not Found":
            said = f"There is no page {request.url.path}."
        response = self.message(request, status, "Not found" if status == 404 else "Not possible", said)
        # Those of the error: which methods there are, and when to ask again.
        response.headers.update((isinstance(error, HTTPException) and error.headers) or {})
        return response

    def denied(self, request: Request, error: Exception) -> Response:
        """Somebody who may not see this, and what he lacks."""
        denied = cast("AccessDenied", error)
        said = f"You are {denied.who}, and this needs {denied.permission}: {denied.because}."
        return self.message(request, 403, "Not allowed", said)

    def unknown(self, request: Request, error: Exception) -> Response:
        # The words of the error name the ledger, which is nothing that others are told.
        said = (
            f"There is no run {request.path_params['run'][:_LONGEST_WORD]}."
            if self._around.has_login
            else str(error)
        )
        return self.message(request, 404, "No such run", said)

    def misread(self, request: Request, error: Exception) -> Response:
        said = self._around.told(error, self._app.settings.root)
        return self.message(request, 422, "The file cannot be read so", said)

    def unreadable(self, request: Request, error: Exception) -> Response:
        if self._around.has_login:
            log.error("a page cannot be shown, as the ledger cannot be read: %s", error)
            return self.message(request, 503, "Not now", "The ledger cannot be read. Try again in a while.")
        return self.message(request, 503, "The ledger cannot be read", str(error))

    def broken(self, request: Request, error: Exception) -> Response:
        where = "the log of the server" if self._around.has_login else "the terminal of `surefoot ui`"
        said = f"{type(error).__name__} while the page was made; {where} has the details."
        return self.message(request, 500, "Something went wrong", said)

    def message(
        self, request: Request, status: int, title: str, said: str, *, links: Mapping[str, str] | None = None
    ) -> Response:
        """A page that says one thing. `links` are where to go from here, text by address; by default to all runs."""
        return self.page(
            request,
            "message.html",
            status=status,
            title=title,
            said=said,
            links=links if links is not None else self._onward(request),
        )

    def _onward(self, request: Request) -> Mapping[str, str]:
        """The way to all runs, for those to whom it shows something."""
        visitor = self._around.visitor(request)
        return {self._at("/runs"): "All runs"} if visitor is None or "runs" in visitor.pages else {}

    def page(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        """A whole page."""
        return self._whole(request, template, values, status=status)

    def _whole(
        self, request: Request, template: str, values: Mapping[str, object], *, status: int = 200
    ) -> Response:
        frame = self._frame(request)
        html = self._templates.get_template(template).render(frame | {**values})
        response = Response(
            html, status_code=status, media_type="text/html", headers={"cache-control": "no-store"}
        )
        # Led here by another site a browser keeps its cookies back: a new one would take the place of those.
        is_led = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if self._around.has_login and (frame["visitor"] is not None or not is_led):
            posting = self._around.posting
            posting.keep(response, request, posting.session(request))
        return response

    def _frame(self, request: Request) -> dict[str, object]:
        """What the frame of each page needs."""
        theme = request.query_params.get("theme", "")
        return {
            "theme": theme if theme in ("light", "dark") else "",
            "visitor": self._around.visitor(request),
            "has_login": self._around.has_login,
        }

    def _live_page(self, request: Request, whole: str, part: str, **values: object) -> Response:
        """A page, or with `part` only the part of it that changes, unless the asker has that already."""
        values["has_login"] = self._around.has_login
        fragment = self._templates.get_template(part).render(values)
        etag = f'"{_digest(fragment.encode("utf-8", errors="backslashreplace"))}"'
        headers = {"cache-control": "no-store", "etag": etag}
        if "part" in request.query_params:
            if request.headers.get("if-none-match") == etag:
                return Response(status_code=304, headers=headers)
            return Response(fragment, media_type="text/html", headers=headers)
        values["fragment"] = Markup(fragment)  # noqa: S704  (rendered with escaping just above)
        return self._whole(request, whole, {**values, "etag": etag})


def _environment(**everywhere: Any) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(everywhere)
    templates.filters.update(_FILTERS)
    return templates


def _chosen(found: Trace, request: Request) -> Span | None:
    step = request.query_params.get("step")
    if not step:
        return None
    for span in found.walk():
        if span.id == step:
            return span
    raise HTTPException(404, f"Run {found.run.id} has no step {step!r}.")


def _begin(found: Trace, span: Span | None, asked: str | None) -> int:
    """The first row: the one asked for, else such that the chosen step is among them."""
    if asked is not None and asked.isascii() and asked.isdigit():
        return int(asked[:9])
    if span is None:
        return 0
    index = next(index for index, other in enumerate(found.walk()) if other is span)
    return index // ROWS * ROWS


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()
