"""Bodies of responses that are read whole, up to a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


@contextmanager
def at_most(response: httpx2.Response, most: int, refusal: Callable[[], Exception]) -> Generator[None]:
    """While the block lasts, reading a response raises `refusal()` once it has more than so many bytes, decompressed.

    What was read by then is dropped. Behind the block the response is as it was.
    """
    parts: Any = response
    iterate, iterate_async = response.iter_bytes, response.aiter_bytes

    def counted(left: int, chunk: bytes) -> int:
        if len(chunk) > left:
            raise refusal()
        return left - len(chunk)

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        left = most
        for chunk in iterate(chunk_size):
            left = counted(left, chunk)
            yield chunk

    async def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        left = most
        async for chunk in iterate_async(chunk_size):
            left = counted(left, chunk)
            yield chunk

    # `read` and `aread` go through these.
    parts.iter_bytes, parts.aiter_bytes = iter_bytes, aiter_bytes
    try:
        yield
    finally:
        del parts.iter_bytes, parts.aiter_bytes
