"""The names of one call of a function, and what goes on around it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from surefoot.flows.checking.annotations import Annotations
from surefoot.flows.checking.declarations import Declarations, Target
from surefoot.flows.checking.marks import CLEAN, Hop, Value, either, joined
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.scopes import END, Place, Scope, first_parameter


class Walk(Protocol):
    """What goes through a flow, as the parts of it see each other."""

    @property
    def meanings(self) -> Meanings: ...

    @property
    def annotations(self) -> Annotations: ...

    @property
    def declarations(self) -> Declarations: ...

    @property
    def attributes(self) -> dict[tuple[Scope, str], Value]:
        """What methods have given their objects, by class and name, whichever object it was."""
        ...

    def called(self, node: ast.Call, frame: Frame) -> Value:
        """What a call gives."""
        ...

    def asked(self, node: ast.Call, frame: Frame, *, prompt: ast.expr | None, kind: ast.expr | None) -> Value:
        """What a model answers."""
        ...

    def settings(self, node: ast.Call, frame: Frame) -> Value:
        """What `Call(...)` says."""
        ...

    def entered(self, target: Target, given: Mapping[str, Value], frame: Frame) -> Value:
        """What the body of a function returns for these arguments."""
        ...

    def held(self, name: str, place: Place) -> Value:
        """What a module's name holds: what the team has written, and so without marks."""
        ...

    def place_of(self, node: ast.expr, frame: Frame) -> Place:
        """Where an expression stands."""
        ...

    def hop(self, what: str, node: ast.AST, scope: Scope) -> Hop:
        """A place of the code, as people read it."""
        ...


@dataclass(slots=True)
class Frame:
    """One call of a function. `asked`: somebody was asked, and has not said no, before what comes now."""

    walk: Walk
    scope: Scope
    names: dict[str, Value] = field(default_factory=dict[str, Value])
    returned: list[Value] = field(default_factory=list[Value])
    outer: Frame | None = None
    asked: tuple[Hop, ...] = ()
    depth: int = 0

    def look(self, node: ast.Name) -> Value:
        """What a name holds: here, in the functions around, else what it means in its module."""
        frame: Frame | None = self
        while frame is not None:
            if node.id in frame.names:
                return frame.names[node.id]
            frame = frame.outer
        place = self.walk.place_of(node, self)
        targets = self.walk.declarations.called(self.walk.meanings.of(node, place))
        return Value(calls=targets) if targets else self.walk.held(node.id, place)

    def bind(self, target: ast.expr, value: Value) -> None:
        """Give a value to what stands to the left of `=`."""
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for at, element in enumerate(elements):
                    part = value.part(str(at))
                    self.bind(element, value.whole if part is None else part)
            case ast.Starred(value=inner):
                self.bind(inner, value.whole)
            case ast.Attribute(value=ast.Name(id=holder), attr=name):
                self._give(holder, name, value)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                self.add(inner, value)
            case _:
                pass

    def add(self, target: ast.expr, value: Value) -> None:
        """Let a value become part of what an expression holds: of its name, whatever is between."""
        inner = target
        while isinstance(inner, ast.Attribute | ast.Subscript | ast.Call):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                owner = self.owner_of(inner.value.id)
                if owner is not None:
                    self._keep(owner, inner.attr, value)
                    return
            inner = inner.func if isinstance(inner, ast.Call) else inner.value
        if isinstance(inner, ast.Name):
            self.names[inner.id] = joined([self.look(inner), value])

    def owner_of(self, name: str) -> Scope | None:
        """The class whose object a name is in one of its methods."""
        method: Scope | None = self.scope.function
        while method is not None:
            if method.owner is not None and first_parameter(method) == name:
                return method.owner
            method = method.parent.function if method.parent is not None else None
        return None

    def _give(self, holder: str, name: str, value: Value) -> None:
        owner = self.owner_of(holder)
        if owner is not None:
            self._keep(owner, name, value)
            return
        self.names[f"{holder}.{name}"] = value
        self.names[holder] = joined([self.names.get(holder, CLEAN), value])

    def _keep(self, owner: Scope, name: str, value: Value) -> None:
        before = self.walk.attributes.get((owner, name), CLEAN)
        self.walk.attributes[owner, name] = either([before, value])

    def attribute(self, holder: str, name: str) -> Value | None:
        """What an attribute was given here or by a method; None where nothing was seen to give it something."""
        if (owner := self.owner_of(holder)) is not None:
            for scope in self.walk.meanings.line_of(owner):
                if (scope, name) in self.walk.attributes:
                    return self.walk.attributes[scope, name]
                if any(one.kind == "value" for one in scope.bindings.get(name, ())):
                    return self.walk.held(name, Place(scope, END, ()))
            return None
        return self.names.get(f"{holder}.{name}")
