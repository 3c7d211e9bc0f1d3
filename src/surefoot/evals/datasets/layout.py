"""How the columns of a file become a case: which are inputs, of which types, and what is left over."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case
from surefoot.evals.datasets.json_rows import parsed
from surefoot.evals.datasets.record import Record, shown
from surefoot.evals.datasets.typed import Kind
from surefoot.flows import AnyFlow, find_spec, hints_of

_SINGLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NESTED = ("inputs", "metadata")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns a row must have: `inputs` by name (None: all of them), whether each is required.

    `kinds` are the types of inputs that are annotated, `output` that of what the flow returns.
    """

    flow: str
    inputs: Mapping[str, bool] | None
    columns: Mapping[str, str]
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    output: Kind | None = None

    @classmethod
    def of(cls, flow: AnyFlow | str | None, columns: Mapping[str, str]) -> Self:
        """The layout for a flow. Raises `InvalidInput` for columns that are mapped to what it does not take."""
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
        hints = hints_of(spec.function)
        kinds = {name: Kind(hints[name]) for name in inputs if name in hints}
        output = Kind(hints["return"]) if hints.get("return") is not None else None
        return cls(spec.name, None if takes_any else inputs, columns, kinds, output)

    def case(self, record: Record) -> Case:
        """The case that a row holds. Raises `InvalidInput` that names place, column and value."""
        if record.mistake:
            raise InvalidInput(f"{record.place}: {record.mistake}")
        rest = dict(record.values)
        there = record.header or rest
        if missing := [f"{name}={column}" for name, column in self.columns.items() if column not in there]:
            raise InvalidInput(
                f"{record.place}: no column for {', '.join(missing)}: it has {', '.join(rest)}"
            )
        if record.header:
            _unfold(rest, record, () if self.inputs is None else self.inputs)
        identity = self._id(rest, record)
        expected = self._expected(rest, record)
        nested = _mapping(rest, "metadata", record)
        inputs = self._inputs(rest, record)
        left = {name: value for name, value in rest.items() if not (record.is_text and value == "")}
        return Case(identity, inputs, expected, {**nested, **left}, record.place)

    def _column(self, name: str) -> str:
        return self.columns.get(name, name)

    def _id(self, rest: dict[str, object], record: Record) -> str:
        given = rest.pop(self._column("id"), record.number)
        if record.is_text and given == "":
            given = record.number
        if not isinstance(given, str | int) or isinstance(given, bool) or given == "":
            raise InvalidInput(f"{record.place}: the id is {shown(given)}: give it as text or a whole number")
        return str(given)

    def _expected(self, rest: dict[str, object], record: Record) -> object:
        """What is expected; an object is held against the fields of what the flow returns, and stays plain data."""
        column = self._column("expected")
        value = rest.pop(column, None)
        if record.is_text and value == "":
            return None
        if record.header and isinstance(value, str):
            value = self._of_cell(value, record, column)
        output = self.output
        if output is not None and output.is_structured and (why := output.misfit(value)) is not None:
            record.refuse(column, f"it is no output of flow {self.flow}, {why}")
        return value

    def _of_cell(self, text: str, record: Record, column: str) -> object:
        output = self.output
        if output is None or output.annotation is str:
            return text
        if output.is_structured:
            if not text.lstrip().startswith("{"):
                return text
            try:
                return parsed(text)
            except ValueError as error:
                record.refuse(column, f"it begins like JSON and is none ({error})")
        try:
            return output.of_text(text)
        except ValueError:
            # Scorers may compare with something else than a whole output: a label, or a part of it.
            return text

    def _inputs(self, rest: dict[str, object], record: Record) -> dict[str, object]:
        """The inputs of the flow, taken out of what is left of a row."""
        wanted = self.inputs
        if "inputs" not in self.columns and (wanted is None or "inputs" not in wanted):
            rest |= _mapping(rest, "inputs", record)
        if wanted is None:
            every = {name: rest.pop(column) for name, column in self.columns.items() if column in rest}
            every.update(rest)
            rest.clear()
            return {
                name: self._value(name, value, record) if name in self.kinds else value
                for name, value in every.items()
                if not (record.is_text and value == "")
            }
        found: dict[str, object] = {}
        for name, is_required in wanted.items():
            column = self._column(name)
            if column not in rest:
                continue
            if record.is_text and rest[column] == "":
                if is_required:
                    found[name] = self._empty(name, record)
                continue
            found[name] = self._value(name, rest[column], record)
        missing = [
            name
            for name, is_required in wanted.items()
            if is_required and name not in found and self._column(name) not in rest
        ]
        if missing:
            raise InvalidInput(
                f"{record.place}: no column {', '.join(map(repr, missing))}, which flow {self.flow} takes: the columns "
                f"are {', '.join(rest) or 'none'}; map one with columns={{{missing[0]!r}: COLUMN}}, "
                f"on the command line --map {missing[0]}=COLUMN"
            )
        for column in {self._column(name) for name in wanted}:
            rest.pop(column, None)
        return found

    def _value(self, name: str, value: object, record: Record) -> object:
        kind = self.kinds.get(name)
        if kind is None:
            return value
        try:
            # In tables objects are JSON, also where a column has a type.
            if record.header and isinstance(value, str):
                return kind.of_text(value)
            return kind.of_data(value)
        except ValueError as error:
            column = self._column(name)
            if column in record.values:
                record.refuse(column, f"input {name!r} of flow {self.flow}: {error}")
            raise InvalidInput(
                f"{record.place}: {name!r} is {shown(value)}: input {name!r} of flow {self.flow}: {error}"
            ) from None

    def _empty(self, name: str, record: Record) -> object:
        """What an empty cell means for an input that has to be given."""
        kind = self.kinds.get(name)
        if kind is not None and kind.takes_nothing:
            return None
        if kind is None or kind.takes_empty:
            return ""
        return record.refuse(self._column(name), f"flow {self.flow} needs {name!r}: fill the cell in")


def _unfold(rest: dict[str, object], record: Record, taken: object) -> None:
    """In a table the columns `inputs` and `metadata` hold objects as JSON."""
    for name in _NESTED:
        if name not in rest or name in cast("Mapping[str, object]", taken):
            continue
        text = rest[name]
        if not isinstance(text, str):
            continue
        if not text.strip():
            del rest[name]
            continue
        try:
            rest[name] = parsed(text)
        except ValueError as error:
            record.refuse(name, f"write a JSON object there ({error})")


def _mapping(rest: dict[str, object], key: str, record: Record) -> dict[str, object]:
    """Take the object under `key` out of a row; empty if there is none."""
    value = rest.pop(key, None)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{record.place}: {key!r} is {type(value).__name__}: write a JSON object")
    return cast("dict[str, object]", value)
