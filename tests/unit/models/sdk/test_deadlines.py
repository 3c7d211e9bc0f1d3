from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import ModuleType

import httpx
import httpx2
import pytest

from surefoot.models.sdk.deadlines import bounded, end_in_time, within

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])


def test_each_wait_is_cut_to_what_is_left() -> None:
    own = {"connect": 3.0, "read": 70.0, "write": None, "pool": 0}
    assert bounded(own, 50.0) == {"connect": 3.0, "read": 50.0, "write": 50.0, "pool": 0.0}


@pytest.mark.parametrize("own", [None, {}, "nonsense", {"read": "nonsense"}])
def test_a_request_without_limits_gets_some(own: object) -> None:
    assert bounded(own, 50.0) == dict.fromkeys(("connect", "read", "write", "pool"), 50.0)


@pytest.mark.parametrize("left", [0.0, -5.0])
def test_a_deadline_that_has_passed_leaves_no_wait_without_an_end(left: float) -> None:
    assert all(0 < seconds < 0.1 for seconds in bounded(None, left).values())


def test_the_limits_are_the_requests_own_again() -> None:
    request = httpx2.Request("POST", "http://x", extensions={"timeout": {"read": 70.0}})
    with within(request, 50.0):
        assert request.extensions["timeout"]["read"] == 50.0
    assert request.extensions["timeout"] == {"read": 70.0}
    with pytest.raises(ValueError, match="inside"), within(request, 50.0):
        raise ValueError("inside")
    assert request.extensions["timeout"] == {"read": 70.0}
    bare = httpx2.Request("POST", "http://x")
    with within(bare, 50.0):
        assert bare.extensions["timeout"]["read"] == 50.0
    assert "timeout" not in bare.extensions


@LIBRARIES
def test_a_body_within_its_time_is_read_as_it_is(library: ModuleType) -> None:
    class Body(library.SyncByteStream, library.AsyncByteStream):
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield from (b"one ", b"two")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

        def close(self) -> None:
            self.is_closed = True

        async def aclose(self) -> None:
            self.is_closed = True

    async def read(response: httpx2.Response) -> bytes:
        return await response.aread()

    request = library.Request("POST", "http://x")
    for is_async in (False, True):
        body = Body()
        response = library.Response(200, stream=body, request=request)
        with end_in_time(response, request, library, 60.0):
            assert (asyncio.run(read(response)) if is_async else response.read()) == b"one two"
        assert response.stream is body
        assert body.is_closed


@LIBRARIES
def test_a_body_beyond_its_time_is_given_up(library: ModuleType) -> None:
    class Endless(library.SyncByteStream, library.AsyncByteStream):
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"drip"

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

        def close(self) -> None:
            self.is_closed = True

        async def aclose(self) -> None:
            self.is_closed = True

    request = library.Request("POST", "http://x")
    body = Endless()
    response = library.Response(200, stream=body, request=request)
    with (
        pytest.raises(library.ReadTimeout, match="did not end in time") as raised,
        end_in_time(response, request, library, 0.01),
    ):
        response.read()
    assert raised.value.request is request

    async def read() -> None:
        response = library.Response(200, stream=Endless(), request=request)
        with (
            pytest.raises(library.ReadTimeout, match="did not end in time"),
            end_in_time(response, request, library, 0.01),
        ):
            await response.aread()

    asyncio.run(read())
