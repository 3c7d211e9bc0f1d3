"""`Dataset`: cases with a version, and what is made of it without another file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case, version_of
from surefoot.evals.datasets.drawing import sample, splits
from surefoot.evals.datasets.filter import Condition, chosen, of_fields
from surefoot.evals.datasets.formats import Reading, records, stem_of
from surefoot.evals.datasets.layout import Layout
from surefoot.evals.datasets.verdict import is_rejected
from surefoot.flows import AnyFlow


@dataclass(frozen=True, slots=True)
class Dataset:
    """A list of cases with different ids. `version` is a digest of their content, whatever file they came from.

    Raises `InvalidInput` if it is empty or an id stands twice.
    """

    name: str
    cases: tuple[Case, ...]
    path: Path | None = None
    version: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if not self.cases:
            raise InvalidInput(f"dataset {self.name} holds no case: write one JSON object per line")
        seen: dict[str, Case] = {}
        for case in self.cases:
            if (other := seen.setdefault(case.id, case)) is not case:
                raise InvalidInput(
                    f"{case.label}: the id {case.id!r} stands at {other.label} already: give each case its own"
                )
        object.__setattr__(self, "version", version_of(self.cases, self.name))

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        flow: AnyFlow | str | None = None,
        columns: Mapping[str, str] | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
    ) -> Self:
        """The cases in a file: JSON lines, an array of JSON objects, CSV, TSV, parquet or arrow, by the file's name.

        flow: the column that is named after an input of the flow is that input, turned into the type that the flow
            declares; `columns` says where another column is meant, as in `{"query": "question", "expected": "answer"}`.
            Without a flow every column is an input, in CSV a text. `id` (else the line's number) names the case,
            `expected` is what is expected, and what is left over becomes its metadata.
            `{"id", "inputs": {...}, "expected", "metadata": {...}}` is understood too. Cases that a reviewer has
            rejected are left out.
        encoding, delimiter: of a table of text, where the file does not tell: UTF-8 and the sign that its header has
            most of are taken else.

        Raises `InvalidInput` that names file, line, column and what is wrong there, and `MissingExtra` for parquet
        and arrow without pyarrow.
        """
        file = Path(path)
        layout = Layout.of(flow, columns or {})
        read = (layout.case(record) for record in records(file, Reading(encoding, delimiter)))
        return cls(stem_of(file), tuple(case for case in read if not is_rejected(case.metadata)), file)

    def spread(self, limit: int | None) -> tuple[Case, ...]:
        """So many cases, evenly spread over the dataset and in its order; all of them without a limit.

        Raises `InvalidInput` for a limit below 1.
        """
        if limit is None or limit >= len(self.cases):
            return self.cases
        if limit < 1:
            raise InvalidInput(f"the limit is {limit}: evaluate at least 1 case")
        return tuple(self.cases[place * len(self.cases) // limit] for place in range(limit))

    def slice(self, *where: str, **fields: object) -> Self:
        """The cases of which all of this holds: `slice("cost>0.01", topic="billing")`.

        where: conditions as texts, see `Condition`. A name is that of a metadata column, else of an input.

        Raises `InvalidInput` for a condition that is none, a name that no case has, and if no case is left.
        """
        conditions = [*map(Condition.of, where), *of_fields(fields)]
        named = [*where, *(f"{name}={value}" for name, value in fields.items())]
        return self._of(
            chosen(self.cases, conditions), f"{self.name}[{', '.join(named)}]" if named else self.name
        )

    def split(self, *, seed: int = 0, by: str | None = None, **shares: float) -> dict[str, Self]:
        """The dataset in parts: `split(train=0.8, test=0.2)`. Each case falls by the digest of its id, so that no case
        moves from one part to another when cases are added; the shares are met on average.

        by: a metadata key (or an input); cases that have the same there fall together, such as those of one customer.

        Raises `InvalidInput` for shares that do not make 1, and for a part that no case falls into.
        """
        parts = splits(self.cases, shares, seed=seed, by=by)
        if empty := [name for name, part in parts.items() if not part]:
            raise InvalidInput(
                f"no case of {self.name} falls into {', '.join(empty)}: it has {len(self.cases)} cases; "
                "take a larger share or another seed"
            )
        return {name: self._of(part, f"{self.name}-{name}") for name, part in parts.items()}

    def sample(self, size: int, *, seed: int = 0, by: str | None = None) -> Self:
        """So many cases, drawn by the digests of their ids: the same ones each time, and part of any larger sample.

        by: a metadata key (or an input) of which each value has its share of the sample.

        Raises `InvalidInput` for a size below 1.
        """
        return self._of(sample(self.cases, size, seed=seed, by=by), self.name)

    def merge(self, *others: Dataset) -> Self:
        """The cases of all, in order. A case that stands in several with the same content is there once.

        Raises `InvalidInput` for an id that stands for different cases.
        """
        found = {case.id: case for case in self.cases}
        for other in others:
            for case in other:
                if (known := found.setdefault(case.id, case)) != case:
                    raise InvalidInput(
                        f"{case.label}: the id {case.id!r} stands for another case at {known.label}: give each its own"
                    )
        return self._of(list(found.values()), "+".join((self.name, *(other.name for other in others))))

    def dedupe(self) -> Self:
        """The first of all cases with the same inputs, whatever else they say."""
        found: dict[bytes, Case] = {}
        for case in self.cases:
            found.setdefault(case.asked, case)
        return self._of(list(found.values()), self.name)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the cases to a file whose name tells the format, as a whole or not at all.

        Raises `InvalidInput` for a file that is there, unless it is to be overwritten, for values that the format has
        no form for, and `MissingExtra`.
        """
        from surefoot.evals.datasets.writing import write

        write(self.cases, Path(path), overwrite=overwrite)

    def _of(self, cases: list[Case], name: str) -> Self:
        if not cases:
            raise InvalidInput(f"no case is left in {name}")
        return replace(self, name=name, cases=tuple(cases))
