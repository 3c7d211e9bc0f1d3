"""Parts of a dataset that stay the same: splits and samples, drawn by digests and not by position."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case, data_of

_UNIT = 2.0**64


def place_of(key: str, seed: int) -> float:
    """Where a key lies between 0 and 1: always there, and evenly spread over many keys."""
    drawn = blake2b(f"{seed}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / _UNIT


def splits(
    cases: Sequence[Case], shares: Mapping[str, float], *, seed: int, by: str | None
) -> dict[str, list[Case]]:
    """The cases by the name of the share that each falls into, in their order.

    A case falls where the digest of its id lies, or of what stands under `by`: then all cases that have the same there
    stay together. So no case moves when others are added. Shares are met on average, not exactly.

    Raises `InvalidInput` for shares that are not the whole.
    """
    if not shares or any(not 0 < share <= 1 for share in shares.values()):
        raise InvalidInput("a split needs shares above 0, such as train=0.8, test=0.2")
    if not math.isclose(total := math.fsum(shares.values()), 1.0, abs_tol=1e-9):
        raise InvalidInput(f"the shares {', '.join(shares)} make {total:g} and not 1")
    ends = dict(zip(shares, accumulate(shares.values()), strict=True))
    found: dict[str, list[Case]] = {name: [] for name in shares}
    for case in cases:
        at = place_of(_key(case, by), seed)
        # The last one takes what rounding leaves.
        found[next((name for name, end in ends.items() if at < end), [*ends][-1])].append(case)
    return found


def sample(cases: Sequence[Case], size: int, *, seed: int, by: str | None) -> list[Case]:
    """So many cases in their order, or all: those whose ids lie lowest, so that a larger sample holds a smaller one.

    by: each value that stands there has its share of the sample, to one case (largest remainders); a case without it
        counts as one value more.

    Raises `InvalidInput` for a size below 1.
    """
    if size < 1:
        raise InvalidInput(f"a sample of {size} is none: draw at least 1 case")
    if size >= len(cases):
        return list(cases)
    strata: dict[str, list[Case]] = {}
    for case in cases:
        strata.setdefault("" if by is None else _value(case, by), []).append(case)
    exact = {name: size * len(members) / len(cases) for name, members in strata.items()}
    quota = {name: math.floor(share) for name, share in exact.items()}
    rest = size - sum(quota.values())
    for name in sorted(exact, key=lambda name: (quota[name] - exact[name], place_of(name, seed)))[:rest]:
        quota[name] += 1
    kept = {
        case.id
        for name, members in strata.items()
        for case in sorted(members, key=lambda case: (place_of(case.id, seed), case.id))[: quota[name]]
    }
    return [case for case in cases if case.id in kept]


def _key(case: Case, by: str | None) -> str:
    if by is None:
        return case.id
    value = _value(case, by)
    # Apart from every value: a case without one is drawn by itself.
    return f"={value}" if value else f"#{case.id}"


def _value(case: Case, by: str) -> str:
    try:
        found = data_of(case.value(by))
    except KeyError:
        return ""
    return "" if found is None else f"{type(found).__name__} {found!r}"
