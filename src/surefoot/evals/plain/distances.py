"""Scorers of likeness, letter by letter: string distances by rapidfuzz (extra `eval`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from surefoot.errors import InvalidInput
from surefoot.evals.plain import extras
from surefoot.evals.plain.matching import shown, text_of, texts
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Distance = Literal["levenshtein", "osa", "indel", "hamming", "jaro", "jaro_winkler"]

_CLASSES = {
    "levenshtein": "Levenshtein",
    "osa": "OSA",
    "indel": "Indel",
    "hamming": "Hamming",
    "jaro": "Jaro",
    "jaro_winkler": "JaroWinkler",
}


def string_similarity(distance: Distance = "levenshtein") -> Callable[[str, str | Sequence[str]], Score]:
    """A scorer: 1 - the normalised distance of the answer and what is expected, 0 to 1; two empty texts are alike.

    Nothing is normalised: case and spaces count. `hamming` compares place by place, and what is longer is different
    there; `osa` counts two letters that changed places as one difference. Where several answers are expected the
    nearest counts. The numbers are ragas' too.

    Raises `InvalidInput` for a distance that there is not. The scorer raises `MissingExtra` without rapidfuzz.
    """
    if distance not in _CLASSES:
        raise InvalidInput(f"there is no distance {distance!r}: name one of {', '.join(_CLASSES)}")

    def string_similarity(answer: str, expected: str | Sequence[str]) -> Score:
        measure: Any = getattr(extras.rapidfuzz(f"the scorer {distance}"), _CLASSES[distance])
        said = text_of(answer, "the answer")
        found = [(1 - float(measure.normalized_distance(text, said)), text) for text in texts(expected)]
        value, best = max(found, key=lambda each: each[0])
        return Score(value, f"compared with {shown(best)}")

    return scaled(string_similarity, name=distance)
