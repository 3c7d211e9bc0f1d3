"""Comparing: two experiments paired by case, with what can be said of their difference and what cannot."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from surefoot.errors import InvalidInput
from surefoot.evals.comparing.comparison import Arm, Comparison, Contrast, Slice
from surefoot.evals.comparing.contrasting import Measured, draft, finished
from surefoot.evals.comparing.correcting import NO_JUDGE, judge_of
from surefoot.evals.comparing.moving import moved
from surefoot.evals.comparing.pairing import Pairing, Scale, column, pair, scale_of
from surefoot.evals.comparing.slicing import cuts
from surefoot.evals.comparing.spending import ratios
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.statistics import Direction

MARGIN = 0.02
"""The difference of a metric between 0 and 1 that does not matter, where none is given: two points."""

MIN_SLICE = 10
"""Pairs below which a slice is not compared, where no number is given."""

_UNMEASURED = Scale("mean", 0.0, 1.0, is_unit=True)


def compare(
    candidate: Experiment,
    baseline: Experiment,
    *,
    margins: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    slices: Sequence[str] = (),
    directions: Mapping[str, Direction] | None = None,
    default_margin: float | None = None,
    min_slice: int | Mapping[str, int] = MIN_SLICE,
    counts_failures: bool = True,
    seed: int = 0,
) -> Comparison:
    """Compare two experiments, paired by case; each case counts once, its repeats averaged.

    margins: by metric, the difference that does not matter, in the metric's unit. For others it is `default_margin`, or
        0.02 for those between 0 and 1; without a margin no metric is called equivalent.
    alpha: intervals are at 1 - alpha, and effects are told at this level over all metrics and slices together (Holm).
    slices: keys of the cases' metadata; each value with `min_slice` pairs or more (a number, or one for each key) is
        compared, too.
    directions: by metric, which way it gets better, where its scorer does not say so.
    counts_failures: a row without a score counts as the worst that there is, in both arms: 0, or 1 for metrics that are
        better when lower, and beyond 0 to 1 the worst value seen. Else it is left out, and only coverage tells of it.
    seed: of the bootstrap and the permutations; equal inputs give equal numbers.

    Raises:
        InvalidInput: the two are one, have no case in common, or something is named that neither has.
        MissingExtra: numpy is not there.
    """
    names = _metrics(candidate, baseline)
    _check(names, {"margins": margins or {}, "directions": directions or {}}, alpha)
    pairing = pair(candidate, baseline)
    measured = [
        _measured(
            name,
            (candidate, baseline),
            pairing,
            direction=(directions or {}).get(name),
            margin=(margins or {}).get(name, default_margin),
            counts_failures=counts_failures,
            alpha=alpha,
        )
        for name in names
    ]
    least = {
        key: min_slice if isinstance(min_slice, int) else min_slice.get(key, MIN_SLICE) for key in slices
    }
    cut = [one for key in slices for one in cuts(pairing, key)]
    large = [one for one in cut if len(one.cases) >= least[one.key]]
    drafts = [draft(each) for each in measured]
    for one in large:
        drafts += [draft(each, name=one.name, within=one.cases) for each in measured]
    contrasts = finished(drafts, alpha=alpha, seed=seed)
    of_slice: dict[str, list[Contrast]] = {}
    for each in contrasts:
        of_slice.setdefault(each.slice, []).append(each)
    better, worse = moved(pairing, measured)
    return Comparison(
        candidate=_arm(candidate),
        baseline=_arm(baseline),
        alpha=alpha,
        pairs=len(pairing.common),
        contrasts=tuple(of_slice.get("", ())),
        slices=tuple(
            Slice(
                one.key, one.value, len(one.cases), tuple(of_slice.get(one.name, ())) if one in large else ()
            )
            for one in cut
        ),
        ratios=tuple(ratios(pairing, alpha=alpha, seed=seed)),
        better=tuple(better),
        worse=tuple(worse),
        only_candidate=pairing.only_candidate,
        only_baseline=pairing.only_baseline,
        warnings=tuple(_warnings(candidate, baseline, of_slice.get("", ()), pairing)),
    )


def _metrics(candidate: Experiment, baseline: Experiment) -> list[str]:
    """The metrics of either, in the order of the candidate."""
    return list(dict.fromkeys(metric.name for each in (candidate, baseline) for metric in each.metrics))


def _check(names: Sequence[str], given: Mapping[str, Mapping[str, object]], alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha is {alpha}: give a share between 0 and 1, as in 0.05")
    for what, by_metric in given.items():
        for name in by_metric:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
                raise InvalidInput(f"{what} names the metric {name!r}, which neither experiment has; {hint}")


def _measured(
    name: str,
    arms: tuple[Experiment, Experiment],
    pairing: Pairing,
    *,
    direction: Direction | None,
    margin: float | None,
    counts_failures: bool,
    alpha: float,
) -> Measured:
    omitted = next(iter(_reasons_to_omit(name, arms)), "")
    cases = (pairing.candidate, pairing.baseline)
    found = [metric for each in arms for metric in each.metrics if metric.name == name]
    direction = direction or found[0].direction
    scale, judge = _UNMEASURED, NO_JUDGE
    if not omitted:
        try:
            scale = scale_of(name, cases, direction, found[0].about.range)
            judge = judge_of(found[0], found[1], kind=scale.kind, alpha=alpha)
            omitted = judge.why if judge.is_guessing else ""
        except InvalidInput as error:
            omitted = str(error)
    columns = [
        column(name, {} if omitted else each, scale, counts_failures=counts_failures) for each in cases
    ]
    if margin is None:
        margin = MARGIN if scale.is_unit else 0.0
    return Measured(name, direction, scale, columns[0], columns[1], margin, omitted, judge)


def _reasons_to_omit(name: str, arms: tuple[Experiment, Experiment]) -> Iterator[str]:
    for which, each in zip(("candidate", "baseline"), arms, strict=True):
        metric = next((one for one in each.metrics if one.name == name), None)
        if metric is None:
            yield f"the {which} was not scored by it"
        elif metric.withheld:
            yield f"it is withheld in the {which}: {metric.withheld}"
        elif metric.scope == "experiment":
            yield "it is one score of the whole experiment, so that there are no cases to pair"


def _arm(experiment: Experiment) -> Arm:
    return Arm(
        id=experiment.id,
        name=experiment.name,
        flow=experiment.flow,
        flow_version=experiment.flow_version,
        dataset=experiment.dataset,
        dataset_version=experiment.dataset_version,
        cases=len({row.case for row in experiment.rows}),
        rows=len(experiment.rows),
        failed=len(experiment.failed),
        repeats=experiment.repeats,
        prompts=dict(experiment.prompts),
        changes=experiment.changes,
        stopped=experiment.stopped,
    )


def _warnings(
    candidate: Experiment, baseline: Experiment, contrasts: Sequence[Contrast], pairing: Pairing
) -> Iterator[str]:
    """What a reader has to know before the figures are believed."""
    alone = (len(pairing.only_candidate), len(pairing.only_baseline))
    if candidate.dataset != baseline.dataset:
        yield (
            f"the datasets differ ({candidate.dataset} and {baseline.dataset}): cases are paired by their ids alone"
        )
    elif candidate.dataset_version != baseline.dataset_version:
        yield (
            f"the versions of {candidate.dataset} differ ({candidate.dataset_version} and "
            f"{baseline.dataset_version}): what both have is paired, and a case may have changed under its id"
        )
    if candidate.repeats != baseline.repeats:
        yield (
            f"the candidate ran each case {candidate.repeats} times and the baseline {baseline.repeats}: each is "
            "averaged"
        )
    for each in contrasts:
        # Where a case is in one arm alone, that is told once.
        if each.only_candidate > alone[0] or each.only_baseline > alone[1]:
            yield (
                f"{each.metric} applies to {each.only_candidate} cases in the candidate alone and to "
                f"{each.only_baseline} in the baseline alone, which are in neither level of the pairs"
            )
    yield from _other_scorers(candidate, baseline)
    for which, experiment in (("candidate", candidate), ("baseline", baseline)):
        if experiment.stopped:
            yield f"the {which} is not complete: {experiment.stopped}"
        for metric in experiment.metrics:
            # Where that is shown, the metric is not compared, and says so itself.
            is_told = any(each.metric == metric.name and each.omitted for each in contrasts)
            if metric.agreement is None or metric.withheld or is_told:
                continue
            if metric.agreement.is_near_chance:
                yield f"the judge of {metric.name} in the {which} {metric.agreement}"


def _other_scorers(candidate: Experiment, baseline: Experiment) -> Iterator[str]:
    """Metrics of which the scorer, or who answered its judge, is not the same in both arms."""
    theirs = {metric.name: metric.about for metric in baseline.metrics}
    for metric in candidate.metrics:
        ours, other = metric.about, theirs.get(metric.name)
        if other is None:
            continue
        if ours.scorer and other.scorer and ours.scorer != other.scorer:
            yield (
                f"{metric.name} is not by the same scorer in both arms ({other.scorer} in the baseline, {ours.scorer} "
                "in the candidate): a difference may be the scorer's; go on with either by `--experiment`, which asks "
                "the scorer that has changed anew"
            )
        elif ours.models and other.models and ours.models != other.models:
            yield (
                f"{metric.name} was judged by {', '.join(other.models)} in the baseline and by "
                f"{', '.join(ours.models)} in the candidate: a difference may be the judge's"
            )
