"""Judges: flows that score, and how far their verdicts agree with labels that people gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.errors import MalformedResponse
from surefoot.evals.calibrating.confusion import Confusion
from surefoot.evals.datasets import Dataset
from surefoot.evals.scales import Direction, Range
from surefoot.evals.scores import Score
from surefoot.evals.scoring import biases
from surefoot.flows import AnyFlow
from surefoot.values import Json

CHANCE_BELOW = 0.2
"""Cohen's kappa below which an agreement is called near chance: at most "slight" on the scale of Landis and Koch,
"The Measurement of Observer Agreement for Categorical Data", Biometrics 33 (1977)."""

_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judged:
    """A scorer that is a flow, as a judge by a model is: each judgement is a run, recorded and paid once.

    flow: takes what scorers take, as far as it is data, and returns what they return.
    name: what its metric is called; the flow's name by default.
    labelled: cases that people have judged: `inputs` of the flow, `expected` true or false. The judge is asked about
        them too, and its metric is shown beside its agreement with them.
    applies: a function with a scorer's parameters, by which the judge is not asked about some outputs.
    prompt: the prompt in the library that it judges by, so that its agreement is measured anew when that changes.
    inputs: constant inputs of the flow beside those that are found by name: its settings, recorded with each run.
    direction, range: which of its scores are better, and between which they lie, where its flow does not say so.
    """

    flow: AnyFlow
    name: str = ""
    labelled: Dataset | None = None
    applies: Callable[..., object] | None = None
    prompt: str = ""
    inputs: Mapping[str, object] = field(default_factory=dict[str, object])
    direction: Direction | None = None
    range: Range | None = None


@dataclass(frozen=True, slots=True)
class LabelledVerdict:
    """What a judge said of a case that people have labelled; None where it failed.

    Verdicts and labels are bools, or numbers. `length` is that of the answer in characters, None where it is not known;
    `places` which of two answers a judge preferred that saw them in both orders, by the place in which it was shown.
    """

    label: bool | float
    verdict: bool | float | None
    length: int | None = None
    places: tuple[str, str] | None = None

    @property
    def pair(self) -> tuple[bool, bool | None]:
        """Label and verdict as true or false: a number is true from 0.5 on."""
        return float(self.label) >= 0.5, None if self.verdict is None else float(self.verdict) >= 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge agrees with labelled cases.

    `right` of `n` verdicts agree; those that `failed` agree with nothing. `kappa` is Cohen's, as `Confusion.kappa` has
    it; None where chance alone would agree always. The counts are those of true verdicts on true labels, and so on.
    `said` is what it was made of.
    """

    n: int
    right: int
    failed: int
    kappa: float | None
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    models: tuple[str, ...] = ()
    experiment: str = ""
    said: tuple[LabelledVerdict, ...] = ()

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    @property
    def is_near_chance(self) -> bool:
        """Whether the judge tells hardly more than guessing would."""
        return self.kappa is None or self.kappa < CHANCE_BELOW

    def __str__(self) -> str:
        kappa = "undefined" if self.kappa is None else f"{self.kappa:.2f}"
        near = ", which is near chance: do not rely on this judge" if self.is_near_chance else ""
        return f"agrees with {self.right} of {self.n} labelled cases ({self.accuracy:.0%}), Cohen's kappa {kappa}{near}"

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "right": self.right,
            "failed": self.failed,
            "accuracy": self.accuracy,
            "kappa": self.kappa,
            "is_near_chance": self.is_near_chance,
            "confusion": {
                "true_positive": self.true_positive,
                "false_positive": self.false_positive,
                "true_negative": self.true_negative,
                "false_negative": self.false_negative,
            },
            "models": list(self.models),
            "experiment": self.experiment,
            **biases.to_json(self.said),
        }


def agreement_of(
    labelled: Sequence[tuple[bool, bool | None] | LabelledVerdict],
    *,
    models: Sequence[str] = (),
    experiment: str = "",
) -> Agreement:
    """The agreement of (label, verdict) pairs; a verdict of None is one that failed. There is at least one pair."""
    said = tuple(each if isinstance(each, LabelledVerdict) else LabelledVerdict(*each) for each in labelled)
    found = Confusion.of([each.pair for each in said], order=(True, False))
    (true_positive, false_negative), (false_positive, true_negative) = found.counts
    return Agreement(
        n=found.n,
        right=found.right,
        failed=sum(found.failed),
        kappa=found.kappa(),
        true_positive=true_positive,
        false_positive=false_positive,
        true_negative=true_negative,
        false_negative=false_negative,
        models=tuple(models),
        experiment=experiment,
        said=said,
    )


def yes_or_no(text: str) -> Score:
    """The verdict of a judge that was asked for yes or no, with its own words as the reason.

    Raises `MalformedResponse` for an answer that begins with neither.
    """
    found = _ANSWER.match(text)
    if found is None:
        raise MalformedResponse(f"the judge answered neither yes nor no: {text[:200]!r}")
    return Score(found[1].lower() == "yes", text.strip())
