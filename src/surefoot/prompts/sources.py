"""Which input each output of a Jinja template comes from, found in its tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

_Bindings = Mapping[str, frozenset[str]]


def told(tree: nodes.Template) -> nodes.Template:
    """The tree, in which each output says of which inputs it comes."""
    told_tree: nodes.Template = _Telling(tree).visit(tree)
    return told_tree


class _Telling(NodeTransformer):
    def __init__(self, tree: nodes.Template) -> None:
        # A part of the template that is put by, and comes out later, is no value.
        self._put_by = {macro.name for macro in tree.find_all(nodes.Macro)} | {"caller", "loop"}
        for block in tree.find_all(nodes.AssignBlock):
            self._put_by |= _targets(block.target)
        self._bindings = _bindings(tree)

    def visit_Output(self, node: nodes.Output, *_: Any) -> nodes.Node:  # noqa: N802
        node.nodes = [self._output(child) for child in node.nodes]
        return node

    def _output(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.TemplateData | nodes.Const):
            return node
        named = node.node if isinstance(node, nodes.Call) else node
        if isinstance(named, nodes.Name) and named.name in self._put_by:
            return node
        inputs = sorted(set[str]().union(*(self._inputs(name) for name in _names(node))))
        source = nodes.Const(tuple(inputs), lineno=node.lineno)
        return nodes.Filter(node, "source told", [source], [], None, None, lineno=node.lineno)

    def _inputs(self, name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
        """The inputs that a name stands for: itself, or what it was set from."""
        if name in seen or name not in self._bindings:
            return frozenset[str]() if name in self._put_by else frozenset({name})
        found = (self._inputs(source, seen | {name}) for source in self._bindings[name])
        return frozenset[str]().union(*found)


def _bindings(tree: nodes.Template) -> _Bindings:
    """What each name of the template's own is set from, wherever that is."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for target, value in _settings(tree):
        for name in _targets(target):
            found[name] |= set(_names(value))
    return {name: frozenset(sources) for name, sources in found.items()}


def _settings(tree: nodes.Template) -> Iterator[tuple[nodes.Node, nodes.Node]]:
    """Each name, or pattern of names, that the template sets, with what it sets it from."""
    for loop in tree.find_all(nodes.For):
        yield loop.target, loop.iter
    for assigned in tree.find_all(nodes.Assign):
        yield assigned.target, assigned.node
    for scope in tree.find_all(nodes.With):
        yield from zip(scope.targets, scope.values, strict=True)
    macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
    nothing = nodes.Const(None)
    for macro in macros.values():
        yield from ((parameter, nothing) for parameter in macro.args)
    for called in tree.find_all(nodes.Call):
        name = called.node.name if isinstance(called.node, nodes.Name) else ""
        if name in macros:
            yield from zip(macros[name].args, called.args, strict=False)
            for keyword in called.kwargs:
                yield nodes.Name(keyword.key, "store"), keyword.value


def _names(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
    for name in node.find_all(nodes.Name):
        yield name.name


def _targets(node: nodes.Node) -> set[str]:
    return set(_names(node))
