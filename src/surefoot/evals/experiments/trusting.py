"""Whether a judge's metric may be shown: by whom it was answered, and how far it agrees with people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from surefoot.errors import LedgerCorrupt
from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.scores import Score, as_score
from surefoot.evals.scoring.biases import places_of
from surefoot.evals.scoring.judging import Agreement, Judged, LabelledVerdict, agreement_of
from surefoot.flows import FlowSpec
from surefoot.flows.sources import digest_of
from surefoot.ledger import Evaluations, Ledger
from surefoot.prompts import Prompty
from surefoot.values import Json

_EMBEDDED = "local:"
_ANSWERS = ("response", "answer", "output", "summary", "text")
"""What judges call the answer that they look at, the most telling name first."""


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


def said_of(labelled: Dataset, measured: Experiment, *, is_of_pairs: bool = False) -> list[LabelledVerdict]:
    """What the judge said of each labelled case; a verdict that failed is None. `is_of_pairs`: see there."""
    rows = {row.case: row.scores.get(verdict.__name__) for row in measured.rows}
    return [
        LabelledVerdict(
            _label_of(case.expected),
            _number(score),
            _length_of(case.inputs),
            places_of(score) if is_of_pairs and score is not None else None,
        )
        for case in labelled
        for score in [rows[case.id]]
    ]


def is_of_pairs(spec: FlowSpec) -> bool:
    """Whether a judge is ours that sees two answers in both orders."""
    return spec.entry.qualname == "pairwise_preference" and spec.function.__module__.startswith(
        f"{__package__}."
    )


def _label_of(expected: object) -> bool | float:
    """A label of people: a number from 0 to 1 is one, anything else is true or false."""
    return float(expected) if isinstance(expected, float) and 0 <= expected <= 1 else bool(expected)


def _number(score: Score | None) -> bool | float | None:
    if score is None:
        return None
    if isinstance(score.value, str):
        return score.value.strip().lower() in ("yes", "true", "faithful")
    return score.value


def _length_of(inputs: Mapping[str, object]) -> int | None:
    """Of the answer that was judged, in characters."""
    found = next((inputs[name] for name in _ANSWERS if name in inputs), None)
    return len(found) if isinstance(found, str) else None


# As the ledger keeps it


def labelled_json(agreement: Agreement | None) -> dict[str, Json]:
    """What a judge said of labelled cases, as numbers alone; empty where nobody asked it."""
    if agreement is None or not agreement.said:
        return {}
    return {
        "pairs": [
            [each.label, each.verdict, each.length, None if each.places is None else [*each.places]]
            for each in agreement.said
        ],
        "models": list(agreement.models),
        "experiment": agreement.experiment,
    }


def agreement_in(labelled: Mapping[str, Json]) -> Agreement | None:
    """The agreement that `labelled_json` has kept; None where there is none.

    Raises `LedgerCorrupt` for what it has not written.
    """
    rows = labelled.get("pairs")
    if not isinstance(rows, list) or not rows:
        return None
    models, experiment = labelled.get("models"), labelled.get("experiment")
    return agreement_of(
        [_verdict_in(row) for row in rows],
        models=list(map(str, models)) if isinstance(models, list) else (),
        experiment=str(experiment or ""),
    )


def _verdict_in(row: Json) -> LabelledVerdict:
    if isinstance(row, list) and len(row) >= 2:
        label, verdict, length, places = (*row, None, None)[:4]
        if isinstance(label, bool | int | float) and (
            verdict is None or isinstance(verdict, bool | int | float)
        ):
            known = length if isinstance(length, int) else None
            two = places if isinstance(places, list) and len(places) == 2 else None
            return LabelledVerdict(label, verdict, known, None if two is None else (str(two[0]), str(two[1])))
    raise LedgerCorrupt(
        f"what is recorded of a judge and labelled cases is damaged ({row!r:.80}): restore a backup"
    )
