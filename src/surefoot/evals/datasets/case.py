"""A case of a dataset, its plain data, and the digest of what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from typing import cast
from uuid import UUID

import orjson

from surefoot.errors import InvalidInput, NotData
from surefoot.ledger import identity
from surefoot.values import Json

_LEAVES = (str, int, float, bool, type(None))


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

    def value(self, name: str) -> object:
        """What stands under a name or a dotted path in the metadata, else in the inputs.

        `id` and `expected` are the case's own. Raises `KeyError` where there is nothing.
        """
        if name in ("id", "expected"):
            return self.id if name == "id" else self.expected
        for values in (self.metadata, self.inputs):
            if name in values:
                return values[name]
            found: object = values
            for part in name.split("."):
                found = _below(found, part)
            if found is not _NOTHING:
                return found
        raise KeyError(name)

    @property
    def asked(self) -> bytes:
        """A digest of the inputs: equal for two cases that ask the same."""
        return _digest(data_of(self.inputs), self.label)

    def to_json(self) -> dict[str, Json]:
        """As a line of a dataset says it. Raises `InvalidInput` for inputs that JSON has no form for."""
        said: dict[str, Json] = {"id": self.id, "inputs": self._plain("inputs", self.inputs)}
        if self.expected is not None:
            said["expected"] = self._plain("expected", self.expected)
        if self.metadata:
            said["metadata"] = self._plain("metadata", self.metadata)
        return said

    def _plain(self, name: str, value: object) -> Json:
        plain: Json = data_of(value)
        if (problem := _not_json(plain, name)) is not None:
            raise InvalidInput(f"{self.label}: {problem}, which cannot be written as JSON")
        return plain


def version_of(cases: Iterable[Case], name: str) -> str:
    """A digest of what the cases say, in their order: of their data, whichever classes hold it."""
    whole = blake2b(digest_size=16)
    for case in cases:
        content = (case.id, data_of(case.inputs), data_of(case.expected), data_of(case.metadata))
        whole.update(_digest(content, f"dataset {name}, {case.label}"))
    return whole.hexdigest()[:16]


def data_of(value: object) -> Json:
    """The plain data of a value: models and dataclasses as mappings, enums as their values, dates as ISO texts.

    What it does not know stays as it is.
    """
    if isinstance(value, Enum):
        return data_of(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): data_of(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [data_of(item) for item in cast("Iterable[object]", value)]
    if isinstance(value, AbstractSet):
        # In an order of its own, so that equal sets are equal data.
        items = [data_of(item) for item in cast("Iterable[object]", value)]
        return sorted(items, key=lambda item: orjson.dumps(item, default=repr))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: data_of(getattr(value, each.name)) for each in fields(value)}
    dump = getattr(value, "model_dump", None)
    return cast("Json", dump(mode="json") if callable(dump) else value)


_NOTHING = object()


def _below(value: object, name: str) -> object:
    """What a mapping or a model has under a name; `_NOTHING` where it has none."""
    plain = data_of(value)
    return plain[name] if isinstance(plain, dict) and name in plain else _NOTHING


def _digest(content: object, name: str) -> bytes:
    """Raises `InvalidInput` for what is no data, or nested too deeply to be recorded with a run."""
    try:
        return identity(content, name="case")
    except NotData as error:
        raise InvalidInput(f"{name}: {str(error)[:300]}") from None


def _not_json(value: object, place: str) -> str | None:
    """What in a plain value is no JSON, in words; None if all is."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{place} is {value}"
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return next((why for key, item in items if (why := _not_json(item, f"{place}.{key}"))), None)
    if isinstance(value, list):
        pairs = enumerate(cast("list[object]", value))
        return next((why for at, item in pairs if (why := _not_json(item, f"{place}[{at}]"))), None)
    return None if isinstance(value, _LEAVES) else f"{place} is {type(value).__name__}"
