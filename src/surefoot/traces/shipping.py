"""Sends the traces that a receiver is owed, at least once, and notes in the ledger what became of each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from surefoot import scope
from surefoot.errors import ExportError, LedgerCorrupt, LedgerError, UnknownRun
from surefoot.ledger import TakeDeliveries, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.locks import ForkSafeLock
from surefoot.models.chain.retries import Retries
from surefoot.traces.asking import NOT_TAKEN, WORTH_RETRYING
from surefoot.traces.remarks import has_failed, remarks_of
from surefoot.traces.sending import send, tell
from surefoot.traces.spans import Trace, trace

if TYPE_CHECKING:
    from surefoot.ledger import Change, DeliveryRow, Ledger
    from surefoot.traces.targets import Target

_log = scope.logger("surefoot.traces")

_ONCE = Retries(count=0)
"""What fails waits in the ledger and not in a thread: so it survives the process."""
_AT_ONCE = 64
_MOST_SPANS = 512
_LEASE_S = 300.0
_FIRST_S, _LONGEST_S, _LONGEST_ASKED_S = 1.0, 60.0, 3_600.0
_SECOND = 1_000_000_000
_PRUNED = "it was pruned before its trace was sent"

_Owed: TypeAlias = "tuple[DeliveryRow, Trace]"


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was sent to one receiver since the process began.

    `failures` counts requests that did not arrive, `refused` the traces that the receiver did not take, `gone` those
    whose runs were pruned before, or cannot be read; `problem` is what was wrong last, empty once something arrives.
    """

    runs: int = 0
    spans: int = 0
    failures: int = 0
    refused: int = 0
    gone: int = 0
    problem: str = ""


