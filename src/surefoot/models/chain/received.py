"""How much of an answer was received, in bytes of what was said: a bound of its tokens where nobody counts them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.sse import events_of

_NOT_SAID = frozenset(
    {
        *("type", "role", "id", "index", "call_id", "tool_use_id", "item_id", "status", "finish_reason"),
        *("logprobs", "obfuscation", "annotations", "object", "model", "native_finish_reason"),
    }
)
_WHOLE = frozenset({"args", "input"})
"""Arguments of tools that come as objects and not as text: their JSON counts."""
_UNFINISHED = frozenset({"queued", "in_progress"})


def bytes_said(body: bytes, *, is_events: bool) -> int | None:
    """Bytes of UTF-8 that a model has said in a body, or in the part of it that came.

    None where that cannot be told: a buffered body that is no JSON, or that says that the answer is still being made.
    """
    if is_events:
        return sum(_said_in(parse_json(event.data)) for event in events_of(body))
    answer = parse_json(body)
    if answer is None:
        return None
    fields = cast("Mapping[str, object]", answer) if isinstance(answer, dict) else None
    if fields is not None and fields.get("status") in _UNFINISHED:
        return None
    return sum(_said_in(each) for each in _each(answer))


def _said_in(value: object) -> int:
    """What one event or answer says, in whichever format."""
    if not isinstance(value, dict):
        return 0
    fields = cast("Mapping[str, object]", value)
    if str(fields.get("type") or "").endswith((".done", ".completed", ".created", ".in_progress")):
        # It says again what was said, or nothing yet.
        return 0
    said = 0
    for choice in _each(fields.get("choices")):
        if isinstance(choice, dict):
            inner = cast("Mapping[str, object]", choice)
            said += sum(_weight(inner.get(name)) for name in ("delta", "message", "text"))
    for candidate in _each(fields.get("candidates")):
        said += _weight(candidate)
    return said + sum(_weight(fields.get(name)) for name in ("delta", "content_block", "content", "output"))


def _weight(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        fields = cast("Mapping[str, object]", value)
        return sum(
            len(json.dumps(inner, ensure_ascii=False)) * 4 if name in _WHOLE and inner else _weight(inner)
            for name, inner in fields.items()
            if name not in _NOT_SAID
        )
    return sum(map(_weight, cast("list[object]", value))) if isinstance(value, list) else 0


def _each(value: object) -> Iterator[object]:
    found: list[object] = cast("list[object]", value) if isinstance(value, list) else [value]
    yield from found
