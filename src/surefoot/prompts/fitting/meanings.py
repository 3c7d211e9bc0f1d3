"""What an expression stands for, as far as the code tells without being run: several things where branches differ."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import Path

from surefoot.prompts.fitting.meaning import (
    DOOR,
    Class,
    FilePath,
    Function,
    Literal,
    Loaded,
    Meaning,
    Other,
    Result,
    Symbol,
    Text,
    Whole,
    is_none,
    joined,
    ours,
    why_not,
)
from surefoot.prompts.fitting.project import OURS, Project
from surefoot.prompts.fitting.reaching import reaching
from surefoot.prompts.fitting.scopes import END, Binding, Module, Place, Scope, first_parameter
from surefoot.prompts.fitting.syntax import argument_of, is_property, returns_of

MAX_ALTERNATIVES = 8
MAX_DEPTH = 40
MAX_STEPS = 2_000
"""How many expressions are looked up for one."""

_NONE = ast.Constant(None)


@dataclass(slots=True)
class Meanings:
    """Looks expressions up in a project. Pure but for the files that it reads."""

    project: Project
    _open: set[int] = field(default_factory=set[int])
    _texts: dict[int, ast.expr] = field(default_factory=dict[int, ast.expr])
    _steps: int = 0
    _cuts: int = 0
    _made: dict[int, tuple[Meaning, ...]] = field(default_factory=dict[int, "tuple[Meaning, ...]"])

    def of(self, node: ast.AST | None, place: Place) -> tuple[Meaning, ...]:
        """What an expression can stand for; at least one thing."""
        if node is None:
            return (Other("nothing is bound to it"),)
        key = id(node)
        if key in self._made:
            return self._made[key]
        if not self._open:
            self._steps = 0
        self._steps += 1
        if key in self._open or len(self._open) > MAX_DEPTH or self._steps > MAX_STEPS:
            self._cuts += 1
            return (Other("it goes in a circle, or is put together in too many steps"),)
        cuts = self._cuts
        self._open.add(key)
        try:
            found = _distinct(self._of(node, place))
        finally:
            self._open.discard(key)
        if not self._open or cuts == self._cuts:
            # What was found inside of a circle may be cut short.
            self._made[key] = found
        return found

    def _of(self, node: ast.AST, place: Place) -> tuple[Meaning, ...]:
        match node:
            case ast.Constant(value=str(text)):
                return (Text(text),)
            case ast.Name(id=name):
                return self._named(name, place)
            case ast.Attribute(value=value, attr=name):
                return tuple(made for one in self.of(value, place) for made in self.attribute(one, name))
            case ast.Call():
                return self._called(node, place)
            case ast.JoinedStr() | ast.FormattedValue() | ast.BinOp():
                return self._combined(node, place)
            case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                return self.of(value, place)
            case ast.IfExp() | ast.BoolOp():
                return self._chosen(node, place)
            case ast.Subscript(value=value, slice=key):
                return self._item(value, key, place)
            case ast.Lambda():
                return (Function(place.scope.module.of(node)),)
            case ast.expr():
                return (Literal(node, place),)
            case _:
                return (Other("it is no expression"),)

    def _chosen(self, node: ast.IfExp | ast.BoolOp, place: Place) -> tuple[Meaning, ...]:
        """One of several; what stands before `or` is not it where it is None."""
        if isinstance(node, ast.IfExp):
            return (*self.of(node.body, place), *self.of(node.orelse, place))
        return tuple(one for value in node.values for one in self.of(value, place) if not is_none(one))

    # Names

    def _named(self, name: str, place: Place) -> tuple[Meaning, ...]:
        if name == "__file__" and place.scope.bound(name) is None:
            return (FilePath(self.project.path_of(place.scope.module)),)
        bindings = reaching(name, place)
        if bindings is None:
            return self._starred(name, place.scope.module)
        return tuple(one for binding in bindings for one in self.bound(name, binding))

    def bound(self, name: str, binding: Binding) -> tuple[Meaning, ...]:
        """What one binding of a name stands for."""
        place = Place(binding.scope, binding.spot, binding.block)
        match binding.kind:
            case "import":
                if id(binding) in self._open:
                    # Modules that import a name from each other.
                    self._cuts += 1
                    return (Other("it goes in a circle of imports"),)
                self._open.add(id(binding))
                try:
                    return self.imported(binding.dotted, binding.scope.module)
                finally:
                    self._open.discard(id(binding))
            case "def" if binding.value is not None:
                return (Function(binding.scope.module.of(binding.value)),)
            case "class" if binding.value is not None:
                return (Class(binding.scope.module.of(binding.value)),)
            case "value" if binding.value is not None:
                return self.of(binding.value, place)
            case "param":
                return self._parameter(name, binding)
            case _:
                return self._annotated(binding.annotation, place, f"what `{name}` is depends on the run")

    def _parameter(self, name: str, binding: Binding) -> tuple[Meaning, ...]:
        scope = binding.scope
        owner = scope.owner
        if owner is not None and binding.annotation is None and first_parameter(scope) == name:
            decorators = getattr(scope.node, "decorator_list", [])
            is_class = any(isinstance(one, ast.Name) and one.id == "classmethod" for one in decorators)
            return (Class(owner, is_instance=not is_class),)
        outer = Place(scope.parent or scope, END, ())
        return self._annotated(
            binding.annotation, outer, f"`{name}` is a parameter of {scope.name or 'a function'}"
        )

    def _annotated(self, annotation: ast.expr | None, place: Place, why: str) -> tuple[Meaning, ...]:
        """What is not known but for its annotated type."""
        for part in self.parts_of(annotation) if annotation is not None else ():
            for one in self.of(part, place):
                if one == Symbol("Prompty", is_ours=True):
                    return (Loaded(unknown=why),)
                if isinstance(one, Class) and not one.is_instance:
                    return (replace(one, is_instance=True),)
        return (Other(why),)

    def parts_of(self, annotation: ast.expr) -> list[ast.expr]:
        """The types of an annotation that is a union, or one type; text is read as code."""
        match annotation:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return [*self.parts_of(left), *self.parts_of(right)]
            case ast.Subscript(value=ast.Name(id="Optional" | "Annotated") as head, slice=inner):
                if head.id == "Annotated" and isinstance(inner, ast.Tuple) and inner.elts:
                    return self.parts_of(inner.elts[0])
                return [*self.parts_of(inner), *([_NONE] if head.id == "Optional" else [])]
            case ast.Constant(value=str(text)):
                known = self._texts.get(id(annotation))
                if known is None:
                    try:
                        known = ast.parse(text.strip(), mode="eval").body
                    except (SyntaxError, ValueError, RecursionError, MemoryError):
                        known = ast.Constant(...)
                    # Kept: what is known of an expression is known by its identity.
                    self._texts[id(annotation)] = known
                return [] if isinstance(known, ast.Constant) and known.value is ... else self.parts_of(known)
            case _:
                return [annotation]

    def _starred(self, name: str, module: Module) -> tuple[Meaning, ...]:
        """A name that may come by `from x import *`."""
        for origin in module.stars:
            if origin == OURS or origin.startswith(f"{OURS}."):
                if name in DOOR:
                    return (Symbol(name, is_ours=True),)
                continue
            found, rest = self.project.imported(origin, module)
            if found is not None and not rest and name in found.scope.bindings:
                return self._global(found, name)
        return (Symbol(f"builtins.{name}"),)

    def imported(self, dotted: str, origin: Module | None) -> tuple[Meaning, ...]:
        """What an import leads to: a module of the project, what stands in it, or something from outside."""
        if dotted == OURS or dotted.startswith(f"{OURS}."):
            return (ours(dotted),)
        module, rest = self.project.imported(dotted, origin)
        if module is None:
            return (Symbol(dotted),)
        found: tuple[Meaning, ...] = (Whole(module),)
        for name in rest:
            found = tuple(made for one in found for made in self.attribute(one, name, origin))
        return found

    def _inside(self, module: Module, name: str) -> tuple[Meaning, ...]:
        """A module of a package, which stands for a name that the package itself does not bind."""
        found, rest = self.project.imported(f"{module.dotted}.{name}", module)
        if found is None or rest:
            # Bound at run time, or not at all.
            return (Other(f"{module.dotted} has no `{name}`"),)
        return (Whole(found),)

    def _global(self, module: Module, name: str) -> tuple[Meaning, ...]:
        """A name of a module, as it is once the module is imported."""
        scope = module.scope
        if name not in scope.bindings:
            return (
                self._starred(name, module) if module.stars else (Other(f"{module.dotted} has no `{name}`"),)
            )
        return self._named(name, Place(scope, END, ()))

    # Attributes and items

    def attribute(self, one: Meaning, name: str, origin: Module | None = None) -> tuple[Meaning, ...]:
        """What an attribute of something stands for."""
        match one:
            case Symbol(dotted=dotted, is_ours=True):
                return (ours(f"{OURS}.{dotted}.{name}" if dotted != OURS else f"{OURS}.{name}"),)
            case Symbol(dotted=dotted):
                # A folder without `__init__.py` is no module, and may hold some.
                return self.imported(f"{dotted}.{name}", origin)
            case Whole(module=module):
                if name in module.scope.bindings or module.stars:
                    return self._global(module, name)
                return self._inside(module, name)
            case Class():
                return self._member(one, name)
            case FilePath(value=path) if name == "parent":
                return (FilePath(path.parent),)
            case Loaded():
                return (Other(f"{name} of a prompt"),)
            case _:
                return (Other(f"what `.{name}` is depends on the run"),)

    def _member(self, owner: Class, name: str) -> tuple[Meaning, ...]:
        for scope in self.line_of(owner.scope):
            given = [one for one in scope.module.attributes.get(id(scope.node), ()) if one.name == name]
            found = [made for one in given for made in self.of(one.value, one.place)]
            if name in scope.bindings:
                for binding in scope.bindings[name]:
                    found += self._of_class(name, binding)
            if found:
                return tuple(found)
        return (Other(f"what `.{name}` of {owner.scope.name} is depends on the run"),)

    def _of_class(self, name: str, binding: Binding) -> tuple[Meaning, ...]:
        made = self.bound(name, binding)
        if binding.kind == "def" and binding.value is not None and is_property(binding.value):
            return tuple(each for one in made if isinstance(one, Function) for each in self.returned(one))
        return made

    def line_of(self, scope: Scope) -> list[Scope]:
        """A class and those of the project that it inherits from, itself first."""
        found = [scope]
        for one in found:
            for base in one.node.bases if isinstance(one.node, ast.ClassDef) else ():
                for made in self.of(base, _within(one)):
                    if isinstance(made, Class) and made.scope not in found and len(found) < MAX_DEPTH:
                        found.append(made.scope)
        return found

    def bases_of(self, scope: Scope) -> list[Symbol]:
        """What a class inherits from outside of the project, through all of its line."""
        found: list[Symbol] = []
        for one in self.line_of(scope):
            for base in one.node.bases if isinstance(one.node, ast.ClassDef) else ():
                head = base.value if isinstance(base, ast.Subscript) else base
                found += [made for made in self.of(head, _within(one)) if isinstance(made, Symbol)]
        return found

    def _item(self, value: ast.expr, key: ast.expr, place: Place) -> tuple[Meaning, ...]:
        """What stands under a constant key of a dict or a list that is written down."""
        if not isinstance(key, ast.Constant):
            return (Other("which item is taken depends on the run"),)
        found: list[Meaning] = []
        for one in self.of(value, place):
            node = one.node if isinstance(one, Literal) else None
            match node:
                case ast.Dict(keys=keys, values=values):
                    named = [
                        item
                        for name, item in zip(keys, values, strict=True)
                        if isinstance(name, ast.Constant) and name.value == key.value
                    ]
                    found += self.of(named[-1], one.place) if named and isinstance(one, Literal) else ()
                case ast.List(elts=items) | ast.Tuple(elts=items) if isinstance(one, Literal):
                    at = key.value
                    if isinstance(at, int) and -len(items) <= at < len(items):
                        found += self.of(items[at], one.place)
                case _:
                    if isinstance(one, Symbol):
                        # `list[str]` and its like.
                        found.append(one)
        return tuple(found) or (Other("which item is taken depends on the run"),)

    # Texts

    def _combined(
        self, node: ast.JoinedStr | ast.FormattedValue | ast.BinOp, place: Place
    ) -> tuple[Meaning, ...]:
        """What is put together: known where all of its parts are."""
        match node:
            case ast.JoinedStr(values=values):
                parts = [self.of(value, place) for value in values]
                texts = [part[0].value for part in parts if len(part) == 1 and isinstance(part[0], Text)]
                if len(texts) == len(values):
                    return (Text("".join(texts)),)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self.of(value, place)
            case ast.BinOp(left=left, op=op, right=right):
                sides = self.of(left, place), self.of(right, place)
                if len(sides[0]) == len(sides[1]) == 1 and (made := joined(sides[0][0], op, sides[1][0])):
                    return (made,)
                if any(isinstance(one, Literal) for side in sides for one in side):
                    return (Literal(node, place),)
            case _:
                pass
        return (Other("it is put together from what is known at run time alone"),)

    # Calls

    def _called(self, node: ast.Call, place: Place) -> tuple[Meaning, ...]:
        found: list[Meaning] = []
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute"):
            found = [one for one in self.of(node.func.value, place) if isinstance(one, FilePath)]
            if found:
                return tuple(found)
        for one in self.of(node.func, place):
            match one:
                case Symbol(dotted="prompt" | "Prompty.load_template", is_ours=True):
                    found += self._fetched(node, place)
                case Symbol(dotted="Prompty.load", is_ours=True):
                    found += self._opened(node, place)
                case Symbol(dotted="generate" | "generate.sync", is_ours=True):
                    found.append(Result(node, "generate"))
                case Symbol(dotted="pathlib.Path" | "builtins.Path"):
                    found.append(self._path(node, place))
                case Class(is_instance=False):
                    found.append(replace(one, is_instance=True))
                case Function():
                    found += self.returned(one)
                case _:
                    way = self.way_of(node, place)
                    found.append(Result(node, way) if way else Other("what the call gives is not known"))
        return tuple(found)

    def way_of(self, node: ast.Call, place: Place) -> str:
        """Which method of a prompt a call calls; empty where it calls none."""
        func = node.func
        if not isinstance(func, ast.Attribute):
            return ""
        way = func.attr
        if way == "sync" and isinstance(func.value, ast.Attribute) and func.value.attr == "generate":
            func, way = func.value, "generate"
        way = "generate" if way == "generate_async" else way
        if way not in ("render", "messages", "generate"):
            return ""
        return way if any(isinstance(one, Loaded) for one in self.of(func.value, place)) else ""

    def _fetched(self, node: ast.Call, place: Place) -> list[Meaning]:
        argument = argument_of(node, 0, "reference")
        if argument is None:
            return [Loaded(unknown="its arguments are not written down")]
        return [
            Loaded(reference=one.value) if isinstance(one, Text) else Loaded(unknown=why_not(one))
            for one in self.of(argument, place)
        ]

    def _opened(self, node: ast.Call, place: Place) -> list[Meaning]:
        argument = argument_of(node, 0, "path")
        found: list[Meaning] = []
        for one in self.of(argument, place) if argument is not None else ():
            if isinstance(one, Text | FilePath):
                found.append(Loaded(path=str(one.value)))
            else:
                found.append(Loaded(unknown=why_not(one)))
        return found or [Loaded(unknown="its arguments are not written down")]

    def _path(self, node: ast.Call, place: Place) -> Meaning:
        path: Path | None = None
        for argument in node.args:
            found = self.of(argument, place)
            part = found[0] if len(found) == 1 else None
            if not isinstance(part, Text | FilePath):
                return Other("which path it is depends on the run")
            path = Path(part.value) if path is None else path / part.value
        return FilePath(path or Path())

    def returned(self, function: Function) -> tuple[Meaning, ...]:
        """What a function of the project returns: all of its `return`s, else what it says it returns."""
        node = function.scope.node
        if isinstance(node, ast.Lambda):
            return self.of(node.body, Place(function.scope, (node.lineno, node.col_offset), ()))
        values = [value for value in returns_of(node) if value is not None]
        found = [
            one
            for value in values[:MAX_ALTERNATIVES]
            for one in self.of(value, Place(function.scope, (value.lineno, value.col_offset), ()))
        ]
        if any(isinstance(one, Loaded | Text | Class | Result | Literal) for one in found):
            return tuple(found)
        annotation = getattr(node, "returns", None)
        why = f"what {function.scope.name} returns depends on the run"
        return self._annotated(annotation, _within(function.scope), why)


def _within(scope: Scope) -> Place:
    return Place(scope.parent or scope, END, ())


def _distinct(found: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
    kept = tuple(dict.fromkeys(found))
    if len(kept) > MAX_ALTERNATIVES:
        return (*kept[:MAX_ALTERNATIVES], Other("there are too many ways to what it is"))
    return kept or (Other("nothing is bound to it"),)
