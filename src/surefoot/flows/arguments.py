"""Arguments of a step or flow by parameter name, which is how they are recorded and compared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from surefoot import ledger as records

_SIMPLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments:
    """Binds calls of one function. `inspect.Signature.bind` costs 6 µs, so plain signatures are bound by hand."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.signature = inspect.signature(function)
        parameters = self.signature.parameters.values()
        self._is_simple = all(parameter.kind in _SIMPLE for parameter in parameters)
        self._names = tuple(p.name for p in parameters)
        self._positional = sum(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)
        self._defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        self._known = frozenset(self._names)

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """All parameters by name, defaults included. Raises `TypeError` as the call itself would."""
        if self._is_simple and len(args) <= self._positional:
            given = dict(zip(self._names, args, strict=False))
            if kwargs:
                if not (kwargs.keys() <= self._known) or not kwargs.keys().isdisjoint(given):
                    return self._bind_slowly(args, kwargs)
                given.update(kwargs)
            if len(given) < len(self._names):
                for name in self._names:
                    if name not in given:
                        if name not in self._defaults:
                            return self._bind_slowly(args, kwargs)
                        given[name] = self._defaults[name]
            return given
        return self._bind_slowly(args, kwargs)

    def call(self, function: Callable[..., Any], inputs: Mapping[str, object]) -> Any:
        """Call `function` with arguments that `bind` returned."""
        if self._is_simple:
            return function(**inputs)
        bound = inspect.BoundArguments(self.signature, dict(inputs))
        return function(*bound.args, **bound.kwargs)

    def _bind_slowly(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


def restored_as(function: Callable[..., object], text: str) -> Any:
    """A recorded result whose class is gone or has changed, validated to what the function is annotated to return.

    Raises `NotRestored` where that does not fit, or nothing is annotated.
    """
    try:
        annotation = get_type_hints(function).get("return", Any)
    except Exception:
        # An annotation may be any code; the error that counts is about the record.
        annotation = Any
    return records.decode(text, annotation=annotation)