class Shipping:
    """What one receiver is owed, from the deliveries of a name in the ledger. For one thread; `shipped` from any.

    What cannot be sent now is due again after a pause that doubles from a second to a minute, or as long as the
    receiver asks, however often. A trace that it does not take for what is in it is noted as such and given up, alone.
    Spans that have arrived are not sent again for scores and links that have not: these are owed by themselves then.
    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        target: Callable[[], Target],
        *,
        timeout: float = 30.0,
        jitter: Callable[[], float] = random.random,
        rest: Callable[[float], object] = lambda _: None,
    ) -> None:
        """target: asked for before each batch, so that a secret that was changed is read anew.

        rest: told after each trace and each batch how many seconds of the processor that took, and may pause.
        """
        self._ledger = ledger
        self._name = name
        self._target = target
        self._timeout = timeout
        self._jitter = jitter
        self._rest = rest
        self._failed_in_turn = 0
        self._untold_in_turn = 0
        self._paused_until = 0.0
        self._lock = ForkSafeLock()
        self._shipped = Shipped()

    @property
    def shipped(self) -> Shipped:
        with self._lock:
            return self._shipped

    def send_due(self, *, is_over: Callable[[], bool] = lambda: False) -> int:
        """Send some of what is due; how many traces were tried. Raises `LedgerError`."""
        if time.monotonic() < self._paused_until:
            return 0
        # A look costs less than a transaction that finds nothing.
        if not self._ledger.ask(kept.due_query(self._name, now_ns=time.time_ns(), most=1)):
            return 0
        entry = TakeDeliveries(self._name, round(_LEASE_S * _SECOND), _AT_ONCE)
        taken = cast("list[DeliveryRow]", self._ledger.submit(entry).result())
        until = time.monotonic() + _LEASE_S / 2
        left = self._with_words(taken)
        for batch in self._batches(tuple(left)):
            if is_over() or time.monotonic() > until:
                break
            with self._rested():
                done = self._ship(batch)
            del left[: len(batch)]
            if not done:
                break
        # Others may try what was taken beside it; this one keeps its pause.
        self._settle(left, again_ns=time.time_ns())
        return len(taken) - len(left)

    def _with_words(self, taken: Sequence[DeliveryRow]) -> list[DeliveryRow]:
        """Settle the scores where the receiver has no words for any, without a look at their traces; the others."""
        scored = [one for one in taken if one.event == kept.SCORES]
        try:
            if not scored or self._target().remarks is not None:
                return list(taken)
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001  (it is told of the batch that needs it)
            return list(taken)
        self._settle(scored)
        return [one for one in taken if one.event != kept.SCORES]

    @contextmanager
    def _rested(self) -> Generator[None]:
        began = time.thread_time()
        yield
        self._rest(time.thread_time() - began)

    def _batches(self, taken: Sequence[DeliveryRow]) -> Iterator[list[tuple[DeliveryRow, Trace | str]]]:
        """What goes together: as many traces as fill a request, each read when it is needed."""
        batch: list[tuple[DeliveryRow, Trace | str]] = []
        spans = 0
        for delivery in taken:
            with self._rested():
                found = self._read(delivery)
            size = 0 if isinstance(found, str) else 1 + sum(1 for _ in found.walk())
            if batch and spans + size > _MOST_SPANS:
                yield batch
                batch, spans = [], 0
            batch.append((delivery, found))
            spans += size
        if batch:
            yield batch

    def _read(self, delivery: DeliveryRow) -> Trace | str:
        """A trace, or why there is none and will be none."""
        try:
            found = trace(self._ledger, delivery.run_id, verify=False)
        except UnknownRun:
            return _PRUNED
        except LedgerCorrupt as error:
            return f"its record is damaged: {error}"
        return _PRUNED if found.is_cut or found.run.id != delivery.run_id else found

    def _ship(self, batch: Sequence[tuple[DeliveryRow, Trace | str]]) -> bool:
        """Send a batch and settle it; whether the receiver was there."""
        there: list[_Owed] = []
        for delivery, found in batch:
            if isinstance(found, str) and delivery.event == kept.SCORES:
                self._settle([delivery])
            elif isinstance(found, str):
                _log.warning("traces.%s: no trace of run %s: %s", self._label, delivery.run_id, found)
                self._settle([delivery], error=found)
                self._count(gone=1)
            else:
                there.append((delivery, found))
        if not there:
            return True
        try:
            target = self._target()
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, no trace is at fault)
            return self._postponed(there, error)
        whole = [found for delivery, found in there if delivery.event != kept.SCORES]
        try:
            sent = send(whole, replace(target, remarks=None), patience=_ONCE, timeout=self._timeout)
        except ExportError as error:
            if error.status not in NOT_TAKEN:
                return self._postponed(there, error)
            return self._refused(there, str(error))
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001  (what one trace is made of keeps no other one)
            return self._refused(there, f"it cannot be told: {type(error).__name__}: {error}")
        if sent.rejected:
            return self._refused(there, f"it rejected {sent.rejected} spans: {sent.problem}")
        self._count(runs=sent.runs, spans=sent.spans)
        return self._tell(there, target)

    def _tell(self, batch: Sequence[_Owed], target: Target) -> bool:
        """Tell what is no span, and settle what has arrived; whether the receiver was there."""
        try:
            tell([found for _, found in batch], target, patience=_ONCE, timeout=self._timeout)
        except ExportError as error:
            if has_failed(error) and len(batch) > 1:
                # It may be about one of them, which waits by itself then.
                return self._tell_each(batch, target, error)
            return self._untold(batch, error)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001  (what one trace is made of keeps no other one)
            if len(batch) > 1:
                return self._tell_each(batch, target, error)
            why = f"{type(error).__name__}: {error}"
            _log.error("traces.%s: scores of run %s are left out: %s", self._label, batch[0][0].run_id, why)
        self._failed_in_turn = self._untold_in_turn = 0
        self._settle([delivery for delivery, _ in batch])
        self._count(problem="")
        return True

    def _tell_each(self, batch: Sequence[_Owed], target: Target, error: Exception) -> bool:
        """As `_tell`, of each alone, after all of them at once had this error."""
        for n, one in enumerate(batch, start=1):
            if not self._tell([one], target):
                self._untold(batch[n:], error)
                return False
        return True

    def _untold(self, batch: Sequence[_Owed], error: Exception) -> bool:
        """Note that spans have arrived, and that what is said of them is still to be told; as `_tell`.

        Other spans wait for it only where the receiver asks for a pause.
        """
        is_there = getattr(error, "status", None) not in WORTH_RETRYING
        pause = 0.0 if is_there else self._pause(error)
        if is_there:
            self._failed_in_turn = 0
            self._untold_in_turn += 1
            level = _log.warning if self._untold_in_turn == 1 else _log.info
            level("traces.%s: spans have arrived, scores and links have not: %s", self._label, error)
            self._count(failures=1, problem=str(error))
        now = time.time_ns()
        changes: list[Change] = []
        for delivery, found in batch:
            again_ns = now + round(max(pause, _doubled(delivery.tries)) * _SECOND)
            if delivery.event == kept.SCORES:
                changes.append(kept.settle(delivery, now_ns=now, again_ns=again_ns, error=str(error)))
                continue
            changes.append(kept.settle(delivery, now_ns=now))
            if remarks_of([found]):
                changes.append(kept.owe_scores(delivery.run_id, now_ns=again_ns, webhook=self._name))
        self._note(changes)
        return is_there

    def _refused(self, batch: Sequence[_Owed], why: str) -> bool:
        """Find the traces that are not taken: each goes alone."""
        self._failed_in_turn = 0
        if len(batch) > 1:
            for n, one in enumerate(batch, start=1):
                if not self._ship([one]):
                    self._settle([delivery for delivery, _ in batch[n:]], again_ns=time.time_ns())
                    return False
            return True
        [(delivery, _)] = batch
        _log.error("traces.%s: the trace of run %s is not taken: %s", self._label, delivery.run_id, why)
        self._settle([delivery], error=why)
        self._count(refused=1, problem=why)
        return True

    def _postponed(self, batch: Sequence[_Owed], error: Exception) -> bool:
        again_ns = time.time_ns() + round(self._pause(error) * _SECOND)
        self._settle([delivery for delivery, _ in batch], again_ns=again_ns, error=str(error))
        return False

    def _pause(self, error: Exception) -> float:
        """Seconds for which the receiver is left alone."""
        self._failed_in_turn += 1
        pause = _doubled(self._failed_in_turn)
        asked = getattr(error, "retry_after", None) or 0.0
        pause = max(pause * (0.5 + self._jitter() / 2), min(asked, _LONGEST_ASKED_S))
        self._paused_until = time.monotonic() + pause
        # The first of a row, and then seldom: an outage is one event.
        level = _log.warning if self._failed_in_turn == 1 else _log.info
        level("traces.%s: %s; tried again in %.0f s", self._label, error, pause)
        self._count(failures=1, problem=str(error))
        return pause

    @property
    def _label(self) -> str:
        return self._name.partition("/")[2] or self._name

    def _settle(
        self, deliveries: Iterable[DeliveryRow], *, again_ns: int | None = None, error: str = ""
    ) -> None:
        now = time.time_ns()
        self._note([kept.settle(one, now_ns=now, again_ns=again_ns, error=error) for one in deliveries])

    def _note(self, changes: Sequence[Change]) -> None:
        if changes:
            self._ledger.submit(TellDeliveries(changes)).result()

    def _count(self, *, problem: str | None = None, **more: int) -> None:
        with self._lock:
            old = self._shipped
            added = {name: getattr(old, name) + count for name, count in more.items()}
            self._shipped = replace(old, **added, problem=old.problem if problem is None else problem)


def _doubled(failures: int) -> float:
    """Seconds after so many failures in turn."""
    return min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - 1, 30))
