"""The review of a dataset: its lines as cases to judge, and a verdict written into one line of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from surefoot.errors import DatasetChanged, InvalidInput
from surefoot.evals.datasets.formats import PACKED, format_of
from surefoot.evals.datasets.json_rows import parsed
from surefoot.evals.datasets.replacing import held, replace
from surefoot.evals.datasets.verdict import AT, BY, PENDING, RECORDED, REVIEW, Verdict, state_of

LARGEST = 128_000_000
"""Bytes of a file that is reviewed: it is read anew for each verdict."""
_MARK = b"\xef\xbb\xbf"
_OWN = frozenset({"id", "inputs", "expected", "metadata", REVIEW, BY, AT, RECORDED})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file. `digest` is of its bytes, by which a verdict knows whether it is still the same.

    `state` is `pending`, a verdict, or empty where no review is asked for. `mistake` says why the line is no case.
    """

    number: int
    digest: str
    id: str
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    expected: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    state: str = ""
    mistake: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """A dataset with its lines as they stand in the file."""

    file: Path
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, file: Path) -> Review:
        """The lines of a JSONL file. Raises `InvalidInput` for a file of another format, or one that cannot be read."""
        _check(file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"the dataset {file} cannot be read ({error.strerror}): check the path"
            ) from None
        return cls(file, tuple(_entries(data)))

    @property
    def pending(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.state == PENDING]

    @property
    def counts(self) -> dict[str, int]:
        """How many lines stand in each state that there is, those without one under `unasked`."""
        found: dict[str, int] = {}
        for entry in self.entries:
            state = "malformed" if entry.mistake else entry.state or "unasked"
            found[state] = found.get(state, 0) + 1
        return found

    def entry(self, case: str) -> Entry:
        """The line of a case, the pending one if there are several. Raises `InvalidInput`."""
        found = [entry for entry in self.entries if entry.id == case and not entry.mistake]
        if not found:
            raise InvalidInput(f"{self.file} has no case {case!r}")
        return next((entry for entry in found if entry.state == PENDING), found[0])


def decide(
    file: Path,
    entry: Entry,
    verdict: Verdict,
    *,
    by: str,
    expected: object = None,
    at: datetime | None = None,
) -> None:
    """Write a verdict into the line of an entry: `review`, `reviewed_by` and `reviewed_at` in its metadata.

    All other lines keep every byte and their order. With `corrected`, `expected` takes the place of what was expected,
    which stays in the metadata as `recorded`. Two writers wait for each other.

    Raises `DatasetChanged`, and writes nothing, where the line is no longer what it was when it was read, and
    `InvalidInput` for a reviewer without a name and for a file that cannot be written.
    """
    _check(file)
    if not by.strip():
        raise InvalidInput("a verdict needs the name of who gives it")
    with held(file) as stream:
        data = stream.read()
        parts = data.split(b"\n")
        number = _found(parts, entry, file)
        line = parts[number - 1]
        mark = _MARK if number == 1 and line.startswith(_MARK) else b""
        end = b"\r" if line.endswith(b"\r") else b""
        text = line[len(mark) :].decode()
        row = cast("dict[str, Any]", parsed(text))
        _judge(row, verdict, by.strip(), expected, at or datetime.now(UTC))
        # In the style that the line had, so that its change is all that a diff shows.
        separators = (", ", ": ") if '": ' in text else (",", ":")
        is_ascii = "\\u" in text and text.isascii()
        try:
            judged = json.dumps(row, ensure_ascii=is_ascii, separators=separators, allow_nan=False)
            parts[number - 1] = mark + judged.encode() + end
        except ValueError as error:
            raise InvalidInput(f"what is expected cannot be written as JSON: {error}") from None
        replace(file, [b"\n".join(parts)])


def _check(file: Path) -> None:
    if format_of(file) != "jsonl" or file.suffix.lower() == PACKED:
        raise InvalidInput(
            f"{file}: lines are reviewed in JSONL files: `surefoot dataset convert {file} NAME.jsonl` makes one"
        )
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InvalidInput(f"the dataset {file} cannot be read ({error.strerror}): check the path") from None
    if size > LARGEST:
        raise InvalidInput(
            f"{file} has {size:,} bytes, and {LARGEST:,} are the most that is reviewed: split it"
        )


def _entries(data: bytes) -> list[Entry]:
    return [
        _entry(line, number)
        for number, line in enumerate(data.split(b"\n"), 1)
        if line.removeprefix(_MARK).strip()
    ]


def _entry(line: bytes, number: int) -> Entry:
    digest = blake2b(line, digest_size=12).hexdigest()
    try:
        row = parsed(line.removeprefix(_MARK).decode())
    except ValueError as error:
        return Entry(number, digest, str(number), mistake=f"this line is not JSON ({error})")
    if not isinstance(row, dict):
        return Entry(number, digest, str(number), mistake="this line holds no JSON object")
    values = cast("dict[str, Any]", row)
    nested = values.get("metadata")
    inputs = values.get("inputs")
    left = {name: value for name, value in values.items() if name not in _OWN}
    asked = {name: values[name] for name in (REVIEW, BY, AT, RECORDED) if name in values}
    is_nested = isinstance(inputs, dict)
    metadata = {**(cast("dict[str, Any]", nested) if isinstance(nested, dict) else {}), **asked}
    return Entry(
        number,
        digest,
        str(values.get("id", number)),
        cast("dict[str, Any]", inputs) if is_nested else left,
        values.get("expected"),
        {**metadata, **left} if is_nested else metadata,
        state_of(metadata),
    )


def _found(parts: list[bytes], entry: Entry, file: Path) -> int:
    """The number of the entry's line now; lines before it may have come or gone."""

    def is_it(number: int) -> bool:
        return blake2b(parts[number - 1], digest_size=12).hexdigest() == entry.digest

    if entry.number <= len(parts) and is_it(entry.number):
        return entry.number
    for number in range(1, len(parts) + 1):
        if is_it(number):
            return number
    raise DatasetChanged(
        f"{file}:{entry.number}: case {entry.id!r} was changed or removed since it was shown: look at it again"
    )


def _judge(row: dict[str, Any], verdict: Verdict, by: str, expected: object, at: datetime) -> None:
    nested = row.get("metadata")
    if isinstance(nested, dict):
        said = cast("dict[str, Any]", nested)
    elif REVIEW in row:
        said = row
    else:
        said = row["metadata"] = {}
    if verdict == "corrected":
        if row.get("expected") is not None and RECORDED not in said:
            said[RECORDED] = row["expected"]
        row["expected"] = expected
    said[REVIEW], said[BY] = verdict, by
    said[AT] = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
