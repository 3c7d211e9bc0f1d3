"""`@flow` and `Workflow`: callables from typed inputs to a typed output, of which each call is a run."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar, get_args, overload

from surefoot import scope
from surefoot.errors import UsageError
from surefoot.flows.arguments import Arguments
from surefoot.flows.opened import Surroundings
from surefoot.rights import Rights, of_uses
from surefoot.values import Capture

if TYPE_CHECKING:
    from surefoot.ledger import Entry

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """What there is to know of a flow without running it."""

    name: str
    version: str
    target: Any
    function: Callable[..., Any]
    arguments: Arguments
    is_async: bool
    deadline: float | None = None
    cache: bool | float | None = None
    trusted: bool | tuple[str, ...] = ()
    """Which inputs may instruct, by name; True for all of them."""
    uses: tuple[str, ...] | None = None
    """What it may use, as texts; None where nothing is said of it."""
    rights: Rights | None = None
    """The same, as it is asked for."""

    def is_trusting(self, name: str) -> bool:
        """Whether an input of that name is declared as trusted."""
        return self.trusted is True or (self.trusted is not False and name in self.trusted)

    capture: Capture | None = None
    defined_ns: int = field(default_factory=time.time_ns, compare=False, repr=False)
    """When this process loaded it (nanoseconds since the epoch)."""

    @property
    def entry(self) -> Entry:
        from surefoot.flows import code

        return code.entry_of(self.target)

    def called(self, body: Callable[[], Any]) -> Callable[[], Any]:
        """A call of the flow with what it says of the cache in force."""
        if self.cache is None:
            return body
        if self.is_async:

            async def awaited() -> Any:
                with scope.caching(self.cache):
                    return await body()

            return awaited

        def called() -> Any:
            with scope.caching(self.cache):
                return body()

        return called


def spec_of(
    target: Any,
    function: Callable[..., Any],
    *,
    name: str | None,
    version: str,
    arguments: Arguments,
    deadline: float | None,
    cache: bool | float | None = None,
    trusted: bool | Sequence[str] = (),
    uses: Sequence[str] | None = None,
    capture: Capture | None = None,
) -> FlowSpec:
    """The description of a flow. Raises `UsageError` for one that cannot be recorded."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"flow {name or target.__name__!r} is a generator function, and a flow returns one output: put the `yield` "
            "into a @step, read that in the flow, and hand items on from there (by a queue, or to a listener)"
        )
    if deadline is not None and not deadline > 0:
        raise UsageError(f"flow {name or target.__name__!r} has deadline={deadline}: give seconds above 0")
    scope.check_cache(cache, f"cache of flow {name or target.__name__!r}")
    named = name or target.__name__
    if isinstance(trusted, str) or isinstance(uses, str):
        raise UsageError(f"flow {named!r}: give trusted= and uses= as a tuple of names, such as ('query',)")
    trusts = trusted if isinstance(trusted, bool) else tuple(trusted)
    unknown = sorted(set(() if isinstance(trusts, bool) else trusts) - arguments.signature.parameters.keys())
    if unknown:
        raise UsageError(
            f"flow {named!r} has trusted={trusted!r}, and no input {', '.join(unknown)}: it takes {arguments.signature}"
        )
    if capture is not None and capture not in get_args(Capture):
        raise UsageError(
            f"flow {named!r} has capture={capture!r}: give one of {', '.join(map(repr, get_args(Capture)))}"
        )
    rights: Rights | None = None
    if uses is not None:
        try:
            rights = of_uses(uses, whose=f"uses= of flow {named}")
        except UsageError as error:
            raise UsageError(f"flow {named!r}: {error}") from None
    is_async = inspect.iscoroutinefunction(function)
    return FlowSpec(
        *(named, version, target, function, arguments, is_async, deadline, cache),
        trusted=trusts,
        uses=None if uses is None else tuple(uses),
        rights=rights,
        capture=capture,
    )


