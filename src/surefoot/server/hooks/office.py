"""Sends what webhooks are owed: one request for each event, tried again for a day, then given up and shown."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.addresses import Lookup, lookup
from surefoot.errors import AddressRefused, ConfigError, LedgerError, UnknownRun
from surefoot.ledger import TakeDeliveries, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.models.fetching import fetch
from surefoot.server.hooks.message import event_id, message_of

if TYPE_CHECKING:
    from surefoot.addresses import Egress
    from surefoot.ledger import DeliveryRow, Ledger
    from surefoot.models.posting import Posted
    from surefoot.server.hooks.webhook import Webhook

_log = scope.logger("surefoot.webhooks")

_FIRST_S, _LONGEST_S, _DAY_S = 5.0, 7_200.0, 86_400.0
MOST_TRIES = 22
"""With pauses that double from five seconds to two hours, a day."""
_AT_ONCE = 8
_SPARE_S = 30.0
_SECOND = 1_000_000_000
_GONE = 410


@dataclass(frozen=True, slots=True)
class Told:
    """What came of trying to send one event: nothing is wrong, or what is, and in how many seconds it is tried again.

    `again_s` is None where it is over.
    """

    error: str = ""
    again_s: float | None = None


class PostOffice:
    """Takes deliveries that are due from the ledger and sends them. Safe to use from any thread.

    What is taken and not settled, as the process was killed, is due again once its time is over: so an event comes at
    least once, and whoever receives it knows it by its id.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Egress,
        *,
        random: Callable[[], float] = random.random,
        lookup: Lookup = lookup,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._random = random
        self._lookup = lookup

    def send_due(self, webhook: Webhook, *, is_over: Callable[[], bool] = lambda: False) -> int:
        """Send some of what is due, one after the other; how many were tried. Raises `LedgerError`."""
        # A look costs less than a transaction that finds nothing.
        if not self._ledger.ask(kept.due_query(webhook.name, now_ns=time.time_ns(), most=1)):
            return 0
        lease = int((_AT_ONCE * webhook.settings.timeout + _SPARE_S) * _SECOND)
        entry = TakeDeliveries(webhook.name, lease, _AT_ONCE)
        taken = cast("list[DeliveryRow]", self._ledger.submit(entry).result())
        until = time.monotonic() + _AT_ONCE * webhook.settings.timeout
        for n, delivery in enumerate(taken):
            if is_over() or time.monotonic() > until:
                self._give_back(taken[n:])
                return n
            self._settle(delivery, self.send(webhook, delivery))
        return len(taken)

    def send(self, webhook: Webhook, delivery: DeliveryRow) -> Told:
        """Send one event, and tell what came of it. Raises `LedgerError`."""
        try:
            message = message_of(
                self._ledger, delivery, with_output=webhook.settings.output, now_ns=time.time_ns()
            )
        except UnknownRun:
            return Told("the run was pruned before it could be told of")
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001  (one event that cannot be told of holds up none of the others)
            _log.exception("webhooks.%s: there is no message of %s", webhook.name, event_id(delivery))
            return self._failed(delivery, f"the message cannot be made: {type(error).__name__}")
        try:
            # Secrets are read here, at each request, and go nowhere else.
            headers = {**webhook.headers, **message.headers(webhook.secret.resolve(), now=time.time())}
            answer = fetch(
                webhook.url.resolve(),
                rules=self._rules,
                method="POST",
                headers=headers,
                body=message.body,
                timeout=webhook.settings.timeout,
                redirects=0,
                lookup=self._lookup,
            )
        except (OSError, AddressRefused, ConfigError) as error:
            return self._failed(delivery, _words(error))
        return self._judged(delivery, answer)

    def _judged(self, delivery: DeliveryRow, answer: Posted) -> Told:
        if 200 <= answer.status < 300:
            return Told()
        if answer.status == _GONE:
            return Told("it answered with status 410: nobody wants to be told there any more")
        if 300 <= answer.status < 400:
            return self._failed(
                delivery,
                f"it answered with status {answer.status}: redirects are not followed, give the last address",
            )
        asked = answer.headers.get("retry-after", "")
        least = min(float(asked), _DAY_S) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0.0
        return self._failed(delivery, f"it answered with status {answer.status}", least=least)

    def _failed(self, delivery: DeliveryRow, error: str, *, least: float = 0.0) -> Told:
        if delivery.tries >= MOST_TRIES:
            return Told(error)
        return Told(error, max(least, pause(delivery.tries, self._random())))

    def _settle(self, delivery: DeliveryRow, told: Told) -> None:
        now = time.time_ns()
        again = None if told.again_s is None else now + int(told.again_s * _SECOND)
        change = kept.settle(delivery, now_ns=now, again_ns=again, error=told.error)
        self._ledger.submit(TellDeliveries([change])).result()
        if told.error:
            level = _log.error if again is None else _log.warning
            then = "it is given up" if told.again_s is None else f"tried again in {told.again_s:.0f} s"
            level(
                "webhooks.%s: event %s was not delivered (%s); %s",
                *(delivery.webhook, event_id(delivery), told.error, then),
            )

    def _give_back(self, taken: Sequence[DeliveryRow]) -> None:
        """Let others take at once what there was no time for."""
        now = time.time_ns()
        changes = [kept.settle(one, now_ns=now, again_ns=now, error=one.error) for one in taken]
        self._ledger.submit(TellDeliveries(changes)).result()


def pause(tries: int, chance: float) -> float:
    """Seconds to the next try after so many, between three and five quarters of what doubles each time.

    chance: from 0 to 1, so that what failed together does not come back together.
    """
    return min(_LONGEST_S, _FIRST_S * 2.0 ** (min(max(tries, 1), 30) - 1)) * (0.75 + chance / 2)


def _words(error: Exception) -> str:
    """What went wrong, without the address: its path may hold a secret."""
    if isinstance(error, AddressRefused | ConfigError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return f"{type(error).__name__}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
