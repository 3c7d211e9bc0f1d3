"""The conversations of metrics with real judges: each answer by `generate`, each vector by `embed` or the embedder."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TypeVar, cast

from surefoot import scope
from surefoot.errors import MalformedResponse
from surefoot.evals.judged.conversation import Ask, Talk, Vector, Vectors, Wish
from surefoot.evals.judged.judges import inputs_of, judge_of
from surefoot.evals.judged.settings import Settings
from surefoot.models import embed, generate
from surefoot.retrieval import home

T = TypeVar("T")

_MOST_AT_ONCE = 8


async def converse(talk: Talk[T], settings: Settings) -> T:
    """Lead a conversation, and return what it comes to. Raises what `generate`, `embed` and the metric raise.

    Questions that do not depend on one another are asked at once, eight at a time.
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
            said = await _granted(wish, settings)
        except MalformedResponse as malformed:
            error = malformed


async def _granted(wish: Wish, settings: Settings) -> object:
    if isinstance(wish, Vectors):
        return await _vectors(wish.texts, settings)
    if isinstance(wish, Ask):
        return await _answer(wish, settings)
    places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def one(asked: Ask) -> object:
        async with places:
            return await _answer(asked, settings)

    # The same question again is asked for another vote, and not for the same one.
    is_repeated = any(wish.count(each) > 1 for each in wish[:1])
    with scope.caching("never") if is_repeated else nullcontext():
        # All are let end: what was answered is paid, and is recorded for a resume.
        answers = await asyncio.gather(*map(one, wish), return_exceptions=True)
    failed = [each for each in answers if isinstance(each, BaseException)]
    if failed:
        raise next((each for each in failed if not isinstance(each, MalformedResponse)), failed[0])
    return answers


async def _answer(asked: Ask, settings: Settings) -> object:
    """The answer of a model; one that does not fit is sent back to it once, with what is wrong with it."""
    from surefoot.evals.judged.shapes import checking, shape_of

    judge = judge_of(asked.question, settings)
    with checking(asked.check):
        return await generate(
            judge, shape_of(asked), using=settings.using, **inputs_of(asked, judge, settings)
        )


async def _vectors(texts: tuple[str, ...], settings: Settings) -> list[Vector]:
    if settings.embeddings:
        return list(await embed(list(texts), using=settings.embeddings))
    embedder = home().embedder
    # A blocking computation, which would stop the judges of the other cases.
    found = await asyncio.to_thread(embedder.embed, list(texts))
    return cast("list[Vector]", found.tolist())
