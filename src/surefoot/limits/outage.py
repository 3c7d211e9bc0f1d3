"""Whether a server counts as down, and who may try it again: one at a time, after a jittered while."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from surefoot.locks import ForkSafeLock

SHORTEST = 0.25
"""Seconds, jittered, that a server counts as down after its first failure; doubled by each further one."""
LONGEST = 5.0
"""Seconds that this takes at most."""


class Outage:
    """What callers know of a server that they share, so that not each of them waits for an answer that does not come.

    `name` is how messages call it, `meanwhile` what they say of the time until it is back. `trial` is for how many
    seconds one that tries it keeps the others from doing so. `clock` gives seconds that never run backwards.
    """

    def __init__(
        self,
        name: str,
        meanwhile: str,
        *,
        logger: logging.Logger,
        trial: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._meanwhile = meanwhile
        self._logger = logger
        self._trial = trial
        self._clock = clock
        self._lock = ForkSafeLock()
        self._failures = 0
        self._closed_until = 0.0
        self._is_tried = False

    @property
    def is_on(self) -> bool:
        """Whether the server counts as down."""
        return self._failures > 0

    def lets_through(self) -> bool:
        """Whether the server may be asked: always while it is up, and by one at a time once it is to be tried again.

        Who was let through says how it went, or is forgotten after a while.
        """
        if not self._failures:
            return True
        with self._lock:
            now = self._clock()
            if self._failures and now < self._closed_until:
                return False
            self._closed_until, self._is_tried = now + self._trial, True
            return True

    def failed(self, why: str) -> None:
        """It did not answer, or not as it should."""
        with self._lock:
            is_news = not self._failures
            if not is_news and not self._is_tried:
                # Asked before it was known: the same failure, not a further one.
                return
            seconds = min(LONGEST, SHORTEST * 2 ** min(self._failures, 10))
            self._failures += 1
            self._closed_until = self._clock() + seconds * random.uniform(0.5, 1.0)
            self._is_tried = False
        if is_news:
            self._logger.warning("%s is down: %s. %s", self._name, why, self._meanwhile)

    def succeeded(self) -> None:
        """It answered."""
        if not self._failures:
            return
        with self._lock:
            was_on, self._failures, self._is_tried = self._failures > 0, 0, False
        if was_on:
            self._logger.info("%s is back", self._name)
