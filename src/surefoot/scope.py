"""The context variable of the open run, and the narrow face that it shows to the rooms below the runner.

A room that does recordable work (a model call) asks `current()` for the open scope, claims the work, and either
takes the recorded outcome or does the work and finishes the claim. It need not know what a ledger is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar
from weakref import ref

from surefoot import doors
from surefoot.decisions import Decision
from surefoot.rights import Rights, UseKind
from surefoot.values import CacheRow, Caller, CallFacts, Capture, PromptRef, Settlement, StepKind, Trust

T = TypeVar("T")


# Not frozen, as one is made for each step: that would cost three times as much.
@dataclass(slots=True)
class Work:
    """What is about to be done. `inputs` is what identifies it: equal inputs, equal work.

    `function` is the one that does it: to its annotated return type a recorded result is validated whose own class is
    gone or has changed.

    `untrusted` names what of the inputs is not trusted, and is empty where all of it is; None leaves that to the scope,
    which knows whether anything untrusted was read in it. `is_reading`: what it gives is untrusted, whatever it is.
    """

    kind: StepKind
    name: str
    inputs: object
    requested_model: str = ""
    is_pure: bool = False
    function: Callable[..., object] | None = None
    untrusted: str | None = None
    is_reading: bool = False
    capture: Capture | None = None
    """What of it people may read; None: as of what it is in."""

    def __str__(self) -> str:
        """As messages call it."""
        return f"{self.kind} {self.name!r}"


@dataclass(slots=True)
class Ending:
    """How work ended. `output` is data for a completed one and for a failure that was an answer (an HTTP 400).

    An attempt that is known to have done nothing is `cancelled`; an effect that was not meant to happen in this run
    is `suppressed`, with what stands in for its result.

    `cause` is the exception that was raised, or the response object that user code will be handed: by it the run
    finds the failures that ended it, which are the ones a resume tries again. `prompt` is what was asked with, where
    that is known better than by what the scope has noted. `settlement` is committed with the outcome, or without one;
    `cache` says that the answer in `output` is given again, and is committed with it.

    `decisions` are those of guards on this work. `trust` is that of what came out, where whoever did the work knows
    better than the scope, which goes by what was read.
    """

    status: Literal["completed", "failed", "cancelled", "suppressed"]
    output: object = None
    cause: object = None
    call: CallFacts | None = None
    is_degraded: bool = False
    is_cached: bool = False
    prompt: PromptRef | None = None
    settlement: Settlement | None = None
    cache: CacheRow | None = None
    decisions: tuple[Decision, ...] = ()
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of work as the ledger knows it; `error` is set where it ended in an exception."""

    status: Literal["completed", "failed"]
    output: object = None
    error: BaseException | None = None


class Ticket(Protocol):
    """A promise that what was handed over is durable. Sync code waits on it, async code awaits it."""

    def wait(self) -> None: ...

    def __await__(self) -> Generator[Any, None, None]: ...


class Claim(Protocol):
    """Work that was claimed: its outcome is known, or its owner does it now and finishes the claim."""

    @property
    def recorded(self) -> Recorded | None: ...

    @property
    def idempotency_key(self) -> str:
        """Stable over crashes and resumes: the same work of the same run has the same key."""
        ...

    @property
    def trace_headers(self) -> Mapping[str, str]:
        """Headers that tell whom the work is asked of which span this is (W3C Trace Context); empty outside a run."""
        ...

    def finish(self, ending: Ending) -> Ticket: ...

    def handed_over(self, cause: object) -> None:
        """Say which object stands for a recorded failure in user code, so that the run knows if it ends by it."""
        ...

    @property
    def is_watched(self) -> bool:
        """Whether anybody is told of what `streamed` is given."""
        ...

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        """Tell whoever watches the run of a piece of an answer's text, as it is handed to the code. Never waits.

        is_replayed: it is not said now, but comes from the record or the cache.
        """
        ...

    def abandon(self) -> None:
        """Give the work up without an outcome (cancelled, interrupted); a resume does it again."""
        ...


