"""Recorded values as plain JSON: the data without the classes that it is restored to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import orjson

from surefoot.values import Json

_TAG = "$"


@dataclass(frozen=True, slots=True)
class Failure:
    """A recorded exception: its class (`module:Name`) and what it said. `cause` led to it."""

    type: str
    message: str
    cause: Failure | None = None

    def __str__(self) -> str:
        name = self.type.rpartition(":")[2]
        return f"{name}: {self.message}" if self.message else name


def parsed(view: str) -> Json:
    """The tree of a recorded text. A text that redaction has made unreadable as JSON stands for itself."""
    try:
        return cast("Json", orjson.loads(view))
    except orjson.JSONDecodeError:
        return view


def plain_of(view: str) -> Json:
    """The data of a recorded text: its tree without tags. Most texts have none, and are not gone through."""
    tree = parsed(view)
    return plain(tree) if _TAG in view else tree


def plain(tree: Json) -> Json:
    """A recorded tree with every tag replaced by the data it holds; an exception by what it said."""
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if (tagged := _tagged(tree)) is not None:
        kind, parts = tagged
        read = _READ.get(kind)
        try:
            return read(parts) if read is not None else {kind: [plain(part) for part in parts]}
        except (IndexError, TypeError, ValueError):
            return {kind: parts}
    return {key: plain(item) for key, item in tree.items()}


def failure_in(tree: Json) -> Failure | None:
    """The exception that a recorded tree is, or None if it is other data."""
    tagged = _tagged(tree) if isinstance(tree, dict) else None
    if tagged is None or tagged[0] != "error":
        return None
    name, arguments, state = (*tagged[1], None, None, None)[:3]
    said = state if isinstance(state, dict) else {}
    text = said.get("says")
    if text is None:
        first = arguments[0] if isinstance(arguments, list) and arguments else ""
        text = first if isinstance(first, str) else str(plain(first))
    return Failure(str(name), str(text), failure_in(said.get("cause")))


def _tagged(tree: dict[str, Json]) -> tuple[str, list[Json]] | None:
    inside = tree.get(_TAG)
    if len(tree) != 1 or not isinstance(inside, list) or not inside or not isinstance(inside[0], str):
        return None
    return inside[0], inside[1:]


def _pairs(parts: list[Json]) -> Json:
    entries: dict[str, Json] = {}
    for pair in parts:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(pair)
        key = plain(pair[0])
        entries[key if isinstance(key, str) else orjson.dumps(key).decode()] = plain(pair[1])
    return entries


def _fields(parts: list[Json]) -> Json:
    fields = plain(parts[1])
    extra = parts[2] if len(parts) > 2 else None
    if (
        isinstance(extra, dict)
        and isinstance(fields, dict)
        and isinstance(rest := plain(extra.get("rest")), dict)
    ):
        return {**fields, **rest}
    return fields


def _timedelta(parts: list[Json]) -> Json:
    days, seconds, micros = (int(part) for part in parts if isinstance(part, int))
    return f"{days * 86_400 + seconds + micros / 1e6:g} s"


def _binary(parts: list[Json]) -> Json:
    return f"base64:{parts[0]}"


def _array(parts: list[Json]) -> Json:
    shape = parts[1] if isinstance(parts[1], list) else []
    return f"array of {' x '.join(map(str, shape)) or 'one'}, dtype {plain(parts[0])}"


def _response(parts: list[Json]) -> Json:
    return {"status": parts[1], "headers": parts[2], "body": plain(parts[3])}


_LISTS = ("tuple", "set", "frozenset", "range")
_SECOND = ("subclass", "flag", "path", "url")
_FIRST = ("float", "date", "datetime", "time", "decimal", "uuid", "zoneinfo", "timezone", "tzinfo")

_READ: dict[str, Callable[[list[Json]], Json]] = {
    **dict.fromkeys(_LISTS, lambda parts: [plain(part) for part in parts]),
    **dict.fromkeys(_FIRST, lambda parts: parts[0]),
    **dict.fromkeys(_SECOND, lambda parts: plain(parts[1])),
    **dict.fromkeys(("dict", "OrderedDict", "Counter"), _pairs),
    **dict.fromkeys(("bytes", "bytearray"), _binary),
    **dict.fromkeys(("dataclass", "model", "namedtuple"), _fields),
    "complex": lambda parts: f"{plain(parts[0])} + {plain(parts[1])}j",
    "defaultdict": lambda parts: _pairs(parts[1:]),
    "deque": lambda parts: [plain(part) for part in parts[1:]],
    "enum": lambda parts: plain(parts[2]) if len(parts) > 2 else parts[1],
    "error": lambda parts: str(failure_in({_TAG: ["error", *parts]})),
    "int": lambda parts: int(str(parts[0]), 16),
    "ndarray": _array,
    "numpy": lambda parts: f"numpy {plain(parts[0])} base64:{parts[1]}",
    "response": _response,
    "timedelta": _timedelta,
}
