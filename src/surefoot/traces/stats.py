"""How the steps and calls of a flow have done over many runs: errors, retries, latencies, tokens and cost."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from surefoot.errors import UnknownFlow
from surefoot.ledger import Ledger, Outcome, RunRecord
from surefoot.traces.plain import parsed
from surefoot.traces.spans import standing
from surefoot.traces.tiers import TierVerdict, may_be_verdict, verdict_in
from surefoot.values import CallFacts, Money, StepKind, Usage

_PAGE = 500
_NAMED_FLOWS = 10
_SHOWN_DIGEST = 12


Kind = StepKind | Literal["model", "prompt", "tier"]


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What is counted together: steps, nested flows or model calls of one name; calls also by requested model.

    Calls are counted over all steps, too: by `model` (`name` was requested, `model` served), by the `prompt` that they
    asked with (`name` and `version`, the beginning of its digest where it has none), and by the `tier` of a ladder
    (`name` is the step around it, `model` what that tier asks).
    """

    kind: Kind
    name: str
    model: str = ""
    version: str = ""
    tier: int = 0


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Percentiles of durations in nanoseconds, as `percentile` defines them."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class StepStats:
    """The figures of one series.

    `count` are the steps or calls, `attempts` what it took: the difference are the retries. `failed` are those whose
    last attempt failed. `latency` is that of every attempt, failed and cached ones included; `first_token` is from
    the request to the first byte of the answer, of streams. `usage` and `cost` of a step are those of the calls inside
    of it, at any depth, so rows of different series do not add up.

    Of a tier, `count` are its answers and `taken` those that were the answer; `latency` is from its first request to
    the verdict on what came, `usage` and `cost` are with those of its checks.
    """

    series: Series
    count: int
    attempts: int
    failed: int
    degraded: int
    cached: int
    latency: Quantiles | None
    first_token: Quantiles | None
    usage: Usage
    cost: Money
    is_cost_complete: bool
    taken: int | None = None

    @property
    def retries(self) -> int:
        return self.attempts - self.count

    @property
    def error_rate(self) -> float:
        """The share of `count` that failed in the end, from 0 to 1."""
        return self.failed / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class RunStats:
    """The figures of the runs themselves.

    `standings` counts them by status, `abandoned` included. `latency` is from the beginning of a run to its last end,
    the time in which nobody held it included. `resumed` are those that more than one process took part in. Latency,
    calls, usage and cost are of the runs that have ended.
    """

    count: int
    standings: Mapping[str, int]
    resumed: int
    degraded: int
    latency: Quantiles | None
    calls: int
    usage: Usage
    cost: Money
    is_cost_complete: bool

    @property
    def failed(self) -> int:
        return self.standings.get("failed", 0)

    @property
    def error_rate(self) -> float:
        """The share of completed and failed runs that failed, from 0 to 1."""
        over = self.failed + self.standings.get("completed", 0)
        return self.failed / over if over else 0.0


@dataclass(frozen=True, slots=True)
class FlowStats:
    """The figures of a flow's runs that began from `since_ns` on, each list in the order in which they begin.

    `steps` are steps, nested flows and calls by their names; the others are of the calls, by what they have in common.
    """

    flow: str
    since_ns: int
    until_ns: int
    runs: RunStats
    steps: tuple[StepStats, ...]
    models: tuple[StepStats, ...] = ()
    prompts: tuple[StepStats, ...] = ()
    tiers: tuple[StepStats, ...] = ()


def stats(ledger: Ledger, flow: str, *, since_ns: int, now_ns: int) -> FlowStats:
    """The figures of a flow over the runs that began from `since_ns` to `now_ns` (nanoseconds since the epoch).

    Every outcome is read once and none is kept. Raises `UnknownFlow` if the ledger has no run of that name at all,
    and `LedgerError`.
    """
    known_flow(ledger, flow)
    tallies = _Tallies(ledger)
    for run_id, outcomes in groupby(
        ledger.outcomes_of(flow, since_ns=since_ns), key=lambda outcome: outcome.run_id
    ):
        tallies.take_run(run_id, outcomes)
    runs = _run_stats(_runs_since(ledger, flow, since_ns), now_ns)
    found = tallies.result()
    by = {
        kind: tuple(one for one in found if one.series.kind == kind) for kind in ("model", "prompt", "tier")
    }
    steps = tuple(one for one in found if one.series.kind not in by)
    return FlowStats(
        *(flow, since_ns, now_ns, runs, steps), models=by["model"], prompts=by["prompt"], tiers=by["tier"]
    )


