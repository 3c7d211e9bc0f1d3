"""Paired permutation: how often chance alone would give so large a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.evals.statistics.columns import column
from surefoot.evals.statistics.draws import Draws

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from surefoot.evals.statistics.columns import Floats, Numbers

EXACT_UP_TO = 14
"""So many differences that are not 0 are flipped in all ways: 2**14, half of which are the other half's mirror."""

ENOUGH = 200
"""Drawing ends when so many flips were as extreme: p is known to about 7 % of itself."""

FIRST, MOST = 1_000, 20_000
"""Flips in the first round, and in all at most. The least p is 1 / (MOST + 1), small enough for Holm over 1,000."""

_BLOCK = 4_000_000
"""Signs that are in memory at a time."""

_SLACK = 1e-12
"""Sums that differ by less, relative to the largest, are the same: floating point adds in another order."""


def permutation_p(differences: Numbers, *, seed: int = 0, most: int = MOST) -> float:
    """The two-sided p value of the mean of paired differences, by flipping their signs.

    differences: shape (n,), one for each case; repeats are averaged before.
    most: flips at most, where not all are looked at.

    If the arms were alike, candidate and baseline of each case could be exchanged. p is the share of all exchanges of
    which the mean is as far from 0 as the observed one: all 2**k for k <= 14 differences that are not 0, else of random
    ones, the observed one counted among them (Phipson and Smyth, "Permutation P-values Should Never Be Zero",
    Statistical Applications in Genetics and Molecular Biology 9, 2010), drawn until 200 are as extreme (Besag and
    Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991). Flipping signs leaves the sum of squares as it
    is, so that Student's t as the statistic would give the same p. 1 where all differences are 0, or there is none.

    Raises `InvalidInput` for NaN.
    """
    return permutation_ps([column(differences)], seed=seed, most=most)[0]


def permutation_ps(columns: Sequence[Floats], *, seed: int, most: int = MOST) -> list[float]:
    """`permutation_p` of many columns; those with about as many differences that are not 0 share their draws."""
    import numpy as np

    ps = [1.0] * len(columns)
    groups: dict[int, list[int]] = {}
    moved = [values[values != 0] for values in columns]
    for place, values in enumerate(moved):
        groups.setdefault(_drawn_for(len(values)), []).append(place)
    for count, places in groups.items():
        if count == 0:
            continue
        data = np.zeros((count, len(places)))
        for column_of, place in enumerate(places):
            data[: len(moved[place]), column_of] = moved[place]
        found = _exact(data) if count <= EXACT_UP_TO else _drawn(data, Draws(seed, count), most)
        for place, p in zip(places, found, strict=True):
            ps[place] = p
    return ps


def _drawn_for(count: int) -> int:
    """How many signs are drawn for so many differences: rounded up, by a quarter at most, so that columns of nearly as
    many share them. What a sign too many flips is 0."""
    if count <= EXACT_UP_TO:
        return count
    step = 1 << max(count.bit_length() - 3, 0)
    return -(-count // step) * step


def _extreme(flips: Floats, data: Floats) -> NDArray[np.bool_]:
    """Which flips (rows) are as extreme as what was observed, for each column."""
    import numpy as np

    observed = np.abs(data.sum(axis=0))
    slack = _SLACK * np.abs(data).sum(axis=0)
    extreme: NDArray[np.bool_] = np.abs(flips @ data) >= observed - slack
    return extreme


def _exact(data: Floats) -> list[float]:
    import numpy as np

    count = len(data)
    # The first sign stays: what is flipped as a whole is as far from 0.
    ways: NDArray[np.int64] = np.arange(2 ** (count - 1), dtype=np.int64)
    bits: NDArray[np.int64] = ways[:, None] >> np.arange(count, dtype=np.int64)[None, :] & 1
    return [float(share) for share in _extreme(1.0 - 2.0 * bits.astype(np.float64), data).mean(axis=0)]


def _drawn(data: Floats, draws: Draws, most: int) -> list[float]:
    import numpy as np

    columns, block = data.shape[1], max(_BLOCK // len(data), 1)
    ps: dict[int, float] = {}
    extreme, drawn, size = [0] * columns, 0, min(FIRST, most, block)
    while len(ps) < columns and size:
        waiting = [place for place in range(columns) if place not in ps]
        for place, hits in zip(waiting, _extreme(draws.signs(size), data[:, waiting]).T, strict=True):
            found = np.flatnonzero(hits)
            needed = ENOUGH - extreme[place]
            if len(found) >= needed:
                ps[place] = ENOUGH / (drawn + int(found[needed - 1]) + 1)
            extreme[place] += len(found)
        drawn += size
        size = min(2 * drawn, most - drawn, block)
    for place in range(columns):
        ps.setdefault(place, (extreme[place] + 1) / (drawn + 1))
    return [ps[place] for place in range(columns)]
