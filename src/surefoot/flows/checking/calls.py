"""What a call gives, by what is called: a step, a function of the project, a model, or code of others."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from surefoot.flows.checking import sinks, using
from surefoot.flows.checking.declarations import Target
from surefoot.flows.checking.expressions import value_of
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import CLEAN, Hop, Mark, Value, composed, joined
from surefoot.flows.checking.report import Report
from surefoot.prompts.fitting.meaning import Class, Meaning, Symbol
from surefoot.prompts.fitting.scopes import END, Place, Scope, first_parameter
from surefoot.prompts.fitting.syntax import argument_of

_SCALARS = frozenset(
    {
        f"builtins.{name}"
        for name in ("bool", "int", "float", "len", "isinstance", "hash", "ord", "round", "id")
    }
    | {"uuid.UUID", "decimal.Decimal", "datetime.date.fromisoformat", "datetime.datetime.fromisoformat"}
)
_MAKES_LIST = frozenset(
    {"builtins.list", "builtins.tuple", "builtins.sorted", "builtins.reversed", "builtins.iter"}
)
_COPIES = frozenset({"dataclasses.replace", "copy.replace", "copy.copy", "copy.deepcopy"})
_ADDING = frozenset(
    {
        *(
            "append",
            "appendleft",
            "add",
            "extend",
            "insert",
            "update",
            "setdefault",
            "put",
            "put_nowait",
            "push",
        ),
        *("write", "writelines", "__setitem__"),
    }
)
_WAYS = frozenset({"generate", "messages", "render"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call gives, in order and by name; `rest` is what comes by `*` and `**`."""

    ordered: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...]
    rest: tuple[Value, ...] = ()

    @classmethod
    def of(cls, node: ast.Call, frame: Frame) -> Arguments:
        """Go through the arguments of a call."""
        ordered = [value_of(one, frame) for one in node.args if not isinstance(one, ast.Starred)]
        rest = [value_of(one, frame) for one in node.args if isinstance(one, ast.Starred)]
        named = [(one.arg, value_of(one.value, frame)) for one in node.keywords if one.arg is not None]
        for one in node.keywords:
            if one.arg is None:
                value = value_of(one.value, frame)
                named += value.parts
                rest += [] if value.parts else [value]
        return cls(tuple(ordered), tuple(named), tuple(rest))

    @property
    def all(self) -> list[Value]:
        """Every one of them."""
        return [*self.ordered, *(value for _, value in self.named), *self.rest]


def called(node: ast.Call, frame: Frame, report: Report) -> Value:
    """What a call gives."""
    walk = frame.walk
    place = walk.place_of(node, frame)
    meant = walk.meanings.of(node.func, place)
    if (found := _ours(node, meant, frame, report)) is not None:
        return found
    receiver = value_of(node.func.value, frame) if isinstance(node.func, ast.Attribute) else None
    targets = walk.declarations.made(node.func, place)
    if not targets:
        targets = value_of(node.func, frame).calls if receiver is None else _held(node, frame)
    targets = _distinct(
        (*(targets or walk.declarations.called(meant, receiver)), *_methods(node, receiver, frame))
    )
    arguments = Arguments.of(node, frame)
    if targets:
        return _either_way([reached(target, arguments, node, frame, report) for target in targets])
    if (made := _made(meant, arguments, frame)) is not None:
        return made
    names = frozenset(one.dotted for one in meant if isinstance(one, Symbol))
    if (known := _known(names, arguments)) is not None:
        return known
    _fill(node, names, frame)
    return _foreign(node, receiver, arguments, frame, report)


