"""What a step has found in a collection, told by what came out: texts, each with what it was found by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surefoot.values import Json

_TEXTS = ("text", "page_content", "content")
_NAMES = ("document", "id", "source", "doc_id")
_MOST = 50


@dataclass(frozen=True, slots=True)
class Found:
    """One text that was found. `score` is as whoever searched gives it, `rest` what else is known of it."""

    text: str
    name: str = ""
    score: float | None = None
    rest: Mapping[str, Json] | None = None


def retrieved(output: Json) -> tuple[Found, ...]:
    """The texts that a step returned, where it is a list of them, each with a score or with metadata; else none."""
    if not isinstance(output, list) or not 0 < len(output) <= _MOST:
        return ()
    found = [_found(item) for item in output]
    return tuple(one for one in found if one is not None) if None not in found else ()


def _found(item: Json) -> Found | None:
    if not isinstance(item, dict):
        return None
    text = next((value for key in _TEXTS if isinstance(value := item.get(key), str)), None)
    score = item.get("score")
    is_scored = isinstance(score, int | float) and not isinstance(score, bool)
    if text is None or not (is_scored or isinstance(item.get("metadata"), dict)):
        return None
    name = next((str(value) for key in _NAMES if isinstance(value := item.get(key), str | int)), "")
    rest = {key: value for key, value in item.items() if key not in (*_TEXTS, "score")}
    return Found(text, name, float(score) if is_scored and isinstance(score, int | float) else None, rest)
