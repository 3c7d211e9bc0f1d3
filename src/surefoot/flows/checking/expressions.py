"""What an expression may hold, by its parts."""

from __future__ import annotations

import ast

from surefoot.flows.checking.declarations import Target
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import CLEAN, Value, composed, either, joined
from surefoot.prompts.fitting.scopes import first_parameter


def value_of(node: ast.AST | None, frame: Frame) -> Value:
    """What an expression may hold; calls in it are gone through."""
    match node:
        case None | ast.Constant():
            return CLEAN
        case ast.Name():
            return frame.look(node)
        case ast.Call():
            return frame.walk.called(node, frame)
        case ast.Attribute():
            return _attribute(node, frame)
        case ast.Subscript(value=value, slice=key):
            return _item(value_of(value, frame), key, frame)
        case ast.Await(value=value) | ast.Starred(value=value) | ast.FormattedValue(value=value):
            return value_of(value, frame)
        case ast.YieldFrom(value=value) | ast.Yield(value=value):
            found = value_of(value, frame)
            frame.returned.append(found)
            return found
        case ast.NamedExpr(target=target, value=value):
            found = value_of(value, frame)
            frame.bind(target, found)
            return found
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return _children(node, frame).scalar
        case ast.IfExp(test=test, body=body, orelse=orelse):
            value_of(test, frame)
            return either([value_of(body, frame), value_of(orelse, frame)])
        case ast.BoolOp(values=values):
            return either([value_of(one, frame) for one in values])
        case _:
            return _display(node, frame)


def _display(node: ast.AST, frame: Frame) -> Value:
    match node:
        case ast.Dict(keys=keys, values=values):
            parts: list[tuple[str, Value]] = []
            others: list[Value] = []
            for key, value in zip(keys, values, strict=True):
                found = value_of(value, frame)
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    parts.append((key.value, found))
                else:
                    others += [value_of(key, frame), found]
            return composed(parts, *others)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            items = [value_of(one, frame) for one in elements]
            if any(isinstance(one, ast.Starred) for one in elements):
                return joined(items)
            return composed([(str(at), item) for at, item in enumerate(items)])
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return _comprehension(node, frame)
        case ast.Lambda():
            scope = frame.scope.module.of(node)
            return Value(calls=(Target(scope, None, outer=frame),))
        case _:
            return _children(node, frame)


def element(value: Value, frame: Frame) -> Value:
    """What one gets by going through a value."""
    if value.shape is not None and (found := frame.walk.annotations.element(value.shape)) is not None:
        return frame.walk.annotations.checked(
            Value(value.marks, asks=value.asks), *found, value.shape.checked_at
        )
    if value.parts:
        return either([part for _, part in value.parts])
    return value


def _attribute(node: ast.Attribute, frame: Frame) -> Value:
    base = value_of(node.value, frame)
    if isinstance(node.value, ast.Name):
        given = frame.attribute(node.value.id, node.attr)
        if given is not None:
            return given
    walk = frame.walk
    targets = walk.declarations.called(walk.meanings.of(node, walk.place_of(node, frame)), base)
    if targets:
        # A method, or a function of a module: what it is called on goes with it.
        return Value(base.marks, calls=targets)
    if getters := walk.declarations.getters(base, node.attr):
        return joined([walk.entered(one, {first_parameter(one.scope): base}, frame) for one in getters])
    if methods := walk.declarations.methods(base, node.attr):
        return Value(base.marks, calls=methods)
    found, kept = _part(base, node.attr, frame), frame.kept(base, node.attr)
    return found if kept == CLEAN else either([found, kept])


def _item(base: Value, key: ast.expr, frame: Frame) -> Value:
    value_of(key, frame)
    if isinstance(key, ast.Constant):
        return _part(base, str(key.value), frame, is_item=True)
    return element(base, frame)


def _part(base: Value, name: str, frame: Frame, *, is_item: bool = False) -> Value:
    part = base.part(name)
    if part is not None:
        return part
    if base.shape is not None:
        found = frame.walk.annotations.part(base.shape, name)
        if found is None and is_item:
            return element(base, frame)
        if found is not None:
            return frame.walk.annotations.checked(
                Value(base.marks, asks=base.asks), *found, base.shape.checked_at
            )
    return base.whole


def _comprehension(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame) -> Value:
    inner = Frame(frame.walk, frame.scope, {}, frame.returned, frame, frame.asked, frame.depth)
    for generator in node.generators:
        inner.bind(generator.target, element(value_of(generator.iter, inner), inner))
        for condition in generator.ifs:
            value_of(condition, inner)
    if isinstance(node, ast.DictComp):
        return joined([value_of(node.key, inner), value_of(node.value, inner)])
    found = value_of(node.elt, inner)
    # A list of what has a known type is gone through as such.
    return found if found.shape is None else composed([("0", found)])


def _children(node: ast.AST, frame: Frame) -> Value:
    """All that stands in an expression, put together."""
    return joined([value_of(one, frame) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)])
