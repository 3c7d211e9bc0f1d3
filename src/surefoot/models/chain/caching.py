"""Answers that are given again: a call is looked up before it is made, and of all that ask the same one makes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson

from surefoot import scope
from surefoot.effects import Commit, Program, drive, drive_async
from surefoot.errors import ModelError, ModelTimeout
from surefoot.models.chain.guarding import Guarded
from surefoot.models.chain.limits import AnswerCache, Flight
from surefoot.models.chain.record import Answer
from surefoot.models.wires.forms import EMBEDDINGS, in_form, may_be_given_again
from surefoot.scope import CacheWish, Claim, Ending, Recorded, Scope, Ticket
from surefoot.values import CachedAnswer, PromptRef

_NO_DIFFERENCE = frozenset({"stream", "stream_options"})
"""Fields of a request that say in which form it is answered, and nothing of what is answered."""

_STATEFUL = frozenset({"conversation", "background", "container"})
"""Fields by which a request depends on what is kept at the provider, and changes."""

_STREAMED = {"streamGenerateContent": "generateContent", "streamRawPredict": "rawPredict"}


@dataclass(slots=True)
class Lookup:
    """What is asked of a model, as the cache knows it.

    `where` gives who answers: the connection and its address, of which `place_of` takes what may be known. `version`
    are headers of which the answer depends. `wish` is what the call or its prompt says of the cache, None where they
    say nothing. `patience` is how many seconds the call may take at most. `ending` makes the outcome of an answer that
    was found.
    """

    operation: str
    provider: str
    where: Callable[[], str]
    model: str
    body: Mapping[str, Any]
    is_events: bool
    wish: CacheWish
    patience: float
    ending: Callable[[Answer], Ending]
    prompt: PromptRef | None = None
    version: Mapping[str, str] | None = None
    guarded: Guarded | None = None
    """The guards that look at an answer which was found as at one that was given."""

    @property
    def is_deterministic(self) -> bool:
        """Whether it asks for the same answer each time."""
        if self.operation in EMBEDDINGS:
            return True
        inside = self.body.get("generationConfig")
        settings = cast("Mapping[str, Any]", inside) if isinstance(inside, dict) else self.body
        return settings.get("temperature") == 0

    @property
    def is_stateful(self) -> bool:
        """Whether the same request is another one the next time, by what is kept at the provider."""
        return not _STATEFUL.isdisjoint(self.body)

    @property
    def usage_asked(self) -> bool | None:
        """Whether a streamed chat completion is to count its tokens in a chunk; None for all other calls."""
        if self.operation != "openai.chat" or not self.is_events:
            return None
        options = self.body.get("stream_options")
        return isinstance(options, dict) and bool(cast("Mapping[str, Any]", options).get("include_usage"))

    def content(self, prompt: PromptRef | None) -> bytes:
        """All that makes a difference to the answer, in one form: the same for the same request."""
        asked = {name: value for name, value in self.body.items() if name not in _NO_DIFFERENCE}
        whole = [
            *(self.operation, self.provider, self.where(), self.model),
            *(dict(self.version or {}), "" if prompt is None else prompt.digest, _in_one_form(asked)),
        ]
        try:
            return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
            return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def place_of(address: str) -> str:
    """An address without credentials and query, but for the version of an API, and the same for both forms."""
    if "//" not in address:
        return address
    parts = urlsplit(address)
    path = parts.path
    head, _, method = path.rpartition(":")
    if method in _STREAMED:
        path = f"{head}:{_STREAMED[method]}"
    version = parse_qs(parts.query).get("api-version", [""])[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}?{version}"


def _in_one_form(value: Any) -> Any:
    """The value with whole numbers as integers: 1.0 and 1 are one number, and JSON writes them as two."""
    kind = cast("object", type(value))
    if kind is str:
        return value
    if kind is float:
        return int(value) if value.is_integer() else value
    if kind is dict:
        return {name: _in_one_form(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [_in_one_form(inner) for inner in value]
    return value


def looked_up(claim: Claim, lookup: Lookup, cache: AnswerCache | None, here: Scope) -> Program[Claim]:
    """The claim of a call, once it is known who makes it.

    What was found is recorded as the outcome of the claim, and is its `recorded`. Else the call is to be made, and
    the claim is finished with its outcome as any other: what it brings is then given to those who wait for it. Raises
    `ModelTimeout` where another one's call took longer than this one may.
    """
    if cache is None or claim.recorded is not None:
        return claim
    wish = scope.cache_wish()
    if lookup.wish is not None and wish != "never":
        wish = lookup.wish
    ttl = cache.ttl(wish, is_deterministic=wish is None and lookup.is_deterministic)
    if ttl is None or lookup.is_stateful:
        return claim
    prompt = lookup.prompt or here.prompt
    content = lookup.content(prompt)
    found = yield from _asked(content, lookup, cache, here, ttl=ttl, prompt=prompt)
    answer = _fitting(found, lookup)
    if isinstance(found, CachedAnswer) and answer is None:
        # What the other form cannot say has an entry of its own.
        content += b"\0events" if lookup.is_events else b"\0whole"
        found = yield from _asked(content, lookup, cache, here, ttl=ttl, prompt=prompt)
        answer = _fitting(found, lookup)
    if answer is not None:
        return (yield from _found(claim, lookup, answer))
    if found is None:
        raise ModelTimeout(
            f"{lookup.provider}:{lookup.model} was asked the same by another call, which has not been answered for "
            f"{lookup.patience:g} s: raise `deadline` in [models], or set cache=False to ask it by itself",
            provider=lookup.provider,
            model=lookup.model,
            attempts=0,
        )
    return claim if isinstance(found, CachedAnswer) else Leading(claim, found, lookup.operation, here.run_id)


def _found(claim: Claim, lookup: Lookup, answer: Answer) -> Program[Claim]:
    """Record an answer that was found, as the guards let it through. Raises `GuardRefused`."""
    if (guarded := lookup.guarded) is not None:
        answer = yield from guarded.checked(answer)
    ending = lookup.ending(answer)
    ending.is_cached = True
    if guarded is not None:
        ending.decisions = guarded.decisions
    yield Commit(claim.finish(ending))
    return Found(claim, ending)


def _asked(
    content: bytes, lookup: Lookup, cache: AnswerCache, here: Scope, *, ttl: float, prompt: PromptRef | None
) -> Program[CachedAnswer | Flight | None]:
    left = here.seconds_left
    return (
        yield from cache.ask(
            cache.digest(here.caller.tenant, content),
            ttl=ttl,
            caller=here.caller,
            prompt="" if prompt is None else prompt.name,
            patience=lookup.patience if left is None else min(left, lookup.patience),
            check=here.check,
            pause=here.pause,
        )
    )


def _fitting(found: CachedAnswer | Flight | None, lookup: Lookup) -> Answer | None:
    """The answer that was found, in the form that was asked for; None where there is none."""
    if not isinstance(found, CachedAnswer):
        return None
    # How it was admitted, and what guards made of it, is of the call that brought it.
    own = {"cached_from": found.run_id, "is_limited_alone": False, "given": None}
    answer = Answer.from_record({**found.record, **own})
    if answer is None:
        return None
    if lookup.operation in EMBEDDINGS:
        return answer
    return in_form(lookup.operation, answer, is_events=lookup.is_events, usage_asked=lookup.usage_asked)


def was_not_asked(error: BaseException) -> bool:
    """Whether a call has failed without being made, as another one's took too long."""
    return isinstance(error, ModelError) and error.attempts == 0


