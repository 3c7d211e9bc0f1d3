"""How good a ranking is: pure functions of relevance in order.

Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, chapter 8. nDCG is Jarvelin and
Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002), discounted by log2(1 + rank).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Gain = Literal["linear", "exponential"]


def reciprocal_rank(hits: Sequence[bool]) -> float:
    """1 / the rank of the first hit; 0 without one."""
    return next((1 / rank for rank, is_hit in enumerate(hits, 1) if is_hit), 0.0)


def average_precision(hits: Sequence[bool], relevant: int) -> float:
    """The mean of the precision at each hit, those that are missing counted as 0.

    relevant: how many there are to be found, at least 1.
    """
    found, total = 0, 0.0
    for rank, is_hit in enumerate(hits, 1):
        if is_hit:
            found += 1
            total += found / rank
    return total / relevant


def ndcg(grades: Sequence[float], ideal: Sequence[float], k: int | None, gain: Gain = "linear") -> float:
    """The discounted gain of the first k, as a share of the best that there could be; 0 if nothing is to be gained.

    grades: those of what was retrieved, in order. ideal: all grades that there are, in any order.
    """
    best = _dcg(sorted(ideal, reverse=True)[:k], gain)
    return _dcg(grades[:k], gain) / best if best else 0.0


def _dcg(grades: Sequence[float], gain: Gain) -> float:
    gains = grades if gain == "linear" else [2.0**grade - 1 for grade in grades]
    return math.fsum(each / math.log2(rank + 1) for rank, each in enumerate(gains, 1))
