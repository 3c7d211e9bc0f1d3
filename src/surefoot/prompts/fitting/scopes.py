"""The names of a module: which scope binds which, where, and to what. Nothing is imported or run."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Block: TypeAlias = "tuple[tuple[int, str, bool], ...]"
"""The compound statements around a place, the outermost first: which one, which part of it, whether that repeats."""

Spot: TypeAlias = "tuple[int, int]"

END: Spot = (1 << 30, 0)
"""After all of a scope."""


@dataclass(slots=True)
class Binding:
    """One place that binds a name.

    `value` is what is bound: an expression, a definition, or the annotation of a parameter; `dotted` what an import
    names. It holds from `spot` on. `block` is where it stands.
    """

    kind: Literal["import", "value", "def", "class", "param", "other"]
    spot: Spot
    block: Block
    scope: Scope
    value: ast.AST | None = None
    dotted: str = ""
    annotation: ast.expr | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class, function or comprehension; `name` is its qualified name, empty for the module."""

    kind: Literal["module", "class", "function", "comprehension"]
    name: str
    node: ast.AST
    parent: Scope | None
    module: Module
    bindings: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])
    elsewhere: dict[str, Scope | None] = field(default_factory=dict[str, "Scope | None"])
    """Names that `global` or `nonlocal` says are bound in another scope."""

    def bound(self, name: str) -> Scope | None:
        """The scope that binds a name as this one sees it; a class body is seen by itself alone."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.elsewhere:
                found = scope.elsewhere[name] or scope.module.scope
                return found if name in found.bindings else None
            if name in scope.bindings and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return None

    @property
    def function(self) -> Scope | None:
        """The nearest function around, or this one."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "function":
            scope = scope.parent if scope.kind == "comprehension" else None
        return scope

    @property
    def owner(self) -> Scope | None:
        """Of a method its class."""
        return (
            self.parent if self.kind == "function" and self.parent and self.parent.kind == "class" else None
        )


@dataclass(slots=True)
class Place:
    """Where an expression stands, as its names are looked up."""

    scope: Scope
    spot: Spot
    block: Block


@dataclass(slots=True)
class Attribute:
    """A value that a method gives an attribute of its object."""

    name: str
    value: ast.expr
    place: Place
    annotation: ast.expr | None = None


@dataclass(slots=True, eq=False)
class Module:
    """A parsed file.

    `calls` are all of its calls, `reads` what is read by a constant key, `mentions` the names and attributes that it
    speaks of by their last part; each with its place. `attributes` are what methods give their object, by class.
    """

    dotted: str
    file: str
    is_package: bool
    scope: Scope = field(init=False)
    scopes: dict[int, Scope] = field(default_factory=dict[int, Scope])
    calls: list[tuple[ast.Call, Place]] = field(default_factory=list[tuple[ast.Call, Place]])
    reads: list[tuple[ast.expr, str, bool, Place]] = field(
        default_factory=list[tuple[ast.expr, str, bool, Place]]
    )
    mentions: dict[str, list[tuple[ast.expr, Place]]] = field(
        default_factory=dict[str, list[tuple[ast.expr, Place]]]
    )
    attributes: dict[int, list[Attribute]] = field(default_factory=dict[int, list[Attribute]])
    stars: list[str] = field(default_factory=list[str])
    """Modules of which all names are imported."""

    def of(self, node: ast.AST) -> Scope:
        """The scope that a definition opens."""
        return self.scopes[id(node)]


def read(tree: ast.Module, *, dotted: str, file: str, is_package: bool) -> Module:
    """The names of a module. Raises `RecursionError` where its code is nested too deeply."""
    module = Module(dotted, file, is_package)
    module.scope = Scope("module", "", tree, None, module)
    _Reader(module).body(tree.body, module.scope, ())
    return module


