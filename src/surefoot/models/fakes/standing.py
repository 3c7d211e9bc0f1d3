"""Who answers model calls in the place of their providers, for the code that runs now."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Protocol, TypeAlias

from surefoot.locks import ForkSafeLock
from surefoot.models.chain.record import Answer
from surefoot.models.fakes.requests import ModelRequest

Given: TypeAlias = "Answer | None"


class NoAnswer(Exception):
    """That no answer came at last when a call was recorded, so that there is no further attempt at it."""

    def __init__(self, message: str, *, is_timeout: bool = False) -> None:
        super().__init__(message)
        self.is_timeout = is_timeout


class Fake(Protocol):
    """What answers in the place of models."""

    def answer(self, asked: ModelRequest, /) -> Given | Awaitable[Given]:
        """The answer to one attempt at a call, or None to let it go to its provider.

        An `error` of the answer is raised behind its body. Raises what the attempt is to fail with: of Python's own
        exceptions `ConnectionError` stands for a server that is out of reach, `TimeoutError` for one that is too slow.
        """
        ...


_here: ContextVar[Fake | None] = ContextVar("surefoot_fake", default=None)
_lock = ForkSafeLock()
_open: list[Fake] = []


def current() -> Fake | None:
    """Who stands in for models here.

    Where the context does not say, as in a thread of the user's own that was started without it, it is the one that
    was put in last: while a fake stands in, no call may reach a provider by accident.
    """
    here = _here.get()
    if here is not None or not _open:
        return here
    with _lock:
        return _open[-1] if _open else None


@contextmanager
def block(fake: Fake) -> Generator[None]:
    """`standing_in` with the hook in its place, under which the calls of SDK clients go to the fake too."""
    # Not at the top: the hook asks here who stands in.
    from surefoot.models.sdk.hook import install

    install()
    with standing_in(fake):
        yield


@contextmanager
def standing_in(fake: Fake) -> Generator[None]:
    """Let `fake` answer the model calls of the code inside."""
    token = _here.set(fake)
    with _lock:
        _open.append(fake)
    try:
        yield
    finally:
        with _lock:
            _open.remove(fake)
        # A test's fixture may be ended in another context than it was begun in.
        with suppress(ValueError):
            _here.reset(token)
