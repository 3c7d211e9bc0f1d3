"""The calls of a module that use a prompt."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from surefoot.prompts.fitting.meaning import Loaded, Other, Result, Symbol, Text, why_not
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.scopes import Module, Place, Scope
from surefoot.prompts.fitting.shapes import Shapes
from surefoot.prompts.fitting.syntax import argument_of
from surefoot.prompts.fitting.uses import Given, Use, Way

_FETCHING = ("prompt", "Prompty.load_template", "Prompty.load")
_ASKING = ("generate", "generate.sync")
_WAYS = frozenset({"generate", "generate_async", "messages", "render", "sync"})
_NAMES = (
    "generate",
    "generate_async",
    "load",
    "load_template",
    "messages",
    "partial",
    "prompt",
    "render",
    "sync",
)


@dataclass(slots=True)
class Found:
    """A use as it was found, and the scope around it; `call` is the one that gives the answer."""

    use: Use
    scope: Scope
    call: ast.Call


@dataclass(slots=True)
class Calls:
    """Looks through modules of a project."""

    meanings: Meanings
    modules: list[Module]
    names: frozenset[str] = field(init=False)
    """What functions and methods that use prompts are called in these modules."""
    shapes: Shapes = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = Shapes(self.meanings)
        self.names = _names_in(self.modules)

    def of(self, module: Module) -> list[Found]:
        """The uses of a module, in the order of its lines."""
        found = [
            one
            for call, place in module.calls
            if _last(call.func) in self.names and line_of(call) not in module.ignored
            for one in self._uses(call, place)
        ]
        self._note_reads(module, found)
        return sorted(found, key=lambda one: (one.use.line, one.use.reference))

    def unseen(self, module: Module) -> list[tuple[str, int]]:
        """File and line of the calls of which nothing but their name is known, and that is one of a prompt's."""
        return [
            self.meanings.project.place(module, line_of(call))
            for call, place in module.calls
            if _last(call.func) in _WAYS
            and all(isinstance(one, Other) for one in self.meanings.of(call.func, place))
        ]

    def _uses(self, call: ast.Call, place: Place) -> Iterator[Found]:
        heads = self.meanings.of(call.func, place)
        ours = {one.dotted for one in heads if isinstance(one, Symbol) and one.is_ours}
        if ours & {*_FETCHING}:
            for one in self.meanings.of(call, place):
                if isinstance(one, Loaded):
                    yield self._found("load", one, call, place)
        elif ours & {*_ASKING}:
            yield from self._asked(call, place)
        elif any(one == Symbol("functools.partial") for one in heads) and call.args:
            first = self.meanings.of(call.args[0], place)
            if any(isinstance(one, Symbol) and one.is_ours and one.dotted in _ASKING for one in first):
                rest = ast.Call(call.args[0], call.args[1:], call.keywords)
                for found in self._asked(ast.copy_location(rest, call), place):
                    yield replace(found, use=replace(found.use, is_open=True))
        elif way := self.meanings.way_of(call, place):
            yield from self._used(way, call, place)

    def _asked(self, call: ast.Call, place: Place) -> Iterator[Found]:
        """A call of `generate`."""
        if call.args and isinstance(call.args[0], ast.Starred):
            yield self._with(
                "generate", Loaded(unknown="its arguments are not written down"), call, place, None
            )
            return
        kind = call.args[1] if len(call.args) > 1 else None
        for one in self.meanings.of(call.args[0], place) if call.args else ():
            match one:
                case Text(value=reference):
                    yield self._with("generate", Loaded(reference), call, place, kind)
                case Loaded(unknown=""):
                    yield self._with("generate", one, call, place, kind)
                case Loaded() | Other() | Symbol():
                    yield self._with("generate", Loaded(unknown=why_not(one)), call, place, kind)
                case _:
                    # Messages, or what is no prompt at all.
                    continue
            yield from self._sorted(call, place)

    def _sorted(self, call: ast.Call, place: Place) -> Iterator[Found]:
        """The prompt by which a `Router` sorts: it is given the inputs of the call."""
        using = next((one.value for one in call.keywords if one.arg == "using"), None)
        if not isinstance(using, ast.Call):
            return
        heads = self.meanings.of(using.func, place)
        if not any(isinstance(one, Symbol) and one.is_ours and one.dotted == "Router" for one in heads):
            return
        classify = argument_of(using, 0, "classify")
        for one in self.meanings.of(classify, place) if classify is not None else ():
            if isinstance(one, Loaded) and not one.unknown:
                yield self._with("generate", one, call, place, None)

    def _used(self, way: str, call: ast.Call, place: Place) -> Iterator[Found]:
        """A call of a prompt's own method."""
        func = call.func
        holder = func.value if isinstance(func, ast.Attribute) else func
        if isinstance(func, ast.Attribute) and func.attr == "sync" and isinstance(holder, ast.Attribute):
            holder = holder.value
        for one in self.meanings.of(holder, place):
            if isinstance(one, Loaded):
                kind = call.args[0] if way == "generate" and call.args else None
                yield self._with(way, one, call, place, kind)

    def _with(self, way: str, loaded: Loaded, call: ast.Call, place: Place, kind: ast.expr | None) -> Found:
        """A use that gives inputs."""
        found = self._found(way, loaded, call, place)
        inputs = {
            keyword.arg: self.shapes.of(keyword.value, place)
            for keyword in call.keywords
            if keyword.arg is not None and not (way == "generate" and keyword.arg == "using")
        }
        is_open = False
        for keyword in call.keywords:
            if keyword.arg is None:
                more = self._unpacked(keyword.value, place)
                is_open = is_open or more is None
                inputs |= more or {}
        output, shown = (None, "") if kind is None else self.shapes.asked(kind, place)
        return replace(
            found, use=replace(found.use, inputs=inputs, is_open=is_open, output=output, kind=shown)
        )

    def _unpacked(self, node: ast.expr, place: Place) -> dict[str, Given] | None:
        """The names in `**{...}` that is written down; None where they are not known."""
        if not isinstance(node, ast.Dict):
            return None
        found: dict[str, Given] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                return None
            found[key.value] = self.shapes.of(value, place)
        return found

    def _found(self, way: str, loaded: Loaded, call: ast.Call, place: Place) -> Found:
        module = place.scope.module
        file, line = self.meanings.project.place(module, line_of(call))
        use = Use(
            cast("Way", way),
            file,
            line,
            reference=loaded.reference,
            path=loaded.path,
            unknown=loaded.unknown,
            function=_name_around(place.scope),
        )
        return Found(use, place.scope, call)

    # What is read from answers that no type was asked for

    def _note_reads(self, module: Module, found: list[Found]) -> None:
        by_call = {id(one.call): one for one in found if one.use.way == "generate" and not one.use.kind}
        if not by_call:
            return
        for base, key, is_needed, place in module.reads:
            meant = self.meanings.of(base, place)
            if len(meant) == 1 and isinstance(meant[0], Result):
                for one in found:
                    if one.call is meant[0].call and id(one.call) in by_call:
                        output = dict(one.use.output or {})
                        known = output.get(key)
                        needed = is_needed or (known is not None and known.is_needed)
                        output[key] = Given(is_needed=needed)
                        one.use = replace(one.use, output=output)


