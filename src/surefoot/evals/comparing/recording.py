"""Verdicts in the ledger: what a gate said of which versions of prompts, for whoever promotes one."""

from __future__ import annotations

from surefoot.evals.comparing.verdict import Verdict
from surefoot.ledger import Evaluations, VerdictRecord
from surefoot.values import new_id


def recorded(verdict: Verdict, evaluations: Evaluations, *, by: str = "") -> VerdictRecord:
    """Record a verdict with the prompts that differ between the arms; durable when this returns.

    Raises `LedgerError`.
    """
    comparison = verdict.comparison
    subjects, _ = comparison.differing
    return evaluations.verdict(
        VerdictRecord(
            id=new_id(),
            gate=verdict.gate.name,
            gate_digest=verdict.gate.digest,
            candidate=comparison.candidate.id,
            baseline=comparison.baseline.id,
            # A prompt that only the baseline used became no version of it.
            subjects={name: digest for name, digest in subjects.items() if digest},
            # Those that are the same in both, too: it counts for as long as they are.
            baselines=dict(comparison.baseline.prompts),
            has_passed=verdict.has_passed,
            reasons=verdict.reasons,
            by=by,
        )
    )
