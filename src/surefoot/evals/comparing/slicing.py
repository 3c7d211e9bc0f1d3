"""Slices: the cases that have the same value under a key of their metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from surefoot.errors import InvalidInput
from surefoot.evals.comparing.pairing import Pairing

NONE = "(none)"
"""The value of cases that have none under the key."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The cases of a slice that are in both arms."""

    key: str
    value: str
    cases: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.key}={self.value}"


def cuts(pairing: Pairing, key: str) -> list[Cut]:
    """The slices of a key, the largest first. A case whose value is a list is in the slice of each of its items.

    Raises `InvalidInput` where no case has the key.
    """
    found: dict[str, set[str]] = {}
    for case in pairing.common:
        for value in _values(pairing.metadata(case), key):
            found.setdefault(value, set()).add(case)
    if set(found) <= {NONE}:
        known = sorted({name for case in pairing.common for name in pairing.metadata(case)})
        there = f"there are {', '.join(known)}" if known else "the cases have no metadata"
        raise InvalidInput(f"no case has the metadata {key!r} to cut slices by: {there}")
    ordered = sorted(found.items(), key=lambda each: (-len(each[1]), each[0]))
    return [Cut(key, value, frozenset(cases)) for value, cases in ordered]


def _values(metadata: Mapping[str, object], key: str) -> Iterator[str]:
    value = metadata.get(key)
    items = cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
    yield from dict.fromkeys(map(_text, items))
    if not items:
        yield NONE if isinstance(value, list | tuple) else _text(value)


def _text(value: object) -> str:
    if value is None or value == "":
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
