"""A trace for programs."""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.cli import words
from surefoot.decisions import Decision
from surefoot.ledger import RunRecord
from surefoot.traces import Call, Failure, Span, Trace, standing
from surefoot.values import Json

_S = 1_000_000_000


def trace_json(
    trace: Trace, spans: Iterable[Span], children: Iterable[RunRecord], now_ns: int
) -> dict[str, Json]:
    """Everything that a trace holds; times in seconds since the Unix epoch, latencies in seconds."""
    run = words.run_json(trace.run, standing(trace.run, now_ns), now_ns)
    return {
        **run,
        **words.totals_json(trace.totals),
        "attempts": [
            {
                "epoch": attempt.epoch,
                "started": attempt.started_ns / _S,
                "ended": None if attempt.ended_ns is None else attempt.ended_ns / _S,
                "status": attempt.status,
            }
            for attempt in trace.attempts
        ],
        "is_chain_whole": trace.chain_break is None,
        "chain_break": trace.chain_break,
        "rows": trace.rows,
        "children": [
            {"run": child.id, "flow": child.flow, "status": standing(child, now_ns)} for child in children
        ],
        "prompts": {
            reference: {"name": prompt.name, "version": prompt.version, "digest": prompt.digest}
            for reference, prompt in trace.prompts.items()
        },
        "inputs": dict(trace.inputs),
        "init": dict(trace.init),
        "output": trace.output,
        "trust": trace.trust,
        "untrusted_inputs": list(trace.untrusted_inputs),
        "decisions": decisions_json(trace.decisions),
        "failure": _failure(trace.failure),
        "spans": [_span(span) for span in spans],
    }


def decisions_json(decisions: Iterable[Decision]) -> list[Json]:
    """What guards have decided, as plain data."""
    return [
        {
            "guard": one.guard,
            "action": one.action,
            "where": one.where,
            "rule": one.rule or None,
            "score": one.score,
            "reason": one.reason or None,
            "count": one.count,
        }
        for one in decisions
    ]


def _span(span: Span) -> dict[str, Json]:
    prompt = span.prompt
    return {
        "id": span.id,
        "parent": span.parent,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "attempt": span.attempt,
        "epoch": span.epoch,
        "started": span.started_ns / _S,
        "seconds": None if span.latency_ns is None else span.latency_ns / _S,
        "key": span.user_key,
        "is_pure": span.is_pure,
        "is_degraded": span.is_degraded,
        "is_cached": span.is_cached,
        "cached_from": span.cached_from or None,
        "trust": span.trust,
        "decisions": decisions_json(span.decisions),
        "inputs": span.inputs,
        "output": span.output,
        "failure": _failure(span.failure),
        "prompt": None
        if prompt is None
        else {"name": prompt.name, "version": prompt.version, "digest": prompt.digest},
        "call": None if span.call is None else _call(span.call),
        "totals": words.totals_json(span.totals),
        "children": [_span(child) for child in span.children],
    }


def _call(call: Call) -> dict[str, Json]:
    facts = call.facts
    return {
        "provider": facts.provider,
        "requested_model": facts.requested_model,
        "served_model": facts.served_model,
        "parameters": dict(call.parameters),
        "tools": list(call.tools),
        "messages": [{"role": turn.role, "text": turn.text} for turn in call.messages],
        "answer": call.said.text,
        "tool_calls": [{"name": tool.name, "arguments": tool.arguments} for tool in call.said.tool_calls],
        "finish_reason": call.said.finish,
        "status": call.status,
        "problem": call.problem,
        "is_stream": call.is_stream,
        "is_closed_early": call.is_closed_early,
        "tokens": words.usage_json(facts.usage),
        "cost_usd": None if facts.cost is None else facts.cost.nanos / _S,
        "first_token_seconds": None if facts.first_token_ns is None else facts.first_token_ns / _S,
        "request": call.request,
        "response": call.response,
    }


def _failure(failure: Failure | None) -> Json:
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "cause": _failure(failure.cause)}
