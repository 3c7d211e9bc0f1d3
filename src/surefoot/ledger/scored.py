"""What is recorded of evaluations: experiments, their judged cases with scores, and the verdicts of gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from surefoot.ledger.events import Totals
from surefoot.values import Json

ExperimentKind = Literal["eval", "backtest", "online"]

LONGEST_ID, LONGEST_METRIC, LONGEST_LABEL = 400, 200, 300
"""In characters: what stands in an index has a length that every engine takes."""


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """A flow run over cases with scorers, as it was begun; it never changes. It is complete with all its cases.

    `kind` is `eval` for a dataset, `backtest` for recorded runs, `online` for a sample of runs of production, which
    has no end (`cases` is 0 then). `cases` are those of the dataset that were asked for, each `repeats` times.
    `prompts` is what the flow's prompts mean in it, name to digest, as far as that was known at the start. `settings`
    holds whatever else has to be the same where somebody goes on with it.
    """

    id: str
    kind: ExperimentKind
    name: str
    flow: str
    flow_version: str
    code_digest: str
    dataset: str
    dataset_version: str
    dataset_size: int
    cases: int
    repeats: int = 1
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tenant: str = ""
    principal: str = ""
    begun_ns: int = 0


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """What one scorer said of one run: a value, or why there is none (`failure`). `reason` is for people to read.

    `scorer` is a digest of the scorer's code and settings, `judge_run` the run in which a judge gave it.
    """

    metric: str
    value: bool | float | str | None
    reason: str = ""
    failure: str = ""
    scorer: str = ""
    judge_run: str = ""


@dataclass(frozen=True, slots=True)
class RunScore:
    """A score of a run, the experiment that it was given in, and when (nanoseconds since the epoch)."""

    experiment: str
    scored_ns: int
    score: ScoreRecord


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One judged case of an experiment: its run, how that ended, and all scores. One per experiment, case and repeat.

    `case` is the case's id, in an online experiment the run's; `place` is where it stands in the dataset, from 0, and
    cases are read in that order. `metadata` is what slices are cut by. `judging` is what its judges have used;
    `latency_ns` is None for a run that was interrupted and resumed. `tenant` is the run's, where that is another than
    the experiment's, as it may be online. `scored_ns` of 0 means when it is kept.
    """

    experiment: str
    case: str
    run_id: str
    status: Literal["completed", "failed"]
    repeat: int = 1
    error: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    totals: Totals = Totals()
    judging: Totals = Totals()
    latency_ns: int | None = None
    scored_ns: int = 0
    scores: tuple[ScoreRecord, ...] = ()
    place: int = 0
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """What is known of a metric of an experiment beside its scores. One per experiment and metric.

    `scorer` is the digest of the scorer that it is by, `direction` says which of its values are better, `low` and
    `high` between which they lie, None where there is no end. `place` is where the scorer stands among the others.
    `labelled` is what its judge said of cases that people have labelled, as numbers alone; empty where it is none, or
    is not known. `said` is what a scorer of the whole experiment came to, `{"value": ...}` or `{"failure": ...}`; empty
    for one of cases. `noted_ns` of 0 means when it is recorded.
    """

    experiment: str
    metric: str
    place: int = 0
    scorer: str = ""
    direction: Literal["higher", "lower"] = "higher"
    low: float | None = None
    high: float | None = None
    labelled: Mapping[str, Json] = field(default_factory=dict[str, Json])
    said: Mapping[str, Json] = field(default_factory=dict[str, Json])
    noted_ns: int = 0


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """That a gate passed or failed a comparison of two experiments, and why.

    `gate` names it, `gate_digest` is that of its rules. `subjects` are the prompts of the candidate that differ from
    the baseline's, name to digest; `baselines` are all of the baseline's. `reasons` has a line for each rule that
    failed. `judged_ns` of 0 means when it is recorded.
    """

    id: str
    gate: str
    gate_digest: str
    candidate: str
    baseline: str
    subjects: Mapping[str, str]
    baselines: Mapping[str, str]
    has_passed: bool
    reasons: tuple[str, ...] = ()
    by: str = ""
    judged_ns: int = 0
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class TimedScore:
    """A score as one of many over time. `value` is None where the metric applies and there is no score."""

    metric: str
    value: bool | float | str | None
    scored_ns: int
    flow: str
    kind: ExperimentKind
    experiment: str
    run_id: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class TrendBucket:
    """The scores of one metric in a span of time that begins at `began_ns` (nanoseconds since the epoch).

    `n` have a value and `failures` have none. `total` and `squares` are the sums of the numbers and of their squares,
    where passed is 1 and failed is 0; `is_rate` says that there are no others. Labels are counted in `labels`, and in
    `kinds` all scores, failures too, by the kind of experiment that they are from.
    """

    began_ns: int
    n: int = 0
    failures: int = 0
    total: float = 0.0
    squares: float = 0.0
    is_rate: bool = False
    labels: Mapping[str, int] = field(default_factory=dict[str, int])
    kinds: Mapping[ExperimentKind, int] = field(default_factory=dict[ExperimentKind, int])

    @property
    def numbers(self) -> int:
        """How many values are no labels."""
        return self.n - sum(self.labels.values())

    @property
    def mean(self) -> float | None:
        """The mean of the numbers; None where there is none."""
        return self.total / self.numbers if self.numbers else None

    @property
    def variance(self) -> float | None:
        """The sample variance of the numbers, of which there have to be two."""
        if self.numbers < 2:
            return None
        return max(self.squares - self.total * self.total / self.numbers, 0.0) / (self.numbers - 1)

    @property
    def coverage(self) -> float | None:
        """n / (n + failures); None of nothing."""
        return self.n / (self.n + self.failures) if self.n + self.failures else None


@dataclass(frozen=True, slots=True)
class Summary:
    """What an experiment comes to by now, added up by the engine: `judged` rows, of which the runs of `failed` failed.

    `metrics` are the sums of each metric, repeats counted one by one; `by_judges` those of them that judges have given.
    """

    judged: int
    failed: int
    totals: Totals
    judging: Totals
    metrics: Mapping[str, TrendBucket] = field(default_factory=dict[str, TrendBucket])
    by_judges: frozenset[str] = frozenset()
