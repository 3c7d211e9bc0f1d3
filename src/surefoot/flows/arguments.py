"""Arguments of a step or flow by parameter name, which is how they are recorded and compared."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_type_hints

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.locks import made_once

if TYPE_CHECKING:
    from surefoot.flows.signature import Rule
    from surefoot.mistakes import Mistake

_log = scope.logger("surefoot.flows")

_SIMPLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments:
    """Binds calls of one function. `inspect.Signature.bind` costs 6 µs, so plain signatures are bound by hand."""

    def __init__(self, function: Callable[..., object]) -> None:
        # A workflow's `run` comes with its object filled in, and what is declared stands on the method.
        self._function: Callable[..., object] = getattr(function, "func", function)
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

    @made_once
    def rules(self) -> Mapping[str, Rule]:
        """What is declared of the parameters beyond their types. Raises `UsageError` where that cannot be read."""
        # Read at the first call: annotations may name what is defined further down.
        from surefoot.flows.signature import rules_of

        return rules_of(self._function, self.signature)

    def checked(self, inputs: dict[str, object], what: str) -> dict[str, object]:
        """Arguments that `bind` returned, by what is declared of them; the same mapping where nothing changes.

        Defaults are taken as they are. Raises `InvalidInput` with all mistakes.
        """
        mistakes: list[Mistake] = []
        changed: dict[str, object] = {}
        for name, rule in self.rules.items():
            value = inputs[name]
            if name in self._defaults and value is self._defaults[name]:
                continue
            made = rule.checked(value, mistakes)
            if made is not value:
                changed[name] = made
        if mistakes:
            raise refused(what, self.signature, mistakes)
        return {**inputs, **changed} if changed else inputs

    def checked_call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object], what: str
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """`checked` for the arguments of a call, which are given back as such."""
        given = self.bind(args, kwargs)
        inputs = self.checked(given, what)
        if inputs is given:
            return args, kwargs
        bound = inspect.BoundArguments(self.signature, OrderedDict(inputs))
        return bound.args, bound.kwargs

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


def refused(what: str, signature: inspect.Signature, mistakes: list[Mistake]) -> InvalidInput:
    """The error for arguments that do not do, which no log and no message tells."""
    problems = "; ".join(f"{one.field!r}: {one.problem}" if one.field else one.problem for one in mistakes)
    _log.info("%s was refused its arguments: %s", what, problems)
    # Of a value that does not do the mistake says enough.
    is_about_names = any(one.rule in ("missing", "unknown") for one in mistakes)
    takes = f". It takes {signature}" if is_about_names else ""
    return InvalidInput(f"{what}: {problems}{takes}", mistakes=mistakes)


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
