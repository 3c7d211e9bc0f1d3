"""The classifier: logistic regression over words and n-grams, whose weights are a data file of the package."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from surefoot.errors import ConfigError
from surefoot.guards.detecting.features import features_of
from surefoot.locks import made_once

FORMAT = 1
"""The format of a file of weights."""

WINDOW, STRIDE = 1000, 750
"""Characters that are judged together, and how far the next window of a longer text begins behind the last."""

MOST = 64
"""Windows of a text that are judged: of a longer one as many, spread evenly."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a feature speaks for (above 0) or against an injection; with how text, labels and seed they were made."""

    by_feature: Mapping[str, float]
    bias: float
    made: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Weights of a file that `training/injection.py` wrote. Raises `ConfigError` for what is none."""
        try:
            return cls.of(path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise ConfigError(f"{path} holds no weights of a classifier ({error}): make them anew") from error

    @classmethod
    def of(cls, packed: bytes) -> Self:
        """Weights from the bytes of a file."""
        held = json.loads(zlib.decompress(packed))
        if held["format"] != FORMAT:
            raise ValueError(f"format {held['format']}, and not {FORMAT}")
        steps = memoryview(base64.b64decode(held["weights"])).cast("b")
        features = held["features"].split("\n")
        if len(features) != len(steps):
            raise ValueError("as many weights as features are needed")
        scale = held["scale"]
        return cls(
            {feature: step * scale for feature, step in zip(features, steps, strict=True)},
            held["bias"],
            held["made"],
        )

    def packed(self) -> bytes:
        """The bytes of a file: a weight is one of 255 steps. Equal weights give equal bytes."""
        scale = max(map(abs, self.by_feature.values()), default=1.0) / 127
        steps = {feature: round(weight / scale) for feature, weight in self.by_feature.items()}
        kept = sorted(feature for feature, step in steps.items() if step)
        held = {
            "format": FORMAT,
            "made": self.made,
            "scale": scale,
            "bias": self.bias,
            "features": "\n".join(kept),
            "weights": base64.b64encode(bytes(steps[feature] & 0xFF for feature in kept)).decode(),
        }
        return zlib.compress(json.dumps(held, ensure_ascii=False, separators=(",", ":")).encode(), 9)


class Classifier:
    """Scores readings of texts: log odds of an injection."""

    def __init__(self, weights: Weights | None = None) -> None:
        """Without `weights` those of the package are loaded at the first use."""
        self._given = weights

    @made_once
    def weights(self) -> Weights:
        if self._given is not None:
            return self._given
        return Weights.of(
            resources.files("surefoot.guards.detecting").joinpath("injection.weights").read_bytes()
        )

    def odds(self, reading: str) -> float:
        """The log odds of a reading (`surefoot.texts.characters.skeleton`); of a long one those of its worst window."""
        judged = windows(reading)
        if len(judged) > MOST:
            judged = [judged[number * (len(judged) - 1) // (MOST - 1)] for number in range(MOST)]
        return max(map(self._odds_of, judged))

    def _odds_of(self, reading: str) -> float:
        weights = self.weights
        weight_of = weights.by_feature
        known = [weight_of[feature] for feature in features_of(reading) if feature in weight_of]
        return weights.bias + math.fsum(known) / math.sqrt(len(known) or 1)


def windows(reading: str) -> list[str]:
    """The parts of a text that are judged one by one: itself, if it is not much longer than a window."""
    if len(reading) <= WINDOW + WINDOW // 2:
        return [reading]
    begins = range(0, len(reading) - WINDOW + STRIDE, STRIDE)
    return [reading[begin : begin + WINDOW] for begin in begins]


def probability(odds: float) -> float:
    """Log odds as a probability, 0 to 1."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))
