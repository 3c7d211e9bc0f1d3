"""A candidate and what is in production, run interleaved on the same cases, as two experiments to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from surefoot import flows
from surefoot.errors import InvalidInput, PromptError, UnknownExperiment, UnknownPrompt
from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments import loading
from surefoot.evals.experiments.options import EvaluateOptions
from surefoot.evals.experiments.ordering import LAST, Order
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.experiments.running import conduct, order_of, resolved
from surefoot.evals.ids import BASELINE, CANDIDATE, MARK, meant
from surefoot.evals.scoring.binding import Scorer
from surefoot.flows import AnyFlow, Change
from surefoot.flows.sources import digest_of
from surefoot.ledger import Evaluations, ExperimentRecord, Totals
from surefoot.prompts import Library, library
from surefoot.values import new_id


@dataclass(frozen=True, slots=True)
class Pair:
    """Two experiments over the same cases. `warnings` are what a reader of their comparison has to know beside it."""

    candidate: Experiment
    baseline: Experiment
    warnings: tuple[str, ...] = ()

    @property
    def is_run_together(self) -> bool:
        """Whether the baseline was run for this comparison, and is none that was there before."""
        return self.baseline.id == f"{self.candidate.id.rpartition(MARK)[0]}{MARK}{BASELINE}"

    @property
    def judging(self) -> Totals:
        """What the judges have used, in the baseline where it was run for this."""
        return self.candidate.judging + (self.baseline.judging if self.is_run_together else Totals())

    @property
    def spent(self) -> Totals:
        """What the two and their judges have used; a baseline that was there before has cost nothing more."""
        runs = self.candidate.totals + (self.baseline.totals if self.is_run_together else Totals())
        return runs + self.judging


@dataclass(frozen=True, slots=True)
class Arms:
    """What is different in the runs of the candidate, and in those of the baseline."""

    candidate: tuple[Change, ...]
    baseline: tuple[Change, ...]


async def evaluate_against(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    against: str = "production",
    **options: Unpack[EvaluateOptions],
) -> Pair:
    """Evaluate a candidate and its baseline on the same cases.

    The candidate is the working tree: the newest version of each prompt in its files. With `changes` it is the baseline
    with these alone. The code of the flow is that of the working tree in both.

    against: a label of prompts: the baseline has every prompt as the label points, and both are run interleaved. Or an
        experiment by its id or the beginning of it, which the candidate is compared with as it was.
    experiment: goes on with a pair, or begins it under this id; its two experiments are `ID#candidate` and
        `ID#baseline`.

    The rest is as in `evaluate`. Raises what that raises, and `InvalidInput` where nothing differs: nothing is spent
    then.
    """
    experiment, changes = options.get("experiment"), options.get("changes", ())
    base = _base(flow, dataset, experiment, options.get("columns"))

    def order(arm: str, theirs: Sequence[Change]) -> Order:
        own: EvaluateOptions = {**options, "experiment": f"{base}{MARK}{arm}", "changes": theirs}
        found = order_of(flow, dataset, scorers, arm=arm, **own)
        return found if experiment else replace(found, is_new=True)

    known = library()
    recorded = _recorded(against, known)
    spec = flows.find_spec(flow)[1]
    if recorded is None:
        arms = arms_of(known, against, resolved(spec, changes))
        both = [order(CANDIDATE, arms.candidate), order(BASELINE, arms.baseline)]
        candidate, baseline = await conduct(both)
        return Pair(candidate, baseline, _unused(candidate, arms))
    candidate_order = order(CANDIDATE, resolved(spec, changes))
    _refuse_other(candidate_order, recorded)
    baseline = loading.opened(recorded, Evaluations(candidate_order.app.ledger))
    if not changes:
        _refuse_same(candidate_order, recorded, baseline, known)
    [candidate] = await conduct([candidate_order])
    return Pair(candidate, baseline, _unused(candidate, Arms(candidate_order.changes, ())))


def _base(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    experiment: str | None,
    columns: Mapping[str, str] | None,
) -> str:
    """What the ids of both begin with: those of a pair that is gone on with, or new ones."""
    if not experiment:
        return new_id()
    evaluations = Evaluations(flows.host().ledger)
    if experiment != LAST:
        return meant(experiment.partition(MARK)[0], evaluations)
    found, spec = flows.find_spec(flow)
    data = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset, flow=found, columns=columns)
    every = evaluations.experiments(flow=spec.name, dataset_version=data.version, limit=None)
    newest = next((each for each in every if each.settings.get("arm") == CANDIDATE), None)
    if newest is None:
        raise InvalidInput(
            f"no two experiments of {spec.name} over this version of {data.name} ({data.version}) were run against "
            "each other: begin without an experiment's id"
        )
    return newest.id.partition(MARK)[0]


def arms_of(known: Library, label: str, changes: Sequence[Change]) -> Arms:
    """The two arms of a comparison with a label. Raises `InvalidInput` where nothing differs between them."""
    labelled = {each.name: each.digest for each in known.versions() if label in each.labels}
    if not labelled and not changes:
        raise InvalidInput(
            f"no prompt has the label {label!r}, and no experiment is called so: `surefoot promote PROMPT {label}` "
            "sets it, or name an experiment by its id"
        )
    newest = [Change("prompt", name, digest) for name, digest in newest_in_files(known).items()]
    ours = list(changes) or [change for change in newest if change.name in labelled]
    different = [change for change in ours if _differs(change, _meant(change.name, labelled, known))]
    if not different:
        same = ", ".join(f"{name}@{digest[:8]}" for name, digest in sorted(labelled.items()))
        raise InvalidInput(
            f"nothing differs between the candidate and {label} ({same}), so nothing was run: change a prompt's file, "
            "or say what is different, as in --change prompt:NAME@VERSION or --change model:MODEL=OTHER"
        )
    touched = {change.name for change in different if change.kind == "prompt"}
    theirs = [Change("prompt", name, digest) for name, digest in labelled.items() if name in touched]
    return Arms(tuple(different), tuple(theirs))


def newest_in_files(known: Library) -> dict[str, str]:
    """The newest version of each prompt in files, name to digest."""
    # They come by name, then by version.
    return {prompt.name: prompt.digest for prompt in known.prompts()}


def _meant(name: str, labelled: Mapping[str, str], known: Library) -> str | None:
    """What a prompt means in the baseline, by its digest: where the label points, else what a bare reference means."""
    if name in labelled:
        return labelled[name]
    try:
        return known.find(name).digest
    except (UnknownPrompt, PromptError):
        return None


def _differs(change: Change, meant: str | None) -> bool:
    return change.to != (change.name if change.kind != "prompt" else meant)


def is_recorded(against: str) -> bool:
    """Whether an experiment of the current app is meant, which is not run again, and no label of prompts."""
    return _recorded(against, library()) is not None


def _recorded(against: str, known: Library) -> ExperimentRecord | None:
    """The experiment that is meant, if one is; None for a label of prompts."""
    if any(against in each.labels for each in known.versions()):
        return None
    try:
        return Evaluations(flows.host().ledger).experiment(against)
    except UnknownExperiment:
        return None


def _refuse_other(order: Order, baseline: ExperimentRecord) -> None:
    """Raise `InvalidInput` for a baseline over other cases, before anything is spent."""
    if baseline.flow != order.spec.name or baseline.dataset_version != order.dataset.version:
        raise InvalidInput(
            f"experiment {baseline.id} is of {baseline.flow} over {baseline.dataset} {baseline.dataset_version}, and "
            f"this is {order.spec.name} over {order.dataset.name} {order.dataset.version}: nothing could be paired. "
            "Name an experiment of the same flow and dataset, or a label"
        )


def _refuse_same(order: Order, record: ExperimentRecord, baseline: Experiment, known: Library) -> None:
    """Raise `InvalidInput` where the working tree is what the baseline was: it would measure chance alone."""
    meant = {prompt.name for prompt in known.prompts()} & baseline.prompts.keys()
    same_prompts = all(known.find(name).digest == baseline.prompts[name] for name in meant)
    if same_prompts and not baseline.changes and record.code_digest == digest_of(order.spec.entry) != "":
        raise InvalidInput(
            f"nothing differs between the working tree and experiment {record.id}: neither the code of {record.flow} "
            "nor its prompts have changed, so nothing was run. To measure how far chance goes, use --repeats"
        )


def _unused(candidate: Experiment, arms: Arms) -> tuple[str, ...]:
    """Changed prompts that no run has asked for: they cannot have made a difference."""
    touched = [change.name for change in arms.candidate if change.kind == "prompt"]
    used = _used(candidate) if touched else set[str]()
    unused = [name for name in touched if name not in used]
    return tuple(
        f"no run has used the prompt {name!r}, which is different in the candidate" for name in unused
    )


def _used(candidate: Experiment) -> set[str]:
    evaluations = Evaluations(flows.host().ledger)
    return set(evaluations.prompts(replace(evaluations.experiment(candidate.id), prompts={})))
