"""What a receiver of traces has written down, held against the ledger: the judge of `make traces-proof`."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from surefoot.ledger import Ledger
from surefoot.tracecontext import span_id
from surefoot.traces import trace
from surefoot.traces.otlp import spans_of
from troubled import WELL, digest

_QUIET_S = 2.0


@dataclass
class Record:
    """The lines of a receiver: how often each answer was given, and what was taken."""

    answers: Counter[str] = field(default_factory=Counter[str])
    taken: int = 0
    """Spans, each as often as it came."""
    forms: defaultdict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter[tuple[str, str]])
    )
    """For each span id the traces that it came in and the digests of its bytes."""
    left: int = 0
    """How many answers were still planned at the last request."""
    rate: float = 0.0
    """Spans a second while all was well, without the times in which none came."""


def recorded(place: Path) -> Record:
    """What stands there by now."""
    found, busy, well, last = Record(), 0.0, 0, 0.0
    for text in place.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        found.answers[line["word"]] += 1
        found.left = line["left"]
        spans = line.get("spans", [])
        found.taken += len(spans)
        for whole, own, form in spans:
            found.forms[own][whole, form] += 1
        if line["word"] == WELL and not line["left"]:
            if last and line["at"] - last < _QUIET_S:
                busy += line["at"] - last
                well += len(spans)
            last = line["at"]
    found.rate = well / busy if busy else 0.0
    return found


@dataclass(frozen=True)
class Owed:
    """The spans of all runs, as the ledger tells them: for each id its trace and the digest of its bytes."""

    forms: Mapping[str, tuple[str, str]]
    runs: int
    spans: int
    """Runs, and attempts of steps: more than `forms` where two have one id."""


def owed(ledger: Ledger) -> Owed:
    """What a receiver has to have by the end."""
    forms: dict[str, tuple[str, str]] = {}
    places: set[tuple[str, str]] = set()
    runs = ledger.runs(limit=None)
    for run in runs:
        found = trace(ledger, run.id)
        places |= {(run.id, ""), *((run.id, span.id) for span in found.walk())}
        for span in map(Span.FromString, spans_of(found, now_ns=0)):
            forms[span.span_id.hex()] = span.trace_id.hex(), digest(span)
    assert {span_id(run, place).hex() for run, place in places} == set(forms)
    return Owed(forms, len(runs), len(places))