def known_flow(ledger: Ledger, flow: str) -> str:
    """The name, if the ledger has a run of that flow. Raises `UnknownFlow`."""
    if not ledger.runs(flow=flow, limit=1):
        raise UnknownFlow(_no_such_flow(ledger, flow))
    return flow


def percentile(ordered: Sequence[int], share: float) -> float:
    """The value below which a share (0 to 1) of the ascending values lies.

    Exact, by linear interpolation between the two closest ranks: definition 7 of Hyndman and Fan, "Sample Quantiles
    in Statistical Packages", The American Statistician 50 (1996), which numpy and R use by default. Raises
    `ValueError` without values.
    """
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    position = (len(ordered) - 1) * share
    below = min(int(position), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def quantiles(durations: Iterable[int]) -> Quantiles | None:
    """The percentiles of durations in any order; None if there are none."""
    ordered = sorted(durations)
    if not ordered:
        return None
    return Quantiles(percentile(ordered, 0.50), percentile(ordered, 0.95), percentile(ordered, 0.99))


def _durations() -> array[int]:
    return array("q")


@dataclass(slots=True)
class _Spent:
    usage: Usage = Usage()
    cost: Money = Money(0)
    is_cost_complete: bool = True

    def add(self, call: CallFacts) -> None:
        self.usage += call.usage
        if call.cost is None:
            self.is_cost_complete = False
        else:
            self.cost += call.cost


@dataclass(slots=True)
class _Tally:
    """One series while it is being counted."""

    first_offset_ns: int
    count: int = 0
    attempts: int = 0
    failed: int = 0
    degraded: int = 0
    cached: int = 0
    latencies: array[int] = field(default_factory=_durations)
    first_tokens: array[int] = field(default_factory=_durations)
    spent: _Spent = field(default_factory=_Spent)
    taken: int | None = None

    def take(self, attempts: Sequence[Outcome]) -> None:
        """Count one step or call with all its attempts, the last one last."""
        self.count += 1
        self.attempts += len(attempts)
        self.failed += attempts[-1].status == "failed"
        self.degraded += attempts[-1].is_degraded
        self.cached += any(attempt.is_cached for attempt in attempts)
        for attempt in attempts:
            self.latencies.append(max(attempt.latency_ns, 0))
            if attempt.call is not None and attempt.call.first_token_ns is not None:
                self.first_tokens.append(attempt.call.first_token_ns)

    def result(self, series: Series) -> StepStats:
        return StepStats(
            series=series,
            count=self.count,
            attempts=self.attempts,
            failed=self.failed,
            degraded=self.degraded,
            cached=self.cached,
            latency=quantiles(self.latencies),
            first_token=quantiles(self.first_tokens),
            usage=self.spent.usage,
            cost=self.spent.cost,
            is_cost_complete=self.spent.is_cost_complete,
            taken=self.taken,
        )


class _Tallies:
    """All series of a flow while its runs go by."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tallies: dict[Series, _Tally] = {}

    def take_run(self, run_id: str, outcomes: Iterable[Outcome]) -> None:
        """Count one run; its outcomes come in the order of `Ledger.outcomes_of`."""
        series_of: dict[bytes, Series] = {}
        calls: list[tuple[tuple[Series, ...], Outcome]] = []
        has_verdicts = False
        began_ns: int | None = None
        for key, group in groupby(outcomes, key=lambda outcome: outcome.key):
            attempts = list(group)
            first = attempts[0]
            if began_ns is None:
                # The key of a run's starts sorts before all others.
                began_ns = first.started_ns
            # Type checkers narrow by comparisons, not by `in`.
            if first.kind == "start" or first.kind == "end" or first.kind == "message":  # noqa: PLR1714
                continue
            model = first.call.requested_model if first.call is not None else ""
            series = series_of[key] = Series(first.kind, first.name, model)
            self._tally(series, first.started_ns - began_ns).take(attempts)
            common = tuple(_in_common(first))
            calls += [((series, *common), one) for one in attempts if one.call is not None]
            has_verdicts = has_verdicts or may_be_verdict(attempts[-1])
            for by in common:
                self._tally(by, first.started_ns - began_ns).take(attempts)
        verdicts = self._verdicts(run_id) if has_verdicts else []
        tiers = self._take_tiers(verdicts, [one for _, one in calls], series_of, began_ns or 0)
        for own, one in calls:
            call, path = one.call, one.path
            around = (series_of.get(path[start : start + 16]) for start in range(0, len(path), 16))
            # A step inside of one of its own name must not count a call twice.
            spenders = {*own, *(outer for outer in around if outer is not None)}
            if (tier := tiers.get((one.key, one.attempt))) is not None:
                spenders.add(tier)
            for spender in spenders:
                if call is not None:
                    self._tallies[spender].spent.add(call)

    def _verdicts(self, run_id: str) -> list[tuple[TierVerdict, Outcome]]:
        """Those of a run, whose rows are read once more, with what they say."""
        return [
            (verdict, one)
            for one in self._ledger.outcomes(run_id)
            if may_be_verdict(one)
            and (verdict := verdict_in(parsed(self._ledger.view(one.output)))) is not None
        ]

    def _take_tiers(
        self,
        verdicts: Sequence[tuple[TierVerdict, Outcome]],
        calls: Sequence[Outcome],
        series_of: Mapping[bytes, Series],
        began_ns: int,
    ) -> dict[tuple[bytes, int], Series]:
        """Count the answers of tiers; which tier each call belongs to, by key and attempt.

        Those of a tier's answer were made in the same step before the verdict on it, and after the one on the tier
        before; those of its checks inside of the verdict.
        """
        inside: defaultdict[bytes, list[Outcome]] = defaultdict(list)
        for call in calls if verdicts else ():
            for end in range(0, len(call.path) + 1, 16):
                inside[call.path[:end]].append(call)
        found: dict[tuple[bytes, int], Series] = {}
        until: dict[bytes, int] = {}
        for verdict, made in sorted(verdicts, key=lambda pair: pair[1].started_ns):
            around = series_of.get(made.parent)
            series = Series("tier", around.name if around else "", verdict.model, tier=verdict.tier)
            after_ns = until.get(made.path, 0)
            until[made.path] = made.ended_ns
            asked_ns = made.started_ns
            for call in inside[made.path]:
                place = call.key, call.attempt
                is_check = call.path.startswith(made.path + made.key)
                if place not in found and (is_check or after_ns <= call.started_ns <= made.started_ns):
                    found[place] = series
                    asked_ns = min(asked_ns, call.started_ns)
            tally = self._tally(series, asked_ns - began_ns)
            tally.count += 1
            tally.attempts += 1
            tally.taken = (tally.taken or 0) + verdict.is_taken
            tally.latencies.append(max(made.started_ns - asked_ns, 0))
        return found

    def result(self) -> tuple[StepStats, ...]:
        tallies = sorted(self._tallies.items(), key=lambda item: (item[1].first_offset_ns, item[0]))
        return tuple(tally.result(series) for series, tally in tallies)

    def _tally(self, series: Series, offset_ns: int) -> _Tally:
        tally = self._tallies.get(series)
        if tally is None:
            tally = self._tallies[series] = _Tally(offset_ns)
        elif offset_ns < tally.first_offset_ns:
            tally.first_offset_ns = offset_ns
        return tally


def _in_common(outcome: Outcome) -> Iterator[Series]:
    """What a call is counted by beside its name."""
    call, prompt = outcome.call, outcome.prompt
    if call is None:
        return
    served = call.served_model if call.served_model != call.requested_model else ""
    yield Series("model", call.requested_model, served)
    if prompt is not None:
        yield Series("prompt", prompt.name, version=prompt.version or prompt.digest[:_SHOWN_DIGEST])


def _runs_since(ledger: Ledger, flow: str, since_ns: int) -> Iterator[RunRecord]:
    before: str | None = None
    while page := ledger.runs(flow=flow, before=before, limit=_PAGE):
        for run in page:
            if run.created_ns < since_ns:
                return
            yield run
        before = page[-1].id


def _run_stats(runs: Iterable[RunRecord], now_ns: int) -> RunStats:
    standings: Counter[str] = Counter()
    latencies = _durations()
    resumed = degraded = calls = 0
    spent = _Spent()
    for run in runs:
        standings[standing(run, now_ns)] += 1
        resumed += run.epoch > 1
        degraded += run.totals.is_degraded
        calls += run.totals.calls
        spent.usage += run.totals.usage
        spent.cost += run.totals.cost
        spent.is_cost_complete = spent.is_cost_complete and run.totals.is_cost_complete
        if run.ended_ns is not None:
            latencies.append(max(run.ended_ns - run.created_ns, 0))
    return RunStats(
        count=standings.total(),
        standings=dict(standings),
        resumed=resumed,
        degraded=degraded,
        latency=quantiles(latencies),
        calls=calls,
        usage=spent.usage,
        cost=spent.cost,
        is_cost_complete=spent.is_cost_complete,
    )


def _no_such_flow(ledger: Ledger, flow: str) -> str:
    recent = ledger.runs(limit=_PAGE)
    names = ", ".join(sorted({run.flow for run in recent})[:_NAMED_FLOWS])
    known = f"the newest runs are of: {names}" if names else "it holds no runs yet"
    return f"no run of a flow {flow!r} in the ledger {ledger.where}: {known}"
