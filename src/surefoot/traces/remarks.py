"""What is said of a trace beside its spans: the prompts that it used and the scores that its run was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from surefoot import scope
from surefoot.errors import ExportError
from surefoot.ledger import RunScore
from surefoot.models.chain.retries import Retries
from surefoot.tracecontext import span_id, told_in
from surefoot.traces.asking import WORTH_RETRYING
from surefoot.traces.spans import Trace
from surefoot.values import PromptRef

_log = scope.logger("surefoot.traces")

_LATER = WORTH_RETRYING | {401, None}
"""Answers after which the same may be taken later; None where there was none. Whoever may send spans may not (403) be
let do the rest, and an older server may not know of it (404, 405, 501)."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What is known of a trace. Ids are in hexadecimal, `span` is that of the run; each prompt is there once."""

    run: str
    trace: str
    span: str
    prompts: tuple[PromptRef, ...] = ()
    scores: tuple[RunScore, ...] = ()


class Remarks(Protocol):
    """How a receiver is told of remarks, beside the spans that it takes. Telling the same twice changes nothing."""

    def tell(self, said: Sequence[Remark], *, patience: Retries, timeout: float) -> None:
        """Tell of traces that were sent before. What the receiver does not take is logged and left.

        Raises `ExportError` where it may take it later.
        """
        ...


def remark(trace: Trace, *, joins: bool = False) -> Remark:
    """What there is to say of a trace; `joins` as for `Target`."""
    run_id, tags = trace.run.id, trace.run.tags
    prompts = dict.fromkeys(span.prompt for span in trace.walk() if span.prompt is not None)
    told = told_in(run_id, tags, joins=joins)
    return Remark(run_id, told.hex(), span_id(run_id).hex(), tuple(prompts), trace.scores)


def remarks_of(traces: Iterable[Trace], *, joins: bool = False) -> list[Remark]:
    """Those of the traces of which there is something to say."""
    all_of_them = (remark(trace, joins=joins) for trace in traces)
    return [found for found in all_of_them if found.prompts or found.scores]


def has_failed(error: ExportError) -> bool:
    """Whether a receiver is there and failed with what it was told, as it may not with another thing."""
    status = error.status or 0
    is_failure = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return is_failure and status not in WORTH_RETRYING


def may_be_taken_later(error: ExportError) -> bool:
    """Whether it is the receiver, or what lets in there, that is at fault, and not what it was told."""
    return error.status in _LATER or has_failed(error)


def left(error: ExportError, what: str) -> None:
    """Log that a receiver does not take something that is not needed. Raises the error where it may later."""
    if may_be_taken_later(error):
        raise error
    _log.warning("%s: %s", what, error)
