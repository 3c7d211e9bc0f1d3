"""What the call of a generator step returns: a generator, sync or async, whose items are recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any

from surefoot import scope
from surefoot.flows.claims import StepClaim
from surefoot.flows.contexts import watch_collections
from surefoot.flows.drive import drive, drive_async
from surefoot.flows.generating import Reply, Yielding
from surefoot.flows.performing import Plan
from surefoot.flows.running import Here

log = scope.logger("surefoot.flows")


class StepGenerator(Generator[Any, Any, Any]):
    """What a call of a sync generator step returns: a generator whose items are recorded."""

    __slots__ = ("__weakref__", "_yielding")

    def __init__(self, yielding: Yielding) -> None:
        self._yielding = yielding

    @property
    def is_replayed(self) -> bool:
        """Whether the items come from the record."""
        return self._yielding.is_replayed

    @property
    def is_restarted(self) -> bool:
        """Whether it begins again after a crash: items of the first time may have been seen already."""
        return self._yielding.is_restarted

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any, /) -> Any:
        return _handed_out(drive(self._yielding.advance("send", value)))

    def throw(self, kind: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        error = _as_error(kind, value, trace)
        if isinstance(error, GeneratorExit):
            self.close()
            raise error
        return _handed_out(drive(self._yielding.advance("throw", error)))

    def close(self) -> None:
        drive(self._yielding.close())

    def __del__(self) -> None:
        self._yielding.dropped()


class StepAsyncGenerator(AsyncGenerator[Any, Any]):
    """What a call of an async generator step returns: an async generator whose items are recorded."""

    __slots__ = ("__weakref__", "_yielding")

    def __init__(self, yielding: Yielding) -> None:
        self._yielding = yielding

    @property
    def is_replayed(self) -> bool:
        """Whether the items come from the record."""
        return self._yielding.is_replayed

    @property
    def is_restarted(self) -> bool:
        """Whether it begins again after a crash: items of the first time may have been seen already."""
        return self._yielding.is_restarted

    async def asend(self, value: Any, /) -> Any:
        reply = await drive_async(self._yielding.advance("send", value))
        if not reply.is_item:
            raise StopAsyncIteration
        return reply.value

    async def __anext__(self) -> Any:
        return await self.asend(None)

    async def athrow(self, kind: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        error = _as_error(kind, value, trace)
        if isinstance(error, GeneratorExit):
            await self.aclose()
            raise error
        reply = await drive_async(self._yielding.advance("throw", error))
        if not reply.is_item:
            raise StopAsyncIteration
        return reply.value

    async def aclose(self) -> None:
        await drive_async(self._yielding.close())

    def __del__(self) -> None:
        self._yielding.dropped()


def generator_of(
    here: Here, claim: StepClaim, plan: Plan, *, name: str, is_async: bool
) -> StepGenerator | StepAsyncGenerator:
    """What a claimed call of a generator step gives to its caller."""
    watch_collections()
    if claim.is_restarted:
        log.warning(
            "run %s: generator step %r was under way when the run stopped, and begins again from its first item",
            here.run_id,
            name,
        )
    yielding = Yielding(here, claim, plan, name=name, is_async=is_async)
    return StepAsyncGenerator(yielding) if is_async else StepGenerator(yielding)


def _handed_out(reply: Reply) -> Any:
    if not reply.is_item:
        raise StopIteration(reply.value)
    return reply.value


def _as_error(kind: Any, value: Any, trace: TracebackType | None) -> BaseException:
    """The exception of the old form of `throw`, which gives class, value and traceback apart."""
    parts = [part for part in (kind, value) if isinstance(part, BaseException)]
    error: BaseException = parts[0] if parts else kind() if value is None else kind(value)
    return error.with_traceback(trace) if trace is not None else error
