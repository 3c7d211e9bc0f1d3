"""The two walks over a value: down to plain JSON with tags, and from there back up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, NoReturn, cast

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.names import Reference, Resolve, find_class, find_type

Writer = Callable[[Any, int, "Walk"], object]
Reader = Callable[[list[Any], "Return"], object]
Plain = Callable[[list[Any], "Return"], object]

TAG = "$"
_NESTS = frozenset({dict, list})
DEPTH = 200  # levels of JSON; orjson itself stops at 254
_AS_IS = frozenset({str, int, bool, NoneType})
_NEVER_WRONG = frozenset({bool, NoneType})


class Refused(Exception):
    """Something inside the value is not data. `trail` leads from there outwards to the value."""

    def __init__(self, value: object, reason: str = "") -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason
        self.is_too_deep = False
        self.trail: list[tuple[object, str]] = []

    def within(self, container: object, step: str) -> NoReturn:
        """Go on outwards: it happened in that container, at that step (`[3]`, `.client`)."""
        self.trail.append((container, step))
        raise self


def refuse(value: object, _depth: int, _walk: Walk) -> NoReturn:
    """The writer of every class that is not data."""
    raise Refused(value)


def tag(kind: str, *parts: object) -> dict[str, object]:
    """The form of everything that is not plain JSON."""
    return {TAG: [kind, *parts]}


class Walk:
    """Lowers a value to JSON in which everything but plain JSON is tagged.

    `is_identity` leaves out what does not make two equal values different. `is_strict` looks at every string
    and integer; the first walk leaves that to orjson, which is faster but cannot say where.
    """

    __slots__ = ("as_is", "errors", "find", "is_identity", "is_strict", "writers")

    def __init__(
        self,
        writers: dict[type, Writer],
        find: Callable[[type], Writer],
        *,
        is_identity: bool,
        is_strict: bool,
    ) -> None:
        self.writers = writers
        self.find = find
        self.is_identity = is_identity
        self.is_strict = is_strict
        self.as_is = _NEVER_WRONG if is_strict else _AS_IS
        self.errors: list[BaseException] = []

    def lower(self, value: object, depth: int) -> Any:
        """`depth` is the number of JSON levels above the value."""
        kind = type(value)
        if kind in self.as_is:
            return value
        if depth >= DEPTH:
            refused = Refused(value)
            refused.is_too_deep = True
            raise refused
        return (self.writers.get(kind) or self.find(kind))(value, depth, self)

    def attributes(
        self, owner: object, values: Mapping[str, Any], depth: int, skip: frozenset[str] = frozenset()
    ) -> dict[str, object]:
        """The attributes of an object as a JSON object, whose own level is `depth`."""
        as_is = self.as_is
        out: dict[str, object] = {}
        name = ""
        try:
            for name, item in values.items():
                if name not in skip:
                    out[name] = item if type(item) in as_is else self.lower(item, depth + 1)
        except Refused as refused:
            refused.within(owner, f".{name}")
        return out


class Return:
    """Restores a lowered value. With `is_lenient`, what has lost its class becomes the plain data it held."""

    __slots__ = ("is_lenient", "plain", "readers", "resolve")

    def __init__(
        self,
        readers: dict[str, Reader],
        plain: dict[str, Plain],
        *,
        resolve: Resolve | None,
        is_lenient: bool,
    ) -> None:
        self.readers = readers
        self.plain = plain
        self.resolve = resolve
        self.is_lenient = is_lenient

    def restore(self, tree: object) -> Any:
        """The value of a parsed JSON tree, which is changed in place."""
        kind = type(tree)
        if kind is dict:
            mapping = cast("dict[str, object]", tree)
            if len(mapping) == 1 and TAG in mapping:
                return self._tagged(mapping[TAG])
            for key, item in mapping.items():
                if type(item) in _NESTS:
                    mapping[key] = self.restore(item)
        elif kind is list:
            items = cast("list[object]", tree)
            for index, item in enumerate(items):
                if type(item) in _NESTS:
                    items[index] = self.restore(item)
        return tree

    def each(self, parts: list[Any]) -> list[Any]:
        """The values of an array's items; the array itself is never a tag."""
        return [self.restore(part) if type(part) in _NESTS else part for part in parts]

    def fields(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of an object's fields; the object itself is never a tag."""
        for key, item in values.items():
            if type(item) in _NESTS:
                values[key] = self.restore(item)
        return values

    def class_named(self, name: str, parent: type, what: str) -> type:
        """The class of that name. Raises `NotRestored` if there is none or it is not a `parent`."""
        found = find_class(name, self.resolve)
        if not issubclass(found, parent):
            raise NotRestored(f"cannot restore a recorded {name}: it is not {what} (any more)")
        return found

    def type_named(self, name: Reference) -> Any:
        """The class or type expression of that name. Raises `NotRestored` if there is none."""
        return find_type(name, self.resolve)

    def _tagged(self, tree: object) -> Any:
        form = type(tree)
        parts = cast("list[Any]", tree) if form is list else []
        kind: object = parts[0] if parts else None
        read = self.readers.get(kind) if isinstance(kind, str) else None
        if read is None or not isinstance(kind, str):
            raise NotRestored(
                f"cannot restore a recorded value: {str(tree)[:80]!r} is no kind that this version of "
                "Surefoot knows; read it with the version that wrote it, or a newer one"
            )
        arguments = parts[1:]
        try:
            return read(arguments, self)
        except NotRestored:
            plain = self.plain.get(kind) if self.is_lenient else None
            if plain is None:
                raise
            return plain(arguments, self)
        except RecursionError:
            raise
        except Exception as error:
            raise NotRestored(
                f"cannot restore a recorded value: {str(parts)[:80]!r} is no well-formed {kind!r} ({error})"
            ) from error
