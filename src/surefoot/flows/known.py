"""What the code of an open run may trust by identity: literals, what the team vouches for, what came of nothing else.

A mark on a text would be lost in every f-string, and a text that is equal to a trusted one proves nothing: so it is
the object itself that is known. It is looked for only where a sink, a fence or a record asks.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from operator import is_
from types import CodeType, FunctionType
from typing import Any, cast
from weakref import WeakKeyDictionary

from surefoot.locks import ForkSafeLock
from surefoot.parts import MOST_LEAVES, SCALARS, TOO_MUCH, is_scalar, leaves_of, parts_of

_MOST_RESULTS = 10_000
"""How many texts of results are held for being asked about; the oldest go first, and are untrusted then."""

_MOST_EARLY = 64
"""How many results of before the first untrusted read are held for being trusted behind it."""

_MOST_VOUCHED = 100_000
_MOST_IN_CODE = 200_000

_WORD = re.compile(r"\S{1,64}")

_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]

Leaves = dict[int, object]
"""Objects by their ids. They are held, so that no other object can get the id of one."""


class Literals:
    """The constants of a module's functions, and its texts as they stood at one moment."""

    __slots__ = ("_leaves", "_module", "_names", "_values")

    def __init__(self, module: str, names: Mapping[str, object]) -> None:
        self._module = module
        # Read when they are asked for, which may be long after.
        self._names = tuple(names)
        self._values = tuple(names.values())
        self._leaves: Leaves | None = None

    def is_of(self, other: Literals) -> bool:
        """Whether the module stands as it stood then."""
        mine, its = self._values, other._values
        return len(mine) == len(its) and all(map(is_, mine, its)) and self._names == other._names

    @property
    def leaves(self) -> Leaves:
        """Its texts by id, found when they are first asked for."""
        if self._leaves is None:
            self._leaves = self._found()
        return self._leaves

    def _found(self) -> Leaves:
        found: Leaves = {}
        stored: set[str] = set()
        for function in _functions(self._values, self._module):
            _read_function(function, found, stored)
        for name, value in zip(self._names, self._values, strict=True):
            # A name that a function assigns to may hold what an earlier run has read.
            if name not in stored:
                _add_fixed(value, found)
                if type(value) in (dict, list):
                    _add_written(value, self._module, found)
                if isinstance(value, type) and value.__module__ == self._module:
                    for own in vars(value).values():
                        if isinstance(own, str | tuple | frozenset):
                            _add_written(cast("object", own), self._module, found)
        return found


def _functions(values: Iterable[object], module: str) -> Iterator[FunctionType]:
    """The functions of a module: as they are, as steps and flows, and as methods of its classes."""
    for value in values:
        if isinstance(value, type):
            if value.__module__ == module:
                yield from _functions(
                    [getattr(own, "__func__", getattr(own, "fget", own)) for own in vars(value).values()],
                    module,
                )
            continue
        inner: Any = value
        # Decorators of ours and of others say what they are around.
        for _ in range(8):
            if isinstance(inner, FunctionType) and inner.__module__ == module:
                yield inner
            own: Any = getattr(cast("object", inner), "__dict__", None)
            inner = cast("dict[str, Any]", own).get("__wrapped__") if isinstance(own, dict) else None
            if inner is None:
                break


def _read_function(function: FunctionType, found: Leaves, stored: set[str]) -> None:
    """The constants of a function and of those in it, and to which names of its module they assign."""
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        _add_fixed(default, found)
    queue = [function.__code__]
    seen: set[int] = set()
    while queue and len(found) < _MOST_IN_CODE:
        one = queue.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if _STORE_GLOBAL in one.co_code[::2]:
            stored.update(
                str(step.argval) for step in dis.get_instructions(one) if step.opcode == _STORE_GLOBAL
            )
        for constant in one.co_consts:
            if isinstance(constant, CodeType):
                queue.append(constant)
            else:
                _add_fixed(constant, found)


def _add_fixed(value: object, found: Leaves) -> None:
    """A text, or those in tuples and frozen sets: what nobody can have changed since."""
    queue = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, str | bytes):
            if not is_scalar(one):
                found[id(one)] = one
        elif type(one) is tuple or type(one) is frozenset:
            queue.extend(cast("Iterable[object]", one))


