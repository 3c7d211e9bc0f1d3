"""What is known of a value before it is there: where untrusted text and private data in it come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from surefoot.flows.checking.declarations import Target
    from surefoot.prompts.fitting.scopes import Place, Scope

T = TypeVar("T")

Leg: TypeAlias = Literal["untrusted", "private"]

MAX_WAY = 8
"""So many places that a value has passed are drawn; a loop would go on."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A place that a value comes from or passes: what happens there, in which file and line."""

    what: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Mark:
    """That something untrusted or private is in a value: where it was read, and the places that it has passed."""

    leg: Leg
    source: Hop
    way: tuple[Hop, ...] = ()

    def via(self, hop: Hop) -> Mark:
        """The same one place further on."""
        if hop == self.source or hop in self.way or len(self.way) >= MAX_WAY:
            return self
        return replace(self, way=(*self.way, hop))


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The type of an answer whose checked fields are clear: its annotation, where it stands, and who has checked it."""

    annotation: object
    place: Place
    checked_at: Hop


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression may hold. The marks of its parts are among its own.

    `parts` are those of a dict, tuple or object that is written down. `calls` is what happens if it is called, `tools`
    what a model may call that is asked with it.
    `cleared` are the places that have cleared it, `asks` those where somebody was asked, whose answer it is.
    `kinds` are the classes of the project of which it may be an object, or hold some.
    """

    marks: tuple[Mark, ...] = ()
    parts: tuple[tuple[str, Value], ...] = ()
    shape: Shape | None = None
    calls: tuple[Target, ...] = ()
    tools: tuple[Target, ...] = ()
    cleared: tuple[Hop, ...] = ()
    asks: tuple[Hop, ...] = ()
    kinds: tuple[Scope, ...] = ()

    def of(self, leg: Leg) -> tuple[Mark, ...]:
        """The marks of one kind."""
        return tuple(mark for mark in self.marks if mark.leg == leg)

    def part(self, name: str) -> Value | None:
        """A part that is written down."""
        return next((value for key, value in self.parts if key == name), None)

    def via(self, hop: Hop) -> Value:
        """All of it one place further on, and no longer in parts."""
        marks = tuple(mark.via(hop) for mark in self.marks)
        return Value(marks, cleared=self.cleared, asks=self.asks, kinds=self.kinds)

    @property
    def scalar(self) -> Value:
        """A number or truth that is computed from it: it cannot instruct, and is as private as before."""
        return Value(self.of("private"), asks=self.asks)

    @property
    def whole(self) -> Value:
        """It as one thing of which no part is known."""
        return replace(self, parts=(), shape=None) if self.parts or self.shape else self

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for values that do the same to what they are given to."""
        marks = tuple((mark.leg, mark.source) for mark in self.marks)
        parts = tuple((name, value.key) for name, value in self.parts)
        calls = tuple(target.key for target in (*self.calls, *self.tools))
        shape = id(self.shape.annotation) if self.shape is not None else 0
        return marks, parts, shape, calls, bool(self.asks), tuple(map(id, self.kinds))


CLEAN = Value()


def joined(values: Iterable[Value]) -> Value:
    """A value that holds all of these, as one thing."""
    found = [value for value in values if value is not CLEAN]
    if not found:
        return CLEAN
    return Value(
        _marks(found),
        calls=_distinct(target for value in found for target in value.calls),
        tools=_distinct(target for value in found for target in value.tools),
        cleared=_distinct(hop for value in found for hop in value.cleared),
        asks=_distinct(hop for value in found for hop in value.asks),
        kinds=_distinct(kind for value in found for kind in value.kinds),
    )


def either(values: Sequence[Value]) -> Value:
    """One of these: what all that hold something have in common stays known."""
    found = list({id(value): value for value in values if value != CLEAN}.values())
    if len(found) == 1:
        return found[0]
    whole = joined(found)
    shapes = {value.shape for value in found}
    return replace(whole, shape=shapes.pop()) if len(shapes) == 1 else whole


def composed(parts: Sequence[tuple[str, Value]], *others: Value) -> Value:
    """A value that is put together of named parts, and of others whose names are not known."""
    whole = joined([*(value for _, value in parts), *others])
    return whole if others else replace(whole, parts=tuple(parts))


def _marks(values: Sequence[Value]) -> tuple[Mark, ...]:
    found: dict[tuple[Leg, Hop], Mark] = {}
    for value in values:
        for mark in value.marks:
            found.setdefault((mark.leg, mark.source), mark)
    return tuple(found.values())


def _distinct(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))