_PARTS: dict[type[ast.AST], dict[str, tuple[str, bool]]] = {
    ast.If: {"body": ("branch 0", False), "orelse": ("branch 1", False)},
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.While), {"body": ("loop", True), "orelse": ("after", False)}),
    **dict.fromkeys((ast.Try, ast.TryStar), {"body": ("try", False), "orelse": ("else", False)}),
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
            elif name == "handlers":
                for at, handler in enumerate(value):
                    inner = (*block, (id(node), f"handler {at}", False))
                    if handler.name:
                        self.bind(handler.name, "other", _start(handler), inner, scope)
                    if handler.type:
                        self.expression(handler.type, scope, block)
                    self.body(handler.body, scope, inner)
            elif name == "cases":
                for at, case in enumerate(value):
                    inner = (*block, (id(node), f"case {at}", False))
                    for captured in ast.walk(case.pattern):
                        bound = getattr(captured, "name", None) or getattr(captured, "rest", None)
                        if isinstance(bound, str):
                            self.bind(bound, "other", _start(case.pattern), inner, scope)
                    if case.guard:
                        self.expression(case.guard, scope, inner)
                    self.body(case.body, scope, inner)
            elif name == "items":
                for item in value:
                    self.expression(item.context_expr, scope, block)
                    if item.optional_vars is not None:
                        self.targets(item.optional_vars, None, scope, block, _end(item.context_expr))
            elif name == "target":
                inner = (*block, (id(node), "loop", True))
                self.targets(value, None, scope, inner, _end(value))
            elif name == "targets":
                for target in value:
                    self.targets(target, None, scope, block, _end(node))
            elif isinstance(value, ast.expr):
                self.expression(value, scope, block)

    def function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope, block: Block
    ) -> None:
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        inner = Scope("function", _qualified(scope, name), node, scope, self.module)
        self.module.scopes[id(node)] = inner
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for argument in every:
            self.bind(argument.arg, "param", (0, 0), (), inner, annotation=argument.annotation)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self.bind(extra.arg, "other", (0, 0), (), inner)
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.expression(default, scope, block)
        if isinstance(node, ast.Lambda):
            self.expression(node.body, inner, ())
            return
        for decorator in node.decorator_list:
            self.expression(decorator, scope, block)
        self.bind(node.name, "def", _start(node), block, scope, value=node)
        # `global` and `nonlocal` hold for the whole function, wherever they stand.
        self.body(node.body, inner, ())

    def class_(self, node: ast.ClassDef, scope: Scope, block: Block) -> None:
        inner = Scope("class", _qualified(scope, node.name), node, scope, self.module)
        self.module.scopes[id(node)] = inner
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.expression(expression, scope, block)
        self.bind(node.name, "class", _start(node), block, scope, value=node)
        self.body(node.body, inner, ())

    def imported(self, node: ast.Import | ast.ImportFrom, scope: Scope, block: Block) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`.
                name = alias.asname or alias.name.partition(".")[0]
                dotted = alias.name if alias.asname else name
                self.bind(name, "import", _end(node), block, scope, dotted=dotted)
            return
        origin = self.origin(node)
        for alias in node.names:
            if alias.name == "*":
                self.module.stars.append(origin)
            else:
                dotted = f"{origin}.{alias.name}"
                self.bind(alias.asname or alias.name, "import", _end(node), block, scope, dotted=dotted)

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
            self.targets(node.target, None, scope, block, _end(node))
            return
        annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
        if annotation is not None and node.value is None and scope.kind != "class":
            return
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self.targets(target, node.value, scope, block, _end(node), annotation)

    def targets(
        self,
        target: ast.expr,
        value: ast.expr | None,
        scope: Scope,
        block: Block,
        spot: Spot,
        annotation: ast.expr | None = None,
    ) -> None:
        """Bind what stands to the left of `=`; without a value it is not known what to."""
        match target:
            case ast.Name(id=name):
                kind = "other" if value is None and annotation is None else "value"
                self.bind(name, kind, spot, block, scope, value=value, annotation=annotation)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                pairs: list[ast.expr] | list[None] = [None] * len(elements)
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(elements):
                    pairs = value.elts
                for element, one in zip(elements, pairs, strict=True):
                    self.targets(element, one, scope, block, spot)
            case ast.Starred(value=inner):
                self.targets(inner, None, scope, block, spot)
            case ast.Attribute(value=ast.Name(id=holder), attr=name):
                self.given(holder, name, value, Place(scope, spot, block), annotation)
                self.expression(target.value, scope, block)
            case _:
                self.expression(target, scope, block)

    def given(
        self, holder: str, name: str, value: ast.expr | None, place: Place, annotation: ast.expr | None
    ) -> None:
        """`self.name = value` in a method."""
        method = place.scope.function
        owner = method.owner if method else None
        if method is None or owner is None or value is None or first_parameter(method) != holder:
            return
        self.module.attributes.setdefault(id(owner.node), []).append(
            Attribute(name, value, place, annotation)
        )

    def bind(
        self,
        name: str,
        kind: Literal["import", "value", "def", "class", "param", "other"],
        spot: Spot,
        block: Block,
        scope: Scope,
        *,
        value: ast.AST | None = None,
        dotted: str = "",
        annotation: ast.expr | None = None,
    ) -> None:
        home = scope
        if name in scope.elsewhere:
            home = scope.elsewhere[name] or scope.module.scope
            # When that function is called is not known, so it may hold at any time.
            block = (*block, (id(scope.node), "call", True))
        made = Binding(kind, spot, block, scope, value, dotted, annotation)
        home.bindings.setdefault(name, []).append(made)

    def expression(self, node: ast.expr, scope: Scope, block: Block) -> None:
        """Note what stands in an expression."""
        match node:
            case ast.Constant():
                return
            case ast.Name(id=name):
                self.mention(name, node, scope, block)
                return
            case ast.Attribute(value=value, attr=name):
                self.mention(name, node, scope, block)
                self.expression(value, scope, block)
                return
            case ast.Call():
                self.module.calls.append((node, Place(scope, _start(node), block)))
                self.read_by_get(node, scope, block)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key)), ctx=ast.Load()):
                self.module.reads.append((value, key, True, Place(scope, _start(node), block)))
            case ast.NamedExpr(target=target, value=value):
                home = scope
                while home.kind == "comprehension" and home.parent is not None:
                    home = home.parent
                self.bind(target.id, "value", _end(node), block, home, value=value)
            case ast.Lambda():
                self.function(node, scope, block)
                return
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self.comprehension(node, scope, block)
                return
            case _:
                pass
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child, scope, block)
            elif isinstance(child, ast.keyword):
                self.expression(child.value, scope, block)

    def comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        scope: Scope,
        block: Block,
    ) -> None:
        inner = Scope("comprehension", scope.name, node, scope, self.module)
        for at, generator in enumerate(node.generators):
            self.expression(generator.iter, inner if at else scope, block)
            self.targets(generator.target, None, inner, (), (0, 0))
            for condition in generator.ifs:
                self.expression(condition, inner, block)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for element in elements:
            self.expression(element, inner, block)

    def mention(self, name: str, node: ast.expr, scope: Scope, block: Block) -> None:
        self.module.mentions.setdefault(name, []).append((node, Place(scope, _start(node), block)))

    def read_by_get(self, node: ast.Call, scope: Scope, block: Block) -> None:
        match node:
            case ast.Call(
                func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(key)), *_]
            ):
                self.module.reads.append((value, key, False, Place(scope, _start(node), block)))
            case _:
                pass


def first_parameter(method: Scope) -> str:
    """What a method calls its object; empty for a static one."""
    node = method.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    names = [*node.args.posonlyargs, *node.args.args]
    is_static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
    return names[0].arg if names and not is_static else ""


def _qualified(scope: Scope, name: str) -> str:
    return f"{scope.name}.{name}" if scope.name else name


def _start(node: ast.expr | ast.stmt | ast.excepthandler | ast.pattern) -> Spot:
    return (node.lineno, node.col_offset)


def _end(node: ast.expr | ast.stmt) -> Spot:
    return (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
