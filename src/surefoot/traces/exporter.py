"""Traces to receivers in the background: beside the runs, whichever process makes them, and never in their way."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from surefoot import scope
from surefoot.errors import LedgerError
from surefoot.ledger import Lookout
from surefoot.ledger import deliveries as kept
from surefoot.traces.measuring import Measuring
from surefoot.traces.receivers import Receiver
from surefoot.traces.sampling import Following, delivery_name
from surefoot.traces.shipping import Shipped, Shipping

if TYPE_CHECKING:
    from surefoot.config import Config, TraceSettings
    from surefoot.ledger import Ledger
    from surefoot.traces.metering import Meter
    from surefoot.traces.targets import Target

_log = scope.logger("surefoot.traces")

_LOOK_S = 1.0
_AFTER_FAILURE_S = 5.0
_KNOWN_S = 60.0
_REST = 3.0
"""How much longer it rests than it has worked: what runs beside it waits for the interpreter meanwhile."""
_LONGEST_REST_S = 1.0
_EXIT_SECONDS = 2.0
"""How long the end of a process waits for what its last runs owe; what is left is sent by the next one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a receiver is, whichever process sends to it.

    `waiting` counts the traces that wait, `failing` those of them that were tried and did not arrive; `lag_seconds` is
    how long ago the first of their runs ended. `not_taken` counts those that the receiver did not take, `lost` those
    whose runs were pruned before. `shipped` is what this process sent.
    """

    waiting: int
    lag_seconds: float
    shipped: Shipped = Shipped()
    failing: int = 0
    not_taken: int = 0
    lost: int = 0


class Exporter:
    """Sends the trace of each run that has ended to the receivers of the settings (`[traces.NAME]`).

    How far each receiver is stands in the ledger. So nothing is lost with a process, a receiver that is down for hours
    gets all of it later, and several processes share the work. A trace arrives at least once, its spans under the same
    ids each time. Runs know nothing of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        *names: str,
        every: float = _LOOK_S,
        is_alone: bool = False,
        meter: Meter | None = None,
    ) -> None:
        """Nothing begins yet. names: of receivers; by default all. every: seconds between two looks at the ledger.

        is_alone: the process does nothing else; else what is sent in the background takes a quarter of a processor.
        meter: whose metrics are sent to the receivers that are to have them.
        """
        self._ledger = ledger
        self._every = every
        self._is_alone = is_alone
        self.process = os.getpid()
        self._is_over, self._is_found = threading.Event(), threading.Event()
        self._until = math.inf
        chosen = {name: given for name, given in config.traces.items() if not names or name in names}
        self._shippings = {
            name: Shipping(ledger, delivery_name(name), _target_of(given, config), rest=self._rest)
            for name, given in chosen.items()
        }
        self._news = {name: threading.Event() for name in self._shippings}
        self._lookout = Lookout(ledger, [Following.of(ledger, name, given) for name, given in chosen.items()])
        self._threads: list[threading.Thread] = []
        self._measuring: Measuring | None = None
        targets = {name: _metrics_of(given) for name, given in chosen.items() if given.metrics}
        if meter is not None and targets:
            self._measuring = Measuring(meter, targets)

    def start(self) -> None:
        """Begin, in threads of its own; without receivers there are none."""
        if not self._shippings or self._threads:
            return
        # Before the first run ends: what ends from here on is owed.
        self._lookout.begin()
        self._begin(self._look)
        for name in self._shippings:
            self._begin(self._ship, name)
        if self._measuring is not None:
            self._measuring.start()
        _begun.add(self)

    def close(self, *, wait: float = _EXIT_SECONDS) -> None:
        """Send what is owed now, for `wait` seconds at most, and end. The rest is sent by whoever comes next."""
        if self.process != os.getpid() or not self._threads:
            # The threads of a parent are not here, and may have held a lock when this process was forked.
            return
        self._until = time.monotonic() + wait
        looking, *shipping = self._threads
        self._threads = []
        self._is_over.set()
        if self._measuring is not None:
            self._measuring.end()
        # One after the other: what the last look finds is sent as well.
        self._join(looking)
        self._is_found.set()
        for news in self._news.values():
            news.set()
        for thread in shipping:
            self._join(thread)
        if self._measuring is not None:
            self._measuring.join(self._until)

    def deliver(self) -> Mapping[str, int]:
        """Look, and send all that is due, in this thread: the traces tried, by receiver. Raises `LedgerError`."""
        if self._shippings:
            self._lookout.look()
        return {name: self._send_all(shipping) for name, shipping in self._shippings.items()}

    def standing(self) -> Mapping[str, Standing]:
        """How far each receiver is. Raises `LedgerError`."""
        return {
            name: self._standing(delivery_name(name), shipping.shipped)
            for name, shipping in self._shippings.items()
        }

    def _standing(self, name: str, shipped: Shipped) -> Standing:
        [(waiting, failing, first_ns)] = self._ledger.ask(kept.behind_query(name))
        [(not_taken,)] = self._ledger.ask(kept.given_up_query(name))
        lost = next((count for (count,) in self._ledger.ask(kept.lost_query(name))), 0)
        lag = 0.0 if first_ns is None else max(0.0, (time.time_ns() - first_ns) / 1e9)
        return Standing(waiting, lag, shipped, failing, not_taken, lost)

    def _send_all(self, shipping: Shipping) -> int:
        count = 0
        while sent := shipping.send_due():
            count += sent
        return count

    def _begin(self, work: Callable[..., None], *given: str) -> None:
        thread = threading.Thread(target=work, args=given, name="surefoot-traces", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look(self) -> None:
        while True:
            is_last = self._is_over.is_set()
            pause = self._every
            try:
                if self._lookout.look():
                    for news in self._news.values():
                        news.set()
            except Exception as error:  # noqa: BLE001  (it is logged, and runs go on)
                pause = self._reported(error)
            if is_last:
                return
            self._is_over.wait(pause)

    def _ship(self, name: str) -> None:
        news, shipping = self._news[name], self._shippings[name]
        while True:
            is_last = self._is_found.is_set()
            pause = self._every
            try:
                if shipping.send_due(is_over=self._is_late) and not self._is_late():
                    continue
            except Exception as error:  # noqa: BLE001  (it is logged, and runs go on)
                pause = self._reported(error)
            if is_last:
                return
            news.wait(pause)
            news.clear()

    def _rest(self, worked: float) -> None:
        if self._threads and not self._is_alone:
            self._is_over.wait(min(worked * _REST, _LONGEST_REST_S))

    def _is_late(self) -> bool:
        return time.monotonic() > self._until

    def _join(self, thread: threading.Thread) -> None:
        if thread is not threading.current_thread():
            thread.join(max(0.0, self._until - time.monotonic()))

    def _reported(self, error: Exception) -> float:
        """Seconds after which it is tried again."""
        if not self._is_over.is_set():
            if isinstance(error, LedgerError):
                _log.warning("traces wait for the ledger: %s", error)
            else:
                _log.exception("traces: something failed, and is tried again")
        return _AFTER_FAILURE_S


def _target_of(given: TraceSettings, config: Config) -> Callable[[], Target]:
    """The target as the settings say it now. It is made anew each minute: of MLflow its experiment is asked for."""
    known: tuple[Receiver, Target, float] | None = None

    def target() -> Target:
        nonlocal known
        receiver = Receiver.of(given)
        if known is not None and known[0] == receiver and time.monotonic() < known[2]:
            return known[1]
        made = receiver.target(config.mlflow, os.environ)
        known = receiver, made, time.monotonic() + _KNOWN_S
        return made

    return target


def _metrics_of(given: TraceSettings) -> Callable[[], Target]:
    return lambda: Receiver.of(given).metrics_target(os.environ)


_begun: WeakSet[Exporter] = WeakSet()


def _end_all() -> None:
    for exporter in list(_begun):
        exporter.close()


# `atexit` comes too late: the writer of the ledger is among what ends there.
if (_register := getattr(threading, "_register_atexit", None)) is not None:
    with suppress(RuntimeError):  # the process ends already
        _register(_end_all)
