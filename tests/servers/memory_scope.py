"""A run's scope in memory, honest about what crosses into the record: nothing but JSON and named exceptions."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from surefoot.decisions import Decision
from surefoot.errors import RunEnded
from surefoot.rights import Rights, UseKind
from surefoot.scope import Ending, Recorded, Work, variable
from surefoot.values import Caller, PromptRef


@dataclass
class MemoryTicket:
    is_waited_for: bool = False

    def wait(self) -> None:
        self.is_waited_for = True

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(0).__await__()
        self.is_waited_for = True


@dataclass
class MemoryClaim:
    scope: MemoryScope
    work: Work
    key: tuple[str, str, int]
    ending: Ending | None = None
    ticket: MemoryTicket | None = None
    is_abandoned: bool = False

    @property
    def recorded(self) -> Recorded | None:
        return self.scope.past.get(self.key)

    @property
    def idempotency_key(self) -> str:
        return f"{self.scope.run_id}-{self.key[2]}"

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return {}

    def finish(self, ending: Ending) -> MemoryTicket:
        assert self.ending is None, "a claim is finished once"
        assert not self.is_abandoned
        if self.scope.is_ended:
            raise RunEnded("the run has ended")
        self.ending = ending
        self.ticket = MemoryTicket()
        self.scope.record[self.key] = _kept(ending)
        return self.ticket

    def handed_over(self, cause: object) -> None:
        assert self.recorded is not None
        assert self.recorded.status == "failed"
        assert cause is not None

    @property
    def is_watched(self) -> bool:
        return False

    def streamed(self, piece: str, *, is_replayed: bool = False) -> None:
        raise NotImplementedError

    def abandon(self) -> None:
        assert self.ending is None
        self.is_abandoned = True


@dataclass
class MemoryScope:
    """`past` is what a resumed run finds; `record` is what this one leaves."""

    past: dict[tuple[str, str, int], Recorded] = field(default_factory=dict)
    record: dict[tuple[str, str, int], Recorded] = field(default_factory=dict)
    claims: list[MemoryClaim] = field(default_factory=list)
    is_ended: bool = False
    seconds_left: float | None = None
    stop: Exception | None = None
    """What `check` raises: why the run goes on no further."""
    run_id: str = "run-1"
    step_id: str = ""
    caller: Caller = Caller(("run-1",), ("flow",))
    prompt: PromptRef | None = None
    untrusted: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    _seen: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, work: Work) -> MemoryClaim:
        if self.is_ended:
            raise RunEnded("the run has ended")
        digest = json.dumps(work.inputs, sort_keys=True)
        with self._lock:
            self._seen[work.name, digest] += 1
            claim = MemoryClaim(self, work, (work.name, digest, self._seen[work.name, digest]))
            self.claims.append(claim)
        return claim

    def check(self) -> None:
        if self.stop is not None:
            raise self.stop

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def note_prompt(self, prompt: PromptRef) -> None:
        raise NotImplementedError

    def pinned(self, reference: str) -> PromptRef | None:
        raise NotImplementedError

    def pin(self, reference: str, prompt: PromptRef) -> PromptRef:
        raise NotImplementedError

    @property
    def trace_headers(self) -> Mapping[str, str]:
        return {}

    @property
    def other_models(self) -> Mapping[str, str]:
        return {}

    def carry(self, row: object, *, when_kept: Callable[[], None]) -> None:
        raise NotImplementedError

    def is_trusted(self, value: object) -> bool:
        return not self.untrusted

    def trust(self, value: object) -> None:
        raise NotImplementedError

    def taint(self, what: str) -> None:
        self.untrusted.append(what)

    def note_decision(self, decision: Decision) -> None:
        self.decisions.append(decision)

    @property
    def rights(self) -> Rights | None:
        return None

    def require_use(self, kind: UseKind, name: str) -> None:
        pass

    def resumed(self) -> MemoryScope:
        """The same run once more, with everything that was recorded."""
        return MemoryScope(past=dict(self.record))

    @property
    def endings(self) -> list[Ending]:
        return [claim.ending for claim in self.claims if claim.ending is not None]

    @contextmanager
    def open(self) -> Iterator[MemoryScope]:
        token = variable().set(self)
        try:
            yield self
        finally:
            variable().reset(token)


def _kept(ending: Ending) -> Recorded:
    """What is left of an ending: the output as plain data, or, where there is none, the exception."""
    if ending.output is None:
        assert isinstance(ending.cause, BaseException)
        return Recorded(ending.status, error=ending.cause)
    assert isinstance(ending.output, dict)
    apart = {name: value for name, value in ending.output.items() if isinstance(value, bytes | BaseException)}
    plain = {name: value for name, value in ending.output.items() if name not in apart}
    return Recorded(ending.status, json.loads(json.dumps(plain)) | apart)
