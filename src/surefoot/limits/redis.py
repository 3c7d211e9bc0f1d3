"""The connection to Redis that rates, breakers and the cache share: a pool for each loop, scripts, and outages."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from surefoot import effects, scope
from surefoot.errors import ConfigError, MissingExtra
from surefoot.limits.outage import Outage
from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

# The driver is typed in part only.
_Client: TypeAlias = Any
_Pool: TypeAlias = Any

Part: TypeAlias = "str | bytes | int | float"
"""What a command is made of."""

POSTED_AT_MOST = 10_000
"""How many commands may lie ready that nobody waits for; more are dropped, as while Redis is down."""
GATHERED = 0.003
"""Seconds for which such commands are gathered, so that they leave together."""
_SLICES = 4
_BATCH = 200

_logger = scope.logger("surefoot.limits")


class Unavailable(Exception):
    """Redis did not answer, or counts as down. Never reaches callers of the library: this room goes on without."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, which a server knows by its digest once it has seen it."""

    text: str = field(repr=False)
    sha: str = ""

    def __post_init__(self) -> None:
        # SHA-1 is how Redis names scripts; it protects nothing here.
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


@dataclass(slots=True)
class _Connections:
    """Those of one loop. Turns are ours, so that who waits for a connection learns at once that Redis is down."""

    client: _Client
    pool: _Pool
    turns: asyncio.Semaphore
    keeper: AsyncGenerator[None]
    process: int


