"""Differences that are known and meant: one rule each, with the reason that is printed."""

from __future__ import annotations

import json
import re
from typing import Any

_PLACEHOLDER = re.compile(r"__PROMPTY_THREAD_[0-9a-f]+_\w+__")


def reason(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str | None:
    """Why messages may differ, or None."""
    for rule in (_left_placeholder,):
        found = rule(ours, theirs)
        if found:
            return found
    return None


def _left_placeholder(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str | None:
    if _PLACEHOLDER.search(json.dumps(theirs)) and not _PLACEHOLDER.search(json.dumps(ours)):
        return (
            "prompty 2.1.0 replaces one rich input of a message and leaves its own placeholder in the text for the "
            "others; here each becomes a part"
        )
    return None
