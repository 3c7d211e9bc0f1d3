"""One call of ours to a model, from claim to record: written once, and driven by blocking code or on an event loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import orjson

from surefoot import scope
from surefoot.effects import Await, Block, Commit, Invoke, Program
from surefoot.errors import GuardRefused, ModelError
from surefoot.models import fakes
from surefoot.models.chain.attempts import Attempts, Head, is_stopped
from surefoot.models.chain.bounds import Load
from surefoot.models.chain.caching import Lookup, looked_up, place_of, was_not_asked
from surefoot.models.chain.endpoints import Endpoint, Policy
from surefoot.models.chain.failures import (
    Failed,
    error_from,
    error_in_stream,
)
from surefoot.models.chain.guarding import Guarded
from surefoot.models.chain.limits import AnswerCache
from surefoot.models.chain.passage import Passage, Way, passage_of, tokens_of
from surefoot.models.chain.record import Answer, kept_headers
from surefoot.models.chain.retries import is_unsent
from surefoot.models.chain.sse import Events
from surefoot.models.chain.vendors import LOCAL
from surefoot.models.fakes import ModelRequest
from surefoot.models.generating.asked import Asked, Hear, tell
from surefoot.models.generating.asking import Interrupted, Listening
from surefoot.models.generating.replaying import facts_of_call, failure_of, replayed
from surefoot.models.generating.transport import Outgoing, Oversized, Reply, send
from surefoot.models.sdk.chained import OUTSIDE
from surefoot.scope import Claim, Ending, Scope, Work
from surefoot.values import CallFacts, Json, Money

if TYPE_CHECKING:
    from surefoot.decisions import Decision
    from surefoot.models.chain.watching import Watch

R = TypeVar("R")

ATTEMPT_SECONDS = 600.0
"""How long one attempt may take where nobody says otherwise."""

_LEAST_SECONDS = 0.001


def call(asked: Asked[R], policy: Policy) -> Program[tuple[R, CallFacts]]:
    """What the model said, from the record or now; recorded when this returns.

    Raises `ModelError`, and what the claim raises.
    """
    here = scope.current() or OUTSIDE
    inputs = {"path": asked.path, "body": asked.body}
    guarded = Guarded.of(
        *(policy.guards, here),
        operation=asked.operation,
        body=asked.body,
        prompt=asked.prompt,
        untrusted=asked.untrusted,
    )
    if guarded is not None:
        yield from guarded.guard.judge()
    work = Work(
        "call", asked.operation, inputs, requested_model=asked.target.model, untrusted=asked.untrusted
    )
    claim = here.claim(work)
    if claim.recorded is not None:
        return (yield from replayed(asked, policy, claim, claim.recorded))
    made = _Call(asked, policy, here, claim, guarded)
    try:
        return (yield from made.run())
    except BaseException as error:
        if made.is_open:
            # What a run was stopped in has no outcome: it is done again if the run goes on.
            if isinstance(error, Exception) and not is_stopped(here):
                yield from made.fail(error)
            else:
                made.abandon()
        raise


def worst_case(asked: Asked[Any], policy: Policy) -> Money:
    """The most that one attempt at a call may cost, for holding it before; nothing where no budget is about it.

    Raises `UnboundedCall`.
    """
    # What a fake answers is not paid.
    if policy.budgets is None or (asked.fake or fakes.current()) is not None:
        return Money()
    here = scope.current() or OUTSIDE
    return Passage(policy, here, _load(asked, orjson.dumps(asked.body), asked.body), _way(asked)).worst()


def _load(asked: Asked[Any], content: bytes, body: Mapping[str, object]) -> Load:
    """The call as limits weigh it."""
    target = asked.target
    priced_as = target.priced_as if target.priced_as != target.model else ""
    return Load(asked.operation, target.provider, target.model, body, content, priced_as)


def _way(asked: Asked[Any]) -> Way:
    target = asked.target
    return Way(f"{target.provider} at {target.connection}", target.connection)


@dataclass(slots=True)
class _Call(Generic[R]):
    """One claimed call; as a transport, what makes its attempts."""

    asked: Asked[R]
    policy: Policy
    scope: Scope
    claim: Claim
    guarded: Guarded | None = None
    is_open: bool = True
    attempts: Attempts[Reply] = field(init=False)
    _passage: Passage | None = None
    _heard: Listening | None = None
    _watch: Watch | None = None
    _body: bytearray = field(default_factory=bytearray)
    _first_ns: int | None = None
    _content: bytes = b""
    _started_ns: int = field(default_factory=time.monotonic_ns)

    def run(self) -> Program[tuple[R, CallFacts]]:
        """Ask until there is an answer that counts. Raises what `call` raises."""
        asked = self.asked
        if self.policy.addresses is not None:
            self.policy.addresses.require_target(self.scope, asked.target)
        self._content = orjson.dumps(asked.body)
        if self.guarded is not None and (yield from self.guarded.enter(len(self._content))):
            self._content = orjson.dumps(self.guarded.body)
        self.claim = yield from looked_up(self.claim, self._lookup, self._cache, self.scope)
        if self.claim.recorded is not None:
            self.is_open = False
            return (yield from replayed(asked, self.policy, self.claim, self.claim.recorded))
        self.attempts = attempts = Attempts(
            self,
            asked.operation,
            self.policy.retries,
            _way(asked).breaker,
            self.policy.budget,
            self.scope,
            is_stream=asked.listen is not None,
        )
        attempts.passage = self._passage = passage_of(
            *(self.policy, self.scope, lambda: _load(asked, self._content, self._leaving), _way(asked)),
            ladder=asked.ladder,
        )
        reply, refused = yield from self._replied(attempts)
        answer = self._answer(reply)
        if refused is None and self._watch is None and self.guarded is not None:
            try:
                answer = yield from self.guarded.checked(answer)
            except GuardRefused as error:
                refused = error
        facts = facts_of_call(asked, self.policy, answer)
        if self._first_ns is not None:
            facts = replace(facts, first_token_ns=self._first_ns)
        # What was refused before its end has more tokens than were counted.
        is_cut = refused is not None and (self._watch is not None or not reply.body)
        self._leave(reply, None if is_cut else tokens_of(facts))
        said = self._said(answer) if refused is None else None
        if said is None:
            failure = refused or failure_of(answer, self._failed(attempts))
            recorded = answer if refused is None else replace(answer, error=refused)
            ending = self._ending("failed", recorded, facts, failure)
            yield from self._finish(ending, recorded if is_cut else answer)
            raise failure
        yield from self._finish(self._ending("completed", answer, facts), answer)
        return said, facts

    def _replied(self, attempts: Attempts[Reply]) -> Program[tuple[Reply, GuardRefused | None]]:
        """The reply that counts, received; with what the guards refuse it, where they do so on the way."""
        try:
            reply = yield from attempts.run()
            # Not within an attempt: an answer that breaks off was paid for, and is not asked for again.
            refused = (yield from self._receive(reply)) if reply.is_success else None
        except _ReaderFailed as failed:
            raise failed.error from None
        except Interrupted as error:
            if error.event:
                raise error_in_stream(self._failed(attempts), error.event.encode()) from error
            raise error_from(self._failed(attempts), error) from error
        except _transport_errors() as error:
            raise error_from(self._failed(attempts), error) from error
        return reply, refused

    def _leave(self, reply: Reply, tokens: int | None) -> None:
        """The last byte of the answer that is read was read."""
        if self._passage is not None and reply.is_success:
            self._passage.over("succeeded", tokens)
        elif self._passage is not None:
            self._passage.refused(self.head(reply))

    def _receive(self, reply: Reply) -> Program[GuardRefused | None]:
        """Read the answer, as far as the guards let it be; what they refuse it with, where they do."""
        asked, guarded = self.asked, self.guarded
        try:
            if asked.listen is not None:
                self._watch = None if guarded is None else guarded.watch(is_events=True)
                yield from self._listen(reply, asked.listen())
            else:
                yield Await(partial(reply.read, None if guarded is None else guarded.guard.max_output_bytes))
        except GuardRefused as refused:
            return refused
        except Oversized:
            return None if guarded is None else guarded.guard.too_large()
        return None

    def _answer(self, reply: Reply) -> Answer:
        """The answer as it was received, and as it was handed on."""
        body, given, watch = bytes(self._body) or reply.body, None, self._watch
        if watch is not None:
            body = watch.body
            given = None if watch.given == body else watch.given
        return Answer(
            reply.status,
            kept_headers(reply.headers),
            body,
            is_stream=self.asked.listen is not None,
            is_free=reply.is_free,
            output_cap=None if self._passage is None else self._passage.cap,
            is_limited_alone=self._passage is not None and self._passage.is_alone,
            given=given,
        )

    def _ending(
        self, status: Literal["completed", "failed"], answer: Answer, facts: CallFacts, cause: object = None
    ) -> Ending:
        return Ending(
            status,
            answer.to_record(),
            cause,
            facts,
            is_degraded=self.asked.is_degraded,
            prompt=self.asked.prompt,
            decisions=self._decisions,
        )

    @property
    def _decisions(self) -> tuple[Decision, ...]:
        return () if self.guarded is None else self.guarded.decisions

    def fail(self, error: Exception) -> Program[None]:
        """Record that the call ended in an exception."""
        facts = facts_of_call(self.asked, self.policy, None)
        if self._passage is not None:
            # A stream that broke off, unless it is the code that reads it which raised.
            self._passage.over("failed" if isinstance(error, ModelError) else "dropped", None)
        if (
            is_unsent(error.__cause__)
            or was_not_asked(error)
            # The request, or an answer that was found: what a model answers to a call is refused with that answer.
            or isinstance(error, GuardRefused)
            or (self._passage is not None and self._passage.is_free)
        ):
            facts = replace(facts, cost=Money(0))
        ending = Ending("failed", cause=error, call=facts, prompt=self.asked.prompt)
        ending.decisions = self._decisions
        yield from self._finish(ending)

    def abandon(self) -> None:
        """The call was cancelled, or its run stopped: it has no outcome. Waits for nothing."""
        if self._passage is not None:
            self._passage.abandon(self._part())
        self.claim.abandon()

    def _part(self) -> Money | None:
        """What the part of a stream costs that has come."""
        body = bytes(self._body) if self._watch is None else self._watch.body
        return self._passage.charge_part(body) if self._passage and body else None

    @property
    def _leaving(self) -> Mapping[str, Json]:
        """The request's body as it leaves, but for a limit that a budget puts on it."""
        return self.asked.body if self.guarded is None else cast("Mapping[str, Json]", self.guarded.body)

    @property
    def _cache(self) -> AnswerCache | None:
        """What a fake says is not kept, nor is anything said in its place."""
        return None if (self.asked.fake or fakes.current()) is not None else self.policy.cache

    @property
    def _lookup(self) -> Lookup:
        asked, target = self.asked, self.asked.target

        def ending(answer: Answer) -> Ending:
            facts = facts_of_call(asked, self.policy, answer)
            return Ending(
                "completed",
                answer.to_record(),
                call=facts,
                is_degraded=asked.is_degraded,
                prompt=asked.prompt,
            )

        return Lookup(
            asked.operation,
            target.provider,
            lambda: f"{target.connection} {place_of(target.place + asked.url_path)}",
            target.model,
            self._leaving,
            is_events=asked.listen is not None,
            wish=asked.cache,
            patience=self.policy.retries.deadline,
            ending=ending,
            prompt=asked.prompt,
            guarded=self.guarded,
        )

    def _failed(self, attempts: Attempts[Reply]) -> Failed:
        target = self.asked.target
        return Failed(target.provider, target.model, attempts.made, attempts.seconds, attempts.note)

    def _said(self, answer: Answer) -> R | None:
        """What was said, or None where the answer is none."""
        if not answer.is_success:
            return None
        if self.asked.listen is not None:
            return None if self._heard is None else cast("R", self._heard.turn())
        try:
            return self.asked.read(cast("Mapping[str, Json]", orjson.loads(answer.handed_on)))
        except (ValueError, TypeError, AttributeError):
            return None

    # As a transport

    def send(self, number: int, /) -> Program[Reply]:
        """See `Transport.send`."""
        target = self.asked.target
        if given := (yield from self._given()):
            return given
        if (passage := self._passage) is not None:
            yield from passage.enter(lambda: self.attempts.seconds_left)
            if passage.body is not None:
                self._content = orjson.dumps(passage.body)

        def connect() -> Endpoint:
            endpoint = target.connect()
            if number == 1 and endpoint.check is not None:
                endpoint.check(self._leaving, self.asked.url_path)
            return endpoint

        # The embedded model's server may have to be started.
        endpoint = cast("Endpoint", (yield Block(connect))) if target.provider == LOCAL else connect()
        headers = {
            **endpoint.headers,
            "content-type": "application/json",
            "idempotency-key": self.claim.idempotency_key,
            **self.claim.trace_headers,
        }
        url = target.url(self.asked.url_path)
        seconds = min(self.asked.seconds or target.timeout or ATTEMPT_SECONDS, self.attempts.seconds_left)
        outgoing = Outgoing(url, headers, self._content, max(seconds, _LEAST_SECONDS))
        reply = cast("Reply", (yield Await(lambda: send(outgoing))))
        if not reply.is_success:
            # What it says is needed, and read while it can be.
            yield Await(reply.read_complaint)
        return reply

    def _given(self) -> Program[Reply | None]:
        """The reply of a fake, where one stands in and has one."""
        asked, fake = self.asked, self.asked.fake or fakes.current()
        if fake is None:
            return None
        request = ModelRequest(asked.operation, asked.target.model, asked.path, self._leaving)
        reply = cast("Reply | None", (yield Await(fakes.answered(fake, request))))
        if reply is not None and not reply.is_success:
            yield Await(reply.read)
        return reply

    def head(self, reply: Reply, /) -> Head:
        """See `Transport.head`."""
        return Head(reply.status, reply.headers)

    def close(self, reply: Reply, /) -> Program[None]:
        """See `Transport.close`."""
        yield Invoke(reply.close)

    def _listen(self, reply: Reply, heard: Listening) -> Program[None]:
        """Read a stream to its end, and hand on what it brings. Raises `Interrupted` where it breaks off."""
        events, is_begun = Events(), False
        try:
            while True:
                chunk = cast("bytes", (yield Await(reply.chunk)))
                if chunk and self._first_ns is None:
                    self._first_ns = time.monotonic_ns() - self._started_ns
                passed = yield from self._through(chunk)
                for event in events.feed(passed) if chunk else [*events.feed(passed), *events.end()]:
                    try:
                        piece = heard.hear(event.name, event.data)
                    except ValueError:
                        return
                    except Interrupted as interrupted:
                        interrupted.event = event.data
                        raise
                    is_begun = True
                    if piece and self.asked.hear is not None:
                        yield from self._hand_on(piece, self.asked.hear)
                if not chunk:
                    break
        finally:
            reply.close()
        if not is_begun:
            return
        # One in which the model refused has said what there is to say.
        if not heard.is_whole and not _refusal_in(heard):
            raise Interrupted("the stream ended before the answer did")
        self._heard = heard

    def _through(self, chunk: bytes) -> Program[bytes]:
        """What of the stream may be handed on by now. Raises `GuardRefused`."""
        watch = self._watch
        if watch is None:
            self._body += chunk
            return chunk
        return (yield from watch.heard(chunk) if chunk else watch.ended())

    def _hand_on(self, piece: str, hear: Hear) -> Program[None]:
        try:
            yield Invoke(partial(hear, piece))
        except Exception as error:
            raise _ReaderFailed(error) from error
        tell(self.claim, hear, piece)

    def _finish(self, ending: Ending, answer: Answer | None = None) -> Program[None]:
        self.is_open = False
        if (passage := self._passage) is None:
            yield Commit(self.claim.finish(ending))
            return
        if answer is not None and ending.call is not None:
            charged = passage.charge(answer, ending.call, is_events=self.asked.listen is not None)
        else:
            charged = self._part() if passage.is_out else Money()
        yield from passage.conclude(self.claim, ending, charged)


def _refusal_in(heard: Listening) -> str:
    return heard.turn().refusal


class _ReaderFailed(Exception):
    """The code that a stream is handed on to raised: no failure of the model."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@cache
def _transport_errors() -> tuple[type[Exception], ...]:
    """What is raised where no whole answer comes."""
    import aiohttp

    return (OSError, TimeoutError, aiohttp.ClientError)
