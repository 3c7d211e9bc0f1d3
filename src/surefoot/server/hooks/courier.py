"""Webhooks in the background of a process that serves: beside the runs, and never in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.addresses import Lookup, lookup
from surefoot.errors import InvalidInput, LedgerError
from surefoot.ledger import Lookout
from surefoot.server.hooks.office import PostOffice
from surefoot.server.hooks.webhook import Webhook

if TYPE_CHECKING:
    from surefoot.app import App

_log = scope.logger("surefoot.webhooks")

_LOOK_S = 1.0
_AFTER_FAILURE_S = 5.0


class Courier:
    """Tells the webhooks of an app of its runs, whichever process has made them.

    Several processes may do so at once; each event is sent by one of them. Runs know nothing of it, do not wait for it
    and do not fail by it: what cannot be sent now stays in the ledger.
    """

    def __init__(self, app: App, *, every: float = _LOOK_S, lookup: Lookup = lookup) -> None:
        """Nothing begins yet. every: seconds between two looks at the ledger.

        Raises `ConfigError` where the secret of a webhook cannot be read, or is too short.
        """
        self.webhooks = [Webhook(name, given) for name, given in app.config.webhooks.items()]
        for webhook in self.webhooks:
            webhook.check()
        self._ledger = app.ledger
        self._every = every
        self._lookout = Lookout(app.ledger, self.webhooks)
        self._office = PostOffice(app.ledger, app.egress, lookup=lookup)
        self._is_over = threading.Event()
        self._news = {webhook.name: threading.Event() for webhook in self.webhooks}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, in threads of its own; without webhooks there are none."""
        if not self.webhooks or self._threads:
            return
        self._begin(self._look)
        for webhook in self.webhooks:
            for _ in range(webhook.settings.at_once):
                self._begin(self._deliver, webhook)

    def close(self, *, wait: float = 5.0) -> None:
        """Begin no other request. wait: seconds for those that are under way; what is cut off is sent again later."""
        self._is_over.set()
        for webhook in self.webhooks:
            self._news[webhook.name].set()
        for thread in self._threads:
            thread.join(wait)

    def deliver(self) -> int:
        """Look, and send all that is due, in this thread; how many requests that were. Raises `LedgerError`."""
        if not self.webhooks:
            return 0
        self._lookout.look()
        count = 0
        for webhook in self.webhooks:
            while sent := self._office.send_due(webhook, is_over=self._is_over.is_set):
                count += sent
        return count

    def _begin(self, work: Callable[..., None], *given: Webhook) -> None:
        thread = threading.Thread(target=work, args=given, name="surefoot-webhooks", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look(self) -> None:
        while not self._is_over.is_set():
            pause = self._every
            try:
                if self._lookout.look():
                    for webhook in self.webhooks:
                        self._news[webhook.name].set()
            except Exception as error:  # noqa: BLE001  (it is logged, and runs go on)
                pause = self._reported(error)
            self._is_over.wait(pause)

    def _deliver(self, webhook: Webhook) -> None:
        news = self._news[webhook.name]
        while not self._is_over.is_set():
            pause = self._every
            try:
                if self._office.send_due(webhook, is_over=self._is_over.is_set):
                    continue
            except Exception as error:  # noqa: BLE001  (it is logged, and runs go on)
                pause = self._reported(error)
            # Whoever clears it for another one lets him wait for one look at most.
            news.wait(pause)
            news.clear()

    def _reported(self, error: Exception) -> float:
        """Seconds after which it is tried again."""
        if not self._is_over.is_set():
            if isinstance(error, LedgerError):
                _log.warning("webhooks wait for the ledger: %s", error)
            else:
                _log.exception("webhooks: something failed, and is tried again")
        return _AFTER_FAILURE_S


def known_webhook(known: Iterable[str], name: str) -> str:
    """The name of a webhook. Raises `InvalidInput` for one that there is not, with those that there are."""
    names = sorted(known)
    if name in names:
        return name
    there = ", ".join(names) or "none, as [webhooks.NAME] in surefoot.toml makes one"
    raise InvalidInput(f"there is no webhook {name!r}; there are: {there}")
