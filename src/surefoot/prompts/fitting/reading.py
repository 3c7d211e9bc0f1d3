"""Goes through the code of a module once, and notes what it binds, calls, reads and speaks of. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from surefoot.prompts.fitting.scopes import (
    Attribute,
    Binding,
    BindingKind,
    Block,
    Module,
    Place,
    Scope,
    Spot,
    first_parameter,
)


@dataclass(frozen=True, slots=True)
class Assigned:
    """What stands to the right of `=`, and the annotation, where they are there."""

    value: ast.expr | None = None
    annotation: ast.expr | None = None


NOTHING = Assigned()


def read(tree: ast.Module, *, dotted: str, file: str, is_package: bool) -> Module:
    """The names of a module. Raises `RecursionError` where its code is nested too deeply."""
    module = Module(dotted, file, is_package)
    module.scope = Scope("module", "", tree, None, module)
    _Reader(module).body(tree.body, module.scope, ())
    return module


_LOOP = {"body": ("loop", True), "orelse": ("after", False)}
_TRY = {"body": ("try", False), "orelse": ("else", False)}
_PARTS: dict[type[ast.AST], dict[str, tuple[str, bool]]] = {
    ast.If: {"body": ("branch 0", False), "orelse": ("branch 1", False)},
    ast.For: _LOOP,
    ast.AsyncFor: _LOOP,
    ast.While: _LOOP,
    ast.Try: _TRY,
    ast.TryStar: _TRY,
}
"""The blocks of compound statements: what each is called here, and whether it repeats."""


class _Reader:
    """Goes once through a tree."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def body(self, statements: list[ast.stmt], scope: Scope, block: Block) -> None:
        for statement in statements:
            self.statement(statement, scope, block)

    def statement(self, node: ast.stmt, scope: Scope, block: Block) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.function(node, scope, block)
            case ast.ClassDef():
                self.class_(node, scope, block)
            case ast.Import() | ast.ImportFrom():
                self.imported(node, scope, block)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self.assigned(node, scope, block)
            case ast.Global(names=names):
                scope.elsewhere.update(dict.fromkeys(names))
            case ast.Nonlocal(names=names):
                for name in names:
                    outer = scope.parent.bound(name) if scope.parent else None
                    scope.elsewhere[name] = outer
            case ast.Expr(value=value):
                self.expression(value, scope, block)
            case _:
                self.compound(node, scope, block)

    def compound(self, node: ast.stmt, scope: Scope, block: Block) -> None:
        """A statement with blocks inside, or one with expressions alone."""
        parts = _PARTS.get(type(node), {})
        for name, value in ast.iter_fields(node):
            if name in parts:
                self.body(value, scope, (*block, (id(node), *parts[name])))
            elif name in ("body", "finalbody"):
                # The body of `with`, and `finally`, are run on every way.
                self.body(value, scope, block)
            elif isinstance(value, list):
                for at, part in enumerate(cast("list[ast.AST]", value)):
                    self.part(part, (id(node), f"{type(part).__name__} {at}", False), scope, block)
            elif name == "target":
                self.targets(value, scope, (*block, (id(node), "loop", True)), _end(value))
            elif isinstance(value, ast.expr):
                self.expression(value, scope, block)

    def part(self, part: ast.AST, branch: tuple[int, str, bool], scope: Scope, block: Block) -> None:
        """A handler, a case, an item of `with`, or what `del` takes."""
        inner = (*block, branch)
        match part:
            case ast.ExceptHandler():
                if part.name:
                    self.bind(part.name, Binding("other", _start(part), inner, scope))
                if part.type:
                    self.expression(part.type, scope, block)
                self.body(part.body, scope, inner)
            case ast.match_case():
                for captured in ast.walk(part.pattern):
                    bound = getattr(captured, "name", None) or getattr(captured, "rest", None)
                    if isinstance(bound, str):
                        self.bind(bound, Binding("other", _start(part.pattern), inner, scope))
                if part.guard:
                    self.expression(part.guard, scope, inner)
                self.body(part.body, scope, inner)
            case ast.withitem():
                self.expression(part.context_expr, scope, block)
                if part.optional_vars is not None:
                    self.targets(part.optional_vars, scope, block, _end(part.context_expr))
            case ast.expr():
                self.targets(part, scope, block, _end(part))
            case _:
                pass

    def function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope, block: Block
    ) -> None:
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        inner = Scope("function", _qualified(scope, name), node, scope, self.module)
        self.module.scopes[id(node)] = inner
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for argument in every:
            made = Binding("param", (0, 0), (), inner, annotation=argument.annotation)
            self.bind(argument.arg, made)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self.bind(extra.arg, Binding("other", (0, 0), (), inner))
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.expression(default, scope, block)
        if isinstance(node, ast.Lambda):
            self.expression(node.body, inner, ())
            return
        for decorator in node.decorator_list:
            self.expression(decorator, scope, block)
        self.bind(node.name, Binding("def", _start(node), block, scope, node))
        self.body(node.body, inner, ())

    def class_(self, node: ast.ClassDef, scope: Scope, block: Block) -> None:
        inner = Scope("class", _qualified(scope, node.name), node, scope, self.module)
        self.module.scopes[id(node)] = inner
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.expression(expression, scope, block)
        self.bind(node.name, Binding("class", _start(node), block, scope, node))
        self.body(node.body, inner, ())

    def imported(self, node: ast.Import | ast.ImportFrom, scope: Scope, block: Block) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`.
                name = alias.asname or alias.name.partition(".")[0]
                dotted = alias.name if alias.asname else name
                self.bind(name, Binding("import", _end(node), block, scope, dotted=dotted))
            return
        origin = self.origin(node)
        for alias in node.names:
            if alias.name == "*":
                self.module.stars.append(origin)
            else:
                dotted = f"{origin}.{alias.name}"
                made = Binding("import", _end(node), block, scope, dotted=dotted)
                self.bind(alias.asname or alias.name, made)

    def origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.dotted.split(".")
        kept = parts[: len(parts) - node.level + self.module.is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def assigned(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope, block: Block) -> None:
        if node.value is not None:
            self.expression(node.value, scope, block)
        if isinstance(node, ast.AugAssign):
            self.targets(node.target, scope, block, _end(node))
            return
        annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
        # `name: str` binds nothing; in a class it says what its objects have.
        if node.value is not None or scope.kind == "class":
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.targets(target, scope, block, _end(node), Assigned(node.value, annotation))

    def targets(
        self, target: ast.expr, scope: Scope, block: Block, spot: Spot, what: Assigned = NOTHING
    ) -> None:
        """Bind what stands to the left of `=`; without a value it is not known what to."""
        match target:
            case ast.Name(id=name):
                kind: BindingKind = "other" if what == NOTHING else "value"
                made = Binding(kind, spot, block, scope, what.value, annotation=what.annotation)
                self.bind(name, made)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                pairs: list[ast.expr] | list[None] = [None] * len(elements)
                if isinstance(what.value, ast.Tuple | ast.List) and len(what.value.elts) == len(elements):
                    pairs = what.value.elts
                for element, one in zip(elements, pairs, strict=True):
                    self.targets(element, scope, block, spot, Assigned(one))
            case ast.Starred(value=inner):
                self.targets(inner, scope, block, spot)
            case ast.Attribute(value=ast.Name(id=holder), attr=name):
                self.given(holder, name, what, Place(scope, spot, block))
                self.expression(target.value, scope, block)
            case _:
                self.expression(target, scope, block)

    def given(self, holder: str, name: str, what: Assigned, place: Place) -> None:
        """`self.name = value` in a method."""
        method = place.scope.function
        owner = method.owner if method else None
        if method is None or owner is None or what.value is None or first_parameter(method) != holder:
            return
        made = Attribute(name, what.value, place)
        self.module.attributes.setdefault(id(owner.node), []).append(made)

    def bind(self, name: str, made: Binding) -> None:
        scope, home = made.scope, made.scope
        if name in scope.elsewhere:
            home = scope.elsewhere[name] or scope.module.scope
        home.bindings.setdefault(name, []).append(made)

    # Expressions

    def expression(self, node: ast.AST, scope: Scope, block: Block) -> None:
        """Note what stands in an expression."""
        if (special := _SPECIAL.get(type(node))) is not None and special(self, node, scope, block):
            return
        for child in ast.iter_child_nodes(node):
            self.expression(child, scope, block)

    def call(self, node: ast.Call, scope: Scope, block: Block) -> bool:
        place = Place(scope, _start(node), block)
        self.module.calls.append((node, place))
        match node:
            case ast.Call(
                func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(key)), *_]
            ):
                self.module.reads.append((value, key, False, place))
            case _:
                pass
        return False

    def item(self, node: ast.Subscript, scope: Scope, block: Block) -> bool:
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            place = Place(scope, _start(node), block)
            self.module.reads.append((node.value, node.slice.value, isinstance(node.ctx, ast.Load), place))
        return False

    def walrus(self, node: ast.NamedExpr, scope: Scope, block: Block) -> bool:
        home = scope
        while home.kind == "comprehension" and home.parent is not None:
            home = home.parent
        self.bind(node.target.id, Binding("value", _end(node), block, home, node.value))
        self.expression(node.value, scope, block)
        return True

    def name(self, node: ast.Name, scope: Scope, block: Block) -> bool:
        place = Place(scope, (node.lineno, node.col_offset), block)
        self.module.mentions.setdefault(node.id, []).append((node, place))
        return True

    def attribute(self, node: ast.Attribute, scope: Scope, block: Block) -> bool:
        place = Place(scope, (node.lineno, node.col_offset), block)
        self.module.mentions.setdefault(node.attr, []).append((node, place))
        self.expression(node.value, scope, block)
        return True

    def comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        scope: Scope,
        block: Block,
    ) -> bool:
        inner = Scope("comprehension", scope.name, node, scope, self.module)
        for at, generator in enumerate(node.generators):
            self.expression(generator.iter, inner if at else scope, block)
            self.targets(generator.target, inner, (), (0, 0))
            for condition in generator.ifs:
                self.expression(condition, inner, block)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for element in elements:
            self.expression(element, inner, block)
        return True

    def lambda_(self, node: ast.Lambda, scope: Scope, block: Block) -> bool:
        self.function(node, scope, block)
        return True

    def nothing(self, _node: ast.Constant, _scope: Scope, _block: Block) -> bool:
        return True


_SPECIAL: dict[type[ast.AST], Callable[[_Reader, Any, Scope, Block], bool]] = {
    ast.Constant: _Reader.nothing,
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.Call: _Reader.call,
    ast.Subscript: _Reader.item,
    ast.NamedExpr: _Reader.walrus,
    ast.Lambda: _Reader.lambda_,
    ast.ListComp: _Reader.comprehension,
    ast.SetComp: _Reader.comprehension,
    ast.GeneratorExp: _Reader.comprehension,
    ast.DictComp: _Reader.comprehension,
}
"""What is noted of an expression; whether its parts are done with too."""


def _qualified(scope: Scope, name: str) -> str:
    return f"{scope.name}.{name}" if scope.name else name


def _start(node: ast.expr | ast.stmt | ast.excepthandler | ast.pattern) -> Spot:
    return (node.lineno, node.col_offset)


def _end(node: ast.expr | ast.stmt) -> Spot:
    return (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
