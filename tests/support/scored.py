"""Experiments, judged cases and verdicts for tests of what a ledger keeps of them."""

from __future__ import annotations

from typing import Any

from surefoot.ledger import CaseRecord, ExperimentRecord, MetricRecord, ScoreRecord, Totals, VerdictRecord
from surefoot.values import Money, Usage


def an_experiment(id_: str = "E1", **rest: Any) -> ExperimentRecord:
    given: dict[str, Any] = {
        "kind": "eval",
        "name": "nightly",
        "flow": "answer",
        "flow_version": "v1",
        "code_digest": "c0de",
        "dataset": "golden.jsonl",
        "dataset_version": "d1",
        "dataset_size": 100,
        "cases": 10,
        "prompts": {"answer": "a" * 64},
        "settings": {"init": "ab12", "limit": 10},
        "begun_ns": 1_000,
    }
    return ExperimentRecord(id_, **(given | rest))


def a_case(case: str = "c1", run: str = "R1", *scores: ScoreRecord, **rest: Any) -> CaseRecord:
    """A case of experiment E1."""
    given: dict[str, Any] = {
        "experiment": "E1",
        "metadata": {"lang": "de", "n": 3},
        "totals": Totals(3, 2, Usage(10, 1, 5, 2), Money(70)),
        "judging": Totals(1, 1, Usage(4, 0, 2, 0), Money(30), is_cost_complete=False),
        "latency_ns": 5_000,
        "scored_ns": 2_000,
        "scores": scores or (ScoreRecord("exact", value=True),),
    }
    return CaseRecord(case=case, run_id=run, status="completed", **(given | rest))


def a_metric(metric: str = "exact", **rest: Any) -> MetricRecord:
    """A metric of experiment E1."""
    given: dict[str, Any] = {
        "experiment": "E1",
        "scorer": "5c04e",
        "direction": "lower",
        "low": 0.0,
        "labelled": {"pairs": [[True, False, 120], [0.5, None, None]], "models": ["m"]},
        "noted_ns": 7,
    }
    return MetricRecord(metric=metric, **(given | rest))


def a_verdict(id_: str = "V1", **rest: Any) -> VerdictRecord:
    given: dict[str, Any] = {
        "gate": "release",
        "gate_digest": "9a",
        "candidate": "E2",
        "baseline": "E1",
        "subjects": {"answer": "b" * 64},
        "baselines": {"answer": "a" * 64},
        "has_passed": False,
        "reasons": ("f1: worse by 0.04",),
        "by": "ann",
        "judged_ns": 5,
    }
    return VerdictRecord(id_, **(given | rest))
