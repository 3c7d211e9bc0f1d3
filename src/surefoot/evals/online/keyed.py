"""Judges of production: one run for each judgement, whichever process asks for it first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from surefoot import flows
from surefoot.errors import UnknownRun
from surefoot.evals.experiments.recorded import Ended, Making, Place, Runs, Threads, is_outage
from surefoot.evals.run_tags import CASE, SCORER, SCORER_DIGEST
from surefoot.flows import AnyFlow, Host, Logic, Options, Target
from surefoot.ledger import RunRecord
from surefoot.values import RunTags


class KeyedRuns(Runs):
    """The runs of one judge, each under a key made of the experiment, the judge and the run that is judged.

    What is recorded is looked up one by one: an experiment of production has no end.
    """

    def __init__(self, app: Host, flow: AnyFlow, making: Making, threads: Threads) -> None:
        super().__init__(app, flow, replace(making, is_new=True), threads)
        self._ledger = app.ledger
        self._tags = making.tags

    async def run(self, place: Place, inputs: Mapping[str, object]) -> Ended:
        """The judgement, made, gone on with or taken from the record. Raises `RunBusy` where another makes it."""
        self._look_up(place)
        try:
            return await super().run(place, inputs)
        except UnknownRun:
            # Between the look and the beginning somebody else has made it, and it has completed.
            self._look_up(place)
            if place not in self._known:
                raise
            return await super().run(place, inputs)
        finally:
            self.forget(place)

    def fresh(
        self,
        flow: AnyFlow,  # noqa: ARG002  (the target is made of it)
        place: Place,
        target: Callable[[], Target],
        options: Options,
    ) -> Logic[object]:
        """The judgement from its beginning, unless its key is taken by then."""
        labels = RunTags(tags={**self._tags, CASE: place[0]})
        return flows.begin(target(), replace(options, tags=labels, run_key=self._key(place)))

    def _is_over(self, known: RunRecord) -> bool:
        return known.status == "completed" or (known.status == "failed" and not is_outage(known.error or ""))

    def _look_up(self, place: Place) -> None:
        found = self._ledger.runs(flow=self.spec.name, tenant="", run_key=self._key(place), limit=1)
        if found:
            self._known[place] = found[0]

    def _key(self, place: Place) -> str:
        tags = self._tags
        return "/".join((tags["experiment"], tags[SCORER], tags[SCORER_DIGEST], place[0]))
