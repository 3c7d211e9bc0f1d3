"""The containers of Python and of `collections`."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from surefoot.ledger.encoding.walk import TAG, Reader, Refused, Return, Walk, Writer, tag

_WIDEST = 60  # characters of a key in a path
_FACTORIES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (list, dict, set, frozenset, tuple, int, float, complex, str, bytes, bytearray, bool)
}
_FACTORIES.update({kind.__name__: kind for kind in (deque, Counter, OrderedDict, defaultdict)})


def _items(value: object, items: Iterable[Any], depth: int, walk: Walk) -> list[object]:
    """The lowered items of a container; `depth` is the level of the array they stand in."""
    as_is = walk.as_is
    out: list[object] = []
    try:
        for item in items:
            out.append(  # noqa: PERF401  (its length says where a refusal came from)
                item if type(item) in as_is else walk.lower(item, depth + 1)
            )
    except Refused as refused:
        refused.within(value, f"[{len(out)}]")
    return out


def _pairs(value: object, mapping: Mapping[Any, Any], depth: int, walk: Walk) -> list[object]:
    """Key and value of each entry, as arrays in an array of level `depth`."""
    out: list[object] = []
    key: object = None
    try:
        for key, item in mapping.items():
            out.append([walk.lower(key, depth + 2), walk.lower(item, depth + 2)])
    except Refused as refused:
        refused.within(value, f"[{_short(key)}]")
    return out


def _short(key: object) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001  (a foreign __repr__ must not hide the error)
        text = object.__repr__(key)
    return text if len(text) <= _WIDEST else text[:_WIDEST] + "..."


def _write_list(value: list[Any], depth: int, walk: Walk) -> object:
    return _items(value, value, depth, walk)


def _write_dict(value: dict[Any, Any], depth: int, walk: Walk) -> object:
    as_is = walk.as_is
    is_strict = walk.is_strict
    out: dict[str, object] = {}
    key: Any = None
    try:
        for key, item in value.items():
            if type(key) is not str:
                break
            if is_strict:
                walk.lower(key, depth)
            out[key] = item if type(item) in as_is else walk.lower(item, depth + 1)
    except Refused as refused:
        refused.within(value, f"[{_short(key)}]")
    if len(out) < len(value):
        return tag("dict", *_unordered(_pairs(value, value, depth + 1, walk), walk))
    if TAG in out and len(out) == 1:
        return tag("dict", *_pairs(value, value, depth + 1, walk))
    return out


def _text(lowered: object) -> bytes:
    try:
        return orjson.dumps(lowered, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Text that the strict walk will name; the order does not matter until then.
        return b""


def _unordered(entries: list[object], walk: Walk) -> list[object]:
    """Entries whose order means nothing, in one order that depends on them alone."""
    return sorted(entries, key=_text) if walk.is_identity else entries


def _write_set(value: set[Any] | frozenset[Any], depth: int, walk: Walk) -> object:
    # Always sorted: the order of a set of strings changes from process to process.
    return tag(type(value).__name__, *sorted(_items(value, value, depth + 1, walk), key=_text))


def _write_sequence(value: tuple[Any, ...], depth: int, walk: Walk) -> object:
    return tag("tuple", *_items(value, value, depth + 1, walk))


def _write_deque(value: deque[Any], depth: int, walk: Walk) -> object:
    return tag("deque", value.maxlen, *_items(value, value, depth + 1, walk))


def _write_range(value: range, depth: int, walk: Walk) -> object:
    return tag("range", *_items(value, (value.start, value.stop, value.step), depth + 1, walk))


def _write_ordered(value: OrderedDict[Any, Any], depth: int, walk: Walk) -> object:
    return tag("OrderedDict", *_pairs(value, value, depth + 1, walk))


def _write_counter(value: Counter[Any], depth: int, walk: Walk) -> object:
    return tag("Counter", *_unordered(_pairs(value, value, depth + 1, walk), walk))


def _write_defaultdict(value: defaultdict[Any, Any], depth: int, walk: Walk) -> object:
    factory: Any = value.default_factory
    name: Any = None if factory is None else getattr(factory, "__name__", "")
    if factory is not None and _FACTORIES.get(name) is not factory:
        raise Refused(
            value,
            "its default_factory is neither None nor a built-in type. Use dict(...) or defaultdict(list)",
        )
    return tag("defaultdict", name, *_unordered(_pairs(value, value, depth + 1, walk), walk))


def _entries(parts: list[Any], back: Return) -> dict[Any, Any]:
    return {back.restore(key): back.restore(item) for key, item in parts}


def _read_counter(parts: list[Any], back: Return) -> object:
    counter: Counter[Any] = Counter()
    for key, count in _entries(parts, back).items():
        counter[key] = count
    return counter


def _read_defaultdict(parts: list[Any], back: Return) -> object:
    factory = None if parts[0] is None else _FACTORIES[parts[0]]
    return defaultdict(factory, _entries(parts[1:], back))


WRITERS: dict[type, Writer] = {
    list: _write_list,
    dict: _write_dict,
    tuple: _write_sequence,
    set: _write_set,
    frozenset: _write_set,
    deque: _write_deque,
    range: _write_range,
    OrderedDict: _write_ordered,
    Counter: _write_counter,
    defaultdict: _write_defaultdict,
}

READERS: dict[str, Reader] = {
    "dict": _entries,
    "tuple": lambda parts, back: tuple(back.each(parts)),
    "set": lambda parts, back: set(back.each(parts)),
    "frozenset": lambda parts, back: frozenset(back.each(parts)),
    "deque": lambda parts, back: deque(back.each(parts[1:]), maxlen=parts[0]),
    "range": lambda parts, back: range(*back.each(parts)),
    "OrderedDict": lambda parts, back: OrderedDict(_entries(parts, back)),
    "Counter": _read_counter,
    "defaultdict": _read_defaultdict,
}
