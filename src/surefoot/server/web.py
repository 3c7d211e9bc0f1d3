"""The pages as an ASGI application over an app."""

from __future__ import annotations

import time
from functools import partial
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

from surefoot.app import App
from surefoot.errors import InvalidInput, LedgerError, UnknownRun
from surefoot.server import detail, figures
from surefoot.server.comparisons import ComparisonPages
from surefoot.server.datasets import DATASETS, FILTERS, DatasetPages
from surefoot.server.experiments import ExperimentPages
from surefoot.server.gate import Gate
from surefoot.server.listing import SCANNED, Wanted, page
from surefoot.server.shown import LIMIT, brief, plainly, pretty, visible
from surefoot.server.timeline import ROWS, timeline
from surefoot.server.trends import TrendPages
from surefoot.server.values import part_of, values_of
from surefoot.traces import Span, Standing, Trace, standing, trace
from surefoot.traces.figures import counted, duration, round_duration, tokens
from surefoot.traces.listing import STANDINGS

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
    errors = {
        HTTPException: pages.refused,
        UnknownRun: pages.unknown,
        InvalidInput: pages.misread,
        LedgerError: pages.unreadable,
        Exception: pages.broken,
    }
    written = "" if is_read_only else DATASETS
    return Gate(Starlette(routes=pages.routes(), exception_handlers=errors), hosts=hosts, written=written)


class Pages:
    """Renders what the ledger holds. Every endpoint of these reads, in a worker thread; none writes."""

    def __init__(self, app: App, *, is_read_only: bool) -> None:
        self._app = app
        self._static = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC}
        self._version = _digest(b"".join(self._static.values()))
        self._templates = _environment(
            version=self._version, project=app.settings.root.name, limit=LIMIT, scanned=SCANNED
        )
        self._datasets = DatasetPages(app, self._templates, is_read_only=is_read_only)
        self._experiments = ExperimentPages(app, self._page)
        self._comparisons = ComparisonPages(app, self._experiments, self._page)
        self._trends = TrendPages(app, self._page)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home),
            Route("/runs", self.runs),
            Route("/runs/{run_id}", self.run),
            Route("/runs/{run_id}/raw", self.raw),
            Route("/static/{name}", self.static),
            *self._datasets.routes(),
            *self._comparisons.routes(),
            *self._experiments.routes(),
            *self._trends.routes(),
        ]

    def home(self, request: Request) -> Response:  # noqa: ARG002
        return RedirectResponse("/runs", status_code=302)

    def runs(self, request: Request) -> Response:
        """The list of runs; `part` asks for the part that changes, for live updates."""
        query = request.query_params
        state = query.get("status", "")
        if state and state not in STANDINGS:
            raise HTTPException(400, f"There is no status {state!r}. There are: {', '.join(STANDINGS)}.")
        wanted = Wanted(
            flow=query.get("flow", ""),
            status=cast("Standing", state),
            text=query.get("id", "").strip()[:_LONGEST_WORD],
            before=query.get("before", "").upper(),
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
            flows=sorted({run.flow for run in self._app.ledger.runs(limit=200)})
            if "part" not in query
            else [],
            newest=str(request.url.replace_query_params(**kept).query) if kept else "",
            older=request.url.replace_query_params(**kept, before=found.older).query if found.older else None,
            ledger=self._app.ledger.where,
        )

    def run(self, request: Request) -> Response:
        """One run; `step` chooses a step of it, `from` the row that a long list begins with."""
        asked = request.path_params["run_id"]
        record = self._app.ledger.run(asked)
        if record.id != asked:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/runs/{record.id}{query}", status_code=302)
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
        found = trace(self._app.ledger, request.path_params["run_id"])
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

    # Errors

    def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = error.detail if isinstance(error, HTTPException) else ""
        if status == 404 and said == "Not Found":
            said = f"There is no page {request.url.path}."
        return self._message(status, "Not found" if status == 404 else "Not possible", said)

    def unknown(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return self._message(404, "No such run", str(error))

    def misread(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return self._message(422, "The file cannot be read so", str(error))

    def unreadable(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return self._message(503, "The ledger cannot be read", str(error))

    def broken(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        said = (
            f"{type(error).__name__} while the page was made; the terminal of `surefoot ui` has the details."
        )
        return self._message(500, "Something went wrong", said)

    def _message(self, status: int, title: str, said: str) -> Response:
        html = self._templates.get_template("message.html").render(title=title, said=said, theme="")
        return Response(
            html, status_code=status, media_type="text/html", headers={"cache-control": "no-store"}
        )

    def _page(self, request: Request, template: str, **values: object) -> Response:
        theme = request.query_params.get("theme", "")
        html = self._templates.get_template(template).render(
            values, theme=theme if theme in ("light", "dark") else ""
        )
        return Response(html, media_type="text/html", headers={"cache-control": "no-store"})

    def _live_page(self, request: Request, whole: str, part: str, **values: object) -> Response:
        """A page, or with `part` only the part of it that changes, unless the asker has that already."""
        fragment = self._templates.get_template(part).render(values)
        etag = f'"{_digest(fragment.encode("utf-8", errors="backslashreplace"))}"'
        headers = {"cache-control": "no-store", "etag": etag}
        if "part" in request.query_params:
            if request.headers.get("if-none-match") == etag:
                return Response(status_code=304, headers=headers)
            return Response(fragment, media_type="text/html", headers=headers)
        theme = request.query_params.get("theme", "")
        values["theme"] = theme if theme in ("light", "dark") else ""
        values["fragment"] = Markup(fragment)  # noqa: S704  (rendered with escaping just above)
        html = self._templates.get_template(whole).render(values, etag=etag)
        return Response(html, media_type="text/html", headers={"cache-control": "no-store"})


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
