"""What one rendering may spend, and what it has come by: steps, characters, time, values that are no text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from itertools import chain
from typing import cast

from surefoot.prompts import stamps

MAX_CHARACTERS = 20_000_000
MAX_STEPS = 250_000
MAX_SECONDS = 20.0
# What counting an item costs: items take time to compare and to write out even if they are short.
_ITEM_WEIGHT = 16


class LimitError(Exception):
    """A template wants more than a prompt can need."""


class Budget:
    """What is left for one rendering, its stamp, and what is found out on the way.

    `placed` are the values that are no text, in the order of their places; `blank` says what was undefined and is
    rendered as nothing; `sources` names, where that is asked for, the inputs that each value came of, and `lines` the
    line of the template that put it in, 0 where nobody knows.
    """

    __slots__ = ("_deadline", "blank", "characters", "lines", "placed", "sources", "stamp", "steps")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.characters = MAX_CHARACTERS
        self.stamp = stamps.fresh()
        self.placed: list[object] = []
        self.blank: list[str] = []
        self.sources: list[tuple[str, ...]] = []
        self.lines: list[int] = []
        self._deadline = 0.0

    def step(self, steps: int = 1) -> None:
        """Count work. Raises `LimitError`."""
        before = self.steps
        self.steps = left = before - steps
        if left < 0:
            raise LimitError(f"it takes more than {MAX_STEPS} steps; loop over less")
        if before >> 12 != left >> 12:
            self._look_at_the_clock()

    def spend(self, characters: int) -> None:
        """Count characters that are made or searched. Raises `LimitError`."""
        self.characters -= characters
        if self.characters < 0:
            raise LimitError(f"it makes or searches more than {MAX_CHARACTERS} characters; render less")

    def hurry(self) -> None:
        """Look at the clock, where a step may take long. Raises `LimitError`."""
        self._look_at_the_clock()

    def thing(self, number: int) -> object:
        """The value at a place; None where a template has made up the number."""
        return self.placed[number] if number < len(self.placed) else None

    def place(self, value: object) -> str:
        """The text that stands for a value that is no text."""
        self.placed.append(value)
        return f"{self.stamp}{stamps.PART}{len(self.placed) - 1};"

    def sourced(self, text: str, names: tuple[str, ...], line: int = 0) -> str:
        """A text between stamps that say which inputs it came of."""
        self.sources.append(names)
        self.lines.append(line)
        return f"{self.stamp}{stamps.SOURCE}{len(self.sources) - 1};{text}{self.stamp}{stamps.SOURCE_END}"

    def _look_at_the_clock(self) -> None:
        # The first look is at the beginning of long work; most renderings never come to it.
        now = time.monotonic()
        self._deadline = self._deadline or now + MAX_SECONDS
        if now > self._deadline:
            raise LimitError(f"it takes longer than {MAX_SECONDS:.0f} seconds; render less")


# Unset while a template is compiled, which keeps the compiler from folding what is bounded here.
_current: ContextVar[Budget] = ContextVar("surefoot_render_budget")

current = _current.get


def begin() -> tuple[Budget, Token[Budget]]:
    """The budget of a rendering that begins now, and what ends it."""
    budget = Budget()
    return budget, _current.set(budget)


def end(token: Token[Budget]) -> None:
    """The end of a rendering."""
    _current.reset(token)


def weight(value: object, left: int) -> int:
    """The characters that a value would take as text, generously; stops counting once above `left`."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        inner: Iterable[object] = chain(table.keys(), table.values())
    elif isinstance(value, list | tuple | set | frozenset):
        inner = cast("Iterable[object]", value)
    else:
        return _ITEM_WEIGHT
    total = _ITEM_WEIGHT
    for item in inner:
        total += _ITEM_WEIGHT + weight(item, left - total)
        if total > left:
            break
    return total
