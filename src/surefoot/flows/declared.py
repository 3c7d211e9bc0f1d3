"""What an annotation declares beyond a type: in its own words, under another name, or in fields of what it holds."""

from __future__ import annotations

import inspect
import re
import sys
from collections import abc
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from surefoot.errors import UsageError
from surefoot.texts.text import Text

_SAYS_A_RULE = re.compile(r"\b(?:Text|Field)\(")
_TAKEN_OUT_LATER = frozenset(
    {abc.Iterable, abc.Iterator, abc.Generator, abc.AsyncIterable, abc.AsyncIterator, abc.AsyncGenerator}
)


def hints_of(function: Any, *, has_extras: bool = False) -> dict[str, Any]:
    """The annotations of a function by parameter, and that of its result as `return`, as far as they can be read.

    `has_extras`: with what `Annotated` says beside the type. Raises `UsageError` where a `Text` or `Field` in it cannot
    be read: passed over, it would let through what it is to refuse. Of a class they are those of its fields.
    """
    try:
        return get_type_hints(function, include_extras=has_extras)
    except (NameError, TypeError):
        # A name that is imported for typing only: that parameter is taken as it comes, the others are not.
        found: dict[str, Any] = {}
        names = getattr(inspect.unwrap(function), "__globals__", None)
        if names is None:
            names = vars(sys.modules.get(getattr(function, "__module__", ""), inspect))
        for name, hint in getattr(function, "__annotations__", {}).items():
            try:
                one = type("One", (), {"__annotations__": {name: hint}})
                found |= get_type_hints(one, globalns=names, include_extras=has_extras)
            except (NameError, TypeError) as error:
                if has_extras and isinstance(hint, str) and _is_written_as_a_rule(hint, error):
                    raise UsageError(
                        f"{named(function)}: what is declared of {name!r} cannot be read ({error}): import its names "
                        "at the top of the module, and not for type checking only"
                    ) from None
        return found


def named(function: Any) -> str:
    """A function or class, as messages name it."""
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', function)}"


def is_ruled(hint: Any, *, into_dataclasses: bool = True) -> bool:
    """Whether more is declared than a type, anywhere in an annotation.

    Also under a name (an alias, a `NewType`), and in fields of typed mappings and tuples, and of dataclasses. Models
    of pydantic hold to their fields themselves, when they are made.
    """
    return any(map(_is_rule, _within(hint, into_dataclasses=into_dataclasses)))


def may_change(hint: Any) -> bool:
    """Whether a value may come out of its check as another one: trimmed, or as a validator of the user's makes it."""
    return any(
        said.trim if isinstance(said, Text) else hasattr(said, "__get_pydantic_core_schema__")
        for part in _within(hint, into_dataclasses=False)
        for said in _said(part)
    )


def ruled_later(hint: Any) -> Any | None:
    """A part of an annotation whose rules pydantic asks of nothing but what is taken out of it, as an `Iterable`."""
    parts = _within(hint, into_dataclasses=False)
    return next((one for one in parts if get_origin(one) in _TAKEN_OUT_LATER and is_ruled(one)), None)


def is_constraint(said: object) -> bool:
    """Whether what `Annotated` says beside a type is a rule for values."""
    if isinstance(said, Text):
        return True
    if not type(said).__module__.startswith(("pydantic", "annotated_types")):
        return hasattr(said, "__get_pydantic_core_schema__")
    # A `Field` that only describes says nothing of the value.
    return not hasattr(said, "description") or bool(getattr(said, "metadata", None))


@lru_cache(maxsize=512)
def ruled_fields(kind: type) -> Mapping[str, Any]:
    """The annotations of those fields of a dataclass of which more is declared than a type."""
    return {name: hint for name, hint in _fields_of(kind).items() if is_ruled(hint)}


def is_plain_dataclass(kind: type) -> bool:
    """Whether instances are made without asking what is declared of their fields."""
    return is_dataclass(kind) and not hasattr(kind, "__pydantic_fields__")


def has_ruled_dataclasses(hint: Any) -> bool:
    """Whether something is declared of the fields of a dataclass, anywhere in an annotation."""
    kinds = ((get_origin(part) or part) for part in _within(hint, into_dataclasses=True))
    return any(isinstance(kind, type) and is_plain_dataclass(kind) and ruled_fields(kind) for kind in kinds)


def _is_written_as_a_rule(hint: str, error: Exception) -> bool:
    """Whether an annotation that cannot be read declares something, or what cannot be read is what declares it."""
    missing = re.escape(getattr(error, "name", "") or "")
    is_called = bool(missing) and re.search(rf"\b{missing}[\w.]*\(", hint) is not None
    return "Annotated" in hint and (is_called or _SAYS_A_RULE.search(hint) is not None)


def _is_rule(hint: Any) -> bool:
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return True
    return any(map(is_constraint, _said(hint)))


def _said(hint: Any) -> tuple[object, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()


def _within(hint: Any, *, into_dataclasses: bool) -> Iterator[Any]:
    """An annotation and all that it is made of, each once: classes may hold themselves."""
    seen: list[Any] = []
    ahead = [hint]
    while ahead:
        part = ahead.pop()
        if any(part is one for one in seen):
            continue
        seen.append(part)
        yield part
        ahead += _parts(part, into_dataclasses=into_dataclasses)


def _parts(hint: Any, *, into_dataclasses: bool) -> list[Any]:
    for name in ("__value__", "__supertype__"):
        # An alias may have arguments of its own, and what it stands for in its origin.
        meant = getattr(hint, name, None)
        if meant is not None:
            return [meant, *get_args(hint)]
    origin = get_origin(hint)
    if origin is Literal:
        return []
    # What `Callable` holds in brackets is no annotation.
    parts = [part for part in get_args(hint) if not isinstance(part, list)]
    kind: Any = origin or hint
    if inspect.isclass(kind) and (into_dataclasses or not is_dataclass(kind)):
        parts += _fields_of(kind).values()
    return parts


def _fields_of(kind: type) -> dict[str, Any]:
    """The annotations of the fields of a class that says which it has, and does not hold to them by itself."""
    # Only typed mappings say whether they are total, and only named tuples which fields they have.
    is_named = hasattr(kind, "__total__" if dict in kind.__mro__ else "_fields")
    if not (is_plain_dataclass(kind) or (is_named and not {dict, tuple}.isdisjoint(kind.__mro__))):
        return {}
    hints = hints_of(kind, has_extras=True)
    names = getattr(kind, "__dataclass_fields__", hints)
    return {name: hint for name, hint in hints.items() if name in names}
