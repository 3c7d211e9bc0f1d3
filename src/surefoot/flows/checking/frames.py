"""The names of one call of a function, and what goes on around it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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

    @property
    def altered(self) -> Mapping[str, Value]:
        """What the call that was gone into last has put into what its parameters hold."""
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


@dataclass(slots=True, eq=False)
class Frame:
    """One call of a function. `asked`: somebody was asked, and has not said no, before what comes now."""

    walk: Walk
    scope: Scope
    names: dict[str, Value] = field(default_factory=dict[str, Value])
    returned: list[Value] = field(default_factory=list[Value])
    outer: Frame | None = None
    asked: tuple[Hop, ...] = ()
    depth: int = 0
    left: list[dict[str, Value]] = field(default_factory=list[dict[str, Value]])
    """The names where a loop around was left, or begun anew, in between."""
    raised: list[Value] = field(default_factory=list[Value])
    """What errors that were raised here, or in what was called, were made of."""
    altered: dict[str, Value] = field(default_factory=dict[str, Value])
    """What was put into what a parameter holds, which whoever gave it sees."""
    aliases: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Names that hold the same as another."""

    @property
    def seen(self) -> tuple[object, ...]:
        """What of its names a function inside may see that matters: the marks of each, and those around."""
        marked = sorted(
            (name, *(f"{mark.leg} {mark.source}" for mark in value.marks))
            for name, value in self.names.items()
            if value.marks
        )
        return (*marked, *(() if self.outer is None else self.outer.seen))

    def look(self, node: ast.Name) -> Value:
        """What a name holds: here, in the functions around, else what it means in its module."""
        frame: Frame | None = self
        while frame is not None:
            if node.id in frame.names:
                return frame.names[node.id]
            frame = frame.outer
        place = self.walk.place_of(node, self)
        targets = self.walk.declarations.called(self.walk.meanings.of(node, place))
        if targets:
            return Value(calls=tuple(replace(one, outer=self.around(one.scope)) for one in targets))
        home = self.scope.bound(node.id)
        found = self.walk.held(node.id, place)
        # What a function has put into a name of its module.
        put = CLEAN if home is None else self.walk.attributes.get((home, node.id), CLEAN)
        return found if put is CLEAN else joined([found, put])

    def around(self, scope: Scope) -> Frame | None:
        """The call, this one or one around, of the function that a function stands in; None: it stands in none."""
        frame: Frame | None = self
        while frame is not None and frame.scope is not scope.parent:
            frame = frame.outer
        return frame

    def bind(self, target: ast.expr, value: Value) -> None:
        """Give a value to what stands to the left of `=`."""
        match target:
            case ast.Name(id=name):
                self._name(name, value)
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
            self._put(inner.id, value)

    def _name(self, name: str, value: Value) -> None:
        """Give a value to a name, where `global` or `nonlocal` says that it is."""
        self._part_ways(name)
        if name not in self.scope.elsewhere:
            self.names[name] = value
            return
        holder = self._holder_of(name)
        if holder is not None:
            holder.names[name] = either([holder.names[name], value])
            return
        self._keep(self.scope.elsewhere[name] or self.scope.module.scope, name, value)

    def _part_ways(self, name: str) -> None:
        """A name holds something else from now on than those that held the same."""
        for other in self.aliases.pop(name, ()):
            self.aliases.get(other, set()).discard(name)

    def share(self, name: str, other: str) -> None:
        """Note that two names hold the same thing."""
        same = {name, other} | self.aliases.get(other, set())
        for one in same:
            self.aliases.setdefault(one, set()).update(same - {one})

    def _holder_of(self, name: str) -> Frame | None:
        """The call of a function around that has a name, this one first; None where it is the module's."""
        frame: Frame | None = self
        while frame is not None and name not in frame.names:
            frame = frame.outer
        return frame

    def _put(self, name: str, value: Value) -> None:
        """Let a value become part of what a name holds, whoever else holds it."""
        holder = self._holder_of(name)
        if holder is None:
            self.names[name] = joined([self.look(ast.Name(name, lineno=END[0], col_offset=END[1])), value])
            home = self.scope.bound(name)
            if home is not None and home.kind == "module":
                self._keep(home, name, value)
            return
        for one in (name, *holder.aliases.get(name, ())):
            holder.names[one] = joined([holder.names.get(one, CLEAN), value])
            if holder.is_given(one):
                holder.altered[one] = joined([holder.altered.get(one, CLEAN), value])

    def is_given(self, name: str) -> bool:
        """Whether a name is a parameter of this function."""
        return any(one.kind == "param" for one in self.scope.bindings.get(name, ()))

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
        self._put(holder, value)

    def _keep(self, owner: Scope, name: str, value: Value) -> None:
        before = self.walk.attributes.get((owner, name), CLEAN)
        self.walk.attributes[owner, name] = either([before, value])

    def keep(self, owner: Scope, name: str, value: Value) -> None:
        """Note what an attribute of the objects of a class may hold."""
        self._keep(owner, name, value)

    def kept(self, value: Value, name: str) -> Value:
        """What an attribute of the objects that a value may be was given, by whichever method or constructor."""
        line = [scope for kind in value.kinds for scope in self.walk.meanings.line_of(kind)]
        return either([self.walk.attributes.get((scope, name), CLEAN) for scope in line])

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
