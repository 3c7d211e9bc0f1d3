"""Goes through the body of a function, statement by statement, on all of its ways."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from surefoot.flows.checking.expressions import element, value_of
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import CLEAN, Value, either, joined

_TIMES = 5
_ENDING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def returned(frame: Frame) -> Value:
    """What a function returns, for the arguments that its frame has."""
    node = frame.scope.node
    if isinstance(node, ast.Lambda):
        return value_of(node.body, frame)
    through(getattr(node, "body", ()), frame)
    return either(frame.returned)


def through(statements: Sequence[ast.stmt], frame: Frame) -> None:
    """Go through statements; names are bound in the frame."""
    for statement in statements:
        _statement(statement, frame)


def _statement(node: ast.stmt, frame: Frame) -> None:
    match node:
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            _assigned(node, frame)
        case ast.Return(value=value):
            frame.returned.append(value_of(value, frame))
        case ast.If(test=test, body=body, orelse=orelse):
            _branch(test, body, orelse, frame)
        case ast.For() | ast.AsyncFor() | ast.While():
            _loop(node, frame)
        case ast.Try() | ast.TryStar():
            _try(node, frame)
        case ast.With() | ast.AsyncWith():
            _with(node, frame)
        case ast.Match():
            _match(node, frame)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            # Gone through where it is called.
            frame.names.pop(node.name, None)
        case _:
            _simple(node, frame)


def _simple(node: ast.stmt, frame: Frame) -> None:
    """A statement without others inside."""
    match node:
        case ast.Break() | ast.Continue():
            frame.left.append(dict(frame.names))
        case ast.Raise(exc=exc):
            frame.raised.append(value_of(exc, frame))
        case ast.Assert(test=test):
            frame.asked = (*frame.asked, *value_of(test, frame).asks)
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    value_of(child, frame)


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign, frame: Frame) -> None:
    found = value_of(node.value, frame)
    if isinstance(node, ast.AugAssign):
        found = joined([value_of(node.target, frame), found])
    # `name: str` alone binds nothing.
    if node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            frame.bind(target, found)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Name):
                frame.share(target.id, node.value.id)


def _with(node: ast.With | ast.AsyncWith, frame: Frame) -> None:
    for item in node.items:
        found = value_of(item.context_expr, frame)
        if item.optional_vars is not None:
            frame.bind(item.optional_vars, found)
    through(node.body, frame)


def _branch(test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], frame: Frame) -> None:
    asks = value_of(test, frame).asks
    before, asked = dict(frame.names), frame.asked
    frame.asked = (*asked, *asks)
    through(body, frame)
    taken, asked_then = frame.names, frame.asked
    frame.names = dict(before)
    frame.asked = (*asked, *asks)
    through(orelse, frame)
    is_body_over, is_else_over = _is_over(body), _is_over(orelse)
    if is_body_over and not is_else_over:
        # `if not approved: return`: what follows is on the other way alone.
        return
    if is_else_over and not is_body_over:
        frame.names, frame.asked = taken, asked_then
        return
    frame.names = _merged(taken, frame.names)
    frame.asked = asked


def _loop(node: ast.For | ast.AsyncFor | ast.While, frame: Frame) -> None:
    asked, found = frame.asked, CLEAN
    if isinstance(node, ast.While):
        frame.asked = (*asked, *value_of(node.test, frame).asks)
    else:
        found = element(value_of(node.iter, frame), frame)
    # What one time through leaves behind is there the next time, until nothing new comes.
    around, frame.left = frame.left, []
    for _ in range(_TIMES):
        before = dict(frame.names)
        if not isinstance(node, ast.While):
            frame.bind(node.target, found)
        through(node.body, frame)
        # With what was there where `break` or `continue` left the body, too.
        for way in (before, *frame.left):
            frame.names = _merged(frame.names, way)
        frame.left.clear()
        if _keys(frame.names) == _keys(before):
            break
    frame.left = around
    through(node.orelse, frame)
    frame.asked = asked


def _keys(names: dict[str, Value]) -> dict[str, object]:
    return {name: value.key for name, value in names.items()}


def _try(node: ast.Try | ast.TryStar, frame: Frame) -> None:
    before, asked, raised = dict(frame.names), frame.asked, len(frame.raised)
    through(node.body, frame)
    said = joined(frame.raised[raised:])
    through(node.orelse, frame)
    ways = [] if _is_over([*node.body, *node.orelse]) else [frame.names]
    # It may break off anywhere in between.
    broken = _merged(before, frame.names)
    for handler in node.handlers:
        frame.names, frame.asked = dict(broken), asked
        if handler.name:
            # An error says what it was made of.
            frame.names[handler.name] = said
        through(handler.body, frame)
        if not _is_over(handler.body):
            ways.append(frame.names)
    frame.names = ways[0] if ways else broken
    for way in ways[1:]:
        frame.names = _merged(frame.names, way)
    frame.asked = asked
    if node.finalbody and not ways:
        frame.names = broken
    through(node.finalbody, frame)


def _match(node: ast.Match, frame: Frame) -> None:
    subject = value_of(node.subject, frame)
    before, asked = dict(frame.names), frame.asked
    ways: list[dict[str, Value]] = [before]
    for case in node.cases:
        frame.names, frame.asked = dict(before), (*asked, *subject.asks)
        for pattern in ast.walk(case.pattern):
            name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
            if isinstance(name, str):
                frame.names[name] = subject.whole
        value_of(case.guard, frame)
        through(case.body, frame)
        if not _is_over(case.body):
            ways.append(frame.names)
    frame.names = ways[0]
    for way in ways[1:]:
        frame.names = _merged(frame.names, way)
    frame.asked = asked


def _merged(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    """The names after one of two ways."""
    found = dict(one)
    for name, value in other.items():
        mine = one.get(name)
        found[name] = value if mine is None or mine is value else either([mine, value])
    return found


def _is_over(statements: Sequence[ast.stmt]) -> bool:
    """Whether nothing comes after these."""
    if not statements:
        return False
    match statements[-1]:
        case ast.If(body=body, orelse=orelse):
            return _is_over(body) and _is_over(orelse)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return _is_over(body)
        case last:
            return isinstance(last, _ENDING)