def line_of(call: ast.Call) -> int:
    """The line of a call as a frame tells it: of a method the line of its name."""
    end = call.func.end_lineno if isinstance(call.func, ast.Attribute) else None
    return end or call.lineno


def _names_in(modules: list[Module]) -> frozenset[str]:
    """The names of what uses prompts, and every name that is bound to one of them."""
    bound: dict[str, set[str]] = {}
    for module in modules:
        for scope in (module.scope, *module.scopes.values()):
            for name, bindings in scope.bindings.items():
                for one in bindings:
                    if one.kind == "import":
                        bound.setdefault(one.dotted.rpartition(".")[2], set()).add(name)
                    elif one.kind == "value" and isinstance(one.value, ast.expr):
                        for last in _lasts(one.value):
                            bound.setdefault(last, set()).add(name)
        for given in module.attributes.values():
            for attribute in given:
                for last in _lasts(attribute.value):
                    bound.setdefault(last, set()).add(attribute.name)
    found, waiting = set(_NAMES), [*_NAMES]
    while waiting:
        more = bound.get(waiting.pop(), set()) - found
        found |= more
        waiting += more
    return frozenset(found)


def _lasts(value: ast.expr) -> list[str]:
    """The names that a bound value can be another name of."""
    match value:
        case ast.Name() | ast.Attribute():
            return [_last(value)]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_lasts(body), *_lasts(orelse)]
        case ast.BoolOp(values=values):
            return [last for one in values for last in _lasts(one)]
        case _:
            return []


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _name_around(scope: Scope) -> str:
    function = scope.function
    while function is not None and function.name.endswith("<lambda>"):
        function = function.parent.function if function.parent else None
    return function.name if function else ""
