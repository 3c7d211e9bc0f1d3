"""Rows from parquet and arrow files, a batch at a time. Needs pyarrow (extra `tables`)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from surefoot.errors import InvalidInput, MissingExtra
from surefoot.evals.datasets.record import Record

_BATCH = 1024
_INDEX = "__index_level_"
"""How pandas names what is no column of the data."""


def of_columns(file: Path) -> Iterator[Record]:
    """A row for each row of the table; nulls and NaN are left out, dates become ISO texts, decimals texts.

    Raises `InvalidInput` for a file that cannot be read, and `MissingExtra`.
    """
    library = arrow()
    number = 0
    try:
        for batch in _batches(file):
            names = list(batch.schema.names)
            if twice := {name for name in names if names.count(name) > 1}:
                raise InvalidInput(
                    f"{file}: the column {min(twice)!r} stands there twice: rename one of them"
                )
            for row in batch.to_pylist():
                number += 1
                yield _record(file, number, row, names)
    except library.ArrowException as error:
        raise InvalidInput(
            f"{file} cannot be read behind row {number}: {str(error).splitlines()[0]}"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"the dataset {file} cannot be read ({error.strerror or error}): check the path"
        ) from None


def _batches(file: Path) -> Iterator[Any]:
    library = arrow()
    if file.suffix.lower() == ".parquet":
        with library.parquet.ParquetFile(file) as table:
            yield from table.iter_batches(batch_size=_BATCH)
        return
    with library.OSFile(str(file), "rb") as source:
        try:
            reader = library.ipc.open_file(source)
        except library.ArrowInvalid:
            # The other of its two forms, which has no index at its end.
            source.seek(0)
            with library.ipc.open_stream(source) as stream:
                for batch in stream:
                    yield from _cut(batch)
            return
        for index in range(reader.num_record_batches):
            yield from _cut(reader.get_batch(index))


def _cut(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, _BATCH):
        yield batch.slice(start, _BATCH)


def _record(file: Path, number: int, row: Mapping[str, object], names: Sequence[str]) -> Record:
    try:
        values = {
            name: plain
            for name, value in row.items()
            if not name.startswith(_INDEX) and (plain := _plain(value, name)) is not None
        }
    except ValueError as error:
        return Record(file, number, {}, names, mistake=str(error))
    return Record(file, number, values, names)


def _plain(value: object, name: str) -> object:
    """The value as JSON has it. Raises `ValueError` that names the column."""
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"{name!r} is {value}, which JSON has no form for")
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list):
        return [_plain(item, name) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _plain(item, name) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, tuple):
        # The pairs of a map.
        return [_plain(item, name) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise ValueError(
        f"{name!r} holds {type(value).__name__}: a dataset holds texts, numbers, lists and objects"
    )


def arrow() -> Any:
    """The library, imported now. Raises `MissingExtra`."""
    try:
        # By name, as it has no types.
        importlib.import_module("pyarrow.ipc")
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise MissingExtra(
            'reading and writing parquet and arrow files needs pyarrow: pip install "surefoot[tables]"'
        ) from None
