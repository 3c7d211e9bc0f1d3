"""Ids of experiments: of two that belong together, and which one the beginning of one means."""

from __future__ import annotations

from surefoot.errors import InvalidInput
from surefoot.ledger import Evaluations, ExperimentRecord

CANDIDATE, BASELINE = "candidate", "baseline"
MARK = "#"
"""Stands in the ids of experiments that belong together before which of them it is."""

_LENGTH, _SHORTEST = 26, 4
"""Signs of an id that was made here, and how many of them can mean it."""


def is_baseline(record: ExperimentRecord) -> bool:
    """Whether it was run for another one to be held against."""
    return record.settings.get("arm") == BASELINE


def counterpart_of(candidate: ExperimentRecord) -> str:
    """The id of what was run against a candidate; empty where it was run alone."""
    base, mark, arm = candidate.id.rpartition(MARK)
    return f"{base}{MARK}{BASELINE}" if mark and arm == CANDIDATE else ""


def meant(asked: str, evaluations: Evaluations) -> str:
    """The id of an experiment that is gone on with, by it or its beginning; else a new one, as it was given.

    Only an id that was made here is meant by its beginning: `nightly` is another one than `nightly-2`. Raises
    `InvalidInput` for the beginning of several.
    """
    begin = asked.strip().upper()
    if not _SHORTEST <= len(begin) < _LENGTH or not begin.isalnum():
        return asked
    every = [each.id for each in evaluations.experiments(limit=None)]
    bases = {each.partition(MARK)[0] for each in every}
    if asked in bases:
        return asked
    found = sorted(base for base in bases if len(base) == _LENGTH and base.startswith(begin))
    if len(found) > 1:
        raise InvalidInput(f"{asked!r} is the beginning of several experiments: {', '.join(found)}")
    return found[0] if found else asked
