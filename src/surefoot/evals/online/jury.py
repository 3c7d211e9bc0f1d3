"""The scorers of a sample at work on recorded runs: what is read, what is said of it, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from surefoot import ledger
from surefoot.errors import InvalidInput, ScorerUnavailable
from surefoot.evals import run_tags
from surefoot.evals.datasets import Case
from surefoot.evals.experiments.keeping import Keeper, json_of, record_of, row_of
from surefoot.evals.experiments.marking import Marker
from surefoot.evals.experiments.recorded import Ended, Making, Threads
from surefoot.evals.experiments.results import Row
from surefoot.evals.online.keyed import KeyedRuns
from surefoot.evals.online.sample import Sample, day_ns
from surefoot.evals.scoring.binding import Bound, bind, columns_of
from surefoot.evals.scoring.digests import digest_of
from surefoot.flows import Host
from surefoot.ledger import Evaluations, ExperimentRecord, Ledger, RunRecord


@dataclass(frozen=True, slots=True)
class Read:
    """A run as it was asked and what it answered, exactly: in memory, to be scored, and kept nowhere."""

    run: RunRecord
    case: Case
    ended: Ended


def read(store: Ledger, run: RunRecord) -> Read:
    """A completed run. Raises `NotRestored`, `RunPruned` and `LedgerError`."""
    given = ledger.decode(store.exact(run.id, store.start(run.id).inputs))
    end = store.end(run.id)
    output: object = None if end is None else ledger.decode(store.exact(run.id, end.output))
    metadata: dict[str, object] = {**run.tags, **({"tenant": run.tenant} if run.tenant else {})}
    case = Case(run.id, given["inputs"], metadata=metadata, place=f"run {run.id}")
    return Read(run, case, Ended.of(run, output, is_reused=True))


class Jury:
    """The scorers of a sample, bound to what its runs are asked with."""

    def __init__(self, app: Host, sample: Sample, threads: Threads) -> None:
        self._app = app
        self._sample = sample
        self._threads = threads
        self._evaluations = Evaluations(app.ledger)
        self._keeper = Keeper(app.ledger, sample.experiment)
        self._columns: frozenset[str] = frozenset()
        self._bound: list[Bound] = []
        self._marker: Marker | None = None

    def known(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these runs are scored."""
        return self._evaluations.among(self._sample.experiment, run_ids)

    def bind(self, found: Iterable[Read]) -> None:
        """Make the scorers ready for these runs; anew where some were asked with inputs that none before them had.

        The first time it records that the experiment begins. Raises `InvalidInput` where a scorer takes what nothing
        fills, none can apply, or the experiment is one of another flow.
        """
        columns = frozenset(columns_of(each.case for each in found))
        if self._marker is not None and columns <= self._columns:
            return
        self._columns |= columns
        sample = self._sample
        self._bound = bind(sample.scorers, sample.reads, columns=sorted(self._columns))
        digests = {each.name: digest_of(each) for each in self._bound}
        if all(map(_why_never, self._bound)):
            raise InvalidInput(
                f"online.{sample.name}: no scorer applies to runs of production: {'; '.join(self.warnings())}"
            )
        if self._marker is None:
            self._begin(digests)
        judges = {
            each.name: KeyedRuns(self._app, each.flow, self._making(each, digests), self._threads)
            for each in self._bound
            if each.flow is not None
        }
        self._marker = Marker(
            self._app,
            self._bound,
            reads=sample.reads,
            digests=digests,
            judges=judges,
            threads=self._threads,
        )

    async def score(self, given: Read) -> Row:
        """Score a run and keep what was said.

        Raises `RunBusy` while another process judges it, and `ScorerUnavailable` where a judge cannot be asked now:
        then nothing is kept, and what other judges have said is not paid again.
        """
        assert self._marker is not None  # noqa: S101  (bound before)
        run, case = given.run, given.case
        place = (run.id, 1)
        marks = await self._marker.marks(place, case, given.ended)
        if marks.outage:
            raise ScorerUnavailable(marks.outage)
        record = record_of(
            *(self._sample.experiment, place, case, given.ended, marks),
            number=0,
            metadata=json_of(case.metadata),
        )
        # A trend of production tells when users were served, not when somebody came to look.
        record = replace(record, tenant=run.tenant, scored_ns=run.ended_ns or 0)
        await self._keeper.keep(record)
        return row_of(record, is_reused=True)

    async def settle(self) -> None:
        """Wait until all is durable."""
        await self._keeper.settle()

    def why_not(self) -> str:
        """Why judges may not be asked any more today; empty where they may."""
        limit = self._sample.max_cost
        if limit is None or all(bound.flow is None for bound in self._bound):
            return ""
        spent, is_complete = self._evaluations.spent(self._sample.experiment, since_ns=day_ns())
        if spent.nanos >= limit.nanos:
            return f"judging has cost {spent} today (UTC), and may cost {limit} a day"
        if not is_complete:
            return "the price of some calls of judges is not known, so that max_cost cannot be held to: set [prices]"
        return ""

    def warnings(self) -> Iterator[str]:
        """The scorers that say nothing of production, and why."""
        return (f"{bound.name} {why}" for bound in self._bound if (why := _why_never(bound)))

    def _making(self, bound: Bound, digests: dict[str, str]) -> Making:
        tags = {
            run_tags.EXPERIMENT: self._sample.experiment,
            run_tags.SCORER: bound.name,
            run_tags.SCORER_DIGEST: digests[bound.name],
        }
        return Making(tags, {})

    def _begin(self, digests: dict[str, str]) -> None:
        sample = self._sample
        stands = self._keeper.begin(
            ExperimentRecord(
                sample.experiment,
                "online",
                sample.name,
                sample.flow,
                flow_version="",
                code_digest="",
                dataset="production",
                dataset_version="",
                dataset_size=0,
                cases=0,
                settings={"scorers": dict(digests), "sample": sample.share},
            )
        )
        if (stands.kind, stands.flow) != ("online", sample.flow):
            raise InvalidInput(
                f"experiment {stands.id} is one of {stands.flow} ({stands.kind}), and online.{sample.name} is of "
                f"{sample.flow}: give it another name"
            )


def _why_never(bound: Bound) -> str:
    """Why a scorer never says anything of a run of production; empty where it may."""
    if bound.is_of_experiment:
        return "is of a whole experiment, and one of production has no end"
    if bound.parameters.needs_expected:
        return "compares with an expected output, which runs of production do not have"
    return ""
