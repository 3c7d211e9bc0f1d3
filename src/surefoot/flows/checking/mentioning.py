"""Steps that a flow speaks of, however it comes to call them: what was not seen to be called has to be said."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from surefoot.flows.checking.frames import Walk
from surefoot.prompts.fitting.scopes import Module, Scope

_MOST = 2_000
"""So many functions and values are looked through for one flow."""

_Place: TypeAlias = "tuple[ast.AST, Module]"


@dataclass(slots=True)
class Mentions:
    """Which steps the code of a flow names, or that of what it names: by names, attributes and texts alone.

    An attribute counts as every method of that name, as nobody knows here of which class an object is.
    """

    modules: Sequence[Module]
    walk: Walk
    _methods: dict[str, list[_Place]] = field(default_factory=dict[str, "list[_Place]"])
    _names: dict[int, tuple[tuple[str, bool], ...]] = field(
        default_factory=dict[int, "tuple[tuple[str, bool], ...]"]
    )
    _has_sinks: bool = False

    def __post_init__(self) -> None:
        for module in self.modules:
            for scope in module.scopes.values():
                if scope.kind != "function":
                    continue
                declaration = self.walk.declarations.of(scope)
                self._has_sinks |= declaration is not None and bool(declaration.sends)
                if scope.owner is not None:
                    methods = self._methods.setdefault(scope.name.rpartition(".")[2], [])
                    methods.append((scope.node, scope.module))

    def steps_of(self, flow: Scope) -> tuple[Scope, ...]:
        """The steps that a flow names; none where no step of the project sends anything."""
        found: dict[Scope, None] = {}
        seen: set[int] = set()
        waiting: list[_Place] = [(flow.node, flow.module)] if self._has_sinks else []
        while waiting and len(seen) < _MOST:
            node, module = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            scope = module.scopes.get(id(node))
            declaration = (
                None if scope is None or scope.kind != "function" else self.walk.declarations.of(scope)
            )
            if scope is not None and declaration is not None and declaration.kind == "step":
                found[scope] = None
            for name, is_attribute in self._names_in(node):
                waiting += self._bound(name, module)
                if is_attribute:
                    waiting += self._methods.get(name, ())
        return tuple(found)

    def _names_in(self, node: ast.AST) -> tuple[tuple[str, bool], ...]:
        known = self._names.get(id(node))
        if known is None:
            known = self._names[id(node)] = tuple(dict.fromkeys(_names_in(node)))
        return known

    def _bound(self, name: str, module: Module) -> Iterator[_Place]:
        """What a name of a module is bound to: a function, class or value, in another module too."""
        waiting, seen = [(name, module)], set[tuple[str, str]]()
        while waiting:
            name, module = waiting.pop()
            # Modules that import a name from each other go in a circle.
            if (name, module.file) in seen:
                continue
            seen.add((name, module.file))
            for one in module.scope.bindings.get(name, ()):
                if one.kind == "import":
                    found, rest = self.walk.meanings.project.imported(one.dotted, module)
                    waiting += [(rest[0], found)] if found is not None and len(rest) == 1 else []
                elif one.value is not None:
                    yield one.value, module


def _names_in(node: ast.AST) -> Iterator[tuple[str, bool]]:
    for one in ast.walk(node):
        match one:
            case ast.Name(id=name):
                yield name, False
            case ast.Attribute(attr=name):
                yield name, True
            case ast.Constant(value=str(text)) if text.isidentifier():
                # As `getattr` and `globals()` have it.
                yield text, False
            case _:
                pass
