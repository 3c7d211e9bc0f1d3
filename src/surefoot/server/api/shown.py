"""Runs, steps and values as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import orjson
from pydantic_core import PydanticSerializationError, to_jsonable_python

from surefoot.errors import NotRestored
from surefoot.flows import recorded_output
from surefoot.traces import parsed, plain, standing

if TYPE_CHECKING:
    from surefoot.ledger import Ledger, RunRecord, Totals
    from surefoot.traces import Failure, Span
    from surefoot.values import Json, Usage

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def dumped(value: object) -> bytes:
    """A value as JSON. What JSON has no form for is told as pydantic tells it, or as text."""
    try:
        return orjson.dumps(value, default=_told, option=_OPTIONS)
    except TypeError:
        # A whole number beyond 64 bits, text that is no Unicode, keys of a kind of their own.
        return orjson.dumps(_plainly(value))


def _told(value: object) -> object:
    try:
        return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="null", fallback=str)
    except (PydanticSerializationError, ValueError):
        return str(value)


def _plainly(value: object) -> object:
    told = _told(value)
    match told:
        case dict():
            found = cast("dict[object, object]", told)
            return {_readable(str(key)): _plainly(part) for key, part in found.items()}
        case list():
            return [_plainly(part) for part in cast("list[object]", told)]
        case str():
            return _readable(told)
        case int() if not -(2**63) <= told < 2**64:
            return str(told)
        case _:
            return told


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def moment(nanos: int | None) -> str | None:
    """A time in nanoseconds since the epoch as RFC 3339, in UTC."""
    if nanos is None:
        return None
    return datetime.fromtimestamp(nanos / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usage_json(usage: Usage) -> dict[str, Json]:
    return {
        "input": usage.input,
        "cached": usage.cached,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }


def totals_json(totals: Totals) -> dict[str, Json]:
    """What a run has used; the cost in US dollars, exact, as text."""
    return {
        "steps": totals.steps,
        "calls": totals.calls,
        "tokens": usage_json(totals.usage),
        "cost_usd": f"{totals.cost.nanos / 1e9:.9f}",
        "is_cost_complete": totals.is_cost_complete,
        "is_degraded": totals.is_degraded,
    }


def run_json(run: RunRecord, now_ns: int) -> dict[str, Json]:
    """A run without its output. Its error is as people may read it."""
    return {
        "id": run.id,
        "flow": run.flow,
        "version": run.flow_version,
        "status": standing(run, now_ns),
        "created": moment(run.created_ns),
        "ended": moment(run.ended_ns),
        "deadline": moment(run.deadline_ns),
        "key": run.run_key,
        "principal": run.principal,
        "session": run.session,
        "tags": dict(run.tags),
        "parent": run.parent_run,
        "failed_step": run.failed_step,
        "error": run.error,
        "totals": totals_json(run.totals),
    }


def output_of(ledger: Ledger, run: RunRecord, *, is_exact: bool) -> object:
    """What a completed run returned: exactly, or as people may read it."""
    end = ledger.end(run.id)
    if run.status != "completed" or run.pruned_ns is not None or end is None:
        return None
    if is_exact:
        try:
            output: object = recorded_output(ledger, run.id)
        except NotRestored:
            return plain(parsed(ledger.exact(run.id, end.output)))
        return output
    return plain(parsed(ledger.view(end.output)))


def spans_json(spans: Iterable[Span]) -> list[Json]:
    """Steps and calls with all below them, their values as people may read them."""
    return [_span(span) for span in spans]


def _span(span: Span) -> dict[str, Json]:
    call = span.call
    told: dict[str, Json] = {
        "id": span.id,
        "parent": span.parent or None,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "attempt": span.attempt,
        "started": moment(span.started_ns),
        "ended": moment(span.ended_ns),
        "is_degraded": span.is_degraded,
        "is_cached": span.is_cached,
        "inputs": span.inputs,
        "output": span.output,
        "error": failure_text(span.failure),
        "totals": totals_json(span.totals),
        "children": spans_json(span.children),
    }
    if call is not None:
        facts = call.facts
        told["call"] = {
            "provider": facts.provider,
            "requested_model": facts.requested_model,
            "served_model": facts.served_model,
            "tokens": usage_json(facts.usage),
        }
    return told


def failure_text(failure: Failure | None) -> str | None:
    return None if failure is None else str(failure)
