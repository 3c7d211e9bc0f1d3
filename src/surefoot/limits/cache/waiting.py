"""Calls that are under way in this process, and who waits for them: of all that ask for one key, one leads."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from surefoot.effects import Await, Program
from surefoot.locks import ForkSafeLock, in_forked_child
from surefoot.values import CachedAnswer

_LOOK_AGAIN = 1.0
"""Seconds after which a waiter looks whether the leader is still there, though nobody has woken it."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """One that waits, in a task of a loop."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def wake(self) -> bool:
        """Wake it; False where its loop is gone."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


@dataclass(slots=True, weakref_slot=True)
class Lead:
    """The right to make the call of a key. Whoever has it ends it, or is collected."""

    key: bytes
    whose: object
    is_alone: bool = False
    """Whether nobody waits for it, as it would wait for itself."""
    is_over: bool = False


@dataclass(slots=True)
class _Gate:
    """What is known of one key while somebody makes its call."""

    key: bytes
    lead: weakref.ref[Lead] | None
    waiters: deque[_Waiter] = field(default_factory=deque[_Waiter])
    answer: CachedAnswer | None = None

    @property
    def leader(self) -> Lead | None:
        found = None if self.lead is None else self.lead()
        return None if found is None or found.is_over else found


class Gates:
    """The keys whose calls are under way in this process."""

    def __init__(self) -> None:
        self._begin_anew()
        in_forked_child(self._begin_anew)

    def _begin_anew(self) -> None:
        """In a forked child the calls under way are its parent's."""
        self._lock = ForkSafeLock()
        self._gates: dict[bytes, _Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    def enter(
        self, key: bytes, *, patience: Callable[[], float], check: Callable[[], None]
    ) -> Program[Lead | CachedAnswer | None]:
        """The lead, or the answer that its leader has brought; None once there is no patience left.

        Whoever leads already and asks for the same before that has ended, as with a stream that is still open, would
        wait for itself: it gets a lead alone. `check` raises where waiting is to end.
        """
        me = _whose()
        while True:
            with self._lock:
                gate = self._gates.get(key)
                if gate is None:
                    lead = Lead(key, me)
                    self._gates[key] = _Gate(key, weakref.ref(lead))
                    return lead
                leader = gate.leader
                if leader is None:
                    lead = Lead(key, me)
                    gate.lead = weakref.ref(lead)
                    return lead
            if leader.whose == me:
                return Lead(key, me, is_alone=True)
            seconds = patience()
            if seconds <= 0:
                return None
            # The leader ends when nobody else has it.
            del leader
            yield Await(partial(self._wait, gate, min(seconds, _LOOK_AGAIN)))
            if gate.answer is not None:
                return gate.answer
            check()

    async def _wait(self, gate: _Gate, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self._lock:
            if gate.answer is not None or gate.leader is None:
                return
            gate.waiters.append(waiter)
        is_woken = False
        try:
            await asyncio.wait_for(waiter.future, seconds)
            is_woken = True
        except TimeoutError:
            pass
        finally:
            with self._lock, suppress(ValueError):
                gate.waiters.remove(waiter)
            if not is_woken and gate.answer is None:
                # It may have been this one's turn.
                self._pass_on(gate)

    def _pass_on(self, gate: _Gate) -> None:
        """Wake one of those that wait, where nobody leads."""
        while True:
            with self._lock:
                if gate.leader is not None:
                    return
                if not gate.waiters:
                    if self._gates.get(gate.key) is gate:
                        del self._gates[gate.key]
                    return
                waiter = gate.waiters.popleft()
            if waiter.wake():
                return

    def answer(self, lead: Lead, answer: CachedAnswer) -> None:
        """Give the answer to all that wait, and end the lead."""
        with self._lock:
            gate = self._end(lead)
            if gate is None:
                return
            gate.answer = answer
            self._gates.pop(lead.key, None)
            waiters = list(gate.waiters)
        for waiter in waiters:
            waiter.wake()

    def drop(self, lead: Lead) -> None:
        """End the lead without an answer: one of those that wait leads next."""
        with self._lock:
            gate = self._end(lead)
            if gate is None:
                return
            gate.lead = None
        self._pass_on(gate)

    def _end(self, lead: Lead) -> _Gate | None:
        """The gate of a lead that has not ended yet, which ends now."""
        if lead.is_over:
            return None
        lead.is_over = True
        gate = self._gates.get(lead.key)
        return gate if gate is not None and gate.lead is not None and gate.lead() is lead else None


def _whose() -> object:
    """What runs now: a task, or a thread that has no loop."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else id(task)
