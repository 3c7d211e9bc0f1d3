"""The pages of datasets: their list, and the review of one, which is the only page that writes."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from surefoot.access import Permission
from surefoot.app import App
from surefoot.errors import DatasetChanged, InvalidInput
from surefoot.evals.datasets.finding import Found, find_datasets
from surefoot.evals.datasets.formats import PACKED, format_of
from surefoot.evals.datasets.review import LARGEST, Entry, Review, decide
from surefoot.evals.datasets.verdict import AT, BY, RECORDED, VERDICTS
from surefoot.locks import ForkSafeLock
from surefoot.server.reviewing import LONGEST, Draft, Posted, Progress, facts_of, fields_of, next_of
from surefoot.server.shown import pretty, shown
from surefoot.server.sight import DATASET, VERDICT
from surefoot.server.surroundings import Surroundings
from surefoot.traces.figures import counted

DATASETS = "/datasets/"
_RAW_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Listed:
    """A dataset in the list. `progress` is None where its lines are not reviewed; `problem` says why it is not read."""

    found: Found
    format: str
    size: int
    progress: Progress | None = None
    problem: str = ""

    @property
    def cases(self) -> int | None:
        return None if self.progress is None else sum(self.progress.counts.values())


class DatasetPages:
    """Lists the dataset files of a project and writes verdicts into them. Names are looked up among those files."""

    def __init__(
        self, app: App, render: Callable[..., Response], surroundings: Surroundings, *, is_read_only: bool
    ) -> None:
        self._app = app
        self._render = render
        self._is_read_only = is_read_only
        self._around = surroundings
        self._posting = surroundings.posting
        self._known: dict[Path, tuple[tuple[int, int], Listed]] = {}
        self._lock = ForkSafeLock()

    def routes(self) -> list[Route]:
        return [
            Route("/datasets", self.index, methods=["GET"]),
            Route("/datasets/{dataset:path}", self.review, methods=["GET"]),
            Route("/datasets/{dataset:path}", self.post, methods=["POST"]),
        ]

    def index(self, request: Request) -> Response:
        """All datasets, with how far each is reviewed."""
        sight = self._around.sight(request)
        if not sight.may_with_some(DATASET):
            # It is in the audit who has asked for what is of others.
            sight.require(DATASET)
        listed = [self._listed(found) for found in self._found() if sight.may(DATASET, found.name)]
        return self._page(
            request,
            "datasets.html",
            datasets=listed,
            folder=str(self._app.config.evals.datasets),
        )

    def review(self, request: Request) -> Response:
        """A case that waits for review: the one named by `case`, else the next behind the line `after`."""
        found = self._named(request, DATASET)
        if format_of(found.file) != "jsonl" or found.file.suffix.lower() == PACKED:
            return self._page(request, "review.html", found=found, **_nothing(problem="format"))
        review = Review.of(found.file)
        query = request.query_params
        case = query.get("case")
        after = query.get("after", "")
        if case is not None:
            entry: Entry | None = _entry(review, case)
        else:
            entry = next_of(review, int(after[:9]) if after.isascii() and after.isdigit() else 0)
        if entry is not None and "raw" in query:
            return _raw(entry, query["raw"])
        said = query.get("said", "")
        return self._case(request, found, review, entry, said=said if said in VERDICTS else "")

    async def post(self, request: Request) -> Response:
        """Write a verdict, then go on to the next case."""
        fields = await self._posting.form(request)
        return await self._around.in_thread(lambda: self._judge(request, fields))

    def _judge(self, request: Request, fields: Mapping[str, str]) -> Response:
        found = self._named(request, VERDICT)
        visitor = self._around.visitor(request)
        # Behind a login nobody signs with the name of another.
        posted = Posted.of(fields if visitor is None else {**fields, "by": visitor.who})
        try:
            expected = self._checked(found, posted)
            decide(found.file, posted.entry, posted.verdict, by=posted.by, expected=expected)
        except DatasetChanged as error:
            return self._again(request, found, posted, self._told(error), status=409)
        except InvalidInput as error:
            return self._again(request, found, posted, self._told(error), status=422)
        told = {"after": posted.line, "said": posted.verdict, "was": posted.case}
        return RedirectResponse(f"{self._around.base}{_address(found)}?{urlencode(told)}", status_code=303)

    def _checked(self, found: Found, posted: Posted) -> object:
        """What is expected from here on. Raises `InvalidInput` for what was edited and is not sent as a correction."""
        if not posted.by:
            raise InvalidInput("Say who you are: the name stands beside the verdict in the file.")
        if posted.verdict == "corrected":
            return posted.draft.value
        if posted.verdict == "accepted":
            # Where the case is there no more the verdict is refused as of one that was changed.
            case = next(
                (each for each in Review.of(found.file).entries if each.digest == posted.digest), None
            )
            shown_text = "" if case is None else Draft.of(case.expected).text.replace("\r\n", "\n")
            if case is not None and len(shown_text) <= LONGEST and posted.draft.text != shown_text:
                raise InvalidInput("What is expected was edited: choose Correct, or undo the edit.")
        return None

    def _again(
        self, request: Request, found: Found, posted: Posted, problem: str, *, status: int
    ) -> Response:
        """The case as it stands now, with what was typed and what is wrong with it."""
        review = Review.of(found.file)
        try:
            entry: Entry | None = _entry(review, posted.case)
        except HTTPException:
            entry = next_of(review, posted.line)
            return self._case(request, found, review, entry, problem=problem, status=status)
        return self._case(request, found, review, entry, problem=problem, draft=posted.draft, status=status)

    def _case(
        self,
        request: Request,
        found: Found,
        review: Review,
        entry: Entry | None,
        *,
        said: str = "",
        problem: str = "",
        draft: Draft | None = None,
        status: int = 200,
    ) -> Response:
        progress = Progress.of(review)
        values: dict[str, Any] = _nothing(problem=problem) | {
            "progress": progress,
            "said": said,
            "was": request.query_params.get("was", "")[:200],
        }
        if entry is not None:
            address = _address(found)
            own = Draft.of(entry.expected)
            values |= {
                "entry": entry,
                "fields": fields_of(entry, address),
                "facts": facts_of(entry),
                "run": _run_of(entry),
                "own": own,
                "draft": draft or own,
                "expected": shown(entry.expected) if entry.expected is not None else None,
                "is_editable": len(own.text) <= LONGEST,
                "recorded": shown(entry.metadata[RECORDED]) if RECORDED in entry.metadata else None,
                "reviewed_by": str(entry.metadata.get(BY, "")),
                "reviewed_at": str(entry.metadata.get(AT, "")),
                "address": address,
            }
        return self._page(request, "review.html", found=found, status=status, **values)

    def _page(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        session = self._posting.session(request)
        named = request.path_params.get("dataset", "")
        response = self._render(
            request,
            template,
            status=status,
            **values,
            token=self._posting.token(session),
            is_read_only=self._is_read_only or not self._around.sight(request).may(VERDICT, named),
            reviewer="" if self._around.has_login else _reviewer(),
        )
        if not self._around.has_login:
            self._posting.keep(response, request, session)
        return response

    def _told(self, error: Exception) -> str:
        return self._around.told(error, self._app.settings.root)

    def _found(self) -> list[Found]:
        settings = self._app.settings
        return find_datasets(settings.root, settings.config.evals.datasets)

    def _named(self, request: Request, needed: Permission) -> Found:
        """The file that the path names, which has to be one of the list: so no path leads anywhere else.

        Raises `AccessDenied`, and a 404, also where datasets are of another organisation.
        """
        name, sight = request.path_params["dataset"], self._around.sight(request)
        if sight.tenant in (None, sight.datasets_of):
            sight.require(needed, name)
        elif not sight.may(needed, name):
            raise HTTPException(404, f"There is no dataset {name[:200]!r}.")
        for found in self._found():
            if found.name == name:
                return found
        raise HTTPException(404, f"There is no dataset {name[:200]!r}.")

    def _listed(self, found: Found) -> Listed:
        """How a file stands; read again only if it has changed."""
        try:
            told = found.file.stat()
        except OSError:
            return Listed(found, "", 0, problem="it is gone")
        stamp = (told.st_mtime_ns, told.st_size)
        with self._lock:
            known = self._known.get(found.file)
        if known is not None and known[0] == stamp:
            return known[1]
        form = format_of(found.file)
        read = partial(Listed, found, form, told.st_size)
        if form != "jsonl" or found.file.suffix.lower() == PACKED or told.st_size > LARGEST:
            listed = read()
        else:
            try:
                listed = read(Progress.of(Review.of(found.file)))
            except InvalidInput as error:
                listed = read(problem=self._told(error))
        with self._lock:
            self._known[found.file] = (stamp, listed)
        return listed


def _nothing(*, problem: str) -> dict[str, Any]:
    names = ("entry", "progress", "said", "was", "run", "draft", "expected", "recorded", "address", "own")
    return {**dict.fromkeys(names), "fields": [], "facts": [], "is_editable": False, "problem": problem}


def _address(found: Found) -> str:
    return DATASETS + quote(found.name)


def _entry(review: Review, case: str) -> Entry:
    try:
        return review.entry(case)
    except InvalidInput:
        raise HTTPException(404, f"There is no case {case[:200]!r} in {review.file.name}.") from None


def _run_of(entry: Entry) -> str:
    run = entry.metadata.get("run")
    return run if isinstance(run, str) and run.isascii() and run.isalnum() and len(run) <= 40 else ""


def _raw(entry: Entry, name: str) -> Response:
    """One input whole, or what is expected, as plain text."""
    if name not in entry.inputs and name != "$expected":
        raise HTTPException(404, f"The case has no input {name[:200]!r}.")
    value = entry.expected if name == "$expected" else entry.inputs[name]
    text = pretty(value).encode("utf-8", errors="backslashreplace")
    return PlainTextResponse(
        text, headers={"content-security-policy": _RAW_POLICY, "cache-control": "no-store"}
    )


def _reviewer() -> str:
    """The user of this machine; empty where he has no name, as in a container: then he says it himself."""
    if named := os.environ.get("SUREFOOT_PRINCIPAL"):
        return named
    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return ""


def _moment(text: str) -> str:
    """When a verdict was given, in local time; the text itself where it is no moment."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text


def _size(count: int) -> str:
    """`12 KB`, `3.4 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(count / 1e3, 0.1):.1f} KB"


FILTERS: dict[str, Any] = {
    "lines": partial(counted, noun="line"),
    "reviewed_moment": _moment,
    "file_size": _size,
}