class Flow(Generic[P, R]):
    """A function of which each call is a run, and inside a run a step. Made by `flow`."""

    is_surefoot_flow = True

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None,
        version: str,
        deadline: float | None = None,
        cache: bool | float | None = None,
        trusted: bool | Sequence[str] = (),
        uses: Sequence[str] | None = None,
        capture: Capture | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        arguments = Arguments(function)
        self.spec = spec_of(
            *(function, function),
            name=name,
            version=version,
            arguments=arguments,
            deadline=deadline,
            cache=cache,
            trusted=trusted,
            uses=uses,
            capture=capture,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments = self.spec.arguments
        inputs = given = arguments.bind(args, kwargs)
        if arguments.rules:
            inputs = arguments.checked(given, f"flow {self.spec.name}")
        if inputs is given:
            body = self.spec.called(lambda: self.spec.function(*args, **kwargs))
        else:
            body = self.spec.called(lambda: arguments.call(self.spec.function, inputs))
        # To define a flow nothing is needed of what runs it.
        from surefoot.flows.entering import enter

        result: R = enter(self.spec, body, inputs)
        return result

    def __repr__(self) -> str:
        return f"<flow {self.spec.name}>"

    def __reduce__(self) -> str:
        """Like a function, it is pickled by its name: for pools of processes."""
        return self.spec.function.__qualname__


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(
    *,
    name: str | None = None,
    version: str = "",
    deadline: float | None = None,
    cache: bool | float | None = None,
    trusted: bool | Sequence[str] = (),
    uses: Sequence[str] | None = None,
    capture: Capture | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    version: str = "",
    deadline: float | None = None,
    cache: bool | float | None = None,
    trusted: bool | Sequence[str] = (),
    uses: Sequence[str] | None = None,
    capture: Capture | None = None,
) -> Flow[P, R] | Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow: each call is a durable, traced run; a call inside a run is a step of that run.

    Sync and async functions alike. A call raises what the function raises, with a note that names the run, and
    `InvalidInput` before there is one where an input is not what its parameter declares (see `surefoot.Text`), is too
    large or hides text.

    name: what the flow is called in the record; the function's name by default.
    version: the declared version, recorded with each run.
    deadline: seconds from its start after which a run fails with `DeadlineExceeded`, however often it is resumed.
    cache: whether its model calls are looked up in the cache and kept there, whatever their temperature, or for how
        many seconds an answer is given again. A prompt or call that says something of it goes before.
    trusted: the names of the inputs that may instruct, as the team writes them; True for all of them. The others are
        untrusted: what is made of them reaches no sink (see `step`) that does not say so.
    uses: what it may use: `model:NAME:MODEL`, `connection:NAME`, `tool:NAME`, `host:HOST` and `flow:NAME`, with `*` for
        any characters; a name alone is a tool. A step whose `sends=` is not named is refused. To the rest it is bound
        where runs are confined, once somebody has approved it (docs/guide/least-privilege.md). By default nothing is
        said of it.
    capture: what people may read of its inputs and output, and of the steps and calls in it that say nothing else, as
        of `step`; by default what `[privacy] capture` says.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        return Flow(
            function,
            name=name,
            version=version,
            deadline=deadline,
            cache=cache,
            trusted=trusted,
            uses=uses,
            capture=capture,
        )

    return decorate if function is None else decorate(function)


class Workflow(Surroundings):
    """A flow as a class: `__init__` takes clients and settings, `run` (sync or async) is the flow's body.

    Each call of `run` is a durable run. `class Answer(Workflow, name="answer", version="2")` names it; `deadline=`,
    `cache=`, `trusted=`, `uses=` and `capture=` are those of its runs, as for `flow`.
    To resume a run in another process the object is built anew by the constructor's annotations: settings from the
    record, an SDK client from the connection of its provider. Where that is not enough, a static method `make` with
    the same parameters is called instead.
    """

    is_surefoot_flow: ClassVar[bool] = True
    spec: ClassVar[FlowSpec]
    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        self._given = (args, kwargs)
        return self

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        version: str = "",
        deadline: float | None = None,
        cache: bool | float | None = None,
        trusted: bool | Sequence[str] = (),
        uses: Sequence[str] | None = None,
        capture: Capture | None = None,
        **rest: Any,
    ) -> None:
        super().__init_subclass__(**rest)
        function = _body_of(cls)
        if function is None:
            return
        # `self` is no input of the flow.
        arguments = Arguments(functools.partial(function, None))
        cls.spec = spec = spec_of(
            cls,
            function,
            name=name or cls.__name__,
            version=version,
            arguments=arguments,
            deadline=deadline,
            cache=cache,
            trusted=trusted,
            uses=uses,
            capture=capture,
        )

        @functools.wraps(function)
        def run(self: Workflow, *args: Any, **kwargs: Any) -> Any:
            from surefoot.flows.entering import enter, given_data

            inputs = given = spec.arguments.bind(args, kwargs)
            if spec.arguments.rules:
                inputs = spec.arguments.checked(given, f"flow {spec.name}")
            if inputs is given:
                body = spec.called(lambda: function(self, *args, **kwargs))
            else:
                body = spec.called(lambda: spec.arguments.call(functools.partial(function, self), inputs))
            return enter(spec, body, inputs, init=given_data(self), workflow=self)

        cls.run = run  # type: ignore[attr-defined]


def _body_of(kind: type[Workflow]) -> Callable[..., Any] | None:
    """What a class does when it runs, be it its own or inherited: an heir is a flow of its own name."""
    for parent in kind.__mro__:
        if parent is not kind and isinstance(spec := parent.__dict__.get("spec"), FlowSpec):
            return spec.function
        function: Callable[..., Any] | None = parent.__dict__.get("run")
        if function is not None:
            return function
    return None
