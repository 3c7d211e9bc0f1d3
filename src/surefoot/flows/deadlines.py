"""When a run has to be over. Decided here, kept by its brake (`stopping`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from surefoot.flows.host import Host
from surefoot.flows.options import Options
from surefoot.ledger import RunRecord

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec


def first_deadline(app: Host, spec: FlowSpec, options: Options, begun_ns: int) -> int | None:
    """When a new run has to be over: by what it was given, its flow or the settings, and never after its parent."""
    own = _deadline_ns(_seconds(app, spec, options), begun_ns)
    around = None if options.parent is None else options.parent.deadline_ns
    return min((ns for ns in (own, around) if ns is not None), default=None)


def next_deadline(app: Host, record: RunRecord, spec: FlowSpec, options: Options) -> int | None:
    """When a run that is gone on with has to be over, where that is not as it was.

    A child run had no later deadline than its parent, which may have got another one since.
    """
    if (parent := options.parent) is None:
        return _deadline_ns(options.deadline, time.time_ns())
    own = _deadline_ns(_seconds(app, spec, options), record.created_ns)
    if own is not None and record.deadline_ns is not None:
        # It may have been resumed by itself, with more time.
        own = max(own, record.deadline_ns)
    return min((ns for ns in (own, parent.deadline_ns) if ns is not None), default=None)


def _seconds(app: Host, spec: FlowSpec, options: Options) -> float | None:
    """How long a run may take, by what goes first."""
    given = (options.deadline, spec.deadline, app.ceilings.deadline)
    return next((seconds for seconds in given if seconds is not None), None)


def _deadline_ns(seconds: float | None, begun_ns: int) -> int | None:
    return None if seconds is None else begun_ns + round(seconds * 1e9)
