"""Goes through a flow from its inputs to what it sends, with all functions of the project that it calls."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from surefoot.flows.checking import asking, bodies, calls
from surefoot.flows.checking.annotations import Annotations
from surefoot.flows.checking.declarations import Declaration, Declarations, Target
from surefoot.flows.checking.expressions import value_of
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import CLEAN, Hop, Mark, Value, either
from surefoot.flows.checking.report import Report
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.scopes import END, Module, Place, Scope, first_parameter

MAX_DEPTH = 30
MAX_ENTERED = 4_000
"""How many calls are gone into for one flow; those that were with the same arguments are not counted."""


@dataclass(slots=True)
class Walking:
    """Goes through flows of a project, one after the other."""

    meanings: Meanings
    annotations: Annotations = field(init=False)
    declarations: Declarations = field(init=False)
    attributes: dict[tuple[Scope, str], Value] = field(default_factory=dict[tuple[Scope, str], Value])
    _report: Report = field(default_factory=lambda: Report("", "", "", 0))
    _places: dict[Module, dict[int, Place]] = field(default_factory=dict[Module, "dict[int, Place]"])
    _open: list[tuple[Scope, tuple[object, ...]]] = field(
        default_factory=list[tuple[Scope, "tuple[object, ...]"]]
    )
    _known: dict[tuple[object, ...], Value] = field(default_factory=dict["tuple[object, ...]", Value])
    _held: dict[tuple[Scope, str], Value] = field(default_factory=dict[tuple[Scope, str], Value])
    _frames: dict[Scope, Frame] = field(default_factory=dict[Scope, Frame])
    _done: dict[tuple[object, ...], Frame] = field(default_factory=dict["tuple[object, ...]", Frame])
    _entered: int = 0
    altered: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def __post_init__(self) -> None:
        self.annotations = Annotations(self.meanings)
        self.declarations = Declarations(self.meanings)

    def through(self, scope: Scope, declaration: Declaration) -> Report:
        """Go through a flow, from its function."""
        file, line = self.meanings.project.place(scope.module, _line(scope.node))
        function = scope.owner.name if scope.owner is not None else scope.name
        self._report = report = Report(declaration.name, function, file, line, declaration.uses)
        self.attributes.clear()
        # Twice: what a method has given its object may be there when an earlier one is called again.
        for _ in range(2):
            self._known.clear()
            self._done.clear()
            self._frames.clear()
            self._entered = 0
            frame = Frame(self, scope)
            self._start(scope, frame)
            self.entered(Target(scope, declaration), self._inputs(scope, declaration, frame, report), frame)
        return report

    def _start(self, scope: Scope, frame: Frame) -> None:
        """The constructor of a workflow: what it is given the team gives."""
        owner = scope.owner
        for one in [] if owner is None else self.meanings.line_of(owner):
            made = one.bindings.get("__init__", [])
            if made and made[0].value is not None:
                self.entered(Target(one.module.of(made[0].value), None), {}, frame)
                return

    def _inputs(
        self, scope: Scope, declaration: Declaration, frame: Frame, report: Report
    ) -> dict[str, Value]:
        """The inputs of a flow: untrusted, but for those that the team gives, and those whose type is checked."""
        spec: ast.arguments | None = getattr(scope.node, "args", None)
        if spec is None or declaration.trusted is None:
            return {}
        own = first_parameter(scope) if scope.owner is not None else ""
        place = Place(scope.parent or scope, END, ())
        found: dict[str, Value] = {}
        for one in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg):
            if one is None or one.arg == own or one.arg in declaration.trusted:
                continue
            source = self.hop(f"flow input `{one.arg}`", one, frame.scope)
            value = self.annotations.checked(
                Value((Mark("untrusted", source),)), one.annotation, place, source
            )
            if value.marks:
                report.read("untrusted", source)
                found[one.arg] = value
        return found

    # As the parts see it

    def called(self, node: ast.Call, frame: Frame) -> Value:
        """What a call gives."""
        return calls.called(node, frame, self._report)

    def asked(self, node: ast.Call, frame: Frame, *, prompt: ast.expr | None, kind: ast.expr | None) -> Value:
        """What a model answers."""
        return asking.asked(node, frame, self._report, prompt=prompt, kind=kind)

    def settings(self, node: ast.Call, frame: Frame) -> Value:
        """What `Call(...)` says."""
        return asking.settings(node, frame, self._report)

    def entered(self, target: Target, given: Mapping[str, Value], frame: Frame) -> Value:
        """What the body of a function returns for these arguments."""
        around = self._frames.get(target.scope.parent) if target.scope.parent is not None else None
        outer = target.outer or around
        key = (
            target.scope,
            tuple(sorted((name, value.key) for name, value in given.items() if value != CLEAN)),
            bool(frame.asked),
            None if outer is None else outer.seen,
        )
        if key in self._known:
            return self._again(key, frame)
        if frame.depth > MAX_DEPTH or self._entered > MAX_ENTERED:
            self._report.unknown(
                self.hop(
                    "not gone into: too many calls are inside each other", target.scope.node, target.scope
                )
            )
            self.altered = {}
            return CLEAN
        self._entered += 1
        # A function that calls itself has given nothing yet.
        self._known[key] = CLEAN
        inner = Frame(self, target.scope, dict(given), outer=outer, asked=frame.asked, depth=frame.depth + 1)
        before = self._frames.get(target.scope)
        self._frames[target.scope] = inner
        try:
            found = bodies.returned(inner)
        finally:
            if before is None:
                del self._frames[target.scope]
            else:
                self._frames[target.scope] = before
        self._known[key] = found
        self._done[key] = inner
        return self._again(key, frame)

    def _again(self, key: tuple[object, ...], frame: Frame) -> Value:
        """What is known of a call, with the errors that it may raise."""
        if (inner := self._done.get(key)) is not None:
            frame.raised += [one for one in inner.raised if one not in frame.raised]
            self.altered = inner.altered
        else:
            self.altered = {}
        return self._known[key]

    def held(self, name: str, place: Place) -> Value:
        """What a module's name holds: what the team has written, and so without marks."""
        scope = place.scope.bound(name)
        if scope is None:
            return CLEAN
        key = (scope, name)
        if key not in self._held:
            self._held[key] = CLEAN
            report, self._report = self._report, Report("", "", "", 0)
            try:
                # What happens when a module is imported is no part of the flow.
                self._held[key] = self._written(scope, name)
            finally:
                self._report = report
        return self._held[key]

    def _written(self, scope: Scope, name: str) -> Value:
        found: list[Value] = []
        for one in scope.bindings.get(name, ()):
            place = Place(one.scope, one.spot, one.block)
            if one.kind == "import":
                module, rest = self.meanings.project.imported(one.dotted, one.scope.module)
                if module is not None and len(rest) == 1:
                    found.append(self.held(rest[0], Place(module.scope, END, ())))
            elif one.kind == "value" and isinstance(one.value, ast.expr):
                if made := self.declarations.made(one.value, place):
                    found.append(Value(calls=made))
                else:
                    value = value_of(one.value, Frame(self, one.scope))
                    found.append(
                        Value(calls=value.calls, tools=value.tools, parts=value.parts, kinds=value.kinds)
                    )
        return either(found) if found else CLEAN

    def place_of(self, node: ast.expr, frame: Frame) -> Place:
        """Where an expression stands."""
        module = frame.scope.module
        if module not in self._places:
            found = {id(call): place for call, place in module.calls}
            for mentions in module.mentions.values():
                found |= {id(mention): place for mention, place in mentions}
            self._places[module] = found
        known = self._places[module].get(id(node))
        return known if known is not None else Place(frame.scope, (node.lineno, node.col_offset), ())

    def hop(self, what: str, node: ast.AST, scope: Scope) -> Hop:
        """A place of the code, as people read it."""
        module = scope.module
        file, line = self.meanings.project.place(module, _line(node))
        if _line(node) in module.ignored:
            self._report.ignored.add((file, line))
        return Hop(what, file, line)


def _line(node: ast.AST) -> int:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.end_lineno or node.lineno
    return getattr(node, "lineno", 1)
