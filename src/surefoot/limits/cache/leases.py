"""The leases of calls under way, renewed by a thread for as long as somebody makes the call."""

from __future__ import annotations

import threading
import weakref

from surefoot import scope
from surefoot.effects import drive
from surefoot.limits.cache.store import Store
from surefoot.locks import ForkSafeLock, in_forked_child

log = scope.logger("surefoot.limits")


class Leases:
    """What this process holds in one store. A call that nobody makes any more loses its lease at the next look."""

    def __init__(self, store: Store, *, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._begin_anew()
        in_forked_child(self._begin_anew)

    def _begin_anew(self) -> None:
        """In a forked child the leases are its parent's, and so is the thread."""
        self._lock = ForkSafeLock()
        self._held: dict[tuple[bytes, str], weakref.ref[object]] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    @property
    def lease_ns(self) -> int:
        """The length of a lease, in nanoseconds."""
        return round(self._seconds * 1e9)

    def hold(self, key: bytes, token: str, holder: object) -> None:
        """Renew a lease from now on, for as long as somebody has `holder`."""
        with self._lock:
            self._held[key, token] = weakref.ref(holder)
            if self._thread is None:
                mine = weakref.ref(self)
                self._thread = threading.Thread(
                    target=_serve,
                    args=(mine, self._wake, self._seconds / 3),
                    name="surefoot-cache",
                    daemon=True,
                )
                self._thread.start()

    def let_go(self, key: bytes, token: str) -> None:
        """Renew it no more."""
        with self._lock:
            self._held.pop((key, token), None)

    def look(self) -> bool:
        """Renew what is held, and end what nobody has any more; whether anything is held."""
        with self._lock:
            lost = [one for one, holder in self._held.items() if holder() is None]
            for one in lost:
                del self._held[one]
            held = list(self._held)
            if not held:
                self._thread = None
        for key, token in lost:
            self._store.leave(key, token)
        if held:
            try:
                drive(self._store.renew(held, self.lease_ns))
            except Exception as error:  # noqa: BLE001 - a driver's own
                # Somebody else may make the same call then, which costs its price and nothing more.
                log.warning("the cache in %s: leases were not renewed: %s", self._store.name, error)
        return bool(held)


def _serve(leases: weakref.ref[Leases], wake: threading.Event, seconds: float) -> None:
    while not wake.wait(seconds):
        known = leases()
        if known is None or not known.look():
            return
        del known
