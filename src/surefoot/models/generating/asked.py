"""One call that is to be made: where to, with what, and who reads its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from surefoot.models.chain.connections import Target
from surefoot.models.chain.operations import OPERATIONS
from surefoot.models.chain.reserve import Reserve
from surefoot.models.fakes import Fake
from surefoot.models.generating.asking import Listening
from surefoot.scope import CacheWish, Claim
from surefoot.values import Json, PromptRef

R = TypeVar("R")

Hear = Callable[[str], object]
"""Is given each piece of an answer's text as it comes; async code may give an async function."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """In the place of `hear`: notes the pieces of an answer that is not taken yet, with whom they are for."""

    hear: Hear
    pieces: list[tuple[Hear, str]]

    def __call__(self, piece: str) -> None:
        self.pieces.append((self.hear, piece))


def tell(claim: Claim, hear: Hear, piece: str, *, is_replayed: bool = False) -> None:
    """Tell whoever watches the run what `hear` was given; of what is withheld, once it is handed on."""
    if not claim.is_watched:
        return
    watcher = partial(claim.streamed, is_replayed=is_replayed)
    if isinstance(hear, Withheld):
        hear.pieces.append((watcher, piece))
    else:
        watcher(piece)


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """One call that is to be made.

    `url_path` lies below the target's base URL, `read` takes a buffered answer (`ValueError` where it is none of the
    format), `listen` a streamed one, where one is asked for. `seconds` bounds each attempt, `is_degraded` says
    that it stands in for another, `fake` who answers in the place of the model, where that is not the one of the block.
    `cache` is what the call or its prompt says of the cache.
    """

    operation: str
    target: Target
    url_path: str
    body: dict[str, Json]
    read: Callable[[Mapping[str, Json]], R]
    listen: Callable[[], Listening] | None = None
    hear: Hear | None = None
    seconds: float | None = None
    is_degraded: bool = False
    prompt: PromptRef | None = None
    fake: Fake | None = None
    ladder: Reserve | None = None
    """Money that is held for this call and others; by default it holds its own."""
    cache: CacheWish = None
    untrusted: str | None = None
    """What of it is untrusted, as `Work` has it."""

    @property
    def path(self) -> str:
        """The end of the URL's path that says what is done, as the hook knows it too."""
        known = _PATHS.get(self.operation) or self.url_path.partition("?")[0]
        return known.removeprefix("/")


_PATHS = {one.name: one.path for one in OPERATIONS}
