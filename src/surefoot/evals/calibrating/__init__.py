"""Judges against labels that people gave: how far they agree, what sways them, and what their mistakes do to a rate."""

from surefoot.evals.calibrating.carried import Carried, JudgeAccuracy, Verdicts, carried, corrected_rate
from surefoot.evals.calibrating.confusion import Confusion, Weights
from surefoot.evals.calibrating.length import LengthBias, length_bias
from surefoot.evals.calibrating.position import Choice, PositionBias, position_bias
from surefoot.evals.calibrating.predicted import prediction_powered

__all__ = [
    "Carried",
    "Choice",
    "Confusion",
    "JudgeAccuracy",
    "LengthBias",
    "PositionBias",
    "Verdicts",
    "Weights",
    "carried",
    "corrected_rate",
    "length_bias",
    "position_bias",
    "prediction_powered",
]
