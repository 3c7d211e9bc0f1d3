"""Which formats there are, by the end of a file's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.columnar import of_columns
from surefoot.evals.datasets.delimited import of_table
from surefoot.evals.datasets.json_rows import of_array, of_lines
from surefoot.evals.datasets.record import Record

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow"]

ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
PACKED = ".gz"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read where it does not tell itself: `encoding` of texts, `delimiter` between cells."""

    encoding: str | None = None
    delimiter: str | None = None


AS_IT_IS = Reading()


def format_of(file: Path) -> Format:
    """The format that a file's name tells. Raises `InvalidInput` for none that is known."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    is_packed = bool(suffixes) and suffixes[-1] == PACKED
    ending = suffixes[-2] if is_packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    found = ENDINGS.get(ending)
    if found is None or (is_packed and found in ("parquet", "arrow")):
        raise InvalidInput(
            f"{file}: datasets are files named {', '.join(ENDINGS)}, those of text with {PACKED} behind it too"
        )
    return found


def stem_of(file: Path) -> str:
    """The name of a file without the endings that tell its format."""
    name = file.name[: -len(PACKED)] if file.suffix.lower() == PACKED else file.name
    return Path(name).stem


def records(file: Path, reading: Reading = AS_IT_IS) -> Iterator[Record]:
    """The rows of a file, read as they are asked for. Raises `InvalidInput` and `MissingExtra`."""
    read: dict[Format, Callable[[], Iterator[Record]]] = {
        "jsonl": lambda: of_lines(file, reading.encoding),
        "json": lambda: of_array(file, reading.encoding),
        "csv": lambda: of_table(file, reading.encoding, delimiter=reading.delimiter),
        "tsv": lambda: of_table(file, reading.encoding, delimiter=reading.delimiter),
        "parquet": lambda: of_columns(file),
        "arrow": lambda: of_columns(file),
    }
    return read[format_of(file)]()
