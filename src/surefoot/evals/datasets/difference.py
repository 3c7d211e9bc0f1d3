"""What two datasets have in common, and what not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from surefoot.evals.datasets.case import Case, data_of
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Change:
    """A case that both have, and the names under which something else stands: `inputs.query`, `expected`, ..."""

    before: Case
    after: Case
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Cases that were added, removed and changed, and how many are the same."""

    added: tuple[Case, ...]
    removed: tuple[Case, ...]
    changed: tuple[Change, ...]
    same: int

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Json]:
        return {
            "added": [case.to_json() for case in self.added],
            "removed": [case.to_json() for case in self.removed],
            "changed": [
                {"id": change.after.id, "names": list(change.names), "before": change.before.to_json(),
                 "after": change.after.to_json()}
                for change in self.changed
            ],
            "same": self.same,
        }  # fmt: skip


def difference(before: Iterable[Case], after: Iterable[Case], *, by_inputs: bool = False) -> Difference:
    """How the second differs from the first.

    by_inputs: cases with the same inputs are the same one, whatever their ids; for datasets whose ids are line
        numbers. Of several with the same inputs the first counts.
    """
    key: Callable[[Case], object] = (lambda case: case.asked) if by_inputs else (lambda case: case.id)
    old: dict[object, Case] = {}
    for case in before:
        old.setdefault(key(case), case)
    new: dict[object, Case] = {}
    for case in after:
        new.setdefault(key(case), case)
    changed = [
        Change(old[each], case, names)
        for each, case in new.items()
        if each in old and (names := _names(old[each], case, with_id=not by_inputs))
    ]
    both = sum(each in old for each in new)
    return Difference(
        tuple(case for each, case in new.items() if each not in old),
        tuple(case for each, case in old.items() if each not in new),
        tuple(changed),
        both - len(changed),
    )


def _names(before: Case, after: Case, *, with_id: bool) -> tuple[str, ...]:
    found: list[str] = ["id"] if with_id and before.id != after.id else []
    pairs = {"inputs": (before.inputs, after.inputs), "metadata": (before.metadata, after.metadata)}
    for part, (was, now) in pairs.items():
        old = {name: data_of(value) for name, value in was.items()}
        new = {name: data_of(value) for name, value in now.items()}
        found += [
            f"{part}.{name}"
            for name in dict.fromkeys((*old, *new))
            if name not in old or name not in new or old[name] != new[name]
        ]
    if data_of(before.expected) != data_of(after.expected):
        found.append("expected")
    return tuple(found)
