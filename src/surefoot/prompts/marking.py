"""Each output of a Jinja template, marked with all the inputs that it may come of: rather one too many than one less.

Where `sources.py` tells a reader what a text comes of, this is what fences are put by. Names are followed through
`set`, loops, macros and blocks without regard to order, so that whatever an expression may give is marked. A part of
the template that is put by (a macro's, or a block's that is `set`) is marked inside as it is made; where an expression
takes it apart, or a filter that could cut a mark, the marks inside give way to one around it all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

# What a loop says of itself that is of its items; the rest are numbers.
_OF_ITEMS = frozenset({"previtem", "nextitem"})
# Around a block these leave marks whole, if what they are given is written out.
_HARMLESS = frozenset({"upper", "lower", "trim", "indent", "string", "safe", "e", "escape", "capitalize"})


def marked(tree: nodes.Template, used: AbstractSet[str]) -> nodes.Template:
    """The tree, in which each output says of which inputs it may come. `used` are the free names of the template."""
    marked_tree: nodes.Template = _Marking(tree, used).visit(tree)
    return marked_tree


class _Marking(NodeTransformer):
    def __init__(self, tree: nodes.Template, used: AbstractSet[str]) -> None:
        self._reach = _Reach(tree, used)

    def visit_Output(self, node: nodes.Output, *_: Any) -> nodes.Node:  # noqa: N802
        node.nodes = [self._output(child) for child in node.nodes]
        return node

    def _output(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.TemplateData | nodes.Const):
            return node
        if self._is_put_by(node):
            # Marked inside; what it is called with is looked through as any expression.
            return self._arguments(node) if isinstance(node, nodes.Call) else node
        names = sorted(self._reach.of(node))
        inner = cast("nodes.Expr", self.visit(node))
        return _mark(inner, names, node.lineno)

    def _is_put_by(self, node: nodes.Node | None) -> bool:
        """Whether an expression is a part of the template that is put by, as it is."""
        if isinstance(node, nodes.Call):
            return isinstance(node.node, nodes.Name) and node.node.name in self._reach.called
        return isinstance(node, nodes.Name) and node.name in self._reach.blocks

    def visit_Name(self, node: nodes.Name, *_: Any) -> nodes.Node:  # noqa: N802
        return (
            _filter(node, "sources dropped") if node.ctx == "load" and self._reach.holds(node.name) else node
        )

    def visit_Call(self, node: nodes.Call, *_: Any) -> nodes.Node:  # noqa: N802
        self._arguments(node)
        return _filter(node, "sources dropped") if isinstance(node.node, nodes.Name) else node

    def _arguments(self, node: nodes.Call) -> nodes.Call:
        called = node.node
        self.generic_visit(node)
        if isinstance(called, nodes.Name):
            # A name that is called stays one.
            node.node = called
        return node

    def visit_CallBlock(self, node: nodes.CallBlock, *_: Any) -> nodes.Node:  # noqa: N802
        names = sorted(self._reach.of(node))
        is_put_by = self._is_put_by(node.call)
        self._arguments(node.call)
        for place, child in enumerate(node.body):
            node.body[place] = self.visit(child)
        return node if is_put_by else _wrapped(node, names)

    def visit_FilterBlock(self, node: nodes.FilterBlock, *_: Any) -> nodes.Node:  # noqa: N802
        if not _is_harmless(node.filter):
            node.filter = _around(node.filter, sorted(self._reach.of(node)))
        self.generic_visit(node)
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock, *_: Any) -> nodes.Node:  # noqa: N802
        if not _is_harmless(node.filter):
            names = sorted(self._reach.of(node))
            node.filter = _around(cast("nodes.Filter", node.filter), names)
        self.generic_visit(node)
        return node


def _filter(node: nodes.Expr | None, name: str, *args: nodes.Expr, line: int = 1) -> nodes.Filter:
    at = line if node is None else node.lineno
    return nodes.Filter(cast("nodes.Expr", node), name, [*args], [], None, None, lineno=at)


def _mark(node: nodes.Expr, names: list[str], line: int) -> nodes.Filter:
    told = nodes.Const(tuple(names), lineno=line)
    return _filter(node, "source marked", told, nodes.Const(line, lineno=line))


def _wrapped(node: nodes.Node, names: list[str]) -> nodes.Node:
    """A statement whose whole output is marked."""
    inner = _filter(None, "sources dropped", line=node.lineno)
    return nodes.FilterBlock([node], _mark(inner, names, node.lineno), lineno=node.lineno)


def _around(chain: nodes.Filter, names: list[str]) -> nodes.Filter:
    """The filters of a block, which then get its text without marks, and give one that is marked as a whole."""
    first = chain
    while isinstance(first.node, nodes.Filter):
        first = first.node
    first.node = _filter(None, "sources dropped", line=chain.lineno)
    return _mark(chain, names, chain.lineno)


def _is_harmless(chain: nodes.Expr | None) -> bool:
    while isinstance(chain, nodes.Filter):
        given = [*chain.args, *(option.value for option in chain.kwargs)]
        is_written = all(
            isinstance(value, nodes.Const) and not isinstance(value.value, str) for value in given
        )
        if chain.name not in _HARMLESS or not is_written or chain.dyn_args or chain.dyn_kwargs:
            return False
        chain = chain.node
    return True


class _Reach:
    """Which inputs an expression may come of.

    `blocks` are the names that stand for nothing but blocks that are set, `called` those of macros, of `caller`, and of
    loops.
    """

    def __init__(self, tree: nodes.Template, used: AbstractSet[str]) -> None:
        self._used = frozenset(used)
        self._macros: dict[str, list[nodes.Macro]] = defaultdict(list)
        for macro in tree.find_all(nodes.Macro):
            self._macros[macro.name].append(macro)
        self._bindings: defaultdict[str, set[str]] = defaultdict(set)
        self._set_as_blocks: set[str] = set()
        self._bind(tree)
        bound_otherwise = self._bound_otherwise(tree)
        self.called = (
            (frozenset(self._macros) | {"caller", "loop"})
            - bound_otherwise
            - self._set_as_blocks
            - self._used
        )
        self.blocks = (
            self._set_as_blocks - bound_otherwise - self._used - set(self._macros) - {"caller", "loop"}
        )
        self._known: dict[str, frozenset[str]] = {}

    def holds(self, name: str) -> bool:
        """Whether a name may stand for a text with marks in it."""
        return name in self._set_as_blocks or name in self._bindings

    def of(self, node: nodes.Node) -> frozenset[str]:
        """The inputs that anything inside a node may come of."""
        return frozenset[str]().union(*map(self._input, self._names(node)))

    def _input(self, name: str) -> frozenset[str]:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._followed(name)
        return found

    def _followed(self, name: str) -> frozenset[str]:
        seen, left, inputs = {name}, [name], set[str]()
        while left:
            each = left.pop()
            if each in self._used:
                inputs.add(each)
            elif each not in self._bindings:
                # Nobody knows what it is: it may be anything.
                inputs |= self._used
            new = self._bindings.get(each, set()) - seen
            seen |= new
            left += new
        return frozenset(inputs)

    def _names(self, node: nodes.Node) -> Iterator[str]:
        """The names whose values may be in what a node gives; a condition only chooses."""
        if isinstance(node, nodes.Name):
            yield node.name
        elif (
            isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop"
        ):
            if node.attr in _OF_ITEMS:
                yield "loop"
        elif isinstance(node, nodes.CondExpr):
            yield from self._names(node.expr1)
            if node.expr2 is not None:
                yield from self._names(node.expr2)
        elif not isinstance(node, nodes.Test | nodes.Compare | nodes.Not):
            for child in node.iter_child_nodes():
                yield from self._names(child)

    def _bind(self, tree: nodes.Template) -> None:
        """Note what each name of the template's own may be made of, wherever that is."""
        into = self._bindings
        for loop in tree.find_all(nodes.For):
            inside = set(self._names(loop.iter))
            self._bind_targets(loop.target, inside)
            into["loop"] |= inside
            if loop.recursive:
                self._bind_targets(loop.target, {"loop"})
        for assigned in tree.find_all(nodes.Assign):
            self._bind_targets(assigned.target, set(self._names(assigned.node)))
        for block in tree.find_all(nodes.AssignBlock):
            made = {name for child in (*block.body, block.filter) if child for name in self._names(child)}
            self._bind_targets(block.target, made)
            self._set_as_blocks |= _targets(block.target)
        for scope in tree.find_all(nodes.With):
            for target, value in zip(scope.targets, scope.values, strict=True):
                self._bind_targets(target, set(self._names(value)))
        self._bind_calls(tree)

    def _bind_calls(self, tree: nodes.Template) -> None:
        into, anywhere = self._bindings, set[str]()
        given: defaultdict[str, set[str]] = defaultdict(set)
        for call in tree.find_all(nodes.Call):
            names = {
                name
                for child in call.iter_child_nodes()
                if child is not call.node
                for name in self._names(child)
            }
            name = call.node.name if isinstance(call.node, nodes.Name) else ""
            if name in self._macros or name in ("caller", "loop"):
                given[name] |= names
            else:
                # A macro may go by another name.
                anywhere |= names
        into["loop"] |= given["loop"]
        for name, macros in self._macros.items():
            for macro in macros:
                default = {each for value in macro.defaults for each in self._names(value)}
                for parameter in macro.args:
                    self._bind_targets(parameter, given[name] | anywhere | default)
                into[name] |= (
                    {each for child in macro.body for each in self._names(child)} | given[name] | anywhere
                )
                for more in ("varargs", "kwargs"):
                    into[more] |= given[name] | anywhere
        for block in tree.find_all(nodes.CallBlock):
            into["caller"] |= {each for child in block.body for each in self._names(child)}
            default = {each for value in block.defaults for each in self._names(value)}
            for parameter in block.args:
                self._bind_targets(parameter, given["caller"] | anywhere | default)

    def _bind_targets(self, target: nodes.Node, names: set[str]) -> None:
        for name in _targets(target):
            self._bindings[name] |= names

    @staticmethod
    def _bound_otherwise(tree: nodes.Template) -> set[str]:
        """The names that are set to a value, or that are a parameter."""
        found: set[str] = set()
        for loop in tree.find_all(nodes.For):
            found |= _targets(loop.target)
        for assigned in tree.find_all(nodes.Assign):
            found |= _targets(assigned.target)
        for scope in tree.find_all(nodes.With):
            found = found.union(*map(_targets, scope.targets))
        for macro in tree.find_all(nodes.Macro):
            found = found.union(*map(_targets, macro.args))
        for block in tree.find_all(nodes.CallBlock):
            found = found.union(*map(_targets, block.args))
        return found


def _targets(target: nodes.Node) -> set[str]:
    own = {target.name} if isinstance(target, nodes.Name) else set[str]()
    return own | {name.name for name in target.find_all(nodes.Name)}
