"""What is to be evaluated: checked before anything runs, and told from other experiments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from surefoot import flows
from surefoot.errors import InvalidInput, RunBusy
from surefoot.evals import ids, run_tags
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.experiments.recorded import Making, Place, Runs, Threads
from surefoot.evals.experiments.results import Row
from surefoot.evals.scoring.binding import Bound
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import AnyFlow, Change, FlowSpec, Host
from surefoot.flows.sources import digest_of
from surefoot.ledger import (
    Evaluations,
    ExperimentKind,
    ExperimentRecord,
    RunRecord,
    identity,
    is_provably_gone,
    this_process,
)
from surefoot.values import Json, Money, new_id

LAST = "last"
_MOST_MISTAKES = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """That `done` of `total` rows are judged, the last of them as `row` says (None at the start).

    `total` counts the repeats of cases. `judge` names the judge whose labelled cases these are; empty for the cases of
    the evaluation itself. `arm` tells the two experiments of a comparison apart (`candidate`, `baseline`). `spent` is
    what this part of the experiment has cost so far, judges included, without calls whose price is not known
    (`is_cost_complete`). `left_s` is how many seconds it takes still at the pace so far, None at the start.
    """

    experiment: str
    done: int
    total: int
    row: Row | None = None
    judge: str = ""
    arm: str = ""
    spent: Money = Money(0)
    is_cost_complete: bool = True
    left_s: float | None = None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be evaluated, checked. `is_new`: nothing of it can be recorded yet."""

    app: Host
    flow: AnyFlow
    spec: FlowSpec
    dataset: Dataset
    cases: tuple[Case, ...]
    inputs: Mapping[str, Mapping[str, object]]
    scorers: list[Bound]
    reads: Mapping[str, Reader]
    settings: Mapping[str, object]
    name: str
    experiment: str
    concurrency: int
    is_retrying: bool
    allows_effects: bool
    on_progress: OnProgress | None
    is_new: bool = False
    repeats: int = 1
    changes: tuple[Change, ...] = ()
    max_cost: Money | None = None
    arm: str = ""
    is_kept: bool = True
    """Whether it is an experiment of its own in the ledger: a judge's labelled cases are a part of others."""
    numbers: Mapping[str, int] = field(default_factory=dict[str, int])
    """Where each case stands in the dataset, from 0."""
    kind: ExperimentKind = "eval"
    runs: Callable[[Order, Threads], Runs] | None = None
    """Where the runs of its cases come from, if they are not made of the cases' inputs."""
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is known of its prompts beside what changes say, name to digest."""
    more: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Settings that are recorded with it, beside those that all have."""

    @property
    def settings_digest(self) -> str:
        """What its runs are made with, beside the code: empty for nothing."""
        # Scores of runs with effects and of runs without are not to be mixed.
        settings = {**self.settings, **({"allow_effects": True} if self.allows_effects else {})}
        return identity(settings, name="init").hex()[:16] if settings else ""

    @property
    def tags(self) -> dict[str, str]:
        """What each run of a case is recorded with."""
        tags = {run_tags.EXPERIMENT: self.experiment, run_tags.DATASET: self.dataset.version}
        if digest := self.settings_digest:
            tags[run_tags.SETTINGS] = digest
        if self.name:
            tags[run_tags.NAME] = self.name
        return tags

    @property
    def making(self) -> Making:
        """How the runs of its cases are made."""
        return Making(
            self.tags,
            self.settings,
            self.changes,
            is_new=self.is_new,
            is_retrying=self.is_retrying,
            allows_effects=self.allows_effects,
        )

    def judging(self, bound: Bound, digest: str) -> Making:
        """How the runs of a judge are made."""
        tags = {
            run_tags.EXPERIMENT: self.experiment,
            run_tags.SCORER: bound.name,
            run_tags.SCORER_DIGEST: digest,
        }
        return Making(
            tags,
            {},
            is_new=self.is_new,
            is_retrying=self.is_retrying,
            allows_effects=self.allows_effects,
        )

    @property
    def places(self) -> Iterator[tuple[Place, Case]]:
        """Every case once, then every case again for its next repeat."""
        for repeat in range(1, self.repeats + 1):
            for case in self.cases:
                yield (case.id, repeat), case

    @property
    def total(self) -> int:
        return len(self.cases) * self.repeats

    def record(self, digests: Mapping[str, str]) -> ExperimentRecord:
        """The experiment as it is begun."""
        settings: dict[str, Json] = {
            "init": self.settings_digest,
            "allow_effects": self.allows_effects,
            "changes": [str(change) for change in self.changes],
            "scorers": dict(digests),
            **self.more,
        }
        if self.arm:
            settings["arm"] = self.arm
        return ExperimentRecord(
            self.experiment,
            self.kind,
            self.name,
            self.spec.name,
            self.spec.version,
            digest_of(self.spec.entry),
            self.dataset.name,
            self.dataset.version,
            len(self.dataset),
            len(self.cases),
            self.repeats,
            prompts={
                **self.prompts,
                **{change.name: change.to for change in self.changes if change.kind == "prompt"},
            },
            settings=settings,
        )