class Found(Claim):
    """A claim whose outcome was found in the cache, and is recorded."""

    def __init__(self, claim: Claim, ending: Ending) -> None:
        self._claim = claim
        self._recorded = Recorded("completed", ending.output)

    @property
    def recorded(self) -> Recorded:
        return self._recorded

    @property
    def idempotency_key(self) -> str:
        return self._claim.idempotency_key

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return self._claim.trace_headers

    def finish(self, ending: Ending) -> Ticket:
        """It is finished."""
        return self._claim.finish(ending)

    def handed_over(self, cause: object) -> None:
        """Nothing failed."""

    @property
    def is_watched(self) -> bool:
        return self._claim.is_watched

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        """See `surefoot.scope.Claim.streamed`."""
        self._claim.streamed(piece, is_replayed=is_replayed)

    def abandon(self) -> None:
        """It is finished."""


class Leading(Claim):
    """A claim whose call is made for all that ask the same: its outcome ends the flight too."""

    def __init__(self, claim: Claim, flight: Flight, operation: str, run_id: str) -> None:
        self._claim = claim
        self._flight = flight
        self._operation = operation
        self._run_id = run_id

    @property
    def recorded(self) -> Recorded | None:
        return None

    @property
    def idempotency_key(self) -> str:
        return self._claim.idempotency_key

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return self._claim.trace_headers

    def finish(self, ending: Ending) -> Ticket:
        """See `surefoot.scope.Claim.finish`. What is given again is so once the outcome is durable."""
        answer = Answer.from_record(ending.output) if ending.status == "completed" else None
        try:
            if answer is None or not may_be_given_again(self._operation, answer):
                self._flight.drop()
                return self._claim.finish(ending)
            ending.cache = self._flight.row
            ticket = self._claim.finish(ending)
        except BaseException:
            self._flight.drop()
            raise
        record = cast("Mapping[str, object]", ending.output)
        return Landing(ticket, self._flight, CachedAnswer(record, self._run_id, 0, 0))

    def handed_over(self, cause: object) -> None:
        """See `surefoot.scope.Claim.handed_over`."""
        self._claim.handed_over(cause)

    @property
    def is_watched(self) -> bool:
        return self._claim.is_watched

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        """See `surefoot.scope.Claim.streamed`."""
        self._claim.streamed(piece, is_replayed=is_replayed)

    def abandon(self) -> None:
        """See `surefoot.scope.Claim.abandon`. One of those that wait makes the call then."""
        self._flight.drop()
        self._claim.abandon()


class Landing(Ticket):
    """Durable, and then given to those who wait for it."""

    def __init__(self, ticket: Ticket, flight: Flight, answer: CachedAnswer) -> None:
        self._ticket = ticket
        self._flight = flight
        self._answer = answer

    def wait(self) -> None:
        try:
            self._ticket.wait()
        except BaseException:
            self._flight.drop()
            raise
        drive(self._flight.land(self._answer))

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from self._ticket.__await__()
        except BaseException:
            self._flight.drop()
            raise
        yield from drive_async(self._flight.land(self._answer)).__await__()
