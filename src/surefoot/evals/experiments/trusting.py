"""Whether a judge's metric may be shown: by whom it was answered, and how far it agrees with people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.scores import Score, as_score
from surefoot.evals.scoring.judging import Judged
from surefoot.flows import FlowSpec
from surefoot.flows.sources import digest_of
from surefoot.ledger import Evaluations, Ledger
from surefoot.prompts import Prompty

_EMBEDDED = "local:"


def served_by(ledger: Ledger, run_ids: Iterable[str]) -> tuple[str, ...]:
    """The models that answered the calls of these runs, sorted."""
    calls = (link.outcome.call for run_id in run_ids for link in ledger.history(run_id))
    return tuple(sorted({call.served_model for call in calls if call is not None}))


def served_in(ledger: Ledger, experiment: str, metric: str, *, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The models that answered a judge in an experiment, by its recorded verdicts and by what was seen, sorted."""
    return tuple(sorted({*Evaluations(ledger).judges(experiment, metric), *also}))


def withheld_without_labels(served: Sequence[str]) -> str:
    """Why a judge without labelled cases is not shown; empty if it may be."""
    embedded = [model for model in served if model.startswith(_EMBEDDED)]
    if not embedded:
        return ""
    return (
        f"judged by {', '.join(embedded)}, a model that is too small to judge: it is shown only beside its agreement "
        "with labelled cases, Judged(flow, labelled=...)"
    )


def withheld_for_others(served: Sequence[str], measured: Sequence[str]) -> str:
    """Why an agreement does not stand for these verdicts; empty if it does."""
    if tuple(served) == tuple(measured):
        return ""
    return (
        f"its agreement was measured with {', '.join(measured) or 'no model'}, its verdicts are those of "
        f"{', '.join(served) or 'no model'}: begin a new experiment"
    )


def experiment_of(judged: Judged, spec: FlowSpec, served: Sequence[str]) -> str:
    """The id under which a judge's agreement is measured: the same for the same code, prompt, labels and models."""
    labels = labelled_of(judged).version if judged.labelled is not None else ""
    prompt = Prompty.load_template(judged.prompt).digest if judged.prompt else ""
    parts = [spec.entry.qualname, spec.version, digest_of(spec.entry), prompt, labels, *served]
    return f"agreement-{sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def labelled_of(judged: Judged) -> Dataset:
    """The labelled cases of a judge that has some, with its constant inputs."""
    assert judged.labelled is not None  # noqa: S101  (told by the caller)
    if not judged.inputs:
        return judged.labelled
    cases = tuple(replace(case, inputs={**judged.inputs, **case.inputs}) for case in judged.labelled)
    return replace(judged.labelled, cases=cases)


def verdict(output: object) -> Score | None:
    """A judge's own output as a score."""
    return as_score(output)


def pairs(labelled: Dataset, measured: Experiment) -> list[tuple[bool, bool | None]]:
    """(label, verdict) of each labelled case; a number counts as true from 0.5, a verdict that failed is None."""
    said = {row.case: row.scores.get(verdict.__name__) for row in measured.rows}
    return [(bool(case.expected), _is_true(said[case.id])) for case in labelled]


def _is_true(score: Score | None) -> bool | None:
    if score is None:
        return None
    if isinstance(score.value, str):
        return score.value.strip().lower() in ("yes", "true", "faithful")
    return float(score.value) >= 0.5