def _add_written(nest: object, module: str, found: Leaves) -> None:
    """The texts in a list, dict or class that the source of its module has: others may have been put into it since."""
    texts = [leaf for leaf in leaves_of(nest) if isinstance(leaf, str)]
    if texts:
        written = _written_in(module)
        found.update((id(text), text) for text in texts if text in written)


@functools.lru_cache(maxsize=64)
def _written_in(module: str) -> frozenset[str]:
    """The texts that the source of a module consists of; none where it cannot be read, as in a notebook."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


_lock = ForkSafeLock()
_read: dict[str, Literals] = {}
"""What was last read of each module, by its name."""
_own: WeakKeyDictionary[FunctionType, Leaves] = WeakKeyDictionary()
"""The constants of functions that no module need have: those that are defined in others."""


def _leaves_of_module(taken: Literals, name: str) -> Leaves:
    """The texts of a module; those that were read before where it stands as it stood then."""
    with _lock:
        known = _read.get(name)
        if known is not None and known.is_of(taken):
            return known.leaves
        _read[name] = taken
        return taken.leaves


def _leaves_of_function(function: FunctionType) -> Leaves:
    with _lock:
        found = _own.get(function)
        if found is None:
            found = _own[function] = {}
            _read_function(function, found, set())
        return found


def _function_of(target: Any) -> FunctionType | None:
    """The function that a step or a flow was made of."""
    for _ in range(16):
        if isinstance(target, FunctionType):
            inner = target.__dict__.get("__wrapped__")
            if inner is None:
                return target
            target = inner
        else:
            target = getattr(target, "__wrapped__", None) or getattr(target, "__func__", None)
    return None


class Known:
    """What one run knows to be trusted, though something untrusted was read in it."""

    __slots__ = ("_codes", "_denied", "_early", "_literals", "_modules", "_read", "_results", "_vouched")

    def __init__(self) -> None:
        self._vouched: Leaves = {}
        self._results: Leaves = {}
        self._denied: Leaves = {}
        self._early: deque[object] = deque(maxlen=_MOST_EARLY)
        self._codes: dict[int, Any] = {}
        self._modules: dict[str, Literals] = {}
        self._literals: list[Leaves] = []
        self._read = 0

    def note_code(self, target: Any) -> None:
        """Trust the literals of a flow or step and of its module, as that stands when it is first met in the run."""
        if id(target) in self._codes:
            return
        self._codes[id(target)] = target
        module = getattr(target, "__module__", None) or ""
        if module not in self._modules and (function := _function_of(target)) is not None:
            self._modules[module] = Literals(module, function.__globals__)

    def vouch(self, value: object) -> None:
        """Trust a value and the texts in it, as the team says so or a check has passed them."""
        for leaf in leaves_of(value, most=_MOST_RESULTS):
            if leaf is not TOO_MUCH and len(self._vouched) < _MOST_VOUCHED:
                self._vouched[id(leaf)] = leaf
                self._denied.pop(id(leaf), None)

    def distrust(self, value: object, *, is_whole: bool) -> None:
        """Do not take what came from outside for a literal, though one stands for it in the code, as in a test.

        `is_whole`: none of its texts is one. Else only those of several words are not: a label that a step chose among
        those in its code instructs nobody.
        """
        for leaf in leaves_of(value):
            if isinstance(leaf, str) and (is_whole or not _WORD.fullmatch(leaf)) and self._is_literal(leaf):
                self._denied[id(leaf)] = leaf

    def note_early(self, value: object) -> None:
        """Hold a result of before anything untrusted was read: what is in it by then is trusted."""
        self._early.append(value)

    def settle(self) -> None:
        """Something untrusted is read now: look into what was held before, while nothing of that can be in it."""
        while self._early:
            with suppress(IndexError):
                self.keep_result(self._early.popleft())

    def keep_result(self, value: object) -> None:
        """Trust what a step gave that was given nothing untrusted, and read nothing.

        Looked into at once, as the flow may put something else into it.
        """
        if is_scalar(value):
            return
        for leaf in leaves_of(value):
            if leaf is not TOO_MUCH:
                self._results[id(leaf)] = leaf
        while len(self._results) > _MOST_RESULTS:
            # Of threads that do so at once one finds it gone.
            self._results.pop(next(iter(self._results), 0), None)

    def is_trusted(self, value: object) -> bool:
        """Whether all that a value holds is known, or too small to instruct."""
        if is_scalar(value):
            return True
        if isinstance(value, str | bytes):
            return self._knows(value)
        return all(map(self._knows, leaves_of(value)))

    def judged(self, value: object) -> tuple[bool, tuple[str, ...]]:  # noqa: C901, PLR0912  (one walk, for each step)
        """Whether the result of a body that has read something untrusted is trusted, and the pointers of what is.

        What is of several words and a literal is none from here on, as by `distrust`.
        """
        if type(value) is str:
            return (len(value) <= 1 or self._takes(value)), ()
        places: list[_Place] = [(None, "", value)]
        hits: list[_Place] = []
        mappings: list[dict[object, object]] = []
        is_whole, left = True, 8 * MOST_LEAVES
        while places:
            place = places.pop()
            one = place[2]
            kind = type(one)
            left -= 1
            if left <= 0 or len(hits) >= MOST_LEAVES:
                is_whole = False
                break
            if kind is str:
                text = cast("str", one)
                if len(text) <= 1:
                    continue
                if self._takes(text):
                    hits.append(place)
                else:
                    is_whole = False
            elif kind is dict:
                mapping = cast("dict[object, object]", one)
                mappings.append(mapping)
                left -= len(mapping)
                if left > 0:
                    places += [(place, key, part) for key, part in mapping.items()]
            elif kind is list or kind is tuple:
                items = cast("Sequence[object]", one)
                left -= len(items)
                if left > 0 and not SCALARS.issuperset(map(type, items)):
                    places += [(place, n, part) for n, part in enumerate(items)]
            elif kind in SCALARS or is_scalar(one):
                continue
            elif (inner := parts_of(one)) is None:
                is_whole = is_whole and self._knows(one)
            else:
                left -= len(inner)
                is_placed = _is_placed(one)
                places += [(place, name if is_placed and name else None, part) for name, part in inner]
        if is_whole and all(is_scalar(key) or self._knows(key) for mapping in mappings for key in mapping):
            return True, ()
        return False, tuple(sorted(pointer for hit in hits if (pointer := _pointer(hit)) is not None))

    def _takes(self, text: str) -> bool:
        """Whether a text is trusted in such a result; one of several words is no literal then, nor later."""
        key = id(text)
        if key in self._vouched or key in self._results:
            return True
        if key in self._denied or not self._is_literal(text):
            return False
        if _WORD.fullmatch(text):
            return True
        self._denied[key] = text
        return False

    def restore(self, value: object, pointers: Iterable[str]) -> None:
        """Trust the parts of a recorded value again that its record says were."""
        for pointer in pointers:
            part: object = value
            if not pointer.startswith("/"):
                # The whole, which is a text.
                if pointer == "":
                    self.vouch(value)
                continue
            for name in pointer.split("/")[1:]:
                inner = (parts_of(part) or []) if _is_placed(part) else []
                part = next((one for given, one in inner if _escaped(given) == name and name), None)
            if part is not None:
                self.vouch(part)

    def _knows(self, leaf: object) -> bool:
        if isinstance(leaf, bytearray):
            # It may have been written to since it was known.
            return False
        key = id(leaf)
        if key in self._vouched or key in self._results:
            return True
        return key not in self._denied and self._is_literal(leaf)

    def _is_literal(self, leaf: object) -> bool:
        if self._read < len(self._codes):
            self._read_code()
        key = id(leaf)
        return any(key in leaves for leaves in self._literals)

    def _read_code(self) -> None:
        self._read = len(self._codes)
        found = [_leaves_of_module(taken, name) for name, taken in tuple(self._modules.items())]
        functions = [_function_of(target) for target in tuple(self._codes.values())]
        self._literals = found + [_leaves_of_function(one) for one in functions if one is not None]


_Place = tuple[Any, object, object]
"""A part of a value: the place that it lies in, its name or number there, and itself."""


def _pointer(place: _Place) -> str | None:
    """The JSON pointer of a place; None for one that has none in the record."""
    steps: list[str] = []
    while place[0] is not None:
        name = place[1]
        if type(name) is int:
            steps.append(str(name))
        elif isinstance(name, str):
            steps.append(_escaped(name))
        else:
            return None
        place = place[0]
    return "".join(f"/{step}" for step in reversed(steps))


def _is_placed(value: object) -> bool:
    """Whether the parts of a container have the same places whenever it is restored."""
    if isinstance(value, AbstractSet):
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) for key in cast("Mapping[object, object]", value))
    return True


def _escaped(name: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
