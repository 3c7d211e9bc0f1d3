"""Locks and forks: those that a child finds open, those that a fork waits for, and what is made once under one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload
from weakref import WeakMethod, WeakSet

T = TypeVar("T")


class ForkSafeLock:
    """A lock for `with` that its holder may take again.

    A fork copies a lock as it stands, and the thread that holds it is not in the child to open it: a child would wait
    for ever. What such a lock guards must be whole between any two statements, as a cache is.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """In a forked child: open it, unless the very thread that forked holds it."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


_all: WeakSet[ForkSafeLock] = WeakSet()


class QuietLock:
    """A lock for `with` that its holder may take again, and that a fork waits for.

    It guards calls into code with locks of its own, as SQLite has: a child that is forked while another thread is in
    there would find those locks held for ever. A fork waits for a bounded time, as such a call may wait for others.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _quiet.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def acquire(self, *, timeout: float) -> bool:
        """Take it before a fork; False if its holder keeps it for longer than `timeout` seconds."""
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        """Behind a fork, in both processes."""
        self._lock.release()

    def renew(self) -> None:
        """In a forked child: open it, although a thread that is not there holds it."""
        self._lock = threading.RLock()


_quiet: WeakSet[QuietLock] = WeakSet()
_FORK_S = 2.0
"""How long a fork waits for all of them together."""

_taken: list[QuietLock] = []
_missed: list[QuietLock] = []


def _known() -> list[QuietLock]:
    while True:
        try:
            return list(_quiet)
        except RuntimeError:
            # Another thread has made one meanwhile.
            continue


def _take_all() -> None:
    until = time.monotonic() + _FORK_S
    for lock in _known():
        is_taken = lock.acquire(timeout=max(0.0, until - time.monotonic()))
        (_taken if is_taken else _missed).append(lock)


def _open_all() -> None:
    for lock in _taken:
        lock.release()
    _taken.clear()
    _missed.clear()


def _open_all_in_child() -> None:
    for lock in _missed:
        lock.renew()
    _open_all()


class made_once(Generic[T]):  # noqa: N801  (it is used as a decorator, like the built-in `property`)
    """`functools.cached_property` with a lock that is safe to fork with; its own has none in Python 3.12 and later."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._lock = ForkSafeLock()
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        with self._lock:
            made: dict[str, T] = instance.__dict__
            # Found there, the attribute takes the place of this descriptor from the next time on.
            if self._name not in made:
                made[self._name] = self._make(instance)
            return made[self._name]


def in_forked_child(begin_anew: Callable[[], object]) -> None:
    """Call a method in each child that is forked from here on, for as long as its object lives.

    Locks are open again by then.
    """
    if hasattr(os, "register_at_fork"):
        mine = WeakMethod(begin_anew)

        def in_child() -> None:
            if (method := mine()) is not None:
                method()

        os.register_at_fork(after_in_child=in_child)


def _renew_all() -> None:
    for lock in list(_all):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
    os.register_at_fork(before=_take_all, after_in_parent=_open_all, after_in_child=_open_all_in_child)
