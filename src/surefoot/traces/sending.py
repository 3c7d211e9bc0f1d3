"""Sending traces to a receiver: one request after the other, tried again where that helps, else with a clear error."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from surefoot import scope
from surefoot.errors import ExportError
from surefoot.models.chain.retries import Retries, next_delay, retry_after
from surefoot.models.posting import Posted, post
from surefoot.traces import otlp
from surefoot.traces.asking import WORTH_RETRYING, is_hopeless, printable, why_unreachable
from surefoot.traces.remarks import Remark, remarks_of
from surefoot.traces.spans import Trace
from surefoot.traces.targets import Target, own_version
from surefoot.values import Clock, SystemClock

logger = scope.logger("surefoot.traces")

PATIENCE = Retries(count=6, base=1.0, cap=30.0, deadline=120.0)

_TOO_LARGE = 413
_LEVEL = 1
"""Of gzip: the usual 6 makes an eighth less of it, in four times the time, which is more than all else that is done."""
_MOST_UNPACKED = 65_536
_GZIP = 16 + zlib.MAX_WBITS


class Poster(Protocol):
    """Posts bytes and returns the answer; raises `OSError` where none came."""

    def __call__(self, url: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Posted: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """What a receiver took. `problem` is what it said of the spans that it rejected, or as a warning."""

    runs: int = 0
    spans: int = 0
    requests: int = 0
    retries: int = 0
    rejected: int = 0
    problem: str = ""


def send(
    traces: Iterable[Trace],
    target: Target,
    *,
    patience: Retries = PATIENCE,
    timeout: float = 30.0,
    clock: Clock | None = None,
    poster: Poster = post,
) -> Sent:
    """Send traces, however many: they are read while they are sent. After each request tell what is no span.

    timeout: seconds for each answer. Raises `ExportError`; what was sent before stays sent, and sending all again
    gives the same spans.
    """
    sender = _Sender(target, patience, timeout, clock or SystemClock(), poster)
    runs = 0
    said: list[Remark] = []

    def counted() -> Iterable[Trace]:
        nonlocal runs
        for trace in traces:
            runs += 1
            yield trace
            if target.remarks is not None:
                said.extend(remarks_of([trace], joins=target.joins))

    for request in otlp.requests(
        counted(), target.resource, now_ns=sender.clock.wall_ns(), joins=target.joins
    ):
        sender.deliver(request)
        # Of the traces all of whose spans are there: what waits is never more than a request has.
        if target.remarks is not None and said:
            target.remarks.tell(said, patience=patience, timeout=timeout)
            said.clear()
    done = sender.sent
    return Sent(runs, done.spans, done.requests, done.retries, done.rejected, done.problem)


def tell(
    traces: Iterable[Trace], target: Target, *, patience: Retries = PATIENCE, timeout: float = 30.0
) -> None:
    """Tell a receiver what there is to say of traces that it was sent before. Raises `ExportError`."""
    if target.remarks is not None:
        target.remarks.tell(remarks_of(traces, joins=target.joins), patience=patience, timeout=timeout)


class _Sender:
    def __init__(
        self, target: Target, patience: Retries, timeout: float, clock: Clock, poster: Poster
    ) -> None:
        self.target = target
        self.patience = patience
        self.timeout = timeout
        self.clock = clock
        self.poster = poster
        self.sent = Sent()

    def deliver(self, request: otlp.Request) -> None:
        """Send a request, in halves if the receiver finds it too large."""
        waiting = deque([request])
        while waiting:
            part = waiting.popleft()
            answer = self._answer(self._body(part))
            count = len(part.spans)
            if answer.status == _TOO_LARGE and count > 1:
                waiting.extendleft(reversed(part.halves()))
                continue
            if not 200 <= answer.status < 300:
                raise ExportError(
                    self._told(answer),
                    status=answer.status,
                    retry_after=retry_after(answer.headers, self.clock.wall_ns() / 1e9),
                )
            refused, problem = otlp.rejected(_plain(answer)) if _is_protobuf(answer) else (0, "")
            sent = self.sent
            self.sent = Sent(
                spans=sent.spans + count - refused,
                requests=sent.requests + 1,
                retries=sent.retries,
                rejected=sent.rejected + refused,
                problem=problem or sent.problem,
            )

    def _body(self, request: otlp.Request) -> bytes:
        body = bytes(request)
        return gzip.compress(body, compresslevel=_LEVEL, mtime=0) if self.target.is_compressed else body

    def _answer(self, body: bytes) -> Posted:
        """The receiver's last word after as many attempts as `patience` allows."""
        headers = {
            "user-agent": f"surefoot/{own_version()}",
            **self.target.headers,
            "content-type": "application/x-protobuf",
        }
        if self.target.is_compressed:
            headers["content-encoding"] = "gzip"
        began_ns, failures = self.clock.wall_ns(), 0
        while True:
            asked: float | None = None
            answer: Posted | None = None
            error: OSError | None = None
            try:
                answer = self.poster(self.target.url, body, headers=headers, timeout=self.timeout)
            except OSError as raised:
                if is_hopeless(raised):
                    raise ExportError(self._unreachable(raised)) from raised
                error = raised
            if answer is not None:
                if answer.status not in WORTH_RETRYING:
                    return answer
                asked = retry_after(answer.headers, self.clock.wall_ns() / 1e9)
            failures += 1
            elapsed = (self.clock.wall_ns() - began_ns) / 1e9
            delay = next_delay(self.patience, failures, asked, elapsed=elapsed)
            if delay is None:
                if answer is not None:
                    return answer
                raise ExportError(self._unreachable(error)) from error
            logger.info("%s: attempt %d failed, again in %.1f s", self.target.url, failures, delay)
            self.clock.sleep(delay)
            self.sent = _with_retry(self.sent)

    def _told(self, answer: Posted) -> str:
        """An answer that is no success, in words: what, where, what to do."""
        url, status = self.target.url, answer.status
        said = printable(_plain(answer).decode("utf-8", "replace"))
        said = f" ({said})" if said else ""
        match status:
            case 401 | 403:
                advice = (
                    "its credentials are missing or wrong: give them as --header name=value, "
                    "or in OTEL_EXPORTER_OTLP_HEADERS"
                )
            case 404 | 405:
                advice = "no traces are taken there: look up the receiver's path, most have .../v1/traces"
            case 413:
                advice = "one span alone is larger than it takes: raise its limit"
            case 415:
                advice = "it does not speak OTLP as protobuf: send through an OpenTelemetry collector"
            case _ if 300 <= status < 400:
                place = printable(answer.headers.get("location", "another address"))
                advice = f"it has moved: send to {place}"
            case _ if status in WORTH_RETRYING:
                advice = "it is overloaded or down, and several attempts did not help: send again later"
            case _ if status >= 500:
                advice = "it failed: look into its log"
            case _:
                advice = "it did not take the spans"
        return f"{url} answered with {status}{said}: {advice}{self._progress()}"

    def _unreachable(self, error: OSError | None) -> str:
        url = self.target.url
        what = why_unreachable(error, self.timeout)
        if isinstance(error, ConnectionRefusedError):
            what = (
                "nothing listens there: start the receiver, or correct the address "
                "(OTLP over HTTP is mostly on port 4318)"
            )
        return f"{url} cannot be reached: {what}{self._progress()}"

    def _progress(self) -> str:
        if not self.sent.spans:
            return ""
        return f". {self.sent.spans:,} spans were taken before; sending all again does no harm"


def _with_retry(sent: Sent) -> Sent:
    return Sent(sent.runs, sent.spans, sent.requests, sent.retries + 1, sent.rejected, sent.problem)


def _is_protobuf(answer: Posted) -> bool:
    return answer.headers.get("content-type", "").startswith("application/x-protobuf")


def _plain(answer: Posted) -> bytes:
    """The body of an answer, unpacked where it came packed though nobody asked for that; 64 KiB of it at most."""
    if answer.headers.get("content-encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return answer.body
    try:
        return zlib.decompressobj(_GZIP).decompress(answer.body, _MOST_UNPACKED)
    except zlib.error:
        return b""
