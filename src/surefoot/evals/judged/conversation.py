"""What a metric asks for on its way to a score: judges' answers and vectors, one request after another.

A metric is a generator: it yields what it wants to know, is sent the answer, and returns its score. It does no I/O and
knows no model, so that the same metric runs over a ledger, over recorded answers, and in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from surefoot.errors import MalformedResponse
from surefoot.values import Json

T = TypeVar("T")

Check: TypeAlias = Callable[[Any], Any]
"""What an answer has to fulfil beside its form. It returns what the metric gets of it, and raises `ValueError` with
what is wrong, in words that the judge can go by."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a judge.

    question: which one, a name of `questions.QUESTIONS`.
    inputs: what the judge is told, by name.
    check: what the answer has to fulfil beside its form.
    is_lax: take what ragas takes ("1", true and 1.0 as the number 1), and not only what was asked for.
    is_text: take the answer as the text that it is.
    """

    question: str
    inputs: Mapping[str, Json]
    check: Check | None = None
    is_lax: bool = False
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of texts, one for each and in their order."""

    texts: tuple[str, ...]


Wish: TypeAlias = "Ask | tuple[Ask, ...] | Vectors"
"""One answer, several that do not depend on one another, or vectors."""

Talk: TypeAlias = Generator[Wish, Any, T]
"""A metric under way. An answer that stays malformed is thrown into it as `MalformedResponse`."""

Vector: TypeAlias = Sequence[float]


def ask(wish: Ask) -> Talk[Any]:
    """One answer, as its `check` returns it, else as the shape of its question. Raises `MalformedResponse`."""
    return (yield wish)


def ask_all(wishes: Sequence[Ask]) -> Talk[list[Any]]:
    """The answers to questions that may be asked at once, in their order. Raises `MalformedResponse`."""
    return cast("list[Any]", (yield tuple(wishes)))


def vectors(texts: Sequence[str]) -> Talk[list[Vector]]:
    """The vectors of texts, in their order."""
    return cast("list[Vector]", (yield Vectors(tuple(texts))))


def hold(
    talk: Talk[T], *, answer: Callable[[Ask], object], embed: Callable[[tuple[str, ...]], list[Vector]]
) -> T:
    """Lead a conversation with answers that are at hand, and return what it comes to.

    answer: gives the answer in the shape of its question, or raises `MalformedResponse`.

    Raises what the metric raises.
    """
    said: object = None
    error: MalformedResponse | None = None
    while True:
        try:
            wish = talk.throw(error) if error is not None else talk.send(said)
        except StopIteration as end:
            return cast("T", end.value)
        error = None
        try:
            if isinstance(wish, Vectors):
                said = embed(wish.texts)
            else:
                said = [answer(one) for one in wish] if isinstance(wish, tuple) else answer(wish)
        except MalformedResponse as malformed:
            error = malformed
