"""Datasets: cases from a file, with their columns mapped to a flow's inputs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

import orjson

from surefoot.errors import InvalidInput
from surefoot.flows import AnyFlow, find_spec
from surefoot.ledger import identity

_SINGLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs of a flow and, if known, the output that is expected.

    `expected` is None where nothing is expected. `metadata` is whatever else is known of the case. `place` says
    where it was read (`golden.jsonl:3`) and is no part of it.
    """

    id: str
    inputs: Mapping[str, object]
    expected: object = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    place: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """How errors name the case."""
        return self.place or f"case {self.id!r}"


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
        content = [(c.id, dict(c.inputs), c.expected, dict(c.metadata)) for c in self.cases]
        object.__setattr__(self, "version", identity(content, name=f"dataset {self.name}").hex()[:16])

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @classmethod
    def load(
        cls, path: str | Path, *, flow: AnyFlow | str | None = None, columns: Mapping[str, str] | None = None
    ) -> Self:
        """The cases in a JSONL file: one JSON object per line, whose keys are its columns.

        flow: the column that is named after an input of the flow is that input; `columns` says where another
            column is meant, as in `{"query": "question", "expected": "answer"}`. Without a flow every column is an
            input. `id` (else the line's number) names the case, `expected` is what is expected, and what is left
            over becomes its metadata. `{"id", "inputs": {...}, "expected", "metadata": {...}}` is understood too.

        Raises `InvalidInput` that names file, line and what is wrong there.
        """
        file = Path(path)
        layout = _Layout.of(flow, columns or {})
        cases = [_case(row, number, file, layout) for number, row in _rows(file)]
        return cls(file.stem, tuple(cases), file)

    def spread(self, limit: int | None) -> tuple[Case, ...]:
        """So many cases, evenly spread over the dataset and in its order; all of them without a limit.

        Raises `InvalidInput` for a limit below 1.
        """
        if limit is None or limit >= len(self.cases):
            return self.cases
        if limit < 1:
            raise InvalidInput(f"the limit is {limit}: evaluate at least 1 case")
        return tuple(self.cases[place * len(self.cases) // limit] for place in range(limit))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns a row must have: `inputs` by name (None: all of them), whether each is required."""

    flow: str
    inputs: Mapping[str, bool] | None
    columns: Mapping[str, str]

    @classmethod
    def of(cls, flow: AnyFlow | str | None, columns: Mapping[str, str]) -> Self:
        if flow is None:
            return cls("", None, columns)
        spec = find_spec(flow)[1]
        parameters = spec.arguments.signature.parameters.values()
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        inputs = {p.name: p.default is inspect.Parameter.empty for p in parameters if p.kind in _SINGLE}
        if not takes_any and (unknown := sorted(columns.keys() - inputs.keys() - {"id", "expected"})):
            raise InvalidInput(
                f"columns are mapped to {', '.join(unknown)}, but flow {spec.name} takes {', '.join(inputs)} "
                "(and a case has id and expected)"
            )
        return cls(spec.name, None if takes_any else inputs, columns)

    def column(self, name: str) -> str:
        return self.columns.get(name, name)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    if file.suffix.lower() in (".csv", ".tsv", ".parquet"):
        raise InvalidInput(f"{file}: datasets are read from JSONL: write one JSON object per line")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"the dataset {file} cannot be read ({error.strerror}): check the path") from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row: object = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(
                f"{file}:{number}: this line is not JSON ({error}): write one object per line"
            ) from None
        if not isinstance(row, dict):
            raise InvalidInput(
                f'{file}:{number}: this line holds no JSON object: write {{"id": ..., "expected": ...}}'
            )
        yield number, cast("dict[str, object]", row)


def _case(row: Mapping[str, object], number: int, file: Path, layout: _Layout) -> Case:
    place = f"{file}:{number}"
    missing = [f"{name}={column}" for name, column in layout.columns.items() if column not in row]
    if missing:
        raise InvalidInput(f"{place}: no column for {', '.join(missing)}: it has {', '.join(row)}")
    rest = dict(row)
    given = rest.pop(layout.column("id"), number)
    if not isinstance(given, str | int) or isinstance(given, bool) or given == "":
        raise InvalidInput(f"{place}: the id is {given!r}: give it as text or a whole number")
    expected = rest.pop(layout.column("expected"), None)
    nested = _mapping(rest, "metadata", place)
    inputs = _inputs(rest, layout, place)
    return Case(str(given), inputs, expected, {**nested, **rest}, place)


def _inputs(rest: dict[str, object], layout: _Layout, place: str) -> dict[str, object]:
    """The inputs of the flow, taken out of what is left of a row."""
    wanted = layout.inputs
    if "inputs" not in layout.columns and (wanted is None or "inputs" not in wanted):
        rest = rest if "inputs" not in rest else rest | _taken(rest, place)
    if wanted is None:
        every = {name: rest.pop(column) for name, column in layout.columns.items() if column in rest}
        every.update(rest)
        rest.clear()
        return every
    found = {name: rest[layout.column(name)] for name in wanted if layout.column(name) in rest}
    missing = [name for name, is_required in wanted.items() if is_required and name not in found]
    if missing:
        raise InvalidInput(
            f"{place}: no column {', '.join(map(repr, missing))}, which flow {layout.flow} takes: the columns are "
            f"{', '.join(rest) or 'none'}; map one with columns={{{missing[0]!r}: COLUMN}}, "
            f"on the command line --map {missing[0]}=COLUMN"
        )
    for column in {layout.column(name) for name in found}:
        rest.pop(column, None)
    return found


def _taken(rest: dict[str, object], place: str) -> dict[str, object]:
    return _mapping(rest, "inputs", place)


def _mapping(rest: dict[str, object], key: str, place: str) -> dict[str, object]:
    """Take the object under `key` out of a row; empty if there is none."""
    value = rest.pop(key, None)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{place}: {key!r} is {type(value).__name__}: write a JSON object")
    return cast("dict[str, object]", value)
