"""Random draws that are the same for the same seed, on every machine and with every version of numpy.

They are made of the raw output of PCG64 alone, which numpy keeps stable; what its generators make of it, it does not.
O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number Generation",
Harvey Mudd College HMC-CS-2014-0905 (2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from surefoot.evals.statistics.columns import Floats


class Draws:
    """A stream of draws, by a seed and the number of cases, so that other data of that number are drawn alike."""

    def __init__(self, seed: int, cases: int) -> None:
        import numpy as np

        self._cases = cases
        self._bits: np.random.PCG64 = np.random.PCG64(np.random.SeedSequence([seed, cases]))

    def resamples(self, count: int) -> Floats:
        """How often each case is drawn in each of `count` resamples of as many cases, shape (count, cases)."""
        import numpy as np

        size = count * self._cases
        raw = self._bits.random_raw((size + 1) // 2).astype("<u8", copy=False).view("<u4")[:size]
        # The upper 32 bits of 32 random ones times n: even to n / 2**32.
        chosen = (raw.astype(np.uint64) * np.uint64(self._cases) >> np.uint64(32)).astype(np.int64)
        chosen.reshape(count, self._cases)[:] += np.arange(count, dtype=np.int64)[:, None] * self._cases
        counts = np.bincount(chosen, minlength=size)
        return counts.reshape(count, self._cases).astype(np.float64)

    def signs(self, count: int) -> Floats:
        """1 or -1 for each case in each of `count` flips, shape (count, cases)."""
        import numpy as np

        size = count * self._cases
        raw = self._bits.random_raw((size + 63) // 64).astype("<u8", copy=False).view(np.uint8)
        # Each byte gives eight signs.
        eight = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64) * 2 - 1
        return eight[raw].reshape(-1)[:size].reshape(count, self._cases)
