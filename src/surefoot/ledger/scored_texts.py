"""What is written in evaluations, as the tables take it: secrets masked, of a length, in characters that they have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from surefoot.errors import InvalidInput
from surefoot.ledger.rows import clean
from surefoot.ledger.scored import LONGEST_ID, LONGEST_LABEL, LONGEST_METRIC, CaseRecord, ScoreRecord
from surefoot.ledger.scored_rows import as_json

_LONGEST_TEXT = 20_000


class Masking(Protocol):
    """What masks secrets."""

    def readable_all(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts as people may read them: the very ones where there is nothing to hide."""
        ...


def ready_case(record: CaseRecord, masking: Masking) -> tuple[CaseRecord, str]:
    """A case as it can be kept, and its metadata as JSON.

    Raises `InvalidInput` for a score that is no number, and for names that are too long.
    """
    check_name(record.case, "the id of a case")
    texts = [
        *(record.error, as_json(record.metadata) if record.metadata else "{}"),
        *(record.case, record.run_id, record.tenant, record.experiment),
    ]
    has_long_label = False
    for score in record.scores:
        value = score.value
        check_name(score.metric, "the name of a metric", most=LONGEST_METRIC)
        if isinstance(value, str):
            has_long_label = has_long_label or len(value) > LONGEST_LABEL
            texts += (score.metric, score.reason, score.failure, value)
        else:
            _check_number(value, record, score)
            texts += (score.metric, score.reason, score.failure)
    # Nearly every case comes through here: one look at all that is written in it, and it is kept as it is.
    joined = "\n".join(texts)
    is_short = len(joined) <= _LONGEST_TEXT and not has_long_label
    if is_short and clean(joined) == joined and masking.readable_all((joined,))[0] is joined:
        return record, texts[1]
    return _mended(record, texts[1], masking)


def ready_texts(texts: Sequence[str], masking: Masking) -> list[str]:
    """Texts as they can be kept."""
    return [_cut(clean(text)) for text in masking.readable_all(texts)]


def ready_object(value: object, masking: Masking) -> str:
    """An object as JSON as it can be kept."""
    return _sound(masking.readable_all((as_json(value),))[0])


def check_name(name: str, what: str, *, most: int = LONGEST_ID) -> None:
    """Raise `InvalidInput` for a name that no index takes, or that would stand there as another one."""
    if clean(name) != name:
        raise InvalidInput(
            f"{what} is {name[:40]!r}, in which is a NUL or half of a character: give another one"
        )
    if not name or len(name if name.isascii() else clean(name)) > most:
        shown = f"{name[:40]}…" if len(name) > 40 else name
        raise InvalidInput(f"{what} has 1 to {most} characters, {shown!r} has {len(name)}: give another one")


def _check_number(value: float | None, record: CaseRecord, score: ScoreRecord) -> None:
    try:
        is_number = value is None or math.isfinite(value)
    except OverflowError:
        is_number = False
    if not is_number:
        raise InvalidInput(
            f"case {record.case}: metric {score.metric!r} is {_shown(value)}, which cannot be averaged: keep a failure"
        )


def _shown(value: object) -> str:
    try:
        return str(value)[:40]
    except ValueError:
        return "a number of thousands of digits"


def _mended(record: CaseRecord, metadata: str, masking: Masking) -> tuple[CaseRecord, str]:
    masked = masking.readable_all(
        [record.error, metadata, *(text for score in record.scores for text in _texts_of(score))]
    )
    reasons, failures, labels = masked[2::3], masked[3::3], masked[4::3]
    scores = tuple(map(_mended_score, record.scores, reasons, failures, labels))
    mended = replace(
        record,
        experiment=clean(record.experiment),
        case=clean(record.case),
        run_id=clean(record.run_id),
        tenant=clean(record.tenant),
        error=_cut(clean(masked[0])),
        scores=scores,
    )
    return mended, _sound(masked[1])


def _texts_of(score: ScoreRecord) -> tuple[str, str, str]:
    return score.reason, score.failure, score.value if isinstance(score.value, str) else ""


def _mended_score(score: ScoreRecord, reason: str, failure: str, label: str) -> ScoreRecord:
    return replace(
        score,
        metric=clean(score.metric),
        value=_cut(clean(label), LONGEST_LABEL) if isinstance(score.value, str) else score.value,
        reason=_cut(clean(reason)),
        failure=_cut(clean(failure)),
    )


def _cut(text: str, most: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _sound(text: str) -> str:
    """JSON that is still an object after what was masked in it."""
    try:
        is_sound = text == "{}" or isinstance(orjson.loads(text), dict)
    except ValueError:
        is_sound = False
    return text if is_sound else "{}"


class NothingHidden:
    """For texts that were masked where they come from."""

    def readable_all(self, texts: Sequence[str]) -> Sequence[str]:
        return texts
