"""One model call under an SDK client, from claim to record, written once for sync and async clients."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import orjson

from surefoot import scope
from surefoot.effects import Block, Commit, Program
from surefoot.errors import ConfigError, GuardRefused, SurefootError, UsageError
from surefoot.locks import ForkSafeLock
from surefoot.models.chain.answers import is_answer, is_answer_in_events
from surefoot.models.chain.attempts import Attempts, Head, is_stopped
from surefoot.models.chain.bounds import Load
from surefoot.models.chain.caching import Lookup, looked_up, place_of, was_not_asked
from surefoot.models.chain.endpoints import (
    CallTarget,
    Endpoint,
    Policy,
    Route,
    has_credential,
    routed_headers,
)
from surefoot.models.chain.facts import facts_of
from surefoot.models.chain.guarding import Guarded
from surefoot.models.chain.limits import AnswerCache
from surefoot.models.chain.passage import Passage, passage_of, tokens_of
from surefoot.models.chain.record import Answer, kept_headers
from surefoot.models.chain.retries import is_unsent
from surefoot.models.chain.vendors import LOCAL
from surefoot.models.fakes import current as current_fake
from surefoot.models.fakes import is_free
from surefoot.models.sdk import addressed
from surefoot.models.sdk.bounded import at_most
from surefoot.models.sdk.deadlines import end_in_time, within
from surefoot.models.sdk.replays import Call, remember, repeated, replay
from surefoot.models.sdk.sending import Close, Read, Send
from surefoot.models.sdk.streams import Tape, live
from surefoot.models.sdk.telling import Telling
from surefoot.scope import Claim, Ending, Recorded
from surefoot.tracecontext import TRACEPARENT
from surefoot.values import CallFacts, Money

if TYPE_CHECKING:
    import httpx2

    from surefoot.decisions import Decision

logger = scope.logger("surefoot.models")


# Headers of which an answer depends.
_VERSION_HEADERS = (
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "openai-organization",
    "openai-project",
)

_announced: set[tuple[str, str]] = set()
_announced_lock = ForkSafeLock()


def exchange(call: Call, policy: Policy) -> Program[httpx2.Response]:
    """Give the recorded answer of a call, or make the call and record how it ended.

    Raises what the client's own library raises, `RunEnded` and `NotData` from the claim, `ContextOverflow`
    and `ConfigError` from a route, and `ClosedEarly` for a replayed answer that was not read to its end.
    """
    failed = repeated(call)
    if failed is not None:
        return replay(call, failed)
    if call.scope.other_models:
        _refuse_other_model(call)
    asked = call.asked
    guarded = Guarded.of(policy.guards, call.scope, operation=asked.operation.name, body=asked.body)
    if guarded is not None:
        yield from guarded.guard.judge()
    claim = call.scope.claim(call.asked.work)
    if claim.recorded is not None:
        if claim.recorded.status == "failed":
            remember(call, claim.recorded)
        return replay(call, claim.recorded, claim)
    claimed = Exchange(call, claim, policy, guarded)
    try:
        return (yield from claimed.run())
    except BaseException as error:
        if claimed.is_claim_open:
            # What a run was stopped in has no outcome: it is done again if the run goes on.
            if not isinstance(error, Exception) or is_stopped(call.scope):
                claimed.abandon()
            else:
                yield from claimed.fail(error)
        raise


def _refuse_other_model(call: Call) -> None:
    """Raise `UsageError` where the run is to ask another model than the client asks: its requests are not altered."""
    asked = call.asked
    names = (asked.model, f"{asked.provider}:{asked.model}")
    others = call.scope.other_models
    name = next((name for name in names if name in others), None)
    if name is None:
        name = next((one for one in others if one.partition(":")[2] == asked.model), None)
    if name is not None:
        raise UsageError(
            f"{asked.provider}:{asked.model} is asked through an SDK client, whose requests are never altered, and run "
            f"{call.scope.run_id} is to ask {others[name]} in its place: make the model an input of the flow and "
            "change that, or ask it with generate()"
        )


@dataclass(slots=True)
class Exchange:
    """One claimed call; as a transport, what makes its attempts."""

    call: Call
    claim: Claim
    policy: Policy
    guarded: Guarded | None = None
    is_claim_open: bool = True
    attempts: Attempts[httpx2.Response] = field(init=False)
    _passage: Passage | None = None
    _route: Route | None = None
    _is_changed: bool = False
    """Whether the guards have taken something out of the request."""
    _sent: httpx2.Request = field(init=False)
    _started_ns: int = field(default_factory=time.monotonic_ns)

    def __post_init__(self) -> None:
        self._sent = self.call.request

    def run(self) -> Program[httpx2.Response]:
        """Send until there is an answer to hand over; the outcome is durable when this returns.

        The outcome of a stream is recorded by its body instead, before the client sees the end of it.
        """
        self._choose_route()
        self._refuse_undeclared()
        if self.guarded is not None:
            self._is_changed = yield from self.guarded.enter(len(self.call.request.content))
        self.claim = yield from looked_up(self.claim, self._lookup, self._cache, self.call.scope)
        if self.claim.recorded is not None:
            self.is_claim_open = False
            return replay(self.call, self.claim.recorded, self.claim)
        self.attempts = Attempts(
            self,
            self.call.asked.operation.name,
            self.policy.retries,
            self._whom,
            self.policy.budget,
            self.call.scope,
            is_stream=self.call.is_streaming,
        )
        way = addressed.way(self.call.request, self._whom)
        self._passage = passage_of(self.policy, self.call.scope, self._load, way)
        self.attempts.passage = self._passage
        response = yield from self.attempts.run()
        if response.is_success and self.call.is_streaming:
            self.is_claim_open = False
            watch = None if self.guarded is None else self.guarded.watch(is_events=_is_in_events(response))
            tape = Tape(
                *(self.claim, response, self._ending),
                started_ns=self._started_ns,
                passage=self._passage,
                watch=watch,
                telling=Telling.of(self.claim, self.call.asked.operation.name),
            )
            return live(response, tape, self.call.library, is_async=self.call.is_async)
        refused = yield from self._receive(response)
        if not response.is_success:
            response.headers["x-should-retry"] = "false"
        body = b"" if refused is not None else response.content
        answer = self._completed(Answer(response.status_code, kept_headers(response.headers), body), response)
        if refused is None and self.guarded is not None:
            try:
                answer = yield from self.guarded.checked(answer)
            except GuardRefused as error:
                refused = error
        if refused is not None:
            answer = replace(answer, error=refused)
        ending = self._ending(answer, response)
        if ending.status == "failed":
            remember(self.call, Recorded("failed", ending.output))
        if self._passage is not None:
            self._leave(self._passage, answer, ending)
        whole = answer if refused is None or not body else replace(answer, error=None)
        yield from self._finish(ending, whole)
        if refused is not None:
            raise refused
        return response if answer.given is None else self._given(response, answer.given)

    def _receive(self, response: httpx2.Response) -> Program[GuardRefused | None]:
        """Read the whole answer; the refusal of one that is too large."""
        left, guard = self.attempts.seconds_left, None if self.guarded is None else self.guarded.guard
        bound = nullcontext() if guard is None else at_most(response, guard.max_output_bytes, guard.too_large)
        try:
            with bound, end_in_time(response, self._sent, self.call.library, left):
                yield Read(response)
        except GuardRefused as refused:
            yield Close(response)
            return refused
        except Exception as error:
            self.attempts.explain(error)
            raise
        return None

    def _given(self, response: httpx2.Response, body: bytes) -> httpx2.Response:
        """The response with what the guards have made of its body."""
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        made = self.call.library.Response(
            response.status_code,
            headers=headers,
            content=body,
            request=response.request,
            extensions=response.extensions,
            history=response.history,
        )
        made.elapsed = response.elapsed
        return cast("httpx2.Response", made)

    def fail(self, error: Exception) -> Program[None]:
        """Record that the call ended in an exception."""
        remember(self.call, Recorded("failed", error=error))
        facts = self._facts()
        if self._passage is not None:
            self._passage.over("dropped" if isinstance(error, SurefootError) else "failed", None)
        is_unpaid = self._passage is not None and self._passage.is_free
        # What guards refuse here is the request: an answer is recorded with its refusal.
        if is_unpaid or is_unsent(error) or was_not_asked(error) or isinstance(error, GuardRefused):
            facts = replace(facts, cost=Money(0))
        ending = Ending("failed", cause=error, call=facts)
        ending.decisions = self._decisions
        yield from self._finish(ending)

    @property
    def _decisions(self) -> tuple[Decision, ...]:
        return () if self.guarded is None else self.guarded.decisions

    @property
    def _leaving(self) -> Mapping[str, object]:
        """The request's body as it leaves, but for a limit that a budget puts on it."""
        return self.call.asked.body if self.guarded is None else self.guarded.body

    def abandon(self) -> None:
        """The call was cancelled, or its run stopped: it has no outcome. Waits for nothing."""
        if self._passage is not None:
            self._passage.abandon()
        self.claim.abandon()

    def send(self, number: int, /) -> Program[httpx2.Response]:
        """See `Transport.send`."""
        if self._passage is not None:
            yield from self._passage.enter(
                lambda: self.attempts.seconds_left, is_faked=current_fake() is not None
            )
        outgoing = yield from self._outgoing(is_first=number == 1)
        self._sent = outgoing.request
        with within(outgoing.request, self.attempts.seconds_left):
            response = cast("httpx2.Response", (yield outgoing))
        # The client looks into the request that it made, not into the one that was routed.
        if outgoing.is_routed:
            response.request = self.call.request
        return response

    def head(self, response: httpx2.Response, /) -> Head:
        """See `Transport.head`."""
        return Head(response.status_code, response.headers)

    def close(self, response: httpx2.Response, /) -> Program[None]:
        """See `Transport.close`."""
        yield Close(response)

    @property
    def _whom(self) -> str:
        """Who fails as a whole: the provider at the host or the connection that is asked."""
        if self._route is not None:
            return self._route.served_model.partition(":")[0]
        return addressed.whom(self.call.request, self.call.asked.provider)

    @property
    def _cache(self) -> AnswerCache | None:
        """What a fake says is not kept, nor is anything said in its place; an array of chunks is of no known form."""
        url = self.call.request.url
        is_array = ":streamGenerateContent" in url.path and url.params.get("alt") != "sse"
        return None if is_array or current_fake() is not None else self.policy.cache

    @property
    def _lookup(self) -> Lookup:
        asked, request = self.call.asked, self.call.request
        return Lookup(
            asked.operation.name,
            asked.provider,
            self._place,
            asked.model,
            self._leaving,
            is_events=asked.body.get("stream") is True or ":stream" in request.url.path,
            wish=None,
            patience=self.policy.retries.deadline,
            ending=lambda answer: Ending("completed", answer.to_record(), call=self._facts(answer)),
            version={
                name: value for name in _VERSION_HEADERS if (value := request.headers.get(name)) is not None
            },
            guarded=self.guarded,
        )

    def _place(self) -> str:
        """Where the call is answered, as the cache tells places apart."""
        if self._route is not None:
            return self._route.served_model
        place, target = place_of(str(self.call.request.url)), addressed.target_of(self.call.request)
        return place if target is None else f"{target.connection} {place}"

    def _refuse_undeclared(self) -> None:
        """Raise `AccessDenied` where the run may not use what is asked, there."""
        here, addresses, asked = self.call.scope, self.policy.addresses, self.call.asked
        if here.rights is None or addresses is None:
            return
        if (known := addressed.target_of(self.call.request)) is not None:
            addresses.require_target(here, known)
            return
        if self._route is not None:
            addresses.require_stand_in(here, f"{asked.provider}:{asked.model}", self._route.served_model)
            return
        request = self.call.request
        addresses.require_request(here, str(request.url), request.headers, model=asked.model)

    def _choose_route(self) -> None:
        headers, asked = self.call.request.headers, self.call.asked
        key = headers.get("idempotency-key", "")
        if not key or key.startswith("stainless-python-retry-"):
            headers["idempotency-key"] = self.claim.idempotency_key
        if TRACEPARENT not in headers:
            # Whoever traces the client's requests himself has said so already.
            headers.update(self.claim.trace_headers)
        known = addressed.target_of(self.call.request)
        if known is not None and known.provider != LOCAL:
            # An alias was asked where the target was chosen.
            return
        target = CallTarget(asked.operation.provider, asked.model, has_credential(headers))
        self._route = route = self.policy.endpoints.route(target)
        if route is None:
            return
        if asked.operation.name not in route.operations:
            raise ConfigError(
                f"{asked.model} is an alias of {route.served_model}, which answers no {asked.operation.name} "
                f"requests: set a credential for {asked.operation.provider}, or use a client whose format it speaks"
            )
        _announce(asked.model, route)

    def _outgoing(self, *, is_first: bool) -> Program[Send]:
        """The request as it leaves: the client's own, or one to the endpoint that serves an alias."""
        route, request, asked = self._route, self.call.request, self.call.asked
        capped = None if self._passage is None else self._passage.body
        if capped is None and self._is_changed:
            capped = dict(self._leaving)
        if route is None:
            return Send(request if capped is None else self._rewritten(capped))
        body = {**(capped or asked.body), "model": route.served_model.partition(":")[2]}

        def connect() -> Endpoint:
            endpoint = route.connect()
            if is_first and endpoint.check is not None:
                endpoint.check(body, asked.operation.path)
            return endpoint

        endpoint = cast("Endpoint", (yield Block(connect)))
        rerouted = self.call.library.Request(
            "POST",
            endpoint.base_url.rstrip("/") + asked.operation.path.removeprefix("/v1"),
            headers=routed_headers(request.headers, endpoint),
            content=orjson.dumps(body),
            extensions=request.extensions,
        )
        return Send(cast("httpx2.Request", rerouted), is_routed=True)

    def _rewritten(self, body: Mapping[str, object]) -> httpx2.Request:
        """The client's own request with another body."""
        request = self.call.request
        headers = [
            (name, value) for name, value in request.headers.multi_items() if name.lower() != "content-length"
        ]
        made = self.call.library.Request(
            request.method,
            request.url,
            headers=headers,
            content=json.dumps(body),
            extensions=request.extensions,
        )
        return cast("httpx2.Request", made)

    def _load(self) -> Load:
        """The call as limits weigh it; one that is routed is that of the model which serves it."""
        asked, route = self.call.asked, self._route
        raw = self.call.request.content
        if route is None:
            known_as = addressed.priced_as(self.call.request)
            return Load(asked.operation.name, asked.provider, asked.model, self._leaving, raw, known_as)
        provider, _, model = route.served_model.partition(":")
        return Load(asked.operation.name, provider, model, self._leaving, raw)

    def _leave(self, passage: Passage, answer: Answer, ending: Ending) -> None:
        """The last byte of a buffered answer was read."""
        if answer.is_success:
            passage.over("succeeded", None if ending.call is None else tokens_of(ending.call))
        else:
            passage.refused(Head(answer.status, answer.headers))

    def _finish(self, ending: Ending, answer: Answer | None = None) -> Program[None]:
        self.is_claim_open = False
        if (passage := self._passage) is None:
            yield Commit(self.claim.finish(ending))
            return
        charged = None if passage.is_out else Money()
        if answer is not None and ending.call is not None:
            charged = passage.charge(answer, ending.call, is_events=self._is_in_events(answer))
        yield from passage.conclude(self.claim, ending, charged)

    def _ending(self, answer: Answer, response: httpx2.Response, first_token_ns: int | None = None) -> Ending:
        """How the call ended: an answer of another form than is due is a failure, like a refusal."""
        ending = self._judged(self._completed(answer, response), response, first_token_ns)
        ending.decisions = self._decisions
        return ending

    def _judged(self, answer: Answer, response: httpx2.Response, first_token_ns: int | None) -> Ending:
        facts = replace(self._facts(answer), first_token_ns=first_token_ns)
        is_events = self._is_in_events(answer)
        if answer.error is not None:
            return Ending("failed", answer.to_record(), answer.error, facts)
        is_fit = is_answer_in_events if is_events else is_answer
        if answer.is_success and (answer.is_closed_early or is_fit(answer.body)):
            return Ending("completed", answer.to_record(), call=facts)
        return Ending("failed", answer.to_record(), response, facts)

    def _completed(self, answer: Answer, response: httpx2.Response) -> Answer:
        """The answer with what is known of it here alone."""
        if self._passage is None:
            return replace(answer, is_free=is_free(response))
        cap, is_alone = self._passage.cap, self._passage.is_alone
        return replace(answer, is_free=is_free(response), output_cap=cap, is_limited_alone=is_alone)

    def _is_in_events(self, answer: Answer) -> bool:
        """Whether an answer is a stream, by what it calls itself or by what was asked for."""
        return answer.is_event_stream or self.call.asked.body.get("stream") is True

    def _facts(self, answer: Answer | None = None) -> CallFacts:
        asked = self.call.asked
        routed = self._route.served_model if self._route is not None else ""
        return facts_of(
            self.policy.prices,
            asked.provider,
            asked.model,
            answer,
            is_events=answer is not None and self._is_in_events(answer),
            routed=routed,
            **addressed.priced(self.call.request),
        )


def _is_in_events(response: httpx2.Response) -> bool:
    """Whether the body of a response is one of server-sent events."""
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _announce(model: str, route: Route) -> None:
    """Say once per process that a model is answered by another one."""
    with _announced_lock:
        pair = model, route.served_model
        if pair in _announced or model == route.served_model:
            return
        _announced.add(pair)
    logger.warning(
        "model alias: %s is answered by %s, as no credential for it is set", model, route.served_model
    )
