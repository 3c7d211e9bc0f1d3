"""Which experiments two references mean: an id, its beginning, `last`, a name, or the label of prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from surefoot.errors import InvalidInput, UnknownExperiment
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.ids import counterpart_of, is_baseline
from surefoot.ledger import Evaluations, ExperimentRecord
from surefoot.prompts import Library

LAST = "last"


def candidate(reference: str, evaluations: Evaluations, library: Library) -> ExperimentRecord:
    """The experiment that is judged. `last` is the newest of all, a name the newest of that name; of two that were run
    against each other it is the candidate.

    Raises `UnknownExperiment` and `LedgerError`.
    """
    return _found(reference, evaluations, library, like=None)


def baseline(
    reference: str, evaluations: Evaluations, library: Library, *, like: ExperimentRecord
) -> ExperimentRecord:
    """The experiment that a candidate is held against.

    `last` and a name mean the newest of the candidate's flow beside itself. A label, such as `production`, is the
    newest complete experiment of the same flow and dataset in which every prompt that has the label was the version
    that the label points at now; the same version of the dataset goes before a newer experiment on another one, and the
    one that was run against the candidate before all others.

    Raises `UnknownExperiment` and `LedgerError`.
    """
    return _found(reference, evaluations, library, like=like)


def likeness(found: Experiment) -> ExperimentRecord:
    """What says of an experiment, which may be in another ledger, what its baseline has to be like."""
    return ExperimentRecord(
        id=found.id,
        kind=found.kind,
        name=found.name,
        flow=found.flow,
        flow_version=found.flow_version,
        code_digest="",
        dataset=found.dataset,
        dataset_version=found.dataset_version,
        dataset_size=found.dataset_size,
        cases=found.dataset_size,
        repeats=found.repeats,
        prompts=found.prompts,
    )


def _found(
    reference: str, evaluations: Evaluations, library: Library, *, like: ExperimentRecord | None
) -> ExperimentRecord:
    asked = reference.strip()
    if not asked:
        raise InvalidInput(
            "an experiment is named by its id, its beginning, `last`, a name or a label of prompts"
        )
    if asked == LAST:
        return _newest(evaluations, like, name="")
    found: ExperimentRecord | UnknownExperiment
    try:
        found = evaluations.experiment(asked)
    except UnknownExperiment as error:
        found = error
    if isinstance(found, ExperimentRecord) and found.id == asked:
        return found
    named = _of_name(evaluations, like, asked)
    if named is not None:
        return named
    labelled = labelled_digests(library, asked)
    if labelled:
        return _labelled(asked, labelled, evaluations, like)
    if isinstance(found, UnknownExperiment):
        raise _without(asked, found, library)
    return found


def _newest(evaluations: Evaluations, like: ExperimentRecord | None, *, name: str) -> ExperimentRecord:
    if like is None:
        every = evaluations.experiments(limit=None)
        newest = next((each for each in every if not is_baseline(each)), None)
        # Where there is none it says so.
        return newest or evaluations.experiment(LAST)
    found = _of_name(evaluations, like, name)
    if found is None:
        raise UnknownExperiment(
            f"there is no experiment of {like.flow} on {like.dataset} beside {like.id}: `surefoot eval` makes another"
        )
    return found


def _of_name(evaluations: Evaluations, like: ExperimentRecord | None, name: str) -> ExperimentRecord | None:
    """The newest of a name (any, where it is empty), beside the one that it is compared with."""
    if like is None:
        every = evaluations.experiments(name=name, limit=None)
        return next((each for each in every if not is_baseline(each)), None)
    every = evaluations.experiments(flow=like.flow, name=name, limit=None)
    others = [each for each in every if each.id != like.id and each.dataset == like.dataset]
    return next(iter(_counterpart_first(others, like)), None)


def _counterpart_first(found: list[ExperimentRecord], like: ExperimentRecord) -> list[ExperimentRecord]:
    """The one that was run against the candidate goes before newer ones."""
    counterpart = counterpart_of(like)
    return sorted(found, key=lambda each: each.id != counterpart)


def labelled_digests(library: Library, label: str) -> dict[str, str]:
    """Which version each prompt that has a label is, name to digest."""
    return {each.name: each.digest for each in library.versions() if label in each.labels}


def _labelled(
    label: str, digests: Mapping[str, str], evaluations: Evaluations, like: ExperimentRecord | None
) -> ExperimentRecord:
    every = evaluations.experiments(flow=like.flow if like is not None else "", limit=None)
    fitting = list(_fitting(every, digests, evaluations, like))
    if like is not None:
        same = [each for each in fitting if each.dataset_version == like.dataset_version]
        fitting = _counterpart_first(same or fitting, like)
    if fitting:
        return fitting[0]
    shown = ", ".join(f"{name}@{digest[:8]}" for name, digest in sorted(digests.items()))
    of = f" of {like.flow} on {like.dataset}" if like is not None else ""
    raise UnknownExperiment(
        f"no complete experiment{of} used the prompts that {label} points at ({shown}), so there is nothing to compare "
        f"with: evaluate them first, with `surefoot eval`, or run both with `surefoot eval ... --against {label}`"
    )


def _fitting(
    every: list[ExperimentRecord],
    digests: Mapping[str, str],
    evaluations: Evaluations,
    like: ExperimentRecord | None,
) -> Iterator[ExperimentRecord]:
    for each in every:
        if like is not None and (each.id == like.id or each.dataset != like.dataset):
            continue
        meant = evaluations.prompts(each)
        used = {name: digest for name, digest in meant.items() if name in digests}
        is_same = bool(used) and all(digests[name] == digest for name, digest in used.items())
        if is_same and each.kind != "online" and is_complete(each, evaluations):
            yield each


def is_complete(record: ExperimentRecord, evaluations: Evaluations) -> bool:
    """Whether all cases of an experiment are judged."""
    judged, _ = evaluations.judged(record)
    return judged >= record.cases * record.repeats


def _without(asked: str, unknown: UnknownExperiment, library: Library) -> UnknownExperiment:
    labels = sorted({label for each in library.versions() for label in each.labels})
    there = f"; labels are {', '.join(labels)}" if labels else ""
    return UnknownExperiment(f"{unknown} (nor is {asked!r} the name of one, or a label of a prompt{there})")
