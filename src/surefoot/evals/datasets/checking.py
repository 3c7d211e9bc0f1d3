"""All mistakes of a dataset at once, and what is worth to be told though it is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case, version_of
from surefoot.evals.datasets.formats import AS_IT_IS, Reading, records, stem_of
from surefoot.evals.datasets.layout import Layout
from surefoot.evals.datasets.summary import duplicates, is_redacted
from surefoot.evals.datasets.verdict import is_pending, is_rejected
from surefoot.flows import AnyFlow
from surefoot.values import Json

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a file: `cases` that can be read, `mistakes` and `notes` in words.

    `version` is that of the dataset, empty where there are mistakes.
    """

    file: Path
    cases: int
    mistakes: tuple[str, ...]
    notes: tuple[str, ...]
    version: str

    def to_json(self) -> dict[str, Json]:
        return {
            "file": str(self.file),
            "cases": self.cases,
            "version": self.version,
            "mistakes": list(self.mistakes),
            "notes": list(self.notes),
        }


def check(
    file: Path,
    *,
    flow: AnyFlow | str | None = None,
    columns: Mapping[str, str] | None = None,
    reading: Reading = AS_IT_IS,
) -> Checked:
    """Read a whole file as `Dataset.load` does, and go on behind each mistake.

    Raises `InvalidInput` for columns that are mapped to nothing, and `UnknownFlow`.
    """
    layout = Layout.of(flow, columns or {})
    cases: list[Case] = []
    mistakes: list[str] = []
    ids: dict[str, Case] = {}
    rows = named = 0
    column = layout.columns.get("id", "id")
    try:
        for record in records(file, reading):
            rows += 1
            named += record.values.get(column) not in (None, "")
            try:
                case = layout.case(record)
            except InvalidInput as error:
                mistakes.append(str(error))
                continue
            if is_rejected(case.metadata):
                continue
            if (other := ids.setdefault(case.id, case)) is not case:
                mistakes.append(f"{case.label}: the id {case.id!r} stands at {other.label} already")
            cases.append(case)
    except InvalidInput as error:
        # What follows cannot be told apart from what is broken.
        mistakes.append(str(error))
    if not rows and not mistakes:
        mistakes.append(f"{file} holds no case")
    version = "" if mistakes else version_of(cases, stem_of(file))
    return Checked(file, len(cases), tuple(mistakes), tuple(_notes(cases, named)), version)


def _notes(cases: list[Case], named: int) -> list[str]:
    notes: list[str] = []
    for group in duplicates(cases):
        notes.append(f"the same inputs in {len(group)} cases: {_named(group)}")  # noqa: PERF401
    without = [case.id for case in cases if case.expected is None]
    if without and len(without) < len(cases):
        notes.append(f"nothing is expected in {len(without)} of {len(cases)} cases: {_named(without)}")
    if pending := [case.id for case in cases if is_pending(case.metadata)]:
        notes.append(f"{len(pending)} cases wait for review: {_named(pending)}")
    if redacted := [case.id for case in cases if is_redacted(case)]:
        notes.append(f"a secret is masked in the inputs of {len(redacted)} cases: {_named(redacted)}")
    if cases and not named:
        notes.append(
            "no case has an id: each is named by its line, so that a split moves cases when one is put between"
        )
    return notes


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more
