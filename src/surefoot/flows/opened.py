"""The runs that are open in this process, and what belongs to their surroundings rather than to their data."""

from __future__ import annotations

import os
import threading

from surefoot import scope

_lock = threading.Lock()
_open: set[str] = set()


class Surroundings:
    """What a step runs in rather than works on: an argument of this kind takes no part in its identity."""


def is_surroundings(value: object) -> bool:
    """Whether an argument is left out of a step's identity, as the workflow object is."""
    return isinstance(value, Surroundings)


def add(run_id: str) -> bool:
    """Note that this process holds a run; False if it did already."""
    with _lock:
        is_new = run_id not in _open
        _open.add(run_id)
        return is_new


def discard(run_id: str) -> None:
    with _lock:
        _open.discard(run_id)


def is_open(run_id: str) -> bool:
    """Whether this process holds a run."""
    return run_id in _open


def count() -> int:
    """How many runs this process holds."""
    return len(_open)


def _forget() -> None:
    """A forked child holds none of its parent's runs, and what it calls is no part of them."""
    global _lock
    _lock = threading.Lock()
    _open.clear()
    scope.variable().set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
