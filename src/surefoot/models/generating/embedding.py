"""`embed`: texts in, vectors out, by the model of any provider that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from surefoot.effects import Program, drive, drive_async
from surefoot.errors import ConfigError, InvalidInput
from surefoot.models.chain.endpoints import policy
from surefoot.models.generating.addressing import reference_in_place_of
from surefoot.models.generating.asked import Asked
from surefoot.models.generating.calling import call
from surefoot.models.wires import embedding_wire_of
from surefoot.scope import check_cache

Vector = tuple[float, ...]


class Embed:
    """See `embed`."""

    def __init__(self) -> None:
        # To whoever looks at it, it is a function.
        self.__name__ = self.__qualname__ = "embed"

    async def __call__(
        self,
        texts: Sequence[str],
        /,
        *,
        using: str,
        dimensions: int | None = None,
        cache: bool | float | None = None,
    ) -> list[Vector]:
        """The vectors of texts, one for each and in their order.

        using: a model reference such as `openai:text-embedding-3-small` or `google:gemini-embedding-001`.
        dimensions: how long the vectors are to be, where the model can make shorter ones.
        cache: whether each request is looked up in the cache and kept there, or for how many seconds its vectors are
            given again; by default as the flow and the settings say.

        Many texts go in several requests, one after the other. Inside a run each request is a recorded call, and not
        made again by a resume. Raises `ModelError`, `UnknownModel`, `ConfigError` for a provider that makes none, and
        `InvalidInput` for an empty text.
        """
        return await drive_async(_program(texts, using, dimensions, cache=cache))

    def sync(
        self,
        texts: Sequence[str],
        /,
        *,
        using: str,
        dimensions: int | None = None,
        cache: bool | float | None = None,
    ) -> list[Vector]:
        """`embed` for blocking code: the same, and it returns the vectors themselves."""
        return drive(_program(texts, using, dimensions, cache=cache))

    def __repr__(self) -> str:
        return "<function surefoot.embed>"


embed = Embed()


def _program(
    texts: Sequence[str], using: str, dimensions: int | None, *, cache: bool | float | None
) -> Program[list[Vector]]:
    check_cache(cache, "cache of embed")
    if isinstance(texts, str):
        raise InvalidInput("embed takes a list of texts, and was given one text: put it into a list")
    for index, text in enumerate(texts):
        if not text:
            raise InvalidInput(f"text {index} of {len(texts)} is empty, and has no vector: leave it out")
    chosen = policy()
    target = chosen.target(reference_in_place_of(using, chosen))
    wire = embedding_wire_of(target.wire)
    if wire is None:
        raise ConfigError(f"{target.provider} makes no vectors of texts: name a model of another provider")
    vectors: list[Vector] = []
    for start in range(0, len(texts), wire.most):
        some = texts[start : start + wire.most]
        asked = Asked(
            wire.operation,
            target,
            wire.path(target.model),
            wire.body(some, target.model, dimensions=dimensions),
            partial(wire.read, count=len(some)),
            cache=cache,
        )
        found, _ = yield from call(asked, chosen)
        vectors += found
    return vectors
