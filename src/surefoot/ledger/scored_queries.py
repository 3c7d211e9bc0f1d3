"""What is asked of experiments, scores and verdicts, in the SQL that both engines understand. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surefoot.ledger.events import Totals
from surefoot.ledger.listing import Query
from surefoot.ledger.prompt_rows import beginning
from surefoot.ledger.rows import Row, clean
from surefoot.ledger.scored import ExperimentKind, Summary, TimedScore, TrendBucket
from surefoot.ledger.scored_rows import CASE_COLUMNS, EXPERIMENT_COLUMNS, VERDICT_COLUMNS, joined, value_of
from surefoot.values import Money


def experiments_query(
    *,
    ids: tuple[str, str] | None = None,
    flow: str = "",
    kind: str = "",
    name: str = "",
    dataset_version: str = "",
    tenant: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    limit: int | None = 50,
) -> Query:
    """The newest first; `ids` are the bounds between which theirs lie."""
    first, end = ids or (None, None)
    where, values = _where(
        ("id >= ?", first),
        ("id < ?", end),
        ("flow = ?", flow),
        ("kind = ?", kind),
        ("name = ?", name),
        ("dataset_version = ?", dataset_version),
        ("begun_ns >= ?", since_ns),
        ("begun_ns < ?", until_ns),
        tenant=tenant,
    )
    return _limited(
        f"SELECT {EXPERIMENT_COLUMNS} FROM experiments{where} ORDER BY begun_ns DESC, id DESC", values, limit
    )


def page_query(experiment: str, after: tuple[int, str, int], *, tenant: str | None, size: int) -> Query:
    """The next cases of an experiment behind a place, a case and a repeat, each with its scores."""
    where, values = _where(("experiment = ?", experiment), tenant=tenant)
    return joined(
        f"SELECT {CASE_COLUMNS} FROM experiment_cases{where} AND (place, case_id, repeat) > (?, ?, ?) "
        f"ORDER BY place, case_id, repeat LIMIT {size}"
    ), (*values, *after)


def of_run_query(run_id: str, *, tenant: str | None) -> Query:
    """The cases for which a run stands, each with its scores."""
    where, values = _where(("run_id = ?", run_id), tenant=tenant)
    return joined(f"SELECT {CASE_COLUMNS} FROM experiment_cases{where}"), values


def among_query(experiment: str, cases: Sequence[str]) -> Query:
    """Which of these cases of an experiment are judged."""
    marks = ", ".join("?" * len(cases))
    return (
        f"SELECT DISTINCT case_id FROM experiment_cases WHERE experiment = ? AND case_id IN ({marks})",
        (clean(experiment), *map(clean, cases)),
    )


def sums_query(experiment: str, *, tenant: str | None, first: str) -> Query:
    """The scores of an experiment, added up by metric, type of value and label, with whether a judge gave some."""
    where, values = _where(("c.experiment = ?", experiment), ("c.case_id >= ?", first), tenant=None)
    of_tenant, tenants = ("", ()) if tenant is None else (" AND c.tenant = ?", (clean(tenant),))
    return (
        "SELECT s.metric, s.value_type, s.label, s.kind, count(*), sum(s.number), sum(s.number * s.number), "
        "max(s.judge_run) FROM experiment_cases c JOIN scores s ON s.run_id = c.run_id AND s.experiment = c.experiment"
        f"{where}{of_tenant} GROUP BY 1, 2, 3, 4 ORDER BY 1"
    ), (*values, *tenants)


def costs_query(experiment: str, *, tenant: str | None, first: str) -> Query:
    """How many cases are judged and how many runs of them failed; what the runs and their judges have cost."""
    where, values = _where(("experiment = ?", experiment), ("case_id >= ?", first), tenant=tenant)
    failed = "coalesce(sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END), 0)"
    costs = (
        "coalesce(sum(cost_nanos), 0), coalesce(min(is_cost_complete), 1), "
        "coalesce(sum(judging_cost_nanos), 0), coalesce(min(judging_is_cost_complete), 1)"
    )
    return f"SELECT count(*), {failed}, {costs} FROM experiment_cases{where}", values


def summary_of(counts: Row, sums: Iterable[Row]) -> Summary:
    """What an experiment comes to, from rows of the two queries above."""
    judged, failed, cost, is_complete, judging, is_judging_complete = counts
    by_metric: dict[str, list[Row]] = {}
    by_judges: set[str] = set()
    for metric, *rest, judge in sums:
        by_metric.setdefault(metric, []).append(tuple(rest))
        if judge:
            by_judges.add(metric)
    return Summary(
        int(judged),
        int(failed),
        Totals(cost=Money(int(cost)), is_cost_complete=bool(is_complete)),
        Totals(cost=Money(int(judging)), is_cost_complete=bool(is_judging_complete)),
        {metric: _bucket(0, groups) for metric, groups in by_metric.items()},
        frozenset(by_judges),
    )


def count_query(experiment: str, *, tenant: str | None) -> Query:
    """How many cases of an experiment are judged, repeats counted, and how many of their runs failed."""
    where, values = _where(("experiment = ?", experiment), tenant=tenant)
    failed = "coalesce(sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END), 0)"
    return f"SELECT count(*), {failed} FROM experiment_cases{where}", values


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTime:
    """The scores of a metric that are asked for; what is empty or None restricts nothing."""

    metric: str
    flow: str = ""
    kind: str = ""
    tenant: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def where(self) -> Query:
        """In the order of the index."""
        return _where(
            ("metric = ?", self.metric),
            ("scored_ns >= ?", self.since_ns),
            ("scored_ns < ?", self.until_ns),
            ("flow = ?", self.flow),
            ("kind = ?", self.kind),
            tenant=self.tenant,
        )


def scores_query(asked: OverTime, limit: int | None) -> Query:
    """The newest first."""
    where, values = asked.where()
    return _limited(
        "SELECT metric, value_type, number, label, scored_ns, flow, kind, experiment, run_id, tenant "
        f"FROM scores{where} ORDER BY scored_ns DESC, run_id DESC",
        values,
        limit,
    )


def timed_score(row: Row) -> TimedScore:
    """A score from a row of `scores_query`."""
    metric, value_type, number, label, *rest = row
    return TimedScore(metric, value_of(value_type, number, label), *rest)


def trend_query(asked: OverTime, bucket_ns: int) -> Query:
    """Sums by span of time, type of value, label and kind of experiment."""
    where, values = asked.where()
    sums = "count(*), sum(number), sum(number * number)"
    return (
        f"SELECT scored_ns / {bucket_ns}, value_type, label, kind, {sums} FROM scores{where} GROUP BY 1, 2, 3, 4",
        values,
    )


def buckets_of(found: Iterable[Row], *, bucket_ns: int) -> list[TrendBucket]:
    """The spans of time that have scores, the oldest first, from rows of `trend_query`."""
    by_place: dict[int, list[Row]] = {}
    for place, *rest in found:
        by_place.setdefault(int(place), []).append(tuple(rest))
    return [_bucket(place * bucket_ns, by_place[place]) for place in sorted(by_place)]


def _bucket(began_ns: int, groups: Sequence[Row]) -> TrendBucket:
    n = failures = 0
    total = squares = 0.0
    labels: dict[str, int] = {}
    kinds: dict[ExperimentKind, int] = {}
    types: set[str] = set()
    for value_type, label, kind, count, summed, squared in groups:
        kinds[kind] = kinds.get(kind, 0) + count
        if value_type == "none":
            failures += count
            continue
        types.add(value_type)
        n += count
        total += summed or 0.0
        squares += squared or 0.0
        if value_type == "label":
            labels[label] = labels.get(label, 0) + count
    ordered = dict(sorted(labels.items(), key=lambda each: (-each[1], each[0])))
    return TrendBucket(
        began_ns, n, failures, total, squares, types == {"bool"}, ordered, dict(sorted(kinds.items()))
    )


def metrics_query(flow: str, *, tenant: str | None) -> Query:
    """The names of metrics that have scores."""
    where, values = _where(("flow = ?", flow), tenant=tenant)
    return f"SELECT DISTINCT metric FROM scores{where} ORDER BY metric", values


def flows_query(*, tenant: str | None) -> Query:
    """The names of flows that have scores."""
    where, values = _where(tenant=tenant)
    return f"SELECT DISTINCT flow FROM scores{where} ORDER BY flow", values


def verdicts_query(
    *, gate: str, subject: str, digest: str, candidate: str, tenant: str | None, limit: int | None
) -> Query:
    """The newest first; `subject` is the name of a prompt, `digest` that of a version or its beginning."""
    values: list[object] = []
    inner: list[str] = []
    if subject:
        inner.append("s.prompt = ?")
        values.append(clean(subject))
    if digest:
        inner.append("s.digest >= ? AND s.digest < ?")
        values += beginning(digest)
    where, rest = _where(("gate = ?", gate), ("candidate = ?", candidate), tenant=tenant)
    if inner:
        of_subject = f"id IN (SELECT s.verdict FROM verdict_subjects s WHERE {' AND '.join(inner)})"
        where = f" WHERE {of_subject}{where.replace(' WHERE ', ' AND ', 1)}"
    return _limited(
        f"SELECT {VERDICT_COLUMNS} FROM verdicts{where} ORDER BY seq DESC", (*values, *rest), limit
    )


def _where(*terms: tuple[str, object], tenant: str | None) -> tuple[str, tuple[object, ...]]:
    """The terms whose parameters are given. The empty tenant is one too: rows of none."""
    given = [
        (term, clean(value) if isinstance(value, str) else value)
        for term, value in terms
        if value not in (None, "")
    ]
    if tenant is not None:
        given.append(("tenant = ?", clean(tenant)))
    where = f" WHERE {' AND '.join(term for term, _ in given)}" if given else ""
    return where, tuple(value for _, value in given)


def _limited(statement: str, values: tuple[object, ...], limit: int | None) -> Query:
    return (statement, values) if limit is None else (f"{statement} LIMIT ?", (*values, limit))
