"""The runs of a backtest: the forks of recorded runs, and these themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from surefoot.evals.backtesting.reuse import Reuse, whole
from surefoot.evals.experiments.ordering import Order
from surefoot.evals.experiments.recorded import Ended, Place, Runs, Threads
from surefoot.evals.run_tags import CASE
from surefoot.flows import AnyFlow, Logic, Options, Target
from surefoot.flows.changes import Changes
from surefoot.flows.forking import planned
from surefoot.ledger import RunRecord
from surefoot.values import RunTags


class Originals(Runs):
    """Recorded runs as they are: nothing is run."""

    def __init__(self, order: Order, threads: Threads, runs: Mapping[str, RunRecord]) -> None:
        super().__init__(
            order.app, order.flow, replace(order.making, is_new=True, is_retrying=False), threads
        )
        self._known = {(case, 1): run for case, run in runs.items()}
        self._ledger = order.app.ledger

    @property
    def known(self) -> Mapping[Place, RunRecord]:
        """None of them was made for the experiment."""
        return {}

    def of_other_code(self) -> int:
        """They are what they are, whichever code they began with."""
        return 0

    async def run(self, place: Place, inputs: Mapping[str, object]) -> Ended:
        """The recorded run, which may have failed."""
        return self._with_children(await super().run(place, inputs))

    def ended(self, run_id: str) -> Ended:
        """See `Runs.ended`."""
        return self._with_children(super().ended(run_id))

    def _with_children(self, ended: Ended) -> Ended:
        return replace(ended, totals=whole(self._ledger, ended.run_id))


class Forks(Runs):
    """A fork of each recorded run."""

    def __init__(
        self, order: Order, threads: Threads, runs: Mapping[str, RunRecord], changes: Changes
    ) -> None:
        super().__init__(order.app, order.flow, order.making, threads)
        self.reuse: dict[str, Reuse] = {}
        """What forks took and made, by the fork's id."""
        self._ledger = order.app.ledger
        self._origins = runs
        self._changes = changes
        self._tags = order.tags

    async def run(self, place: Place, inputs: Mapping[str, object]) -> Ended:
        """The fork of a run, made or gone on with."""
        return self._told(await super().run(place, inputs), place[0])

    def ended(self, run_id: str) -> Ended:
        """See `Runs.ended`."""
        ended = super().ended(run_id)
        return self._told(ended, self._ledger.run(run_id).tags[CASE])

    def fresh(
        self,
        flow: AnyFlow,
        place: Place,
        target: Callable[[], Target],  # noqa: ARG002  (its inputs are those of the recorded run)
        options: Options,
    ) -> Logic[object]:
        """The fork of a run from its beginning."""
        origin = self._origins[place[0]]
        labels = RunTags(origin.tenant, origin.principal, origin.session, {**self._tags, CASE: place[0]})
        return planned(
            *(self._app, origin, flow, self._changes),
            options=replace(options, tags=labels),
        ).logic()

    def _built(self) -> AnyFlow:
        """A workflow is made as the recorded one was, each time anew."""
        return self.flow

    def _told(self, ended: Ended, origin: str) -> Ended:
        """With what it would have used as a run of its own; how long that would have taken nobody knows."""
        reuse = self.reuse[ended.run_id] = Reuse.of(self._ledger, ended.run_id, origin)
        is_whole = not reuse.taken.steps and not reuse.taken.calls
        return replace(
            ended,
            totals=reuse.as_if_whole,
            latency_ns=ended.latency_ns if is_whole else None,
            paid=reuse.made,
        )
