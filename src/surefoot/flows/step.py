"""`@step`: a named unit of work whose outcome is recorded once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from surefoot import ledger as records
from surefoot.errors import NotData, UsageError
from surefoot.flows import opened
from surefoot.flows.arguments import Arguments
from surefoot.flows.drive import Logic, drive, drive_async
from surefoot.flows.performing import perform
from surefoot.flows.retry import Backoff, Retry, exponential
from surefoot.flows.running import Here, StepClaim, open_scope
from surefoot.flows.threads import refuse_lost_context
from surefoot.scope import Work

P = ParamSpec("P")
R = TypeVar("R")

KeyOf = Callable[..., str]

_NONE = object()
"""No fallback: None is a value that a step may fall back to."""


class Step(Generic[P, R]):
    """A function that is recorded inside a run and a plain function outside of one. Made by `step`."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str,
        is_pure: bool,
        is_plain: bool,
        key: str | KeyOf | None,
        retry: Retry,
        fallback: object,
    ) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"step {name!r} is a generator function, whose outcome cannot be recorded yet: return a list instead"
            )
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_pure = is_pure
        self._is_plain = is_plain
        self._key = key
        self._retry = retry
        self._fallback = fallback
        self._arguments = Arguments(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = open_scope()
        if here is None or self._is_plain:
            if not self._is_plain:
                refuse_lost_context(self.name, opened.count())
            return self.function(*args, **kwargs)
        logic = self._perform(here, args, kwargs)
        # The driver of an async step is a coroutine: what the function's own signature promises.
        return drive_async(logic) if self.is_async else drive(logic)  # type: ignore[return-value]

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As functions do, a step in a class binds to the instance."""
        return self if instance is None else functools.partial(cast("Any", self), instance)

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def __reduce__(self) -> str:
        """Like a function, it is pickled by its name: for pools of processes."""
        return self.function.__qualname__

    def _perform(self, here: Here, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Logic[Any]:
        bound = self._arguments.bind(args, kwargs)
        claim = self._claim(here, bound)
        fallback = None if self._fallback is _NONE else lambda: self._fall_back(args, kwargs)
        return (yield from perform(claim, lambda: self.function(*args, **kwargs), self._retry, fallback))

    def _fall_back(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What takes the body's place: awaitable where the step is async, whatever the fallback is."""
        given = self._fallback
        value = given(*args, **kwargs) if callable(given) else given
        return _awaitable(value) if self.is_async else value

    def _claim(self, here: Here, bound: dict[str, object]) -> StepClaim:
        inputs = {name: value for name, value in bound.items() if not opened.is_surroundings(value)}
        work = Work("step", self.name, inputs, is_pure=self.is_pure)
        where = f"{self.name}()"
        if self._key is None:
            try:
                return here.claim_step(
                    work, records.encode(inputs, name=where), digest=records.identity(inputs, name=where)
                )
            except NotData as error:
                error.add_note(
                    f"or give the step an identity of its own: @step(key=lambda ...) on {self.name!r}"
                )
                raise
        key = self._key if isinstance(self._key, str) else self._arguments.call(self._key, bound)
        shown = {name: _as_data(value) for name, value in inputs.items()}
        return here.claim_step(
            work,
            records.encode(shown, name=where),
            digest=records.identity(shown, name=where),
            user_key=str(key),
        )


async def _awaitable(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _as_data(value: object) -> object:
    """The value if it can be recorded, else its type in angle brackets: a key identifies the step without it."""
    try:
        records.encode(value)
    except NotData:
        kind = type(value)
        return f"<{kind.__module__}.{kind.__qualname__}>"
    return value


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    name: str | None = None,
    pure: bool = False,
    plain: bool = False,
    key: str | KeyOf | None = None,
    retries: int = 0,
    backoff: Backoff | None = None,
    retry_on: Sequence[type[Exception]] = (Exception,),
    fallback: object = _NONE,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    pure: bool = False,
    plain: bool = False,
    key: str | KeyOf | None = None,
    retries: int = 0,
    backoff: Backoff | None = None,
    retry_on: Sequence[type[Exception]] = (Exception,),
    fallback: object = _NONE,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step: inside a run its outcome is recorded, and a resumed run takes it from the record.

    Works on functions and methods, sync and async; outside of a run the function is called as it is.

    name: what the step is called in the record; the function's name by default.
    pure: doing it again does no harm. A step that is not pure stops a resumed run (`Diverged`) where the code has
        changed in a way that could repeat what it did.
    plain: never recorded, and allowed in threads that do not see the run.
    key: what identifies the step instead of the digest of its inputs: a text, or a function of the same parameters.
    retries: further attempts after a failure of one of the classes `retry_on`, `backoff(failures)` seconds apart
        (default: full jitter). Each failed attempt is recorded; what happened inside it does not count for the next.
    fallback: what the step gives when no attempt is left: a value, or a function of the same parameters. The step and
        its run are marked degraded.

    Arguments and results must be data (see `surefoot.errors.NotData`).
    """

    def decorate(function: Callable[P, R]) -> Step[P, R]:
        return Step(
            function,
            name=name or function.__name__,
            is_pure=pure,
            is_plain=plain,
            key=key,
            retry=Retry(retries, backoff or exponential(), tuple(retry_on)),
            fallback=fallback,
        )

    return decorate if function is None else decorate(function)
