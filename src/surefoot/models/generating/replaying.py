"""What an answer says, whole or in the pieces that it came in; also one that was recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import orjson

from surefoot.effects import Invoke, Program
from surefoot.errors import MalformedResponse, SurefootError
from surefoot.models.chain.endpoints import Policy
from surefoot.models.chain.facts import facts_of
from surefoot.models.chain.failures import Failed, error_of, malformation, malformed
from surefoot.models.chain.record import Answer
from surefoot.models.chain.sse import events_of
from surefoot.models.generating.asked import Asked, Hear, tell
from surefoot.scope import Claim, Recorded
from surefoot.values import CallFacts, Json

R = TypeVar("R")


def replayed(
    asked: Asked[R], policy: Policy, claim: Claim, recorded: Recorded
) -> Program[tuple[R, CallFacts]]:
    """What the model said when it was recorded. Raises what was raised then, and `MalformedResponse` for no answer."""
    answer = Answer.from_record(recorded.output)
    if recorded.error is not None:
        claim.handed_over(recorded.error)
        raise recorded.error
    if answer is None:
        raise MalformedResponse(
            f"the recorded outcome of {asked.operation} is no answer of a model: other code recorded it under the "
            "same name; rename that step, or resume with the code that recorded it"
        )
    if recorded.status == "failed":
        error = answer.error or failure_of(answer, Failed(asked.target.provider, asked.target.model))
        claim.handed_over(error)
        if answer.error is not None and asked.hear is not None:
            yield from _hand_on(claim, asked.hear, pieces_of(asked, answer))
        raise error
    turn, pieces = read_whole(asked, answer)
    if asked.hear is not None:
        yield from _hand_on(claim, asked.hear, pieces)
    return turn, facts_of_call(asked, policy, answer)


def _hand_on(claim: Claim, hear: Hear, pieces: Sequence[str]) -> Program[None]:
    for piece in pieces:
        yield Invoke(partial(hear, piece))
    tell(claim, hear, "".join(pieces), is_replayed=True)


def failure_of(answer: Answer, failed: Failed) -> SurefootError:
    """The error for an answer that is no turn."""
    status, headers, body = answer.status, answer.headers, answer.body
    if not answer.is_success:
        return error_of(failed, status=status, headers=headers, body=body, now=time.time())
    reason = malformation(headers, body) or "an answer of another form"
    return malformed(failed, reason, status=status, headers=headers, body=body)


def facts_of_call(asked: Asked[Any], policy: Policy, answer: Answer | None) -> CallFacts:
    """What is known of a call by its answer."""
    target = asked.target
    priced_as = target.priced_as if target.priced_as != target.model else ""
    return facts_of(
        *(policy.prices, target.provider, target.model, answer),
        is_events=asked.listen is not None,
        connection=target.connection,
        priced_as=priced_as,
    )


def read_whole(asked: Asked[R], answer: Answer) -> tuple[R, list[str]]:
    """What a whole answer says, and the pieces that its text came in."""
    if asked.listen is None:
        return asked.read(cast("Mapping[str, Json]", orjson.loads(answer.handed_on))), []
    listening = asked.listen()
    pieces = [listening.hear(event.name, event.data) for event in events_of(answer.handed_on)]
    return cast("R", listening.turn()), [piece for piece in pieces if piece]


def pieces_of(asked: Asked[Any], answer: Answer) -> list[str]:
    """The pieces that were handed on of a stream that was refused in its midst."""
    if asked.listen is None:
        return []
    listening = asked.listen()
    return [
        piece for event in events_of(answer.handed_on) if (piece := listening.hear(event.name, event.data))
    ]
