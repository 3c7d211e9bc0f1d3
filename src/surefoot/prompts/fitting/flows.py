"""Which flows come by a function, as far as calls can be followed in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from surefoot.prompts.fitting.meaning import Class, Function, Symbol, Text
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.scopes import END, Module, Place, Scope


@dataclass(slots=True)
class Callers:
    """Follows calls backwards. What is called through an object whose class is not known is not followed."""

    meanings: Meanings
    modules: list[Module]
    _callers: dict[Scope, set[Scope]] = field(default_factory=dict[Scope, "set[Scope]"])
    _mentions: dict[str, list[tuple[ast.expr, Place]]] = field(init=False)

    def __post_init__(self) -> None:
        self._mentions = self._index()

    def follow(self, scopes: Iterable[Scope]) -> None:
        """Find out who calls these, and who calls those."""
        waiting = [one for one in scopes if one not in self._callers]
        while waiting:
            scope = waiting.pop()
            if scope in self._callers:
                continue
            self._callers[scope] = found = self._mentioning(scope)
            around = scope.parent.function if scope.parent is not None else None
            if around is not None:
                found.add(around)
            waiting += [one for one in found if one not in self._callers]

    def flows_of(self, scope: Scope | None) -> tuple[str, ...]:
        """The names of the flows that can come by a function, by name."""
        found: set[str] = set()
        seen: set[Scope] = set()
        waiting = [scope] if scope is not None else []
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            if name := self.flow_of(one):
                found.add(name)
            waiting += self._callers.get(one, ())
        return tuple(sorted(found))

    def flow_of(self, scope: Scope) -> str:
        """The name of the flow that a function is; empty where it is none."""
        node = scope.node
        owner = scope.owner
        if owner is not None and scope.name.rpartition(".")[2] in ("run", "__init__", "make"):
            return self._workflow(owner)
        for decorator in getattr(node, "decorator_list", []):
            head = decorator.func if isinstance(decorator, ast.Call) else decorator
            place = Place(scope.parent or scope, END, ())
            if any(one == Symbol("flow", is_ours=True) for one in self.meanings.of(head, place)):
                own = getattr(node, "name", "")
                return self._said(decorator.keywords, place) or own if decorator is not head else own
        return ""

    def _workflow(self, owner: Scope) -> str:
        node = owner.node
        if not isinstance(node, ast.ClassDef):
            return ""
        if Symbol("Workflow", is_ours=True) not in self.meanings.bases_of(owner):
            return ""
        return self._said(node.keywords, Place(owner.parent or owner, END, ())) or node.name

    def _said(self, keywords: list[ast.keyword], place: Place) -> str:
        """What `name=` says, where it is text."""
        value = next((one.value for one in keywords if one.arg == "name"), None)
        found = self.meanings.of(value, place) if value is not None else ()
        return next((one.value for one in found if isinstance(one, Text)), "")

    def _mentioning(self, scope: Scope) -> set[Scope]:
        """The functions that speak of a function by its name, of a constructor by that of its class."""
        name = scope.name.rpartition(".")[2]
        meant = scope
        if scope.owner is not None and name == "__init__":
            meant = scope.owner
            name = meant.name.rpartition(".")[2]
        found: set[Scope] = set()
        for node, place in self._mentions.get(name, ()):
            caller = place.scope.function
            if caller is None or caller is scope or caller in found:
                continue
            for one in self.meanings.of(node, place):
                if isinstance(one, Function | Class) and one.scope is meant:
                    found.add(caller)
        return found

    def _index(self) -> dict[str, list[tuple[ast.expr, Place]]]:
        """What all modules speak of, by the name that it has where it is defined."""
        found: dict[str, list[tuple[ast.expr, Place]]] = {}
        for module in self.modules:
            for name, mentions in module.mentions.items():
                found.setdefault(name, []).extend(mentions)
            for scope in (module.scope, *module.scopes.values()):
                for bound, bindings in scope.bindings.items():
                    for one in bindings:
                        name = one.dotted.rpartition(".")[2]
                        if one.kind == "import" and name != bound:
                            found.setdefault(name, []).extend(module.mentions.get(bound, ()))
        return found