def _distinct(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Each function once; what is known of an object goes before what its type says."""
    found = {one.scope: one for one in reversed(targets)}
    return tuple(reversed(found.values()))


def _methods(node: ast.Call, receiver: Value | None, frame: Frame) -> tuple[Target, ...]:
    """The methods that a call may mean by what the object may be, whatever its name is annotated as."""
    methods, func = frame.walk.declarations.methods, node.func
    if isinstance(func, ast.Attribute) and receiver is not None:
        if (line := _above(func.value, frame)) is not None:
            found = [methods(Value(kinds=(one,)), func.attr) for one in line]
            return next((replaced for one in found if (replaced := _of(one, frame))), ())
        return methods(receiver, func.attr)
    holder = value_of(func, frame) if isinstance(func, ast.Name | ast.Subscript) else CLEAN
    return methods(holder, "__call__")


def _above(node: ast.expr, frame: Frame) -> list[Scope] | None:
    """The classes that `super()` looks in; None for another expression."""
    match node:
        case ast.Call(func=ast.Name(id="super")):
            function = frame.scope.function
            owner = None if function is None else function.owner
            return None if owner is None else frame.walk.meanings.line_of(owner)[1:]
        case _:
            return None


def _of(targets: Sequence[Target], frame: Frame) -> tuple[Target, ...]:
    """The methods, called on the object of the method that is gone through."""
    own = first_parameter(frame.scope)
    return tuple(replace(one, receiver=frame.names.get(own, CLEAN)) for one in targets)


def _held(node: ast.Call, frame: Frame) -> tuple[Target, ...]:
    """The functions that an attribute holds: `self.send`, where a method or a constructor has put a step there."""
    func = node.func
    if not isinstance(func, ast.Attribute):
        return ()
    if isinstance(func.value, ast.Name):
        given = frame.attribute(func.value.id, func.attr)
        if given is not None:
            return given.calls
    holder = value_of(func.value, frame)
    part = holder.part(func.attr)
    kept = frame.kept(holder, func.attr)
    return _distinct((*(part.calls if part is not None else ()), *kept.calls))


def _either_way(values: Sequence[Value]) -> Value:
    """What one of several calls gives."""
    return values[0] if len(values) == 1 else joined(values)


def _ours(node: ast.Call, meant: Sequence[Meaning], frame: Frame, report: Report) -> Value | None:
    """A call of something in Surefoot's door; None where it is none that matters."""
    walk = frame.walk
    place = walk.place_of(node, frame)
    names = {one.dotted.removesuffix(".sync") for one in meant if isinstance(one, Symbol) and one.is_ours}
    first = node.args[0] if node.args else None
    if "trusted" in names:
        value = value_of(first, frame)
        hop = walk.hop("trusted(...)", node, frame.scope)
        report.cleared(hop, value)
        return replace(Value(value.of("private"), asks=value.asks), cleared=(hop,) if value.marks else ())
    if "endorse" in names:
        hop = walk.hop("endorse(...)", node, frame.scope)
        kind = argument_of(node, 1, "kind")
        value = walk.annotations.checked(value_of(first, frame), kind, place, hop)
        report.cleared(hop, value)
        return value
    if "wait_for" in names:
        return _waited(node, frame, report)
    if "Call" in names:
        return walk.settings(node, frame)
    using.of_embedding(node, frame, report)
    if "generate" in names:
        return walk.asked(node, frame, prompt=first, kind=argument_of(node, 1, "type"))
    if isinstance(node.func, ast.Attribute):
        way = walk.meanings.way_of(node, place)
        if way == "generate":
            return walk.asked(node, frame, prompt=None, kind=argument_of(node, 0, "type"))
        if way:
            return joined(Arguments.of(node, frame).all)
    return None


def _waited(node: ast.Call, frame: Frame, report: Report) -> Value:
    """An event that somebody sends to the run: whoever may send is not known."""
    walk = frame.walk
    name = argument_of(node, 0, "event")
    shown = name.value if isinstance(name, ast.Constant) else "an event"
    source = walk.hop(f"wait_for({shown!r}), a message sent to the run", node, frame.scope)
    report.read("untrusted", source)
    value = Value((Mark("untrusted", source),), asks=(source,))
    return walk.annotations.checked(value, argument_of(node, 1, "type"), walk.place_of(node, frame), source)


def reached(
    target: Target,
    arguments: Arguments,
    node: ast.Call,
    frame: Frame,
    report: Report,
    *,
    model: Hop | None = None,
) -> Value:
    """A function of the project is called, by code or as a tool of a `model`."""
    declaration = target.declaration
    if (outer := _decorated(target, frame)) is not None:
        return _either_way([reached(one, arguments, node, frame, report, model=model) for one in outer])
    given = bound(target, arguments, frame)
    if declaration is None or declaration.is_plain:
        found = frame.walk.entered(target, given, frame)
        _alter(target, node, frame)
        return found
    name = declaration.name
    hop = frame.walk.hop(f"{declaration.kind} {name}", node, frame.scope)
    using.of_target(target, hop, report, is_tool=model is not None)
    marks: list[Mark] = []
    report.reached.add(target.scope)
    if declaration.kind == "step":
        for leg in ("untrusted", "private"):
            if leg in declaration.reads:
                what = "untrusted text" if leg == "untrusted" else "private data"
                source = frame.walk.hop(f"step {name} reads {what}", node, frame.scope)
                report.read(leg, source)
                marks.append(Mark(leg, source))
        report.look_at(target, frame)
        sinks.look(target, given, node, frame, report, own=tuple(marks), model=model)
    passed = {
        parameter: value.via(hop) if value.marks and not value.shape and not value.parts else value
        for parameter, value in given.items()
    }
    found = frame.walk.entered(target, passed, frame)
    _alter(target, node, frame)
    return _result(target, found, list(passed.values()), tuple(marks), frame)


def _decorated(target: Target, frame: Frame) -> tuple[Target, ...] | None:
    """What is called in place of a function with decorators of the project; None where it is called itself."""
    decorators = () if target.is_bare else frame.walk.declarations.decorators(target.scope)
    made: tuple[Target, ...] = (replace(target, is_bare=True),)
    for decorator in decorators:
        spec: ast.arguments | None = getattr(decorator.node, "args", None)
        names = [] if spec is None else [*spec.posonlyargs, *spec.args]
        if names:
            found = frame.walk.entered(Target(decorator, None), {names[0].arg: Value(calls=made)}, frame)
            made = found.calls or made
    return None if made == (replace(target, is_bare=True),) else made


def _alter(target: Target, node: ast.Call, frame: Frame) -> None:
    """Let what a function has put into what it was given become part of what its caller holds."""
    altered = frame.walk.altered
    spec: ast.arguments | None = getattr(target.scope.node, "args", None)
    if not altered or spec is None:
        return
    names = [one.arg for one in (*spec.posonlyargs, *spec.args)]
    if target.scope.owner is not None and first_parameter(target.scope) in names[:1]:
        own = names.pop(0)
        if own in altered and isinstance(node.func, ast.Attribute):
            frame.add(node.func.value, altered[own])
    pairs = [*zip(names[len(target.arguments) :], node.args, strict=False)]
    pairs += [(one.arg, one.value) for one in node.keywords if one.arg is not None]
    for name, given in pairs:
        if name in altered:
            frame.add(given, altered[name])


def _result(
    target: Target, found: Value, given: Sequence[Value], marks: tuple[Mark, ...], frame: Frame
) -> Value:
    """What a step gives: what it is given or reads is in it, unless its type leaves no free text or it was cleared."""
    own = Value(marks)
    node = target.scope.node
    returns = getattr(node, "returns", None)
    place = Place(target.scope.parent or target.scope, END, ())
    if returns is not None and frame.walk.annotations.is_checked(returns, place):
        return joined([found.scalar, own.scalar, *(value.scalar for value in given)])
    if found.cleared or found.shape is not None:
        return joined([found, own]) if marks else found
    rest = [value for value in given if value.marks]
    if not marks and not rest:
        return found
    whole = joined([own, found, *(value.whole for value in rest)])
    return replace(whole, calls=found.calls, tools=found.tools)


def bound(target: Target, arguments: Arguments, frame: Frame) -> dict[str, Value]:
    """The arguments by the parameters that take them."""
    node = target.scope.node
    spec: ast.arguments | None = getattr(node, "args", None)
    if spec is None:
        return {}
    names = [one.arg for one in (*spec.posonlyargs, *spec.args)]
    given: dict[str, Value] = dict(target.named)
    if target.declaration is not None and target.declaration.is_transaction and names:
        # The open connection, which the caller leaves out.
        given[names.pop(0)] = CLEAN
    if target.scope.owner is not None and (own := first_parameter(target.scope)) and own in names[:1]:
        given[names.pop(0)] = target.receiver or CLEAN
    ordered = [*target.arguments, *arguments.ordered]
    open_ = [name for name in names if name not in given]
    given |= zip(open_, ordered, strict=False)
    if spec.vararg is not None and (left := ordered[len(open_) :]):
        given[spec.vararg.arg] = joined(left)
    known = {*names, *(one.arg for one in spec.kwonlyargs)}
    for name, value in arguments.named:
        key = name if name in known or spec.kwarg is None else spec.kwarg.arg
        given[key] = value if key not in given or key in known else joined([given[key], value])
    if arguments.rest:
        rest = joined(arguments.rest)
        for name in (*open_, *(one.arg for one in spec.kwonlyargs), *_extras(spec)):
            given[name] = joined([given[name], rest]) if name in given else rest
    _defaults(spec, names, given, target.scope, frame)
    return given


def _extras(spec: ast.arguments) -> list[str]:
    return [one.arg for one in (spec.vararg, spec.kwarg) if one is not None]


def _defaults(
    spec: ast.arguments, names: list[str], given: dict[str, Value], scope: Scope, frame: Frame
) -> None:
    """Defaults are written by the team; what a model may call is taken from them."""
    every = [one.arg for one in (*spec.posonlyargs, *spec.args)]
    pairs = [
        *zip(reversed(every), reversed(spec.defaults), strict=False),
        *zip((one.arg for one in spec.kwonlyargs), spec.kw_defaults, strict=True),
    ]
    around = frame.around(scope)
    outer = around or Frame(frame.walk, scope.parent or scope, depth=frame.depth + 1)
    for name, default in pairs:
        if name not in given and default is not None and (name in names or name not in every):
            found = value_of(default, outer)
            # Of a function inside of another it is what was there as that ran.
            given[name] = replace(found, marks=()) if found.marks and around is None else found


def _made(meant: Sequence[Meaning], arguments: Arguments, frame: Frame) -> Value | None:
    """An object of a class of the project: what it is made of are its parts."""
    for one in meant:
        if not isinstance(one, Class) or one.is_instance:
            continue
        if frame.walk.annotations.is_enum(one.scope):
            return joined(value.scalar for value in arguments.all)
        walk = frame.walk
        start = one.scope.bindings.get("__init__", [])
        if start and start[0].value is not None:
            scope = one.scope.module.of(start[0].value)
            target = Target(scope, None, receiver=Value(kinds=(one.scope,)))
            walk.entered(target, bound(target, arguments, frame), frame)
            return replace(joined(arguments.all).whole, calls=(), kinds=(one.scope,))
        fields = list(walk.annotations.fields_of(one.scope))
        pairs = [*zip(fields, arguments.ordered, strict=False), *arguments.named]
        for name, value in pairs:
            frame.keep(one.scope, name, value)
        return replace(composed(pairs, *arguments.rest), calls=(), kinds=(one.scope,))
    return None


def _known(names: frozenset[str], arguments: Arguments) -> Value | None:
    """What a call of the standard library gives, where that is another thing than what it is given."""
    if names and names <= _SCALARS:
        return joined(arguments.all).scalar
    if names & _COPIES:
        # Settings with other tools: `replace(CALL, tools=[...])`.
        tools = [target for name, value in arguments.named if name == "tools" for target in value.calls]
        whole = joined(arguments.all)
        return replace(whole, calls=(), tools=(*whole.tools, *tools))
    if names and names <= {"builtins.dict"}:
        parts = [one.parts for one in arguments.ordered if one.parts]
        if len(parts) == len(arguments.ordered):
            return composed([*(pair for each in parts for pair in each), *arguments.named], *arguments.rest)
    if names and names <= _MAKES_LIST and len(arguments.ordered) == 1:
        return arguments.ordered[0]
    if "functools.partial" in names and arguments.ordered and arguments.ordered[0].calls:
        first, *ordered = arguments.ordered
        return Value(
            calls=tuple(
                replace(one, arguments=(*one.arguments, *ordered), named=(*one.named, *arguments.named))
                for one in first.calls
            )
        )
    return None


_FILLED: dict[str, int | str] = {
    **dict.fromkeys(("builtins.setattr", "heapq.heappush", "bisect.insort", "operator.setitem"), 0),
    **dict.fromkeys(("json.dump", "pickle.dump"), 1),
    "builtins.print": "file",
}
"""Functions that put what they are given into one of their arguments, and into which."""


def _fill(node: ast.Call, names: frozenset[str], frame: Frame) -> None:
    for name in names & _FILLED.keys():
        at = _FILLED[name]
        words = {one.arg: one.value for one in node.keywords}
        into = words.get(at) if isinstance(at, str) else node.args[at] if at < len(node.args) else None
        if into is not None:
            given = [*node.args, *words.values()]
            frame.add(into, joined([value_of(one, frame) for one in given if one is not into]))


def _foreign(
    node: ast.Call, receiver: Value | None, arguments: Arguments, frame: Frame, report: Report
) -> Value:
    """Code of others: what it is given is in what it gives. Functions that it is given it may call with the rest."""
    using.of_client(node, frame, report)
    given = [value for value in arguments.all if not value.calls]
    functions = [target for value in arguments.all for target in value.calls]
    inner = Arguments(tuple(value for value in arguments.ordered if not value.calls), (), tuple(given))
    found = [
        reached(target, inner, node, frame, report)
        for target in functions
        if given or target.arguments or target.outer
    ]
    method = node.func if isinstance(node.func, ast.Attribute) else None
    if method is not None and method.attr in _ADDING and any(one is not CLEAN for one in arguments.all):
        frame.add(method.value, joined(arguments.all))
    return joined([*([receiver] if receiver is not None else []), *arguments.all, *found]).whole
