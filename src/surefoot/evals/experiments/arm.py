"""One experiment under way: its runs, its judges, and what is kept of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.experiments import ordering, trusting
from surefoot.evals.experiments.keeping import Keeper, json_of, metric_record, record_of, row_of
from surefoot.evals.experiments.marking import Known, Marker, asked_of_all, settled
from surefoot.evals.experiments.ordering import Order, Progress
from surefoot.evals.experiments.recorded import Ended, Place, Runs, Threads
from surefoot.evals.experiments.results import (
    About,
    Experiment,
    Metric,
    Row,
    metric_of,
    metric_of_experiment,
    summed,
)
from surefoot.evals.scoring.binding import Bound
from surefoot.evals.scoring.digests import digest_of
from surefoot.evals.scoring.judging import Agreement, Judged, agreement_of
from surefoot.ledger import CaseRecord, Pending, ScoreRecord, Totals
from surefoot.ledger.scored import LONGEST_METRIC
from surefoot.ledger.scored_texts import check_name
from surefoot.values import Json, Money

log = scope.logger("surefoot.evals")


class MeasureAgreement(Protocol):
    """Evaluates a judge over its labelled cases, under this id of an experiment."""

    async def __call__(
        self,
        order: Order,
        judged: Judged,
        *,
        name: str,
        experiment: str,
        on_progress: Callable[[Progress], None],
    ) -> Experiment: ...


@dataclass(frozen=True, slots=True)
class _Trusted:
    """How far a judge agrees with labelled cases, or why its metric is withheld; who answered it, and what finding out
    has used."""

    agreement: Agreement | None = None
    withheld: str = ""
    served: tuple[str, ...] = ()
    used: Totals = Totals()


class Arm:
    """One experiment under way. Its cases may be judged side by side, each place once."""

    def __init__(self, order: Order, threads: Threads) -> None:
        """Reads what is recorded of it. Raises `InvalidInput` where it was begun with something else."""
        self.order = order
        self._reason = ""
        self._keeper = Keeper(order.app.ledger, order.experiment)
        self._digests = {bound.name: digest_of(bound) for bound in order.scorers}
        make = order.runs
        self._runs = (
            Runs(order.app, order.flow, order.making, threads) if make is None else make(order, threads)
        )
        self._other_code = self._runs.of_other_code()
        is_kept = order.is_kept and not order.is_new
        begun = self._keeper.begun() if is_kept else None
        ordering.refuse_other(order, begun, iter(self._runs.known.values()))
        self._known = {} if begun is None else self._keeper.known()
        self._judges = {
            bound.name: Runs(order.app, bound.flow, order.judging(bound, self._digests[bound.name]), threads)
            for bound in order.scorers
            if bound.flow is not None
        }
        if is_kept:
            every = (self._runs, *self._judges.values())
            ordering.refuse_busy(order.experiment, chain.from_iterable(runs.known.values() for runs in every))
        self._marker = Marker(
            order.app,
            order.scorers,
            reads=order.reads,
            digests=self._digests,
            judges=self._judges,
            threads=threads,
        )
        self._rows: dict[Place, Row] = {}
        self._metadata: dict[str, Mapping[str, Json]] = {}
        self._spent = Totals()
        self._new = 0
        self._began = time.monotonic()

    @property
    def done(self) -> int:
        return len(self._rows)

    @property
    def left(self) -> int:
        """How many places are not judged yet, by what is recorded."""
        return sum(place not in self._known for place, _ in self.order.places)

    @property
    def spent(self) -> Money:
        """What this part of the experiment has cost, as far as prices are known."""
        return self._spent.cost

    @property
    def is_cost_complete(self) -> bool:
        return self._spent.is_cost_complete

    def stop(self, reason: str) -> None:
        """Note that no further case begins. What is under way ends, and is kept."""
        self._reason = reason

    @property
    def stopped(self) -> str:
        """Why not all cases are judged; empty where they are."""
        order = self.order
        if not self._reason or self.done == order.total:
            return ""
        return (
            f"stopped after {self.done} of {order.total} rows: {self._reason}; what is judged is kept, and the same "
            f"with experiment={order.experiment!r} (--experiment {order.experiment}) goes on"
        )

    def begin(self) -> None:
        """Record that it begins."""
        self._began = time.monotonic()
        if not self.order.is_kept:
            self.tell(None)
            return
        stands = self._keeper.begin(self.order.record(self._digests))
        # Somebody else may have begun one under this id since it was looked for.
        ordering.refuse_other(self.order, stands, iter(()))
        # What judges say of labelled cases is known at the end alone; of those that go on it is known.
        nothing = [metric_of(bound.name, (), about=self._about(bound)) for bound in self.order.scorers]
        self._note(nothing).wait()
        self.tell(None)

    async def judge(self, place: Place, case: Case) -> None:
        """Run and judge one case, or take it from the record; keep it."""
        known = self._known.pop(place, None)
        row = None
        if known is not None and self._is_over(known, case):
            row = row_of(known, is_reused=True)
            self._marker.taken(case, _known_of(known))
        if row is None:
            record, ended = await self._judged(place, case, known)
            record = self._keeper.readable(record)
            if self.order.is_kept:
                await self._keeper.keep(record)
            row = row_of(record, is_reused=ended.is_reused)
            self._count(record, known, ended)
        self._runs.forget(place)
        self._rows[place] = row
        self.tell(row)

    async def result(self, measure: MeasureAgreement) -> Experiment:
        """What it came to, with the cases that are judged."""
        await self._keeper.settle()
        order = self.order
        places = ((case.id, repeat) for case in order.cases for repeat in range(1, order.repeats + 1))
        rows = tuple(self._rows[place] for place in places if place in self._rows)
        judging = [row.judging for row in rows]
        metrics: list[Metric] = []
        for bound in order.scorers:
            if bound.is_of_experiment:
                said = await settled(asked_of_all(bound.function, rows))
                said = self._keeper.readable_said(said)
                metrics.append(metric_of_experiment(bound.name, said, about=self._about(bound)))
                continue
            trusted = await self._trusted(bound, measure)
            about = self._about(bound, trusted.served)
            metrics.append(
                metric_of(
                    bound.name, rows, agreement=trusted.agreement, withheld=trusted.withheld, about=about
                )
            )
            judging.append(trusted.used)
        if order.is_kept:
            await self._note(metrics)
        return Experiment(
            id=order.experiment,
            name=order.name,
            flow=order.spec.name,
            flow_version=order.spec.version,
            dataset=order.dataset.name,
            dataset_version=order.dataset.version,
            dataset_size=len(order.dataset),
            rows=rows,
            metrics=tuple(metrics),
            judging=summed(judging),
            elapsed_s=time.monotonic() - self._began,
            warnings=tuple(self._warnings()),
            repeats=order.repeats,
            prompts=self._keeper.prompts(order.record(self._digests)),
            changes=tuple(str(change) for change in order.changes),
            kind=order.kind,
            stopped=self.stopped,
        )

    def _about(self, bound: Bound, served: Sequence[str] = ()) -> About:
        return About(self._digests[bound.name], bound.direction, bound.range, tuple(served))

    def _note(self, metrics: Sequence[Metric]) -> Pending:
        order = self.order
        return self._keeper.note(
            [metric_record(order.experiment, place, each) for place, each in enumerate(metrics)]
        )

    def tell(self, row: Row | None) -> None:
        """Show how far it is; whoever watches must not stop it."""
        order = self.order
        if order.on_progress is None:
            return
        took = time.monotonic() - self._began
        left = (order.total - self.done) * took / self._new if self._new else None
        try:
            order.on_progress(
                Progress(
                    order.experiment,
                    self.done,
                    order.total,
                    row,
                    arm=order.arm,
                    spent=self._spent.cost,
                    is_cost_complete=self._spent.is_cost_complete,
                    left_s=left,
                )
            )
        except Exception:
            log.exception("experiment %s: whoever watches it failed", order.experiment)

    def _is_over(self, known: CaseRecord, case: Case) -> bool:
        """Whether nothing is to be run or asked of a case that is judged."""
        if self.order.is_retrying and (
            known.status == "failed" or any(s.value is None for s in known.scores)
        ):
            return False
        return not self._marker.missing(case, _known_of(known))

    async def _judged(self, place: Place, case: Case, known: CaseRecord | None) -> tuple[CaseRecord, Ended]:
        """The case as it is judged now, and its run."""
        order = self.order
        is_known = known is not None and (known.status == "completed" or not order.is_retrying)
        if known is not None and known.status == "completed":
            # The run that was judged, whichever has come about since.
            ended = self._runs.ended(known.run_id)
        else:
            ended = await self._runs.run(place, order.inputs[case.id])
        said = _known_of(known, is_retrying=order.is_retrying) if known is not None and is_known else None
        marks = await (
            self._marker.marks(place, case, ended)
            if said is None
            else self._marker.marks(place, case, ended, known=said)
        )
        if case.id not in self._metadata:
            self._metadata[case.id] = json_of(case.metadata)
        record = record_of(
            order.experiment,
            place,
            case,
            ended,
            marks,
            number=order.numbers.get(case.id, 0),
            metadata=self._metadata[case.id] if order.repeats > 1 else self._metadata.pop(case.id),
        )
        return record, ended

    def _count(self, record: CaseRecord, known: CaseRecord | None, ended: Ended) -> None:
        """What this part of the experiment has used: not the run that was there, nor verdicts that were."""
        self._new += 1
        before = Totals() if known is None else known.judging
        cost = record.judging.cost - before.cost
        judging = Totals(cost=cost, is_cost_complete=record.judging.is_cost_complete)
        ran = record.totals if ended.paid is None else ended.paid
        self._spent = summed((self._spent, Totals() if ended.is_reused else ran, judging))

    async def _trusted(self, bound: Bound, measure: MeasureAgreement) -> _Trusted:
        """How far a judge agrees with labelled cases, or why its metric is withheld."""
        order, judged = self.order, bound.judged
        if judged is None or bound.spec is None or not self._marker.judgements[bound.name]:
            return _Trusted()
        served = trusting.served_in(
            order.app.ledger, order.experiment, bound.name, also=self._judges[bound.name].served
        )
        if judged.labelled is None:
            return _Trusted(withheld=trusting.withheld_without_labels(served), served=served)

        def tell(progress: Progress) -> None:
            if order.on_progress is not None:
                order.on_progress(
                    Progress(progress.experiment, progress.done, progress.total, progress.row, bound.name)
                )

        measured = await measure(
            order,
            judged,
            name=f"agreement of {bound.name}",
            experiment=trusting.experiment_of(judged, bound.spec, served),
            on_progress=tell,
        )
        said = trusting.said_of(judged.labelled, measured, is_of_pairs=trusting.is_of_pairs(bound.spec))
        models = trusting.served_by(order.app.ledger, [row.run_id for row in measured.rows])
        agreement = agreement_of(said, models=models, experiment=measured.id)
        used = summed(row.totals for row in measured.rows if not row.is_reused)
        return _Trusted(agreement, trusting.withheld_for_others(served, models), served, used)

    def _warnings(self) -> Iterator[str]:
        """What a reader of the result has to know."""
        order = self.order
        if self._other_code:
            yield (
                f"{self._other_code} of {order.total} cases began with other code of {order.spec.entry}: "
                "begin a new experiment to judge the code as it is"
            )
        if self.stopped:
            yield self.stopped


def _known_of(record: CaseRecord, *, is_retrying: bool = False) -> Known:
    """What is known of a case; failures are not, where they are asked for again."""
    scores: Sequence[ScoreRecord] = record.scores
    kept = {each.metric: each for each in scores if not (is_retrying and each.value is None)}
    return Known(kept, record.judging)


def refuse_unfit(order: Order) -> None:
    """Raise `InvalidInput` for labelled cases that do not fit their judge, and for names that cannot be kept."""
    for case in order.cases if order.is_kept else ():
        check_name(case.id, "the id of a case")
    for bound in order.scorers:
        check_name(bound.name, "the name of a metric", most=LONGEST_METRIC)
    for bound in order.scorers:
        if bound.spec is not None and bound.judged is not None and bound.judged.labelled is not None:
            ordering.checked(bound.spec, trusting.labelled_of(bound.judged).cases)
    if order.repeats < 1:
        raise InvalidInput(f"repeats={order.repeats}: run each case at least once")
