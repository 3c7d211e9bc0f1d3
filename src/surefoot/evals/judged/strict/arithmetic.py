"""The arithmetic of the metrics, 0 to 1: a perfect row is exactly 1, and there is no NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence

from surefoot.errors import InvalidInput
from surefoot.evals.judged.conversation import Vector


def share(verdicts: Sequence[bool]) -> float:
    """The share that is true, of one at least."""
    return sum(verdicts) / len(verdicts)


def average_precision(verdicts: Sequence[bool]) -> float:
    """Average precision of a ranking: the mean, over the relevant ranks, of the precision up to there; 0 of none."""
    found = [index for index, verdict in enumerate(verdicts) if verdict]
    return math.fsum((n + 1) / (index + 1) for n, index in enumerate(found)) / len(found) if found else 0.0


def f_beta(precision: float, recall: float, beta: float = 1.0) -> float:
    """van Rijsbergen's F-beta ("Information Retrieval", 1979): beta above 1 weighs recall more; 0 where both are."""
    if precision == 0 and recall == 0:
        return 0.0
    weight = beta * beta
    return (1 + weight) * precision * recall / (weight * precision + recall)


def cosine(first: Vector, second: Vector) -> float:
    """Cosine of two vectors, -1 to 1. Raises `InvalidInput` for one that is zero, or has no number in it."""
    norms = math.hypot(*first) * math.hypot(*second)
    if not norms or not math.isfinite(norms):
        raise InvalidInput(
            "a text's vector is zero or not finite, so that nothing is similar to it: name other embeddings"
        )
    product = math.fsum(one * other for one, other in zip(first, second, strict=True))
    return min(max(product / norms, -1.0), 1.0)


def majority(votes: Sequence[Sequence[bool]]) -> list[bool]:
    """What most of an odd number of voters say of each thing."""
    return [2 * sum(each) > len(each) for each in zip(*votes, strict=True)]


def median(votes: Sequence[int]) -> int:
    """The middle one of an odd number of grades."""
    return sorted(votes)[len(votes) // 2]
