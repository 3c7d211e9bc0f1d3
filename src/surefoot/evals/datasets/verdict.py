"""What a reviewer said of a case, as its metadata holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Verdict = Literal["accepted", "corrected", "rejected"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

REVIEW, BY, AT, RECORDED = "review", "reviewed_by", "reviewed_at", "recorded"
"""The metadata of a review: its state, who gave it and when (ISO 8601, UTC), and the output before it was corrected."""

PENDING = "pending"


def is_pending(metadata: Mapping[str, object]) -> bool:
    return metadata.get(REVIEW) == PENDING


def is_rejected(metadata: Mapping[str, object]) -> bool:
    """Whether a reviewer has rejected the case; a column of that name alone may mean anything."""
    return metadata.get(REVIEW) == "rejected" and BY in metadata


def state_of(metadata: Mapping[str, object]) -> str:
    """`pending`, a verdict, or an empty text where nobody is asked to review."""
    said = metadata.get(REVIEW)
    if said == PENDING:
        return PENDING
    return str(said) if said in VERDICTS and BY in metadata else ""
