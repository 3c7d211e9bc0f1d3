"""Whose calls go through the chain: those inside a run, those of wrapped clients, and all of them after `autolog`.

A call outside a run is under the policy as one inside is, but there is no record: its scope forgets everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from surefoot.decisions import Decision
from surefoot.models import fakes
from surefoot.rights import Rights, UseKind
from surefoot.scope import Claim, Ending, Recorded, Scope, Ticket, Work, current
from surefoot.values import Caller, PromptRef

_MARK = "__surefoot_chained__"

_NOBODY = Caller()
_NO_MODELS: Mapping[str, str] = {}

_is_everywhere = False
# Set while an SDK that was found to be on the chain sends by HTTP clients of its own, which nobody has marked.
_is_sending: ContextVar[bool] = ContextVar("surefoot_chained_sending", default=False)


class _Done(Ticket):
    """Nothing is kept, so nothing is waited for."""

    def wait(self) -> None:
        pass

    def __await__(self) -> Generator[object, None, None]:
        yield from ()


class _Forgotten(Claim):
    """Work that nobody remembers."""

    def __init__(self) -> None:
        self._idempotency_key = uuid4().hex

    @property
    def recorded(self) -> Recorded | None:
        return None

    @property
    def idempotency_key(self) -> str:
        return self._idempotency_key

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return {}

    def finish(self, ending: Ending) -> Ticket:  # noqa: ARG002
        return _Done()

    def handed_over(self, cause: object) -> None:
        pass

    @property
    def is_watched(self) -> bool:
        return False

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        pass

    def abandon(self) -> None:
        pass


class _Outside(Scope):
    """What stands for a scope where no run is open."""

    @property
    def run_id(self) -> str:
        return ""

    @property
    def step_id(self) -> str:
        return ""

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return {}

    @property
    def caller(self) -> Caller:
        return _NOBODY

    @property
    def prompt(self) -> PromptRef | None:
        return None

    @property
    def seconds_left(self) -> float | None:
        return None

    def check(self) -> None:
        pass

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def claim(self, work: Work) -> Claim:  # noqa: ARG002
        return _Forgotten()

    def perform(self, work: Work, body: Callable[[], Any], *, is_async: bool) -> Any:  # noqa: ARG002
        return body()

    def note_prompt(self, prompt: PromptRef) -> None:
        pass

    def pinned(self, reference: str) -> PromptRef | None:  # noqa: ARG002
        return None

    def pin(self, reference: str, prompt: PromptRef) -> PromptRef:  # noqa: ARG002
        return prompt

    @property
    def other_models(self) -> Mapping[str, str]:
        return _NO_MODELS

    def carry(self, row: object, *, when_kept: Callable[[], None]) -> None:
        pass

    def is_trusted(self, value: object) -> bool:  # noqa: ARG002
        return False

    def trust(self, value: object) -> None:
        pass

    def taint(self, what: str) -> None:
        pass

    def note_decision(self, decision: Decision) -> None:
        pass

    @property
    def rights(self) -> Rights | None:
        return None

    def require_use(self, kind: UseKind, name: str) -> None:
        pass


OUTSIDE: Scope = _Outside()


def scope_for(client: object) -> Scope | None:
    """The scope for the model calls of a client: the open run's, `OUTSIDE`, or None if the chain is not asked for."""
    here = current()
    if here is not None:
        return here
    # No call may pass by a fake that stands in, whatever library carries it.
    if (
        _is_everywhere
        or fakes.current() is not None
        or _is_sending.get()
        or _MARK in getattr(client, "__dict__", ())
    ):
        return OUTSIDE
    return None


def mark(client: object) -> None:
    """Put the calls of a client on the chain outside runs too, for as long as it lives."""
    client.__dict__[_MARK] = True


def mark_all(*, is_on: bool) -> None:
    """Put all clients on the chain outside runs too, or only those that are marked."""
    global _is_everywhere
    _is_everywhere = is_on


@contextmanager
def sending() -> Generator[None]:
    """Everything that is sent by the code inside is on the chain."""
    token = _is_sending.set(True)
    try:
        yield
    finally:
        _is_sending.reset(token)


def is_sending() -> bool:
    """Whether this code runs within `sending`."""
    return _is_sending.get()
