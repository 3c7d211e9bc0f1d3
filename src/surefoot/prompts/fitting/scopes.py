"""The names of a module: which scope binds which, where, and to what."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Block: TypeAlias = "tuple[tuple[int, str, bool], ...]"
"""The compound statements around a place, the outermost first: which one, which part of it, whether that repeats."""

Spot: TypeAlias = "tuple[int, int]"

BindingKind: TypeAlias = Literal["import", "value", "def", "class", "param", "other"]

END: Spot = (1 << 30, 0)
"""After all of a scope."""


@dataclass(slots=True)
class Binding:
    """One place that binds a name.

    `value` is what is bound, an expression or a definition; `dotted` what an import names. It holds from `spot` on.
    `block` is where it stands.
    """

    kind: BindingKind
    spot: Spot
    block: Block
    scope: Scope
    value: ast.AST | None = None
    dotted: str = ""
    annotation: ast.expr | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class, function or comprehension; `name` is its qualified name, empty for the module."""

    kind: Literal["module", "class", "function", "comprehension"]
    name: str
    node: ast.AST
    parent: Scope | None
    module: Module
    bindings: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])
    elsewhere: dict[str, Scope | None] = field(default_factory=dict[str, "Scope | None"])
    """Names that `global` or `nonlocal` says are bound in another scope."""

    def bound(self, name: str) -> Scope | None:
        """The scope that binds a name as this one sees it; a class body is seen by itself alone."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.elsewhere:
                found = scope.elsewhere[name] or scope.module.scope
                return found if name in found.bindings else None
            if name in scope.bindings and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return None

    @property
    def function(self) -> Scope | None:
        """The nearest function around, or this one."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "function":
            scope = scope.parent if scope.kind == "comprehension" else None
        return scope

    @property
    def owner(self) -> Scope | None:
        """Of a method its class."""
        return (
            self.parent if self.kind == "function" and self.parent and self.parent.kind == "class" else None
        )


@dataclass(slots=True)
class Place:
    """Where an expression stands, as its names are looked up."""

    scope: Scope
    spot: Spot
    block: Block


@dataclass(slots=True)
class Attribute:
    """A value that a method gives an attribute of its object."""

    name: str
    value: ast.expr
    place: Place


@dataclass(slots=True, eq=False)
class Module:
    """A parsed file.

    `calls` are all of its calls, `reads` what is read by a constant key, `mentions` the names and attributes that it
    speaks of by their last part; each with its place. `attributes` are what methods give their object, by class.
    """

    dotted: str
    file: str
    is_package: bool
    scope: Scope = field(init=False)
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])
    calls: list[tuple[ast.Call, Place]] = field(default_factory=list[tuple[ast.Call, Place]])
    reads: list[tuple[ast.expr, str, bool, Place]] = field(
        default_factory=list[tuple[ast.expr, str, bool, Place]]
    )
    mentions: dict[str, list[tuple[ast.expr, Place]]] = field(
        default_factory=dict[str, list[tuple[ast.expr, Place]]]
    )
    attributes: dict[int, list[Attribute]] = field(default_factory=dict[int, list[Attribute]])
    stars: list[str] = field(default_factory=list[str])
    """Modules of which all names are imported."""
    ignored: frozenset[int] = frozenset()
    """Lines that say that they are to be passed by."""

    def of(self, node: ast.AST) -> Scope:
        """The scope that a definition opens."""
        return self.scopes[id(node)]


def first_parameter(method: Scope) -> str:
    """What a method calls its object; empty for a static one."""
    node = method.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    names = [*node.args.posonlyargs, *node.args.args]
    is_static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
    return names[0].arg if names and not is_static else ""
