"""What this process records, counted as it does: steps, calls of models by prompt and tier, tokens, cost.

What is replayed is recorded already and counts no more. OpenTelemetry's two metrics of GenAI clients are among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.traces.conventions import operation_of, provider_of
from surefoot.traces.instruments import SECONDS, Instrument, Instruments, Labels
from surefoot.traces.plain import parsed
from surefoot.traces.tiers import TierVerdict, may_be_verdict, verdict_in

if TYPE_CHECKING:
    from surefoot.ledger import Outcome
    from surefoot.values import CallFacts

# The bounds are those of the conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
TOKEN_USAGE = Instrument(
    "gen_ai.client.token.usage",
    "Input and output tokens of a call.",
    "{token}",
    tuple(4.0**n for n in range(14)),
)
OPERATION_DURATION = Instrument(
    "gen_ai.client.operation.duration",
    "From the request of a call to the end of its answer.",
    "s",
    tuple(0.01 * 2**n for n in range(14)),
)
STEP_SECONDS = Instrument("surefoot_step_seconds", "Attempts at steps, by how they ended.", "s", SECONDS)
CALL_SECONDS = Instrument(
    "surefoot_call_seconds", "Attempts at calls of models, by how they ended.", "s", SECONDS
)
FIRST_TOKEN_SECONDS = Instrument(
    "surefoot_call_first_token_seconds", "From a request to the first byte of a stream.", "s", SECONDS
)
TOKENS = Instrument("surefoot_call_tokens_total", "Tokens of calls.", "{token}")
COST = Instrument("surefoot_call_cost_dollars_total", "Cost of calls, US dollars.", "{USD}")
CACHE_HITS = Instrument("surefoot_call_cache_hits_total", "Calls that the cache had the answer of.", "{call}")
TIER_ANSWERS = Instrument(
    "surefoot_tier_answers_total", "Answers of tiers, by whether they were taken.", "{answer}"
)

METRICS = (
    *(TOKEN_USAGE, OPERATION_DURATION, STEP_SECONDS, CALL_SECONDS, FIRST_TOKEN_SECONDS),
    *(TOKENS, COST, CACHE_HITS, TIER_ANSWERS),
)


class Meter(Instruments):
    """The metrics of one process."""

    def __init__(self) -> None:
        super().__init__(*METRICS)

    def take(self, flow: str, outcome: Outcome) -> None:
        """Count what a run of that flow has recorded just now."""
        if outcome.is_intent:
            return
        if outcome.call is not None:
            self._call(flow, outcome, outcome.call)
        elif outcome.kind == "step":
            labels = (("flow", flow), ("step", outcome.name), ("status", outcome.status))
            self.see(STEP_SECONDS, labels, max(outcome.latency_ns, 0) / 1e9)
            if may_be_verdict(outcome) and (verdict := verdict_in(parsed(outcome.output.view))) is not None:
                self._tier(flow, verdict)

    def _call(self, flow: str, outcome: Outcome, facts: CallFacts) -> None:
        whose = _whose(flow, outcome, facts)
        if outcome.is_cached:
            # Nobody was asked.
            self.add(CACHE_HITS, whose)
            return
        seconds, usage = max(outcome.latency_ns, 0) / 1e9, facts.usage
        said: Labels = (
            ("gen_ai.operation.name", operation_of(outcome.name)),
            ("gen_ai.provider.name", provider_of(facts)),
            ("gen_ai.request.model", facts.requested_model),
            ("gen_ai.response.model", facts.served_model),
        )
        failed = (("error.type", "_OTHER"),) if outcome.status == "failed" else ()
        self.see(OPERATION_DURATION, (*said, *failed), seconds)
        self.see(CALL_SECONDS, (*whose, ("status", outcome.status)), seconds)
        if facts.first_token_ns is not None:
            self.see(FIRST_TOKEN_SECONDS, whose, facts.first_token_ns / 1e9)
        for kind, count in (("input", usage.input), ("output", usage.output)):
            if count:
                self.see(TOKEN_USAGE, (*said, ("gen_ai.token.type", kind)), count)
                self.add(TOKENS, (*whose, ("kind", kind)), count)
        if facts.cost is not None and facts.cost.nanos:
            self.add(COST, whose, facts.cost.nanos / 1e9)

    def _tier(self, flow: str, verdict: TierVerdict) -> None:
        labels = (
            ("flow", flow),
            ("tier", str(verdict.tier)),
            ("model", verdict.model),
            ("taken", "yes" if verdict.is_taken else "no"),
        )
        self.add(TIER_ANSWERS, labels)


def _whose(flow: str, outcome: Outcome, facts: CallFacts) -> Labels:
    prompt = outcome.prompt
    return (
        ("flow", flow),
        ("model", facts.served_model or facts.requested_model),
        ("prompt", "" if prompt is None else prompt.name),
        ("prompt_version", "" if prompt is None else prompt.version or prompt.digest[:12]),
    )
