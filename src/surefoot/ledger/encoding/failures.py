"""Exceptions: restored as the same class without calling its `__init__`."""

from __future__ import annotations

from collections.abc import Sequence
from types import MemberDescriptorType
from typing import Any

from surefoot.errors import NotRestored, RecordedError
from surefoot.ledger.encoding.classes import class_of, derived, solid
from surefoot.ledger.encoding.names import class_name
from surefoot.ledger.encoding.walk import Plain, Reader, Refused, Return, Walk, Writer, tag

_CHAIN = 8  # how many exceptions inside each other are recorded
_LONGEST = 2_000  # characters kept of what an argument that is not data says of itself

# `obj` is what an attribute was looked up on; a group's parts are recorded as its group.
_SKIPPED = frozenset({"obj", "message", "exceptions"})


def _members(kind: type) -> list[str]:
    """Names of the attributes that are kept outside `__dict__`: `errno`, `filename`, a class's own slots."""
    return [
        name
        for parent in kind.__mro__
        if parent is not BaseException
        for name, item in vars(parent).items()
        if isinstance(item, MemberDescriptorType)
        and not (parent.__module__ == "builtins" and name in _SKIPPED)
    ]


def _says(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  (a foreign __str__ must not hide the failure)
        text = object.__repr__(value)
    return text.encode(errors="replace").decode()[:_LONGEST]


def _lowered(value: object, depth: int, walk: Walk, otherwise: object) -> Any:
    """A failure must not fail to be recorded for what it carries."""
    try:
        # Whatever orjson would refuse has to show here, where it can be left out.
        return _strict(walk).lower(value, depth)
    except Refused:
        return otherwise


def _strict(walk: Walk) -> Walk:
    if walk.is_strict:
        return walk
    strict = Walk(walk.writers, walk.find, is_identity=walk.is_identity, is_strict=True)
    strict.errors = walk.errors
    return strict


def _is_group(kind: type) -> bool:
    return issubclass(kind, BaseExceptionGroup)


def _write_error(value: BaseException, depth: int, walk: Walk) -> object:
    if len(walk.errors) >= _CHAIN or any(value is other for other in walk.errors):
        raise Refused(value, "too many exceptions inside each other")
    walk.errors.append(value)
    try:
        return _parts(value, depth, walk)
    finally:
        walk.errors.pop()


def _parts(value: Any, depth: int, walk: Walk) -> object:
    missing = object()
    kind = class_of(value)
    is_group = _is_group(kind)
    arguments: Sequence[object] = (value.message,) if is_group else value.args
    written = [_lowered(argument, depth + 3, walk, _says(argument)) for argument in arguments]
    state: dict[str, object] = {}
    dropped = derived(kind)
    own: dict[str, Any] = value.__dict__
    attributes = {name: item for name, item in own.items() if name not in dropped}
    for name in _members(kind):
        held = getattr(value, name, None)
        if held is not None:
            attributes[name] = held
    kept = {name: _lowered(item, depth + 4, walk, missing) for name, item in attributes.items()}
    if kept := {name: item for name, item in kept.items() if item is not missing}:
        state["attributes"] = kept
    if is_group:
        state["group"] = [_lowered(error, depth + 4, walk, _gist(error)) for error in value.exceptions]
    if value.__cause__ is not None:
        cause = _lowered(value.__cause__, depth + 3, walk, missing)
        if cause is not missing:
            state["cause"] = cause
    elif value.__suppress_context__:
        state["suppress"] = True
    text = _says(value)
    if not (len(written) == 1 and written[0] == text):
        state["says"] = text
    return tag("error", class_name(kind), written, state)


def _gist(error: BaseException) -> object:
    """What is left of an exception beyond the bound: class and text."""
    return tag("error", class_name(type(error)), [_says(error)], {})


def _read_error(parts: list[Any], back: Return) -> object:
    name, state = parts[0], parts[2]
    arguments = back.each(parts[1])
    group: list[Any] | None = back.each(state["group"]) if "group" in state else None
    error = _made(name, arguments, group, back)
    if error is None:
        text = state.get("says") or (str(arguments[0]) if arguments else "")
        error = RecordedError(f"{name}: {text}" if text else name, type_name=name)
    attributes = state.get("attributes", {})
    for attribute, item in attributes.items():
        _put(error, attribute, item, back)
    if "cause" in state:
        error.__cause__ = back.restore(state["cause"])
    elif state.get("suppress"):
        error.__suppress_context__ = True
    return error


def _made(
    name: str, arguments: list[Any], group: list[BaseException] | None, back: Return
) -> BaseException | None:
    """The bare exception, or None if its class is gone or is no exception."""
    try:
        kind: Any = back.class_named(name, BaseException, "an exception")
    except NotRestored:
        return None
    native: Any = solid(kind)
    try:
        if group is not None:
            error: BaseException = native.__new__(kind, arguments[0], group)
            return error
        error = native.__new__(kind, *arguments)
        error.args = tuple(arguments)
    except Exception:  # noqa: BLE001
        # A class built in C may ask more of its arguments than they hold.
        return None
    return error


def _put(error: BaseException, name: str, item: Any, back: Return) -> None:
    try:
        value = back.restore(item)
    except NotRestored:
        return  # like what could not be recorded: the exception itself matters more
    if isinstance(error, RecordedError) and name == "type_name" and hasattr(error, "type_name"):
        return
    try:
        object.__setattr__(error, name, value)
    except (AttributeError, TypeError):
        error.__dict__[name] = value


def family(kind: type) -> Writer | None:
    """The writer of an exception class."""
    return _write_error if issubclass(kind, BaseException) else None


READERS: dict[str, Reader] = {"error": _read_error}
PLAIN: dict[str, Plain] = {}
