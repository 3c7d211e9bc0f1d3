"""What a dataset holds, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from surefoot.evals.datasets.case import Case, data_of
from surefoot.evals.datasets.dataset import Dataset
from surefoot.evals.datasets.verdict import AT, BY, RECORDED, REVIEW, state_of
from surefoot.guards import MASK
from surefoot.values import Json

MOST_VALUES = 12
"""Different values of a metadata key up to which it is a slice."""


@dataclass(frozen=True, slots=True)
class Column:
    """An input, `expected` or a metadata key: in how many cases it stands, and of which kinds its values are.

    `shortest`, `median` and `longest` are characters of a text, items of a list or object; None where there are none.
    """

    name: str
    role: str
    cases: int
    kinds: tuple[str, ...]
    shortest: int | None
    median: int | None
    longest: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A dataset in figures. `duplicates` are groups of cases with the same inputs, by id; `slices` how many cases a
    metadata key has by value; `reviews` how many stand in which state; `redacted` the cases in whose inputs a secret
    was masked.
    """

    name: str
    version: str
    cases: int
    columns: tuple[Column, ...]
    slices: Mapping[str, Mapping[str, int]]
    without_expected: int
    duplicates: tuple[tuple[str, ...], ...]
    reviews: Mapping[str, int]
    redacted: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "version": self.version,
            "cases": self.cases,
            "columns": [
                {
                    "name": column.name,
                    "role": column.role,
                    "cases": column.cases,
                    "kinds": list(column.kinds),
                    "shortest": column.shortest,
                    "median": column.median,
                    "longest": column.longest,
                }
                for column in self.columns
            ],
            "slices": {name: dict(values) for name, values in self.slices.items()},
            "without_expected": self.without_expected,
            "duplicates": [list(group) for group in self.duplicates],
            "reviews": dict(self.reviews),
            "redacted": list(self.redacted),
        }


def summary(dataset: Dataset) -> Summary:
    """The figures of a dataset."""
    inputs: dict[str, list[object]] = {}
    metadata: dict[str, list[object]] = {}
    for case in dataset:
        for name, value in case.inputs.items():
            inputs.setdefault(name, []).append(value)
        for name, value in case.metadata.items():
            metadata.setdefault(name, []).append(value)
    expected = [case.expected for case in dataset if case.expected is not None]
    columns = [_column(name, "input", values) for name, values in inputs.items()]
    if expected:
        columns.append(_column("expected", "expected", expected))
    columns += [_column(name, "metadata", values) for name, values in metadata.items()]
    reviews = Counter(state for case in dataset if (state := state_of(case.metadata)))
    return Summary(
        dataset.name,
        dataset.version,
        len(dataset),
        tuple(columns),
        {
            name: counts
            for name, values in metadata.items()
            if name not in (REVIEW, BY, AT, RECORDED) and (counts := _slices(values))
        },
        len(dataset) - len(expected),
        duplicates(dataset),
        dict(reviews),
        tuple(case.id for case in dataset if is_redacted(case)),
    )


def duplicates(cases: Iterable[Case]) -> tuple[tuple[str, ...], ...]:
    """The ids of cases with the same inputs, group by group."""
    groups: dict[bytes, list[str]] = {}
    for case in cases:
        groups.setdefault(case.asked, []).append(case.id)
    return tuple(tuple(ids) for ids in groups.values() if len(ids) > 1)


def is_redacted(case: Case) -> bool:
    """Whether a secret was masked in the inputs: the flow would be asked something else than it was."""
    return bool(redacted_in(case.inputs))


def redacted_in(inputs: Mapping[str, object]) -> list[str]:
    """The inputs in which a secret was masked."""
    return [name for name, value in inputs.items() if _holds_mask(data_of(value))]


def _holds_mask(value: Json) -> bool:
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, dict):
        return any(_holds_mask(item) or MASK in key for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_mask, value))


def _column(name: str, role: str, values: Sequence[object]) -> Column:
    plain = [data_of(value) for value in values]
    sizes = sorted(len(value) for value in plain if isinstance(value, str | list | dict))
    kinds = tuple(sorted({_kind(value) for value in plain}))
    if not sizes:
        return Column(name, role, len(plain), kinds, None, None, None)
    return Column(name, role, len(plain), kinds, sizes[0], sizes[len(sizes) // 2], sizes[-1])


def _kind(value: object) -> str:
    names: dict[type, str] = {
        bool: "bool",
        int: "int",
        float: "float",
        str: "text",
        list: "list",
        dict: "object",
    }
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _slices(values: Sequence[object]) -> dict[str, int]:
    """The values that a key has, the most frequent first; none where they are many, one, or each another."""
    counts: Counter[str] = Counter()
    for value in values:
        plain = data_of(value)
        if isinstance(plain, dict | float) or (isinstance(plain, str) and len(plain) > 60):
            return {}
        each = plain if isinstance(plain, list) else [plain]
        counts.update(str(item).lower() if isinstance(item, bool) else str(item) for item in each)
        if len(counts) > MOST_VALUES:
            return {}
    return dict(counts.most_common()) if 1 < len(counts) < len(values) else {}