class SharedRedis:
    """A Redis server by its address, connected to when it is first asked, from any loop.

    `url` and `password` are read then. `prefix` is what the names of all keys begin with, `connections` how many one
    loop may use at a time, `timeout` the seconds after which a command that was not answered counts as failed.

    Whatever fails is raised as `Unavailable`. A failure of the server, and not of the one command, makes it count as
    down: then everything raises at once, until one that tries it again is answered.
    """

    def __init__(
        self,
        url: Callable[[], str],
        password: Callable[[], str | None] = lambda: None,
        *,
        prefix: str = "surefoot",
        connections: int = 20,
        timeout: float = 1.0,
    ) -> None:
        _load()
        self.prefix = prefix
        self.timeout = timeout
        self._url = url
        self._password = password
        self._connections = connections
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = WeakKeyDictionary()
        self._outage = Outage(
            "Redis",
            "Limits, breakers and the cache of each process go on by themselves until it is back "
            "([redis] url, timeout, processes).",
            logger=_logger,
            trial=2 * timeout,
        )
        self._lock = ForkSafeLock()
        self._posted: deque[tuple[tuple[Part, ...], Callable[[], object] | None]] = deque()
        self._is_posting = False
        self._is_closed = False
        self._sending: Future[None] | None = None
        self._process = os.getpid()

    @property
    def is_down(self) -> bool:
        """Whether it counts as down. It may be time to try it again: any call here finds out."""
        return self._outage.is_on

    def key(self, *parts: str) -> str:
        """The name of a key: prefix and parts, between colons."""
        return ":".join((self.prefix, *parts))

    async def run(self, *command: Part) -> Any:
        """The answer to one command; texts in it are bytes. Raises `Unavailable`."""

        async def work(client: _Client) -> Any:
            return await client.execute_command(*command)

        return await self._asked(work)

    async def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Part] = ()) -> Any:
        """What a script returns. Raises `Unavailable`; the script may have run even so."""
        from redis.exceptions import NoScriptError

        async def work(client: _Client) -> Any:
            try:
                return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                # The first time, and after a restart of the server.
                return await client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

        return await self._asked(work)

    async def run_all(self, commands: Sequence[Sequence[Part]]) -> list[Any]:
        """The answers to several commands, sent at once; not a transaction. Raises `Unavailable` if any failed."""

        async def work(client: _Client) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute()
            return answers

        return await self._asked(work)

    def post(self, *command: Part) -> None:
        """Send a command soon, whose answer and failure nobody waits for; from any thread, never blocks.

        A script is posted as `EVAL` with its text, or by `post_script`.
        """
        self._post(command, None)

    def _post(self, command: tuple[Part, ...], then: Callable[[], object] | None) -> None:
        if self.is_down or self._is_closed or len(self._posted) >= POSTED_AT_MOST:
            if then is not None:
                then()
            return
        with self._lock:
            if self._process != os.getpid():
                # What the parent of this process has posted it sends itself.
                self._process, self._is_posting = os.getpid(), False
                self._posted.clear()
            self._posted.append((command, then))
            if self._is_posting:
                return
            self._is_posting = True
            self._sending = asyncio.run_coroutine_threadsafe(self._send_posted(), effects.background())

    def post_script(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Part] = (),
        *,
        then: Callable[[], object] | None = None,
    ) -> None:
        """Send a script soon, as `post` does a command; `then` is called once it has run, or was given up."""
        self._post(("EVALSHA", script.sha, len(keys), *keys, *arguments, script.text), then)

    async def flush(self) -> None:
        """Wait until what was posted so far is sent, or given up."""
        if self._sending is not None and self._process == os.getpid():
            await asyncio.shield(asyncio.wrap_future(self._sending))

    def close(self) -> None:
        """Send what was posted and end the connections, from any thread; they are made anew if it is asked again.

        Those of loops that end before, as under `asyncio.run`, end with them.
        """
        is_here = is_running_here(effects.background())
        sending = self._sending
        if sending is not None and self._process == os.getpid() and not is_here:
            with suppress(Exception):
                sending.result(2 * self.timeout)
        self._is_closed = True
        for loop, known in list(self._by_loop.items()):
            if known.process != os.getpid() or loop.is_closed():
                continue
            self._by_loop.pop(loop, None)
            ended = asyncio.run_coroutine_threadsafe(_ended(known.keeper), loop)
            if loop is effects.background() and not is_here:
                ended.result(self.timeout)

    async def _send_posted(self) -> None:
        while True:
            # Commands come in flocks, and one message with many costs little more than with one.
            await asyncio.sleep(GATHERED)
            with self._lock:
                batch = [self._posted.popleft() for _ in range(min(_BATCH, len(self._posted)))]
                if not batch:
                    self._is_posting = False
                    return
            try:
                if not self._is_closed:
                    await self._asked(partial(_send_all, [command for command, _ in batch]))
            except Unavailable as error:
                _logger.debug("%d commands were not sent to Redis: %s", len(batch), error)
            except BaseException:
                self._is_posting = False
                raise
            finally:
                for _, then in batch:
                    if then is not None:
                        then()

    async def _asked(self, work: Callable[[_Client], Awaitable[T]]) -> T:
        from redis import exceptions

        self._is_closed = False

        if not self._outage.lets_through():
            raise Unavailable("Redis is down")
        connections = await self._here()
        was_down = self.is_down
        async with connections.turns:
            # Those that have waited learn from those before them.
            if not was_down and self.is_down:
                raise Unavailable("Redis is down")
            try:
                async with asyncio.timeout(None) as limit:
                    clock = _Clock(limit, self.timeout)
                    try:
                        answer = await work(connections.client)
                    finally:
                        clock.stop()
            except TimeoutError as error:
                why: str = f"no answer within {self.timeout:g} s"
                raise await self._failed(connections, why) from error
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
                raise await self._failed(connections, _said(error)) from error
            except exceptions.RedisError as error:
                if isinstance(error, _of_the_server(exceptions)):
                    raise await self._failed(connections, _said(error)) from error
                # About this command alone.
                self._outage.succeeded()
                _logger.warning("Redis refused a command: %s", _said(error))
                raise Unavailable(_said(error)) from error
        self._outage.succeeded()
        return answer

    async def _failed(self, connections: _Connections, why: str) -> Unavailable:
        self._outage.failed(why)
        # What lies ready may be connected to a server that is no more.
        with suppress(Exception):
            await connections.pool.disconnect(inuse_connections=False)
        return Unavailable(why)

    async def _here(self) -> _Connections:
        loop = asyncio.get_running_loop()
        known = self._by_loop.get(loop)
        if known is not None and known.process == os.getpid():
            return known
        pool = self._pool()
        from redis.asyncio import Redis

        keeper = _closed_with_loop(pool)
        # Begun, so that the loop knows of it, and ends it when it ends its generators: `asyncio.run` does, at its end.
        await anext(keeper)
        client: _Client = Redis(connection_pool=pool)
        # Answers as the server gives them.
        client.response_callbacks = {}
        made = _Connections(client, pool, asyncio.Semaphore(self._connections), keeper, os.getpid())
        # Another task may have been here meanwhile; a pool without connections needs no end.
        found = self._by_loop.get(loop)
        if found is not None and found.process == os.getpid():
            return found
        self._by_loop[loop] = made
        return made

    def _pool(self) -> _Pool:
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        options: dict[str, Any] = {}
        password = self._password()
        if password:
            options["password"] = password
        try:
            pool: _Pool = BlockingConnectionPool
            return pool.from_url(
                self._url(),
                max_connections=self._connections,
                timeout=None,
                # Bounded as a whole, by us; a command that may have arrived is not sent twice.
                socket_timeout=None,
                socket_connect_timeout=self.timeout,
                retry=Retry(NoBackoff(), 0),
                # Two commands less at the beginning of each connection, and nothing that old servers do not know.
                protocol=2,
                driver_info=None,
                **options,
            )
        except ValueError as error:
            raise ConfigError(
                f'the address of Redis does not work: {error}; write [redis] url = "redis://HOST:6379/0"'
            ) from None


