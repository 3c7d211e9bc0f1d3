"""Cases as files, in each format that can be read; and cases behind those that a file has already."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from surefoot.errors import InvalidInput, NotData
from surefoot.evals.datasets.case import Case, data_of
from surefoot.evals.datasets.columnar import arrow
from surefoot.evals.datasets.formats import PACKED, format_of
from surefoot.evals.datasets.formulas import harmless
from surefoot.evals.datasets.replacing import held, replace
from surefoot.values import Json

_OWN = ("id", "inputs", "expected", "metadata")


def write(cases: Sequence[Case], file: Path, *, overwrite: bool = False) -> None:
    """Write cases to a file whose name tells the format, as a whole or not at all.

    JSON has an object for each case, with `inputs` and `metadata` inside. Tables have a column for each input, and for
    metadata that is text; other metadata stands as JSON in the column `metadata`, so that it keeps its type.

    Raises `InvalidInput` for a file that is there and not to be overwritten, and for what the format has no form for.
    """
    form = format_of(file)
    if file.exists() and not overwrite:
        raise InvalidInput(f"{file} is there already: name another file, or overwrite it (--force)")
    is_packed = file.suffix.lower() == PACKED
    if form == "jsonl":
        replace(file, map(line_of, cases), is_packed=is_packed)
    elif form == "json":
        replace(file, _array(cases), is_packed=is_packed)
    elif form in ("csv", "tsv"):
        replace(file, _cells(cases, "\t" if form == "tsv" else ","), is_packed=is_packed)
    else:
        replace(file, [_columns(cases, is_parquet=form == "parquet")])


def append(file: Path, entries: Sequence[bytes]) -> None:
    """Put lines behind those of a JSONL file, of which no byte changes; the file is made if it is not there.

    Raises `InvalidInput` and `DatasetChanged`.
    """
    if not file.exists():
        replace(file, entries)
        return
    if not entries:
        return
    with held(file) as stream:
        before = stream.read()
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        replace(file, [before, gap, *entries])


def line_of(case: Case) -> bytes:
    """The case as a line of JSONL, with its end. Raises `InvalidInput` for what JSON has no form for."""
    return dumped(case.to_json(), case.label) + b"\n"


def dumped(value: Json, place: str) -> bytes:
    """JSON in UTF-8 without blanks. Raises `InvalidInput`."""
    try:
        return orjson.dumps(value)
    except (TypeError, NotData) as error:
        raise InvalidInput(f"{place} cannot be written as JSON: {error}") from None


def _array(cases: Sequence[Case]) -> Iterator[bytes]:
    for number, case in enumerate(cases):
        yield b"[\n" if number == 0 else b",\n"
        yield line_of(case).rstrip(b"\n")
    yield b"\n]\n"


def _flat(cases: Sequence[Case]) -> tuple[list[str], Iterator[dict[str, object]]]:
    """The columns of a table and its rows; what a row lacks is left out of it."""
    inputs = dict.fromkeys(name for case in cases for name in case.inputs)
    metadata = dict.fromkeys(name for case in cases for name in case.metadata)
    if clash := [name for name in inputs if name in ("id", "expected", "metadata")]:
        raise InvalidInput(
            f"an input is called {clash[0]!r}, which a table has another column for: write JSONL"
        )
    apart = {
        name
        for name in metadata
        if name in inputs
        or name in _OWN
        or any(name in c.metadata and not _is_cell(c.metadata[name]) for c in cases)
    }
    flat = [name for name in metadata if name not in apart]
    columns = ["id", *inputs, "expected", *flat, *(["metadata"] if apart else [])]

    def rows() -> Iterator[dict[str, object]]:
        for case in cases:
            row: dict[str, object] = {"id": case.id, **case.inputs}
            if case.expected is not None:
                row["expected"] = case.expected
            row |= {name: case.metadata[name] for name in flat if name in case.metadata}
            if nested := {name: case.metadata[name] for name in apart if name in case.metadata}:
                row["metadata"] = nested
            yield row

    return columns, rows()


def _is_cell(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _cells(cases: Sequence[Case], delimiter: str) -> Iterator[bytes]:
    columns, rows = _flat(cases)
    text = io.StringIO(newline="")
    plain = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    # A carriage return is put in quotes by this one only.
    quoting = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def taken() -> bytes:
        whole = text.getvalue()
        text.seek(0)
        text.truncate()
        return whole.encode()

    plain.writerow(map(harmless, columns))
    yield taken()
    for case, row in zip(cases, rows, strict=True):
        cells = [_cell(row.get(name), case, name) for name in columns]
        (quoting if any("\r" in cell for cell in cells) else plain).writerow(cells)
        yield taken()


def _cell(value: object, case: Case, name: str) -> str:
    plain = data_of(value)
    if plain is None:
        return ""
    text = plain if isinstance(plain, str) else dumped(plain, f"{case.label}: {name!r}").decode()
    if "\0" in text:
        raise InvalidInput(f"{case.label}: {name!r} holds a NUL character, which a table of text cannot have")
    return harmless(text)


def _columns(cases: Sequence[Case], *, is_parquet: bool) -> bytes:
    pyarrow = arrow()
    columns, rows = _flat(cases)
    every = [{name: data_of(value) for name, value in row.items()} for row in rows]
    # An object is JSON here as well: objects with different keys would be one with all of them.
    folded = {name for name in columns if any(_holds_object(row.get(name)) for row in every)}
    for row in every:
        for name in folded & row.keys():
            row[name] = dumped(row[name], name).decode()
    sink = pyarrow.BufferOutputStream()
    try:
        arrays: dict[str, Any] = {name: pyarrow.array([row.get(name) for row in every]) for name in columns}
        table = pyarrow.table(arrays)
        _writer(is_parquet=is_parquet)(table, sink)
    except (pyarrow.ArrowException, TypeError, OverflowError) as error:
        raise InvalidInput(
            f"the cases are no table of columns of one type each ({str(error).splitlines()[0]}): write JSONL"
        ) from None
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def _holds_object(value: Json) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_object, value)))


def _writer(*, is_parquet: bool) -> Callable[[Any, Any], object]:
    pyarrow = arrow()
    if is_parquet:
        write_table: Callable[[Any, Any], object] = pyarrow.parquet.write_table
        return write_table

    def streamed(table: Any, sink: Any) -> None:
        with pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    return streamed
