"""Generator steps: the reader drives the user's generator item by item, and all of it is one outcome."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import (
    BreakerOpen,
    ClosedEarly,
    Diverged,
    Fenced,
    LedgerError,
    NotData,
    RunEnded,
    RunStopped,
)
from surefoot.flows.breaking import entered, judge
from surefoot.flows.claims import StepClaim
from surefoot.flows.contexts import InContext, is_collecting
from surefoot.flows.credit import hand_out, hand_out_again
from surefoot.flows.drive import Body, Durable, Logic, Pause, drive
from surefoot.flows.early import EarlyEnd
from surefoot.flows.events import StepYielded
from surefoot.flows.performing import Plan
from surefoot.flows.running import Here, inside_of
from surefoot.flows.stopping import stems_from_stop
from surefoot.limits import Trial
from surefoot.scope import Ending, Recorded
from surefoot.values import Trust

log = scope.logger("surefoot.flows")

_closing: set[asyncio.Task[None]] = set()
"""What closes async generators that were dropped: a loop knows its tasks only weakly."""

_Items = AsyncIterable[Any] | Iterable[Any]

_NO_OUTCOME = (Diverged, Fenced, LedgerError, RunEnded, RunStopped)


@dataclass(frozen=True, slots=True)
class Yielded:
    """The recorded outcome of a generator step: its items, and how they came to an end.

    `result` is what a sync generator returned, `error` what either raised after the items.
    """

    items: list[Any]
    result: Any = None
    error: BaseException | None = None
    is_closed_early: bool = False


class Reply(NamedTuple):
    """What one `next` came to: an item, or the end and what was returned with it."""

    is_item: bool
    value: Any


class Yielding:
    """One call of a generator step, claimed in the scope `here`: replayed, or driven in a context of its own.

    A scope that is set and reset around a `yield` would leak into the reader's code.
    """

    def __init__(self, here: Here, claim: StepClaim, plan: Plan, *, name: str, is_async: bool) -> None:
        self._here = here
        self._claim = claim
        self._plan = plan
        self._name = name
        self._is_async = is_async
        self._make = plan.body
        self._texts: list[str] = []
        self._given = 0
        self._inner: Any = None
        self._inside: Here | None = None
        self._context: contextvars.Context | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cause: Exception | None = None
        self._is_running = False
        self._is_over = False
        self._is_inside = False
        # That of the attempt under way, where the step has a breaker.
        self._trial: Trial | None = None
        self._record = None if claim.recorded is None else self._recorded(claim.recorded)
        self._replay: Iterator[Any] = iter(self._record.items if self._record is not None else ())

    @property
    def is_replayed(self) -> bool:
        return self._record is not None

    @property
    def is_restarted(self) -> bool:
        return self._claim.is_restarted

    def advance(self, how: str, *given: Any) -> Logic[Reply]:
        """Drive to the next item: `how` is `send` or `throw`."""
        self._refuse_reentry()
        if self._is_over:
            if how == "throw":
                raise given[0]
            return Reply(False, None)
        if self._record is not None:
            return self._replayed(self._record)
        self._is_running = True
        try:
            self._here.run.check_going(f"step {self._name!r}")
            self._here.check_admitted(f"step {self._name!r}")
            return (yield from self._live(how, given))
        except BaseException as error:
            # What is an outcome has been recorded.
            if not self._is_over:
                self._end()
                self._leave(error)
                self._claim.abandon()
            raise
        finally:
            self._is_running = False

    def close(self) -> Logic[None]:
        """End it where it stands."""
        self._refuse_reentry()
        if self._is_over:
            return
        self._end()
        if self._inner is None:
            if self._record is None:
                self._claim.abandon()
            return
        early = self._left_early()
        try:
            yield Body(lambda: self._resumed("close", ()))
        except _NO_OUTCOME:
            self._drop(early)
            raise
        except Exception as error:
            early.settle(is_kept=True)
            self._leave(error)
            yield Durable(self._finish("failed", error=error))
            raise
        except BaseException:
            self._drop(early)
            raise
        self._end_early(early)

    def dropped(self) -> None:
        """Nobody refers to it any more. What Python does then, it does in the reader's context: too late."""
        if self._is_over or self._record is not None:
            return
        is_collected = is_collecting()
        if self._loop is not None:
            self._close_later(self._loop, is_collected=is_collected)
        elif is_collected:
            # This thread may hold any lock: leave it to the next that has to do with the run.
            self._here.run.dropped.append(lambda: drive(self.close()))
        else:
            drive(self.close())

    # Replaying

    def _recorded(self, recorded: Recorded) -> Yielded:
        if recorded.error is not None:
            return Yielded([], error=recorded.error)
        if isinstance(recorded.output, Yielded):
            return recorded.output
        kind = type(recorded.output).__name__
        raise self._here.run.poisoned(
            Diverged(
                f"run {self._here.run_id}: step {self._name!r} was recorded as a function that returns {kind}, and is "
                "a generator now: restore the code, or give the step another name"
            )
        )

    def _replayed(self, record: Yielded) -> Reply:
        for item in self._replay:
            self._given += 1
            hand_out_again(self._claim, item)
            self._tell(item)
            return Reply(True, item)
        if record.is_closed_early:
            raise ClosedEarly(
                f"run {self._here.run_id}: step {self._name!r} is read past its {len(record.items)} recorded "
                "items, where its reader stopped the first time: let the flow stop reading where it did, or make "
                "what decides it a step"
            )
        self._is_over = True
        if record.error is not None:
            self._claim.handed_over(record.error)
            raise record.error
        hand_out_again(self._claim, record.result)
        return Reply(False, record.result)

    def _tell(self, item: object) -> None:
        run, claim = self._here.run, self._claim
        if run.listener is not None:
            index, path = self._given - 1, self._here.path
            run.tell(
                StepYielded(run.id, claim.key, self._name, claim.attempt, index, item, self.is_replayed, path)
            )

    # Live

    def _live(self, how: str, given: tuple[Any, ...]) -> Logic[Reply]:
        while True:
            if self._inner is None:
                if self._claim.retry_at_ns is not None:
                    yield Pause(max(0.0, (self._claim.retry_at_ns - time.time_ns()) / 1e9), self._claim.brake)
                try:
                    self._begin()
                except BreakerOpen as refusal:
                    yield from self._failed(refusal, is_refused=True)
                    continue
            try:
                item = yield Body(partial(self._resumed, how, given))
                self._keep(item)
                if self._trial is not None:
                    self._trial.answered()
                if self._given == 1 and (note := self._claim.note_begun()) is not None:
                    # A resume has to know whether items were seen before the crash.
                    yield Durable(note)
                self._tell(item)
            except (StopIteration, StopAsyncIteration) as end:
                return (yield from self._exhausted(getattr(end, "value", None)))
            except _NO_OUTCOME:
                raise
            except Exception as error:
                yield from self._failed(error)
                how, given = "send", (None,)
            else:
                return Reply(True, item)

    def _begin(self) -> None:
        if self._plan.breaker is not None and self._cause is None:
            self._trial = entered(self._plan.breaker)
        self._inside = inside = inside_of(self._claim, is_async=self._is_async)
        self._context = context = contextvars.copy_context()
        inside.run.read.add(self)
        context.run(inside.__enter__)
        self._is_inside = True
        self._inner = context.run(self._make)
        if self._is_async:
            self._loop = asyncio.get_running_loop()

    def _resumed(self, how: str, given: tuple[Any, ...]) -> Any:
        """Drive the user's generator; what is returned for an async one is awaitable."""
        inside, context = self._inside, self._context
        if inside is None or context is None:
            raise RuntimeError("a generator step is driven before it has begun")
        # Whoever reads is what runs it now, be it another thread each time.
        inside.adopt()
        if self._is_async:
            return InContext(context, context.run(getattr(self._inner, f"a{how}"), *given))
        return context.run(getattr(self._inner, how), *given)

    def _keep(self, item: object) -> None:
        """Encoded before the reader gets it: what the reader does to it is no part of the record."""
        self._texts.append(records.encode(item, name=f"{self._name}() item {len(self._texts)}"))
        self._given = len(self._texts)
        hand_out(self._claim, item, f"/items/{self._given - 1}")

    def _exhausted(self, result: object) -> Logic[Reply]:
        self._leave(None)
        hand_out(self._claim, result, "/result")
        try:
            ticket = self._finish("completed", result=result)
        except NotData as error:
            yield from self._failed(error)
            raise
        self._end()
        yield Durable(ticket)
        return Reply(False, result)

    def _failed(self, error: Exception, *, is_refused: bool = False) -> Logic[None]:
        """Record a failed attempt, and make ready for the next; raises where none is left.

        Once an item is in the reader's hands there is none: it would get the same items again.
        """
        retry, claim = self._plan.retry, self._claim
        if stems_from_stop(error):
            claim.brake.check()
        self._leave(error)
        if isinstance(error, NotData):
            yield Body(lambda: self._resumed("close", ()))
        if self._cause is not None and error.__cause__ is None:
            error.__cause__ = self._cause
        is_final = bool(self._texts) or self._cause is not None or isinstance(error, NotData)
        delay = None if is_final or is_refused else retry.next_delay(error, claim.attempt)
        fallback = self._plan.fallback
        is_answered = is_refused or isinstance(error, retry.on)
        if delay is None and fallback is not None and not is_final and is_answered:
            each = _each_async if self._is_async else _each
            self._make = lambda: each(fallback())
            self._cause, delay = error, 0.0
        retry_at = None if delay is None else time.time_ns() + round(delay * 1e9)
        if delay is None:
            self._end()
        yield Durable(self._finish("failed", error=error, retry_at_ns=retry_at))
        if delay is None:
            raise error
        if delay > 0:
            yield Pause(delay, claim.brake)
        claim.begin_next_attempt()
        self._inner = None

    def _finish(
        self,
        status: str,
        *,
        result: object = None,
        error: Exception | None = None,
        retry_at_ns: int | None = None,
        is_closed_early: bool = False,
    ) -> scope.Ticket:
        inside = self._inside
        prompt = inside.prompt if inside is not None else None
        # Its items are encoded already, so they are as trusted as its body was.
        trust: Trust | None = "untrusted" if inside is not None and inside.tainted else None
        if status == "failed":
            ending = Ending("failed", cause=error, trust=trust)
        else:
            ending = Ending("completed", is_degraded=self._cause is not None, trust=trust)
        text = self._text(result, error, is_closed_early=is_closed_early)
        return self._claim.finish(ending, text=text, retry_at_ns=retry_at_ns, prompt=prompt)

    def _text(self, result: object, error: Exception | None, *, is_closed_early: bool) -> str:
        """A `Yielded` as `encode` would write it, from items that are encoded already."""
        name = self._name
        kind = records.encode(f"{Yielded.__module__}:{Yielded.__qualname__}")
        ends = records.encode(result, name=f"what {name}() returned"), records.encode(error, name=f"{name}()")
        flag = records.encode(is_closed_early)
        items = ",".join(self._texts)
        fields = f'"error":{ends[1]},"is_closed_early":{flag},"items":[{items}],"result":{ends[0]}'
        return f'{{"$":["dataclass",{kind},{{{fields}}}]}}'

    def _end(self) -> None:
        """Nothing more is read."""
        self._is_over = True
        self._here.run.read.discard(self)

    def _leave(self, error: BaseException | None) -> None:
        """Its scope ends, and what its breaker learns is known."""
        self._judge(error)
        if self._is_inside and self._inside is not None and self._context is not None:
            self._is_inside = False
            self._context.run(self._inside.__exit__, type(error) if error else None, error, None)

    def _judge(self, error: BaseException | None) -> None:
        trial, self._trial = self._trial, None
        if trial is None:
            return
        if error is None:
            trial.succeeded()
        else:
            judge(trial, error)

    # Left early

    def _left_early(self, *, is_collected: bool = False) -> EarlyEnd:
        if self._inside is None:
            raise RuntimeError("a generator step is closed before it has begun")
        return self._here.left_early(self._inside, is_collected=is_collected)

    def _end_early(self, early: EarlyEnd) -> None:
        # What its reader has seen of it was an answer; where it has seen nothing, nothing was learned.
        if self._trial is not None and not self._given:
            self._trial.dropped()
        self._judge(None)
        inside = self._inside
        if inside is not None:
            early.add(lambda: inside.settle_early(is_kept=True), lambda: inside.settle_early(is_kept=False))
        early.add(self._finish_early, self._claim.abandon)

    def _finish_early(self) -> None:
        try:
            self._finish("completed", is_closed_early=True)
        except RunEnded:
            log.debug("generator step %r was closed after its run had ended", self._name)

    def _drop(self, early: EarlyEnd) -> None:
        if self._trial is not None:
            self._trial.dropped()
        early.settle(is_kept=False)
        self._claim.abandon()

    def _close_later(self, loop: asyncio.AbstractEventLoop, *, is_collected: bool) -> None:
        """Close an async generator that nobody awaits, on its loop: what asyncio does with one of its own."""
        self._end()
        if self._inner is None:
            self._here.run.dropped.append(self._claim.abandon)
            return
        self._end_early(self._left_early(is_collected=is_collected))

        def start() -> None:
            task = loop.create_task(self._close_quietly())
            _closing.add(task)
            task.add_done_callback(_closing.discard)

        try:
            # Outside of any scope: a task of the reader's would be counted among its lanes.
            loop.call_soon_threadsafe(start, context=contextvars.Context())
        except RuntimeError:
            log.debug("generator step %r was dropped after its loop was closed", self._name)

    async def _close_quietly(self) -> None:
        try:
            await self._resumed("close", ())
        except Exception:
            log.warning(
                "run %s: the clean-up of generator step %r, which was dropped, failed: read it in "
                "`async with aclosing(...)`",
                self._here.run_id,
                self._name,
                exc_info=True,
            )

    def _refuse_reentry(self) -> None:
        if self._is_running:
            raise ValueError(f"step {self._name!r}: its generator is running already")


def _each(items: Iterable[Any]) -> Generator[Any, Any, None]:
    yield from items


async def _each_async(given: Awaitable[_Items] | _Items) -> AsyncGenerator[Any, None]:
    items = await given if isinstance(given, Awaitable) else given
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
