"""What is said of a trace beside its spans: the prompts that it used and the scores that its run was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from surefoot import scope
from surefoot.errors import ExportError
from surefoot.ledger import RunScore
from surefoot.models.chain.retries import Retries
from surefoot.traces.asking import WORTH_RETRYING
from surefoot.traces.ids import span_id, trace_id
from surefoot.traces.spans import Trace
from surefoot.values import PromptRef

_log = scope.logger("surefoot.traces")

_LATER = WORTH_RETRYING | {401, None}
"""Answers after which the same may be taken later; None where there was none. Whoever may send spans may not (403) be
let do the rest, for which no trace is to wait."""


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


def remark(trace: Trace) -> Remark:
    """What there is to say of a trace."""
    run_id = trace.run.id
    prompts = dict.fromkeys(span.prompt for span in trace.walk() if span.prompt is not None)
    return Remark(run_id, trace_id(run_id).hex(), span_id(run_id).hex(), tuple(prompts), trace.scores)


def remarks_of(traces: Iterable[Trace]) -> list[Remark]:
    """Those of the traces of which there is something to say."""
    return [found for found in map(remark, traces) if found.prompts or found.scores]


def left(error: ExportError, what: str) -> None:
    """Log that a receiver does not take something that is not needed. Raises the error where it may later."""
    if error.status in _LATER:
        raise error
    _log.warning("%s: %s", what, error)