class Scope(Protocol):
    """The open run, or the open step of it, as the code inside sees it."""

    @property
    def run_id(self) -> str: ...

    @property
    def step_id(self) -> str:
        """The key of the step whose body this is, in hex; empty in the body of the flow."""
        ...

    @property
    def trace_headers(self) -> Mapping[str, str]:
        """As those of a claim, for what the code inside asks others for."""
        ...

    @property
    def caller(self) -> Caller:
        """For whom the code inside works, as limits know it."""
        ...

    @property
    def prompt(self) -> PromptRef | None:
        """The prompt that was rendered here last."""
        ...

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline of the run, not below 0; None where there is none."""
        ...

    def check(self) -> None:
        """Raise `RunStopped` where the run goes on no further, and what `claim` raises where nothing may begin."""
        ...

    def pause(self, seconds: float) -> None:
        """Block for so many seconds, or until the run stops. Async code sleeps as usual: its task is cancelled."""
        ...

    def claim(self, work: Work) -> Claim:
        """Claim work; raises `RunEnded` after the end of the run, `NotData` if the inputs cannot be recorded."""
        ...

    def perform(self, work: Work, body: Callable[[], Any], *, is_async: bool) -> Any:
        """Do work as a step whose inside is a scope of its own: its result, or the recorded one.

        Awaitable where `is_async`, as the body's result is then. Raises what the body raises.
        """
        ...

    def note_prompt(self, prompt: PromptRef) -> None:
        """Remember which prompt was rendered, for the record of the step and of the calls that follow in it."""
        ...

    def pinned(self, reference: str) -> PromptRef | None:
        """What a reference to a prompt means in this run; None before it was used in it."""
        ...

    def pin(self, reference: str, prompt: PromptRef) -> PromptRef:
        """Let a reference mean a prompt for all of the run and its resumes, unless it means one; what it means then.

        It counts at once, and is durable no later than the next outcome of the run.
        """
        ...

    @property
    def other_models(self) -> Mapping[str, str]:
        """Which models are asked in this run in the place of others, by reference; empty for most runs."""
        ...

    def carry(self, row: object, *, when_kept: Callable[[], None]) -> None:
        """Take a row of the ledger's along with the next outcome of the run: it is durable no later than that.

        `when_kept` is called at some time after it is, in whichever thread.
        """
        ...

    def is_trusted(self, value: object) -> bool:
        """Whether a value may instruct, as far as it is known here; what nobody knows of may not.

        Everything may until something untrusted is read. Scalars (numbers, dates, members of enums) always may. Asking
        looks into containers, up to a bound.
        """
        ...

    def trust(self, value: object) -> None:
        """Remember that the team vouches for a value, and for the texts in it, for as long as the run is open."""
        ...

    def taint(self, what: str) -> None:
        """Note that something untrusted was read here, and what: from now on what is computed here is untrusted."""
        ...

    def note_decision(self, decision: Decision) -> None:
        """Put a decision of a guard onto the record of the step that is open, and onto the next outcome in it."""
        ...

    @property
    def rights(self) -> Rights | None:
        """What the code inside may use; None for anything."""
        ...

    def require_use(self, kind: UseKind, name: str) -> None:
        """Raise `AccessDenied` where something of that name may not be used here. The run ends by it, caught or not."""
        ...


CacheWish: TypeAlias = "bool | float | Literal['never'] | None"
"""Whether answers are looked up in the cache, for how many seconds they are given again, or None: nothing is said."""

_current: ContextVar[Scope | None] = ContextVar("surefoot_scope", default=None)


def current() -> Scope | None:
    """The scope that this code runs in, or None outside a run."""
    return _current.get()


def variable() -> ContextVar[Scope | None]:
    """The variable itself, for the runner, which opens and closes scopes."""
    return _current


@contextmanager
def hidden() -> Generator[None]:
    """Let the code inside run as outside of any run: nothing that it does is recorded."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


_traces = logging.Formatter()

_cache: ContextVar[CacheWish] = ContextVar("surefoot_cache", default=None)


def cache_wish() -> CacheWish:
    """What the flow that runs here says of the cache; `never` goes before all that anybody else says."""
    return _cache.get()


def check_cache(wish: object, what: str) -> None:
    """Raise `UsageError` for a wish of the user's that is neither True, False, seconds above 0, nor None."""
    is_seconds = isinstance(wish, int | float) and 0 < wish < float("inf")
    if wish is not None and not isinstance(wish, bool) and not is_seconds:
        # Only here: this room is imported by every run of pytest.
        from surefoot.errors import UsageError

        raise UsageError(
            f"{what} is {wish!r}: give True, False, or for how many seconds an answer is given again"
        )