def checked(spec: FlowSpec, cases: Sequence[Case]) -> dict[str, Mapping[str, object]]:
    """The inputs of each case by the flow's signature. Raises `InvalidInput` with the first mistakes."""
    inputs: dict[str, Mapping[str, object]] = {}
    mistakes: list[str] = []
    for case in cases:
        try:
            inputs[case.id] = flows.checked(spec, case.inputs)
        except InvalidInput as error:
            mistakes.append(f"{case.label}: {error}")
    if mistakes:
        shown = "\n".join(mistakes[:_MOST_MISTAKES])
        more = f"\nand {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
        raise InvalidInput(f"{shown}{more}\nNothing was run: mend the dataset, or map other columns.")
    return inputs


def meant(app: Host, spec: FlowSpec, dataset: Dataset, experiment: str | None) -> str:
    """The id under which it is evaluated: that of what is gone on with, or a new one."""
    if not experiment:
        return new_id()
    return last(app, spec, dataset) if experiment == LAST else ids.meant(experiment, Evaluations(app.ledger))


def last(app: Host, spec: FlowSpec, dataset: Dataset) -> str:
    """The newest experiment of a flow over a dataset. Raises `InvalidInput` if there is none."""
    found = app.ledger.runs(flow=spec.name, tags={run_tags.DATASET: dataset.version}, limit=1)
    if found:
        return found[0].tags[run_tags.EXPERIMENT]
    others = Evaluations(app.ledger).experiments(flow=spec.name, kind="eval", limit=None)
    edited = next((each for each in others if each.dataset == dataset.name), None)
    if edited is not None:
        raise InvalidInput(
            f"{dataset.name} has changed since experiment {edited.id}: it was begun with version "
            f"{edited.dataset_version}, and the file is {dataset.version} now: put the file back to go on with it, or "
            "begin a new one without an experiment's id"
        )
    raise InvalidInput(
        f"there is no experiment of {spec.name} over this version of {dataset.name} ({dataset.version}) in the "
        "ledger: begin one without an experiment's id"
    )


def refuse_busy(experiment: str, runs: Iterable[RunRecord]) -> None:
    """Raise `RunBusy` while another process is at runs of an experiment: both would pay for the same cases."""
    now_ns = time.time_ns()
    for run in runs:
        owner = run.owner
        if owner is None or run.status != "running" or owner == this_process() or is_provably_gone(owner):
            continue
        if run.lease_until_ns > now_ns:
            raise RunBusy(
                f"experiment {experiment} is being run by process {owner.pid} on {owner.host}: wait for it to end, "
                "or begin another one without an experiment's id"
            )


def refuse_other(order: Order, begun: ExperimentRecord | None, runs: Iterator[RunRecord]) -> None:
    """Raise `InvalidInput` where an experiment would be mixed from different flows, datasets or settings.

    `runs` are those that are recorded of it: one that was begun before experiments were recorded has nothing else.
    """
    wanted = order.record({})
    if begun is not None:
        was, now = begun.settings, wanted.settings
        for what, before, after in (
            ("another flow", begun.flow, wanted.flow),
            ("another version of the dataset", begun.dataset_version, wanted.dataset_version),
            ("other settings", was.get("init") or "none", now["init"] or "none"),
            ("other repeats", begun.repeats, wanted.repeats),
            ("other changes", _texts(was.get("changes")) or "none", _texts(now["changes"]) or "none"),
        ):
            if before != after:
                raise _mixed(order, what, before, after)
        return
    tags = order.tags
    for record in runs:
        for tag, what in (
            (run_tags.DATASET, "another version of the dataset"),
            (run_tags.SETTINGS, "other settings"),
        ):
            if record.tags.get(tag) != tags.get(tag):
                raise _mixed(order, what, record.tags.get(tag) or "none", tags.get(tag) or "none")


def _mixed(order: Order, what: str, before: object, after: object) -> InvalidInput:
    return InvalidInput(
        f"experiment {order.experiment} was begun with {what} ({before}, now {after}): begin a new one, or put back "
        "what has changed"
    )


def _texts(changes: Json) -> str:
    return ", ".join(map(str, changes)) if isinstance(changes, list) else ""
