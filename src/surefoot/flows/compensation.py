"""What undoes a step: a function that takes the step's result and those of its arguments that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from surefoot.errors import UsageError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Compensation:
    """Calls a compensation for one step. The result comes first, or after `self` where both are methods."""

    def __init__(self, undo: Callable[..., Any], function: Callable[..., Any], *, step: str) -> None:
        """Raises `UsageError` where the two do not fit."""
        self.undo = undo
        own = [*inspect.signature(function).parameters]
        parameters = [*inspect.signature(getattr(undo, "function", undo)).parameters.values()]
        self._is_method = bool(parameters and own) and parameters[0].name == own[0] == "self"
        rest = parameters[1:] if self._is_method else parameters
        takes_result = bool(rest) and rest[0].kind in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL)
        if not takes_result:
            raise UsageError(
                f"step {step!r}: its compensation takes no result: its first parameter gets what the step returned"
            )
        named = [p for p in rest[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        unknown = [p.name for p in named if p.name not in own and p.default is p.empty]
        if unknown:
            raise UsageError(
                f"step {step!r}: its compensation asks for {', '.join(unknown)}, which the step does not have: "
                f"name its parameters ({', '.join(own) or 'none'}), or give defaults"
            )
        self.names = tuple(p.name for p in named if p.name in own)

    @property
    def needs(self) -> tuple[str, ...]:
        """The arguments of the step that it is called with."""
        return ("self", *self.names) if self._is_method else self.names

    def arguments(
        self, result: object, given: Mapping[str, object]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How it is called. `given` holds the step's arguments; raises `KeyError` for one that is not there."""
        first = (given["self"], result) if self._is_method else (result,)
        return first, {name: given[name] for name in self.names}