@contextmanager
def caching(wish: CacheWish) -> Generator[None]:
    """Let the code inside look up its calls in the cache, or not. None leaves it as it is, and so does a `never`."""
    if wish is None or _cache.get() == "never":
        yield
        return
    token = _cache.set(wish)
    try:
        yield
    finally:
        # A coroutine that is thrown away unfinished is closed in a context that is not its own.
        with suppress(ValueError):
            _cache.reset(token)


_expected: ContextVar[tuple[str, ...] | None] = ContextVar("surefoot_expected", default=None)


def expected() -> tuple[str, ...] | None:
    """The names that will be read from the answer to the prompt that is rendered here; None where nobody says so."""
    return _expected.get()


@contextmanager
def expecting(names: tuple[str, ...] | None) -> Generator[None]:
    """Say which names will be read from the answer to the prompt that is rendered inside, for the notes of its uses."""
    token = _expected.set(names)
    try:
        yield
    finally:
        _expected.reset(token)


Mask = Callable[[str], str | None]
"""Reads a text and returns it without secrets, or None where there is none."""

_masks: list[ref[Mask]] = []


def mask_logs(mask: Mask) -> None:
    """Write log records of ours as `mask` does for as long as that exists, tracebacks too."""
    # A list, as threads append to it and copy it in one go each.
    _masks.append(ref(mask, _masks.remove))


def logger(name: str) -> logging.Logger:
    """The standard logger of that name, whose records carry `run_id` and `step_id` (empty outside a run).

    They are without the secrets that the apps of this process know, and without personal data where they look for it.
    """
    found = logging.getLogger(name)
    if place not in found.filters:
        found.addFilter(place)
    return found


def place(record: logging.LogRecord) -> bool:
    """Let a record say which run and step it was written in, and mask its secrets; it does no harm twice."""
    if not hasattr(record, "run_id"):
        here = current()
        record.run_id = here.run_id if here else ""
        record.step_id = here.step_id if here else ""
        record.traceparent = here.trace_headers.get("traceparent", "") if here else ""
    if masks := _known_masks():
        _write_masked(record, masks)
    return True


def masked(text: str) -> str:
    """A text without the secrets that the apps of this process know."""
    return _masked(text, _known_masks())


def _known_masks() -> list[Mask]:
    return [mask for known in _masks.copy() if (mask := known()) is not None]


def _write_masked(record: logging.LogRecord, masks: Sequence[Mask]) -> None:
    try:
        said = record.getMessage()
    except Exception as error:  # noqa: BLE001 - of whatever stands in it; a handler would write the arguments as they are
        said = f"a message cannot be written: {type(error).__name__} at {record.pathname}:{record.lineno}"
        record.msg, record.args = said, None
    if (masked := _masked(said, masks)) != said:
        record.msg, record.args = masked, None
    if record.exc_info:
        record.exc_text = record.exc_text or _traces.formatException(record.exc_info)
    if record.exc_text and (masked := _masked(record.exc_text, masks)) != record.exc_text:
        # Handlers that look at the exception itself would write what it says.
        record.exc_text, record.exc_info = masked, None
    if record.stack_info:
        record.stack_info = _masked(record.stack_info, masks)


def _masked(text: str, masks: Sequence[Mask]) -> str:
    try:
        for mask in masks:
            text = mask(text) or text
    except Exception as error:  # noqa: BLE001 - what cannot be masked is not shown, and nobody fails by a log
        return f"(not shown, as masking it failed: {type(error).__name__})"
    return text


class Slot(Generic[T]):
    """A part that the composition root provides and a lower floor asks for, found by the code that runs now."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._find: Callable[[], T] | None = None

    def provide(self, find: Callable[[], T]) -> None:
        self._find = find

    @contextmanager
    def provided(self, find: Callable[[], T]) -> Generator[None]:
        """Provide another part for the time being, as tests do."""
        before = self._find
        self._find = find
        try:
            yield
        finally:
            self._find = before

    def __call__(self) -> T:
        if self._find is None:
            doors.fit(self._what)
        if self._find is None:
            raise RuntimeError(f"no {self._what} is provided: import surefoot before its rooms")
        return self._find()
