"""Guards of the project's own: functions that are given a text, and a limited time."""

from __future__ import annotations

import contextvars
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TypeAlias, cast

from surefoot import scope
from surefoot.decisions import Decision
from surefoot.effects import Await, Block, Program
from surefoot.errors import ConfigError
from surefoot.locks import ForkSafeLock

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
    _lock: ForkSafeLock = field(default_factory=ForkSafeLock)

    def ask(self, text: str, where: str, *, seconds: float) -> Program[object]:
        """What the guard says of a text. Raises `OutOfTime`, `ConfigError` and what the function raises."""
        function = self._found()
        if inspect.iscoroutinefunction(function):
            return (yield Await(lambda: _awaited(function, text, where, seconds)))
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
        if self._hanging >= _MOST_HANGING:
            raise OutOfTime(f"{self._hanging} calls of it hang since before")
        answers: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                with scope.hidden():
                    answers.put((function(text, where), None))
            except BaseException as error:  # noqa: BLE001 - handed over
                answers.put((None, error))
            finally:
                with self._lock:
                    self._hanging -= 1

        with self._lock:
            self._hanging += 1
        inside = contextvars.copy_context()
        threading.Thread(target=inside.run, args=(work,), name="surefoot-guard", daemon=True).start()
        try:
            result, error = answers.get(timeout=seconds)
        except queue.Empty:
            raise OutOfTime(f"it took more than {seconds:g} s") from None
        if error is not None:
            raise error
        return result


async def _awaited(function: CustomGuard, text: str, where: str, seconds: float) -> object:
    import asyncio

    async def work() -> object:
        with scope.hidden():
            return await cast("Callable[[str, str], Awaitable[object]]", function)(text, where)

    try:
        return await asyncio.wait_for(work(), seconds)
    except TimeoutError:
        raise OutOfTime(f"it took more than {seconds:g} s") from None


def verdict_of(name: str, said: object, text: str, where: str) -> tuple[Decision | None, str]:
    """What a guard's word means: a decision, and the text that goes on. Raises `TypeError` for what is no word."""
    match said:
        case None | True:
            return None, text
        case False:
            return Decision(name, "refuse", where), text
        case str():
            return (None, text) if said == text else (Decision(name, "redact", where), said)
        case Decision():
            return said, text
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
