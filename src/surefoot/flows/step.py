"""`@step`: a named unit of work whose outcome is recorded once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Never, ParamSpec, TypeVar, cast, overload

from surefoot import scope
from surefoot.flows import opened
from surefoot.flows.arguments import Arguments
from surefoot.flows.compensation import Compensation
from surefoot.flows.kinds import NOTHING, Check, KeyOf, StepOptions, Untrusted, checked, is_generator
from surefoot.flows.retry import Backoff, Retry, exponential
from surefoot.values import Capture

if TYPE_CHECKING:
    from surefoot.flows.sinks import Parameter

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function that is recorded inside a run and a plain function outside of one. Made by `step`."""

    is_surefoot_step = True

    def __init__(self, function: Callable[P, R], options: StepOptions) -> None:
        self.options = checked(options, function)
        functools.update_wrapper(self, function)
        self.function = function
        self.name = options.name
        self.is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        self.is_generator = is_generator(function)
        self.arguments = Arguments(function)
        self.parameters: Mapping[str, Parameter] | None = None
        """What it says of its parameters, read when a sink is first asked."""
        self.compensation: Compensation | None = None
        if options.compensate is not None:
            self.compensation = Compensation(options.compensate, function, step=options.name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.arguments.rules:
            args, kwargs = cast("Any", self.arguments.checked_call(args, kwargs, f"step {self.name}"))
        if self.options.is_plain:
            return self.function(*args, **kwargs)
        if scope.current() is None:
            self.refuse_lost_context()
            return self.function(*args, **kwargs)
        # To define a step nothing is needed of what runs it.
        from surefoot.flows.calling import call

        result: R = call(self, args, kwargs)
        return result

    def called_by_model(self, by_model: Collection[str], /, *args: Any, **kwargs: Any) -> Any:
        """A call that a model has asked for, which has written the arguments of those names."""
        if self.options.is_plain or scope.current() is None:
            return cast("Any", self)(*args, **kwargs)
        from surefoot.flows.calling import call

        return call(self, args, kwargs, by_model=frozenset(by_model))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As functions do, a step in a class binds to the instance."""
        return self if instance is None else functools.partial(cast("Any", self), instance)

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def __reduce__(self) -> str:
        """Like a function, it is pickled by its name: for pools of processes."""
        return self.function.__qualname__

    def refuse_lost_context(self) -> None:
        """Raise `OutsideRun` in a thread that was started without the context of a run that is open here."""
        if open_runs := opened.count():
            from surefoot.flows.threads import refuse_lost_context

            refuse_lost_context(self.name, open_runs)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    name: str | None = None,
    pure: bool = False,
    plain: bool = False,
    effect: bool = False,
    check: Check | None = None,
    key: str | KeyOf | None = None,
    retries: int = 0,
    backoff: Backoff | None = None,
    retry_on: Sequence[type[Exception]] = (Exception,),
    timeout: float | None = None,
    fallback: object = NOTHING,
    breaker: str | None = None,
    stand_in: object = NOTHING,
    capture: Capture | None = None,
    compensate: Callable[..., object] | None = None,
    reads: str | Sequence[str] = (),
    sends: bool | str | Sequence[str] = False,
    untrusted: Untrusted = "refuse",
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


@overload
def step(
    *,
    transaction: object,
    name: str | None = None,
    key: str | KeyOf | None = None,
    retries: int = 0,
    backoff: Backoff | None = None,
    retry_on: Sequence[type[Exception]] = (Exception,),
    timeout: float | None = None,
    fallback: object = NOTHING,
    breaker: str | None = None,
    stand_in: object = NOTHING,
    capture: Capture | None = None,
    compensate: Callable[..., object] | None = None,
    reads: str | Sequence[str] = (),
    sends: bool | str | Sequence[str] = False,
    untrusted: Untrusted = "refuse",
) -> Callable[[Callable[Concatenate[Never, P], R]], Step[P, R]]: ...


def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    pure: bool = False,
    plain: bool = False,
    effect: bool = False,
    check: Check | None = None,
    key: str | KeyOf | None = None,
    retries: int = 0,
    backoff: Backoff | None = None,
    retry_on: Sequence[type[Exception]] = (Exception,),
    timeout: float | None = None,
    fallback: object = NOTHING,
    breaker: str | None = None,
    stand_in: object = NOTHING,
    capture: Capture | None = None,
    compensate: Callable[..., object] | None = None,
    transaction: object = None,
    reads: str | Sequence[str] = (),
    sends: bool | str | Sequence[str] = False,
    untrusted: Untrusted = "refuse",
) -> Step[..., R] | Callable[[Callable[..., R]], Step[..., R]]:
    """Make a function a step: inside a run its outcome is recorded, and a resumed run takes it from the record.

    Works on functions and methods, sync and async; outside of a run the function is called as it is, once its arguments
    are checked.

    name: what the step is called in the record; the function's name by default.
    pure: doing it again does no harm. A step that is not pure stops a resumed run (`Diverged`) where the code has
        changed in a way that could repeat what it did.
    plain: never recorded, and allowed in threads that do not see the run.
    effect: what it does must not be done twice without anybody knowing (a payment, a mail). Its start is recorded
        too, before the body runs. Where a process died in the middle, `check` is asked by the idempotency key of the
        step (sync or async): False or None, it was not done and is done now; True, it was and gave None;
        `Done(result)`, it was. Without a check, or if that raises, the run stops with `InDoubt`.
    key: what identifies the step instead of the digest of its inputs: a text, or a function of the same parameters.
    retries: further attempts after a failure of one of the classes `retry_on`, `backoff(failures)` seconds apart
        (default: full jitter). Each failed attempt is recorded; what happened inside it does not count for the next.
    timeout: seconds that each attempt may take; then it has failed with `StepTimeout`, and what it still does is not
        recorded. Async code is cancelled. Sync code runs in a thread of its own, which cannot be stopped: another
        attempt follows only if it has ended within as long again.
    fallback: what the step gives when no attempt is left: a value, or a function of the same parameters. The step and
        its run are marked degraded.
    breaker: the name of what the step calls, such as "vector-db" (`[breakers.vector-db]`). Each attempt is counted by
        it: an exception is a failure of what was called, unless it says that code or settings are wrong, that a limit
        of this project refused, or that the run was stopped; of a generator it is measured how long its first item
        took. While it is open no attempt is made: the step gives its fallback, or fails with `BreakerOpen`.
    stand_in: what an effect gives in runs that suppress effects (evaluations): a value, or a function of the same
        parameters; by default its fallback, else None.
    capture: what people may read of its arguments and result, and of the steps and calls in it that say nothing else:
        "none", "metadata" (kind and size), "redacted" (without secrets, and without personal data where `[privacy]`
        looks for it) or "full" (without secrets). By default as of what it is in. A run goes on with what is exact.
    compensate: undoes the step if the run fails for good after it: called with the step's result and those of the
        step's arguments whose names it has, itself recorded, the last step first.
    transaction: the database that the step writes to, exactly once: its writes and its outcome are one. The name of
        one in the settings (`[databases.orders]`), `"ledger"` for the ledger's own, a SQLAlchemy `Engine`, a pool of
        asyncpg, or a function that opens a connection. The first parameter of the step is then the open connection,
        which the caller leaves out; Surefoot commits it, or rolls it back if the step raises. The body may be run
        again before it is committed, and neither steps nor models can be called in it.
    reads: what it reads beside its arguments: `"untrusted"` (documents, web pages, files and mails of users), of which
        the result is untrusted then, `"private"` (what is not to get out), or both.
    sends: what it reaches, such as `"mail"`, or True: it is a sink, and takes no untrusted argument that it does not
        declare as one (see `surefoot.Text` and docs/guide/trust.md). So is an effect or a transaction that a model
        calls as a tool.
    untrusted: what becomes of a call with such an argument: `"refuse"` raises `GuardRefused`, `"approve"` waits until
        somebody has seen the arguments and approves them (`surefoot approve RUN`), `"allow"` lets it pass, recorded.

    Arguments and results must be data (see `surefoot.errors.NotData`). What is declared of a parameter beyond its type
    (`Annotated[str, Text(max=80)]`, see `surefoot.Text`) is checked at each call, which raises `InvalidInput`.
    """

    def decorate(function: Callable[..., R]) -> Step[..., R]:
        is_in_ledger = False
        if transaction is not None:
            from surefoot.flows.transactions import LEDGER, transactional

            function = transactional(function, transaction, name=name or function.__name__)
            is_in_ledger = isinstance(transaction, str) and transaction == LEDGER
        return Step(
            function,
            StepOptions(
                name or function.__name__,
                is_transaction=transaction is not None,
                database=transaction if isinstance(transaction, str) else "",
                is_in_ledger=is_in_ledger,
                is_pure=pure,
                is_plain=plain,
                key=key,
                retry=Retry(retries, backoff or exponential(), tuple(retry_on)),
                is_effect=effect,
                check=check,
                timeout=timeout,
                fallback=fallback,
                breaker=breaker,
                stand_in=stand_in,
                capture=capture,
                compensate=compensate,
                reads=frozenset((reads,) if isinstance(reads, str) else reads),
                sends=_names_in(sends),
                untrusted=untrusted,
            ),
        )

    return decorate if function is None else decorate(function)


def _names_in(sends: object) -> tuple[str, ...]:
    if isinstance(sends, bool):
        return ("out",) if sends else ()
    return (sends,) if isinstance(sends, str) else tuple(cast("Sequence[str]", sends))