class _Clock:
    """Lets a limit expire after so many seconds in which its loop was at work.

    A loop that is held up, as by a thousand tasks that begin at once, sees an answer late that has long been there:
    however long that takes, it counts as one slice of the time.
    """

    __slots__ = ("_handle", "_left", "_limit", "_loop", "_slice")

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._slice = seconds / _SLICES
        self._left = _SLICES
        self._handle = self._loop.call_later(self._slice, self._tick)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._handle = self._loop.call_later(self._slice, self._tick)
        else:
            self._limit.reschedule(self._loop.time())

    def stop(self) -> None:
        """No more is counted."""
        self._handle.cancel()


async def _send_all(batch: Sequence[tuple[Part, ...]], client: _Client) -> None:
    from redis.exceptions import NoScriptError

    commands = [command[:-1] if command[0] == "EVALSHA" else command for command in batch]
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    answers = await pipeline.execute(raise_on_error=False)
    for command, answer in zip(batch, answers, strict=True):
        if isinstance(answer, NoScriptError):
            _, _, count, *rest, text = command
            await client.execute_command("EVAL", text, count, *rest)
        elif isinstance(answer, Exception):
            raise answer


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _of_the_server(exceptions: Any) -> tuple[type[BaseException], ...]:
    """Errors that say something of the server, and not of the one command."""
    return (
        exceptions.ReadOnlyError,
        exceptions.OutOfMemoryError,
        exceptions.NoPermissionError,
        exceptions.ClusterError,
        exceptions.InvalidResponse,
    )


def _load() -> None:
    """Raise `MissingExtra` where the driver is not installed."""
    from importlib.util import find_spec

    if find_spec("redis") is None:
        raise MissingExtra('what is shared over Redis needs its driver: pip install "surefoot[redis]"')


async def _ended(keeper: AsyncGenerator[None]) -> None:
    await keeper.aclose()


def is_running_here(loop: object) -> bool:
    """Whether this code runs on that event loop."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _closed_with_loop(pool: _Pool) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await pool.aclose()
