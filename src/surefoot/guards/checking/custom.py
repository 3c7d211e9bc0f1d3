"""Guards of the project's own: functions that are given a text, and a limited time."""

from __future__ import annotations

import contextvars
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

from surefoot import scope
from surefoot.decisions import Decision
from surefoot.effects import Await, Block, Program
from surefoot.errors import ConfigError
from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    import asyncio

CustomGuard: TypeAlias = Callable[[str, str], object]
"""A function of a text and of where it stands (`message 2`, `output`), sync or async.

It returns None or True where the text may pass, False where not, another text that takes its place, or a `Decision`.
"""

_MOST_HANGING = 8
"""Calls of one guard that have run out of time and go on: with so many no further one is begun."""


class OutOfTime(Exception):
    """A guard took too long."""


@dataclass(slots=True)
class Custom:
    """A guard of the project's own, by the name of its function (`module:function`), which is imported at first use."""

    name: str
    function: CustomGuard | None = None
    _hanging: int = 0
    """Calls that have run out of time and have not ended; those that are within theirs are as many as they like."""
    _lock: ForkSafeLock = field(default_factory=ForkSafeLock)

    def ask(self, text: str, where: str, *, seconds: float) -> Program[object]:
        """What the guard says of a text. Raises `OutOfTime`, `ConfigError` and what the function raises."""
        function = self._found()
        if self._hanging >= _MOST_HANGING:
            raise OutOfTime(f"{self._hanging} calls of it hang since before")
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            return (yield Await(lambda: self._awaited(function, text, where, seconds)))
        return (yield Block(lambda: self._called(function, text, where, seconds)))

    def _found(self) -> CustomGuard:
        if self.function is None:
            module, _, name = self.name.partition(":")
            try:
                found: object = getattr(import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ConfigError(
                    f"the guard {self.name!r} in [guards] custom cannot be imported: {error}: name it as "
                    "`module:function`, and see that the module is installed or in the working directory"
                ) from error
            if not callable(found):
                raise ConfigError(f"the guard {self.name!r} in [guards] custom is no function")
            self.function = cast("CustomGuard", found)
        return self.function

    def _called(self, function: CustomGuard, text: str, where: str, seconds: float) -> object:
        """In a thread of its own: what does not end there cannot be ended, and is left to itself."""
        answers: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()
        is_ended = is_late = False

        def work() -> None:
            nonlocal is_ended
            try:
                with scope.hidden():
                    answers.put((function(text, where), None))
            except BaseException as error:  # noqa: BLE001 - handed over
                answers.put((None, error))
            with self._lock:
                is_ended = True
                self._hanging -= is_late

        inside = contextvars.copy_context()
        threading.Thread(target=inside.run, args=(work,), name="surefoot-guard", daemon=True).start()
        try:
            result, error = answers.get(timeout=seconds)
        except queue.Empty:
            with self._lock:
                # It may have ended just now.
                is_late = not is_ended
                self._hanging += is_late
            raise OutOfTime(f"it took more than {seconds:g} s") from None
        if error is not None:
            raise error
        return result

    async def _awaited(self, function: CustomGuard, text: str, where: str, seconds: float) -> object:
        """In a task of its own: one that does not let itself be cancelled is left to itself."""
        import asyncio

        async def work() -> object:
            with scope.hidden():
                return await cast("Callable[[str, str], Awaitable[object]]", function)(text, where)

        task = asyncio.ensure_future(work())
        try:
            done, _ = await asyncio.wait([task], timeout=seconds)
        except BaseException:
            task.cancel()
            raise
        if done:
            return task.result()
        self._hang(task)
        raise OutOfTime(f"it took more than {seconds:g} s")

    def _hang(self, task: asyncio.Future[object]) -> None:
        """Count a task that is out of time until it ends, and ask it to."""

        def end(ended: asyncio.Future[object]) -> None:
            with self._lock:
                self._hanging -= 1
            if not ended.cancelled():
                # It is known to have failed; asyncio would say so again.
                ended.exception()

        with self._lock:
            self._hanging += 1
        task.add_done_callback(end)
        task.cancel()


def verdict_of(name: str, said: object, text: str, where: str) -> tuple[Decision | None, str]:
    """What a guard's word means: a decision, and the text that goes on. Raises `TypeError` for what is no word."""
    match said:
        case None | True:
            return None, text
        case False:
            return Decision(name, "refuse", where), text
        case str():
            return (None, text) if said == text else (Decision(name, "redact", where), said)
        case Decision(action="allow" | "flag" | "refuse"):
            return said, text
        case Decision():
            raise TypeError(
                f"it decided to {said.action}: return the other text, or flag, refuse or allow it"
            )
        case _:
            raise TypeError(
                f"it returned a {type(said).__name__}: None, a bool, a text or a Decision is meant"
            )


def customs_of(names: Sequence[str]) -> tuple[Custom, ...]:
    """The guards of these names. Raises `ConfigError` for a name that is none."""
    for name in names:
        module, sign, function = name.partition(":")
        if not (sign and module and function.isidentifier()):
            raise ConfigError(f"[guards] custom names {name!r}: write `module:function`")
    return tuple(map(Custom, names))
