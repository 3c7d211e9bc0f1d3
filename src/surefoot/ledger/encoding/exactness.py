"""Whether what was encoded reads back as what it was: looked at where it is made, not when a run is resumed."""

from __future__ import annotations

from typing import Any, cast

import orjson

from surefoot.errors import NotData, NotRestored
from surefoot.ledger.encoding.large import Encoded
from surefoot.ledger.encoding.names import canonical_module
from surefoot.ledger.encoding.text import decode, encode_large
from surefoot.ledger.encoding.walk import TAG

_LONGEST = 60  # characters that are shown of a value
_WITH_FIELDS = frozenset({"dataclass", "model", "namedtuple"})
_GONE = "nothing"


def check_exact(value: object, text: Encoded, *, name: str) -> None:
    """Raise `NotData` unless `text`, which `encode_large` made of `value`, is restored as an equal value.

    Equal is what has the same encoded form, or compares equal and is of the same type. `name` is what the value is
    called in the error, which says its type and the first difference.
    """
    kind = type(value)
    what = f"{name} gave a {canonical_module(kind.__module__)}.{kind.__qualname__}"
    try:
        restored = decode(text)
    except NotRestored as error:
        raise NotData(
            f"{what}, which a resumed run could not restore: {error}. Define its class at the top of a module, "
            "or return plain data"
        ) from error
    again = encode_large(restored, name=name)
    if again == text or (type(restored) is kind and _is_equal(value, restored)):
        return
    place, before, after = _difference(orjson.loads(text), orjson.loads(again), name)
    raise NotData(
        f"{what}, which is restored as another value: {place} is {before} and becomes {after}. Let its class keep "
        "what it is given in its attributes, or return plain data"
    )


def _is_equal(value: Any, restored: Any) -> bool:
    try:
        return bool(value == restored)
    except Exception:  # noqa: BLE001  (a foreign __eq__, or one that compares item by item)
        return False


def _difference(before: Any, after: Any, place: str) -> tuple[str, str, str]:
    """Where two parsed texts differ first, and what stands there in each."""
    if type(before) is type(after):
        for step, old, new in _parts(before, after):
            if old != new or type(old) is not type(new):
                return _difference(old, new, place + step)
    return place, _shown(before), _shown(after)


def _parts(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """What two trees hold at the same places, by the step that leads there."""
    if type(before) is list:
        return _items(cast("Any", before), after)
    if type(before) is not dict:
        return []
    before, after = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
    if list(before) == list(after) == [TAG]:
        return _tagged(before[TAG], after[TAG])
    keys: dict[str, None] = dict.fromkeys([*before, *after])
    return [(f"[{key!r}]", before.get(key, _GONE), after.get(key, _GONE)) for key in keys]


def _items(before: list[Any], after: list[Any]) -> list[tuple[str, Any, Any]]:
    length = max(len(before), len(after))
    return [(f"[{index}]", _at(before, index), _at(after, index)) for index in range(length)]


def _tagged(before: list[Any], after: list[Any]) -> list[tuple[str, Any, Any]]:
    if before[:1] != after[:1] or (before[0] in _WITH_FIELDS and before[1] != after[1]):
        return []
    if before[0] in _WITH_FIELDS:
        old, new = cast("dict[str, Any]", before[2]), cast("dict[str, Any]", after[2])
        names: dict[str, None] = dict.fromkeys([*old, *new])
        fields = [(f".{key}", old.get(key, _GONE), new.get(key, _GONE)) for key in names]
        return [*fields, (" (its other attributes)", before[3:], after[3:])]
    return _parts(before[1:], after[1:])


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _GONE


def _shown(tree: Any) -> str:
    text = tree if tree is _GONE else orjson.dumps(tree).decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
