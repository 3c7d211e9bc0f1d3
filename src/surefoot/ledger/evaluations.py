"""Experiments, what was scored in them, and verdicts of gates: the ledger's part of evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, cast

from surefoot.errors import InvalidInput, LedgerCorrupt, UnknownExperiment
from surefoot.ledger import scored_queries, scored_rows, scored_texts
from surefoot.ledger.entries import BeginExperiment, KeepCases, KeepMetrics, KeepVerdict
from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row, clean
from surefoot.ledger.scored import (
    LONGEST_METRIC,
    CaseRecord,
    ExperimentKind,
    ExperimentRecord,
    MetricRecord,
    RunScore,
    Summary,
    TimedScore,
    TrendBucket,
    VerdictRecord,
)
from surefoot.ledger.scored_queries import OverTime
from surefoot.ledger.scored_rows import CaseRow
from surefoot.ledger.scored_uses import models_judging, prompts_in, spent_in
from surefoot.ledger.store import Ledger
from surefoot.ledger.writer import Pending
from surefoot.values import Money

T = TypeVar("T")

LAST = "last"
DAY_NS = 86_400_000_000_000

_PAGE = 500
_MOST_KNOWN = 1000

_About = tuple[str, ExperimentKind, str]
"""Flow, kind and tenant of an experiment, which its scores repeat."""


class Evaluations:
    """Keeps experiments, judged cases and verdicts in a ledger, and finds them again. Safe to use from any thread.

    What people wrote or models said in them (reasons, failures, errors, labels, metadata, settings) is kept as people
    may read it: secrets are masked, and a text longer than 20,000 characters, or a label longer than 300, is cut. Every
    read can be restricted to a `tenant`; None means all of them, the empty one what belongs to none. Everything raises
    `LedgerError` and its kin.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, _About] = {}

    # Writing

    def begin(self, record: ExperimentRecord) -> ExperimentRecord:
        """Record that an experiment has begun; durable when this returns.

        Returns what stands under its id: another record where somebody began one before, which the caller has to
        compare. Raises `InvalidInput` for an id that is empty or too long.
        """
        scored_texts.check_name(record.id, "the id of an experiment")
        settings = scored_texts.ready_object(record.settings, self._ledger.payloads)
        row = scored_rows.experiment_row(
            replace(record, begun_ns=record.begun_ns or time.time_ns()), settings=settings
        )
        stands = cast("ExperimentRecord", self._ledger.submit(BeginExperiment(row)).result())
        self._note(stands)
        return stands

    def readable(self, case: CaseRecord) -> CaseRecord:
        """A judged case as it is read again: secrets are masked, and texts are of a length. Raises as `keep` does."""
        ready, metadata = scored_texts.ready_case(case, self._ledger.payloads)
        return ready if ready is case else replace(ready, metadata=scored_rows.mapping(metadata))

    def readable_texts(self, texts: Sequence[str]) -> list[str]:
        """Texts of an evaluation as people may read them."""
        return scored_texts.ready_texts(texts, self._ledger.payloads)

    def keep(self, cases: Sequence[CaseRecord]) -> Pending:
        """Record judged cases with all their scores: one entry of the ledger, durable once that is waited for.

        A case that is there already is replaced, with the scores of the run that it stood for. Raises
        `UnknownExperiment` for a case of one that was not begun, and `InvalidInput` for a score that is no number and
        for names that are too long.
        """
        return self._ledger.submit(KeepCases(list(map(self._row, cases))))

    def note(self, metrics: Sequence[MetricRecord]) -> Pending:
        """Record what is known of the metrics of an experiment beside their scores; durable once that is waited for.

        Of a metric that is there what was noted last stands, but for what its judge said of labelled cases: that stays
        where it is not said anew, and the scorer is the same. Raises `InvalidInput` for a name that is too long.
        """
        for each in metrics:
            scored_texts.check_name(each.experiment, "the id of an experiment")
            scored_texts.check_name(each.metric, "the name of a metric", most=LONGEST_METRIC)
        now = time.time_ns()
        rows = [scored_rows.metric_row(replace(each, noted_ns=each.noted_ns or now)) for each in metrics]
        return self._ledger.submit(KeepMetrics(rows))

    def verdict(self, record: VerdictRecord) -> VerdictRecord:
        """Record what a gate has said; durable when this returns. None is ever changed: of one id the first stands."""
        scored_texts.check_name(record.id, "the id of a verdict")
        reasons = scored_texts.ready_texts(record.reasons, self._ledger.payloads)
        record = replace(record, judged_ns=record.judged_ns or time.time_ns())
        row = scored_rows.verdict_row(record, reasons=reasons)
        entry = KeepVerdict(row, scored_rows.subject_rows(record))
        return cast("VerdictRecord", self._ledger.submit(entry).result())

    # Experiments and their cases

    def experiment(self, experiment: str, *, flow: str = "", tenant: str | None = None) -> ExperimentRecord:
        """The experiment with this id, with an id that begins so, or the newest one (of a flow) for `last`.

        Raises `UnknownExperiment`, also for the beginning of several ids.
        """
        if experiment == LAST:
            found = self.experiments(flow=flow, tenant=tenant, limit=1)
            if not found:
                of = f" of {flow}" if flow else ""
                raise UnknownExperiment(
                    f"the ledger {self._ledger.where} holds no experiment{of} yet: `surefoot eval` makes one"
                )
            return found[0]
        asked = clean(experiment.strip())
        # An id that somebody gave stands as it was given; one that was made is in capitals.
        for wanted in dict.fromkeys((asked, asked.upper())) if asked else ():
            query = scored_queries.experiments_query(
                ids=(wanted, f"{wanted}\U0010ffff"), flow=flow, tenant=tenant, limit=5
            )
            found = self._read(query, scored_rows.experiment_of)
            exact = [each for each in found if each.id == wanted]
            if exact or len(found) == 1:
                return (exact or found)[0]
            if found:
                several = ", ".join(each.id for each in found)
                raise UnknownExperiment(f"{experiment!r} is the beginning of several experiments: {several}")
        raise UnknownExperiment(
            f"no experiment {experiment!r} in the ledger {self._ledger.where}: `surefoot eval` prints the id of each"
        )

    def experiments(
        self,
        *,
        flow: str = "",
        kind: ExperimentKind | None = None,
        name: str = "",
        dataset_version: str = "",
        tenant: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        limit: int | None = 50,
    ) -> list[ExperimentRecord]:
        """The newest first, all of them without a limit; begun at `since_ns` or later, and before `until_ns`."""
        query = scored_queries.experiments_query(
            flow=flow,
            kind=kind or "",
            name=name,
            dataset_version=dataset_version,
            tenant=tenant,
            since_ns=since_ns,
            until_ns=until_ns,
            limit=limit,
        )
        return self._read(query, scored_rows.experiment_of)

    def cases(
        self, experiment: ExperimentRecord | str, *, tenant: str | None = None, first: str = ""
    ) -> Iterator[CaseRecord]:
        """The judged cases of an experiment (by its whole id) in order of place, id and repeat, read as they are used.

        first: of an online experiment, whose cases have no place but their id, those from this id on.

        The scores of a case are in the order of their metrics' names. A case that is judged again meanwhile is there
        as it was or as it is then.
        """
        experiment_id = experiment if isinstance(experiment, str) else experiment.id
        after = (0, first, 0) if first else (-(1 << 62), "", 0)
        while True:
            query = scored_queries.page_query(experiment_id, after, tenant=tenant, size=_PAGE)
            page = self._cases(query)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]
            after = (last.place, last.case, last.repeat)

    def cases_of_run(self, run_id: str, *, tenant: str | None = None) -> list[CaseRecord]:
        """The judged cases for which a run stands, with their scores: what is known of how good it was."""
        return self._cases(scored_queries.of_run_query(run_id, tenant=tenant))

    def noted(self, experiment: str) -> list[MetricRecord]:
        """What is known of the metrics of an experiment (by its whole id) beside their scores, in their order."""
        return self._read((scored_rows.METRICS_OF, (clean(experiment),)), scored_rows.metric_of)

    def prompts(self, experiment: ExperimentRecord, *, tenant: str | None = None) -> dict[str, str]:
        """What the prompts meant in the runs of an experiment, name to digest: what they were in most of them.

        What was known when it began stands where no run has used the prompt.
        """
        return {**experiment.prompts, **prompts_in(self._ledger, experiment.id, tenant=tenant)}

    def judges(self, experiment: str, metric: str, *, tenant: str | None = None) -> tuple[str, ...]:
        """The models that answered the calls of a metric's judge in an experiment, sorted."""
        return models_judging(self._ledger, experiment, metric, tenant=tenant)

    def judged(self, experiment: ExperimentRecord | str, *, tenant: str | None = None) -> tuple[int, int]:
        """How many cases of an experiment are judged, repeats counted, and how many of their runs failed."""
        experiment_id = experiment if isinstance(experiment, str) else experiment.id
        found = self._ledger.ask(scored_queries.count_query(experiment_id, tenant=tenant))
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    def among(self, experiment: str, cases: Sequence[str]) -> set[str]:
        """Which of these cases of an experiment (by its whole id) are judged."""
        found: set[str] = set()
        for begin in range(0, len(cases), _PAGE):
            query = scored_queries.among_query(experiment, cases[begin : begin + _PAGE])
            found.update(row[0] for row in self._ledger.ask(query))
        return found

    def spent(self, experiment: str, *, since_ns: int) -> tuple[Money, bool]:
        """What an experiment's runs (online: its judges') that began since then have cost; whether all is known."""
        return spent_in(self._ledger, experiment, since_ns=since_ns)

    def summary(self, experiment: str, *, tenant: str | None = None, first: str = "") -> Summary:
        """What an experiment (by its whole id) comes to, without reading its cases one by one.

        first: of an online experiment, the cases from this id on.
        """
        counts = self._ledger.ask(scored_queries.costs_query(experiment, tenant=tenant, first=first))
        sums = self._ledger.ask(scored_queries.sums_query(experiment, tenant=tenant, first=first))
        return scored_queries.summary_of(counts[0] if counts else (0, 0, 0, 1, 0, 1), sums)

    def scores_of(self, run_id: str) -> list[RunScore]:
        """What scorers have said of a run, in all experiments."""
        rows = self._ledger.ask(scored_rows.run_scores_query(run_id))
        return [RunScore(row[0], row[1], scored_rows.score_of(row[2:])) for row in rows]

    # Over time

    def scores(
        self,
        *,
        metric: str,
        flow: str = "",
        kind: ExperimentKind | None = None,
        tenant: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        limit: int | None = None,
    ) -> list[TimedScore]:
        """The scores of a metric, the newest first; given at `since_ns` or later, and before `until_ns`."""
        asked = OverTime(
            metric=metric, flow=flow, kind=kind or "", tenant=tenant, since_ns=since_ns, until_ns=until_ns
        )
        query = scored_queries.scores_query(asked, limit)
        return list(map(scored_queries.timed_score, self._ledger.ask(query)))

    def trend(
        self,
        *,
        metric: str,
        flow: str = "",
        kind: ExperimentKind | None = None,
        tenant: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        bucket_ns: int = DAY_NS,
    ) -> list[TrendBucket]:
        """The scores of a metric, added up by spans of time that are counted from the epoch, the oldest first.

        A span without scores is left out. Raises `InvalidInput` for a span that is none.
        """
        if bucket_ns <= 0:
            raise InvalidInput(f"bucket_ns={bucket_ns}: give the length of a span of time in nanoseconds")
        asked = OverTime(
            metric=metric, flow=flow, kind=kind or "", tenant=tenant, since_ns=since_ns, until_ns=until_ns
        )
        query = scored_queries.trend_query(asked, bucket_ns)
        return scored_queries.buckets_of(self._ledger.ask(query), bucket_ns=bucket_ns)

    def metrics(self, flow: str = "", *, tenant: str | None = None) -> list[str]:
        """The names of the metrics that have scores, of a flow or of all."""
        return [row[0] for row in self._ledger.ask(scored_queries.metrics_query(flow, tenant=tenant))]

    def flows(self, *, tenant: str | None = None) -> list[str]:
        """The names of the flows that have scores."""
        return [row[0] for row in self._ledger.ask(scored_queries.flows_query(tenant=tenant))]

    # Verdicts

    def verdicts(
        self,
        *,
        gate: str = "",
        subject: str = "",
        digest: str = "",
        candidate: str = "",
        tenant: str | None = None,
        limit: int | None = 50,
    ) -> list[VerdictRecord]:
        """What gates have said, the newest first.

        gate: the name of the gate.
        subject, digest: the name of a prompt that was changed, and the digest of the version that it became, or the
            beginning of one.
        candidate: the id of the experiment that was judged.
        """
        query = scored_queries.verdicts_query(
            gate=gate, subject=subject, digest=digest, candidate=candidate, tenant=tenant, limit=limit
        )
        return self._read(query, scored_rows.verdict_of)

    # Rows

    def _row(self, record: CaseRecord) -> CaseRow:
        flow, kind, tenant = self._about(record.experiment)
        ready, metadata = scored_texts.ready_case(record, self._ledger.payloads)
        return scored_rows.case_row(
            ready,
            metadata=metadata,
            flow=flow,
            kind=kind,
            tenant=ready.tenant or tenant,
            scored_ns=record.scored_ns or time.time_ns(),
        )

    def _about(self, experiment: str) -> _About:
        known = self._known.get(experiment)
        if known is None:
            found = self._read(
                (scored_rows.EXPERIMENT_BY_ID, (clean(experiment),)), scored_rows.experiment_of
            )
            if not found:
                raise UnknownExperiment(
                    f"experiment {experiment!r} is not in the ledger {self._ledger.where}: begin it before its cases "
                    "are kept"
                )
            known = self._note(found[0])
        return known

    def _note(self, record: ExperimentRecord) -> _About:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        about = self._known[record.id] = (record.flow, record.kind, record.tenant)
        return about

    def _cases(self, query: Query) -> list[CaseRecord]:
        with self._told():
            return list(scored_rows.cases_of(self._ledger.ask(query)))

    def _read(self, query: Query, record: Callable[[Row], T]) -> list[T]:
        with self._told():
            return list(map(record, self._ledger.ask(query)))

    @contextmanager
    def _told(self) -> Generator[None]:
        """Rows that cannot be read are damaged: raise `LedgerCorrupt` for them."""
        try:
            yield
        except (ValueError, TypeError) as error:
            raise LedgerCorrupt(
                f"what the ledger {self._ledger.where} holds of evaluations is damaged ({error}): restore a backup"
            ) from None
