"""How classes are named in recorded text, and how they are found again without importing anything."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from surefoot.errors import NotRestored

Resolve = Callable[[str, str], "type | None"]
Reference = Any  # "module:Qual.Name", or [origin, *arguments] for a parametrised class

_MAIN = ("__main__", "__mp_main__")
_NONE = "builtins:None"
_UNION = "typing:Union"
_VARIABLE = "typing:TypeVar"
_BAR = "types:UnionType"  # `A | B`, which pydantic takes for another argument than Union[A, B]


def canonical_module(name: str) -> str:
    """The name under which the module can be imported, also while it runs as the script `__main__`.

    `python flow.py`, `python -m flow` and `import flow` all give `flow`. A notebook or an interactive
    session, which has no file, keeps `__main__`.
    """
    if name not in _MAIN:
        return name
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and isinstance(spec.name, str):
        return spec.name
    file = getattr(main, "__file__", None)
    return PurePath(file).stem if isinstance(file, str) else "__main__"


def class_name(kind: type) -> str:
    """`module:Qual.Name` of a class."""
    return f"{canonical_module(kind.__module__)}:{kind.__qualname__}"


def reference(kind: Any) -> Reference:
    """What a class or type expression is called in recorded text.

    Raises TypeError for an expression that has no such name (`Literal[...]`, `Annotated[...]`).
    """
    if kind is None or kind is types.NoneType:
        return _NONE
    if isinstance(kind, typing.TypeVar):
        # An SDK's generic helper leaves models behind that are parametrised with its own variable.
        return [_VARIABLE, f"{canonical_module(kind.__module__)}:{kind.__name__}"]
    origin, arguments = _parts(kind)
    if origin is None:
        if not isinstance(kind, type):
            raise TypeError(f"{kind!r} has no name")
        return class_name(kind)
    unions = {typing.Union: _UNION, types.UnionType: _BAR}
    return [unions.get(origin) or reference(origin), *map(reference, arguments)]


def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Origin and arguments of a parametrised model or a type expression; (None, ()) for a plain class."""
    metadata = getattr(kind, "__pydantic_generic_metadata__", None) if isinstance(kind, type) else None
    if metadata is not None and metadata["origin"] is not None:
        return metadata["origin"], metadata["args"]
    return typing.get_origin(kind), typing.get_args(kind)


def find_type(name: Reference, resolve: Resolve | None) -> Any:
    """The class or type expression of that name among what the process has already imported.

    Raises `NotRestored` if there is none; no module is ever imported because a text names it.
    """
    if isinstance(name, str):
        return None if name == _NONE else find_class(name, resolve)
    parts: list[Any] = name
    if parts[0] == _VARIABLE:
        return _find_variable(parts[1])
    arguments = tuple(find_type(part, resolve) for part in parts[1:])
    if parts[0] == _UNION:
        return typing.Union[arguments]  # noqa: UP007  (the arguments are only known here)
    if parts[0] == _BAR:
        union: Any = arguments[0]
        for argument in arguments[1:]:
            union = union | argument
        return union
    origin = find_type(parts[0], resolve)
    if getattr(origin, "__pydantic_generic_metadata__", None) is not None:
        return origin[arguments]
    if isinstance(origin, type):
        return types.GenericAlias(origin, arguments)
    raise NotRestored(f"cannot restore a recorded value: {name!r} does not name a class")


def find_class(name: str, resolve: Resolve | None) -> type:
    """The class that `module:Qual.Name` names. Raises `NotRestored` if it is not there."""
    module, _, qualname = name.partition(":")
    if resolve is not None:
        given = resolve(module, qualname)
        if given is not None:
            return given
    found = _found(name, module, qualname)
    if not isinstance(found, type):
        raise NotRestored(f"cannot restore a recorded {name}: that is a {type(found).__name__}, not a class")
    return found


def _find_variable(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found = _found(name, module, qualname)
    if not isinstance(found, typing.TypeVar):
        raise NotRestored(f"cannot restore a recorded {name}: it is not a type variable (any more)")
    return found


def _found(name: str, module: str, qualname: str) -> object:
    """What stands under that name in a module that is imported."""
    found: Any = _module(module)
    if found is None:
        raise NotRestored(
            f"cannot restore a recorded {name}: the module {module!r} is not imported here. "
            f"Import it in the flow's own module, or annotate the function's return type"
        )
    for part in qualname.split("."):
        # The namespace itself, since getattr could run a module's lazy import or a descriptor.
        namespace = getattr(found, "__dict__", None)
        found = None if namespace is None else namespace.get(part)
        if found is None:
            raise NotRestored(f"cannot restore a recorded {name}: {_gone(module, qualname)}")
    return found


def _module(name: str) -> types.ModuleType | None:
    found = sys.modules.get(name)
    if found is None and name == canonical_module("__main__"):
        found = sys.modules.get("__main__")
    return found


def _gone(module: str, qualname: str) -> str:
    if "<locals>" in qualname:
        return (
            "it was defined inside a function, where it cannot be found again. "
            "Move it to the top of its module, or annotate the function's return type"
        )
    return (
        f"{module!r} has no such class any more. Keep the old name as an alias of the new class, "
        "or annotate the function's return type with the new one"
    )
