"""Columns of numbers, one for each case, as the statistics take them; and numpy, which they need."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from surefoot.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
"""What is calculated with: shape (n,), or with a column for each metric."""

Numbers: TypeAlias = "Sequence[float] | NDArray[np.float64]"
"""What callers give: shape (n,)."""


def require_numpy() -> None:
    """Raises `MissingExtra` where numpy is not installed."""
    try:
        importlib.import_module("numpy")
    except ImportError as error:
        raise MissingExtra(
            'statistics of evaluations need numpy, which is not installed: pip install "surefoot[eval]"'
        ) from error


def column(values: Numbers, what: str = "differences") -> Floats:
    """The values as floats, shape (n,). Raises `InvalidInput` for NaN, infinity and other shapes; `MissingExtra`."""
    require_numpy()
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidInput(f"the {what} have the shape {array.shape}: give one number for each case")
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        first = int(wrong[0])
        raise InvalidInput(
            f"the {what} hold {array[first]} at place {first}, and {len(wrong)} such values in all: a case without a "
            "score is a failure; leave it out or count it as 0 before, so that it does not vanish in a mean"
        )
    return array
