"""Which task or thread is running: what tells parallel chains of one scope apart.

Lanes are the branches of a tree: the scope's own task is 0, and a task that one of them begins is known by that one,
by the name of its code, and by the how-manieth of that name it is. So a lane has the same number in every process,
however the chains overtake each other, and whatever else is begun beside them: a library that looks up a host once, or
a generator that the garbage collector has closed, begins tasks too, and not the same ones in every process.

The numbers travel with the context: a loop that runs a flow gives each new task a branch of its own. On a loop that
does not, tasks are counted as they first claim something.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from hashlib import blake2b
from itertools import count
from typing import Any, ParamSpec, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

P = ParamSpec("P")
T = TypeVar("T")


class _Local(threading.local):
    job: object = None


_local = _Local()

# A lane is a number of 63 bits: which family it belongs to, and below that, which one of it it is.
_OWN_BITS = 40
_FAMILY_BITS = 63 - _OWN_BITS


def family(lane: int) -> int:
    """What the lanes that one lane has begun have in common; 0 for those of the scope's own lane, and for itself."""
    return lane >> _OWN_BITS


def family_below(lane: int) -> int:
    """The family of the lanes that this one begins."""
    if lane == 0:
        return 0
    return int.from_bytes(blake2b(b"%d" % lane, digest_size=8).digest()) >> 64 - _FAMILY_BITS or 1


def beside(lane: int) -> int:
    """Another lane of the same family, the same in every process."""
    return _of_family(family(lane), b"%d" % lane)


def _of_family(number: int, what: bytes) -> int:
    return number << _OWN_BITS | (int.from_bytes(blake2b(what, digest_size=_OWN_BITS // 8).digest()) or 1)


class _Branch:
    """A task or thread of a scope; `root` says of which. It belongs to the first that claims something in it."""

    __slots__ = ("_begun", "number", "owner", "root")

    def __init__(self, number: int = 0, root: _Branch | None = None) -> None:
        self._begun: dict[str, count[int]] = {}
        self.number = number
        self.owner: ReferenceType[object] | None = None
        self.root: _Branch = self if root is None else root

    def begin(self, name: str) -> _Branch:
        """The branch of a task that this one begins, with code of that name."""
        which = next(self._begun.setdefault(name, count(1)))
        number = _of_family(family_below(self.number), f"{self.number} {which} {name}".encode())
        return _Branch(number, self.root)


_branch: ContextVar[_Branch | None] = ContextVar("surefoot_lane", default=None)


class Lanes:
    """The lanes of one scope, from `enter` to `leave`."""

    __slots__ = ("_others", "_root", "_token")

    def __init__(self) -> None:
        self._root = _Branch()
        self._token: Token[_Branch | None] | None = None
        self._others: WeakKeyDictionary[object, int] | None = None

    def enter(self) -> None:
        """The code that runs now is the scope's own lane."""
        self._root.owner = ref(here())
        self._token = _branch.set(self._root)

    def adopt(self) -> None:
        """The code that runs now is the scope's own lane from here on."""
        self._root.owner = ref(here())

    def leave(self) -> None:
        """Back to the lanes of the scope around."""
        if self._token is not None:
            try:  # noqa: SIM105  (each step leaves a scope, and `suppress` costs as much as the rest of it)
                _branch.reset(self._token)
            except ValueError:
                # A coroutine that is thrown away unfinished is closed in a context that is not its own.
                pass

    def current(self) -> int:
        """The number of the lane that runs now."""
        branch, runs_here = _branch.get(), here()
        if branch is not None and branch.root is self._root:
            if branch.owner is None:
                branch.owner = ref(runs_here)
            if branch.owner() is runs_here:
                return branch.number
        if self._others is None:
            self._others = WeakKeyDictionary()
        number = self._others.get(runs_here)
        if number is None:
            is_inside = branch is not None and branch.root is self._root
            around = branch if is_inside and branch is not None else self._root
            # Work of any name: it is counted as it claims, and apart from what was seen to begin.
            begun = around.begin("")
            begun.owner = ref(runs_here)
            if is_inside:
                _branch.set(begun)
            number = self._others[runs_here] = begun.number
        return number


def follow(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks that are created on this loop inside of scopes have branches of their own. Does it once."""
    if loop in _followed:
        return
    _followed.add(loop)
    inner: Callable[..., Any] | None = loop.get_task_factory()

    def create(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        if _branch.get() is None or options.get("context") is not None:
            return inner(loop, work, **options) if inner else asyncio.Task(work, loop=loop, **options)
        context = branched_context(name_of(work))
        if inner is None:
            options["context"] = context
            return asyncio.Task(work, loop=loop, **options)
        # A factory of the user's may not know of contexts: its task copies the one it is made in.
        return context.run(inner, loop, work, **options)

    loop.set_task_factory(create)


_followed: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def branched_context(name: str) -> contextvars.Context:
    """A copy of the context in which a new branch begins, where there is a scope; `name` is that of its code."""
    context = contextvars.copy_context()
    branch = _branch.get()
    if branch is not None:
        context.run(_branch.set, branch.begin(name))
    return context


def name_of(work: Any, *args: Any) -> str:
    """What the code of a coroutine, or of a function that is called with `args`, is named where it is written."""
    while True:
        if isinstance(work, functools.partial):
            work, args = work.func, (*work.args, *args)
        elif args and isinstance(getattr(work, "__self__", None), contextvars.Context):
            # `Context.run`, by which asyncio hands work to threads.
            work, args = args[0], args[1:]
        else:
            return getattr(work, "__qualname__", None) or type(work).__qualname__


class _Job:
    """One piece of work of a thread pool; an identity that can be referred to weakly, and nothing more."""


def here() -> object:
    """The asyncio task that runs, else the job of a thread pool, else the thread: compared by identity."""
    # Asked first, as `current_task` raises where there is none: most of what a sync step would cost here.
    loop = asyncio._get_running_loop()  # noqa: SLF001  (one of the names that asyncio offers)
    task = None if loop is None else asyncio.current_task(loop)
    if task is not None:
        return task
    return _local.job or threading.current_thread()


def as_job(work: Callable[P, T]) -> Callable[P, T]:
    """`work` as a lane of its own, although a pool's thread runs many such jobs one after another."""

    def job(*args: P.args, **kwargs: P.kwargs) -> T:
        outer = _local.job
        _local.job = _Job()
        try:
            return work(*args, **kwargs)
        finally:
            _local.job = outer

    return job


def is_task() -> bool:
    """Whether this code runs in an asyncio task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
