"""Types by their annotations: which values a check has left nothing in that could instruct."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from surefoot.flows.checking.marks import Hop, Shape, Value
from surefoot.prompts.fitting.meaning import Class, Symbol
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.scopes import END, Place, Scope

MAX_DEPTH = 12

_SCALARS = frozenset(
    {
        *("builtins.bool", "builtins.int", "builtins.float", "builtins.complex", "builtins.None"),
        *("datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone"),
        *("decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    }
)
_SEVERAL = frozenset(
    f"{module}.{name}"
    for module, names in {
        "builtins": ("list", "tuple", "set", "frozenset", "dict"),
        "typing": (
            *("List", "Tuple", "Set", "FrozenSet", "Dict", "Sequence", "Iterable", "Mapping", "Collection"),
            *("Optional", "Union", "Required", "NotRequired", "ClassVar", "Final"),
        ),
        "collections.abc": (
            *("Sequence", "Iterable", "Mapping", "Collection", "Set", "Iterator", "MutableMapping"),
            *("AsyncIterator", "MutableSequence", "Generator"),
        ),
    }.items()
    for name in names
)
_ENUMS = frozenset(f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"))
_TEXT = Symbol("Text", is_ours=True)
_CHECKS = ("pattern", "allow", "hosts")


@dataclass(slots=True)
class Annotations:
    """Looks types up. Of what it does not know it says that text may be in it."""

    meanings: Meanings

    def is_checked(self, node: ast.AST | None, place: Place, *, depth: int = 0) -> bool:
        """Whether a value of this type is a truth, number, date, choice or checked text, or is made of such alone."""
        if not isinstance(node, ast.expr) or depth > MAX_DEPTH:
            return False
        if (alias := self._aliased(node, place)) is not None:
            return self.is_checked(*alias, depth=depth + 1)
        if (annotated := self._annotated(node, place)) is not None:
            inner, metadata = annotated
            return self.is_checked(inner, place, depth=depth + 1) or any(
                self.checks(one, place) for one in metadata
            )
        parts = self._parts(node)
        if len(parts) > 1:
            return all(self.is_checked(one, place, depth=depth + 1) for one in parts)
        return bool(parts) and self._is_part_checked(parts[0], place, depth)

    def _parts(self, node: ast.expr) -> list[ast.expr]:
        """The types of a union, each with what `Annotated` says of it; text is read as code."""
        match node:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return [*self._parts(left), *self._parts(right)]
            case ast.Constant(value=str()):
                return self.meanings.parts_of(node)
            case _:
                return [node]

    def _is_part_checked(self, node: ast.expr, place: Place, depth: int) -> bool:
        if isinstance(node, ast.Constant):
            return node.value is None or node.value is ...
        if isinstance(node, ast.Subscript):
            if self._is_of(node.value, place, {"typing.Literal", "typing_extensions.Literal"}):
                return True
            if self._annotated(node, place) is not None:
                return self.is_checked(node, place, depth=depth + 1)
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return self._is_of(node.value, place, _SEVERAL) and all(
                self.is_checked(one, place, depth=depth + 1) for one in inner
            )
        return any(self._is_meant(one, place, depth) for one in self.meanings.of(node, place))

    def _is_meant(self, one: object, place: Place, depth: int) -> bool:
        if isinstance(one, Symbol):
            return one.dotted in _SCALARS
        if isinstance(one, Class) and not one.is_instance:
            if self.is_enum(one.scope):
                return True
            fields = self.fields_of(one.scope)
            return bool(fields) and all(
                self.is_checked(annotation, where, depth=depth + 1) for annotation, where in fields.values()
            )
        # `Severity = Literal["low", "high"]` at the top of a module.
        node, where = getattr(one, "node", None), getattr(one, "place", place)
        return isinstance(node, ast.expr) and self.is_checked(node, where, depth=depth + 1)

    def is_enum(self, scope: Scope) -> bool:
        """Whether a class is a choice of names."""
        return any(base.dotted in _ENUMS for base in self.meanings.bases_of(scope))

    def fields_of(self, scope: Scope) -> dict[str, tuple[ast.expr, Place]]:
        """The annotated fields of a class and those it inherits from, and where each stands."""
        found: dict[str, tuple[ast.expr, Place]] = {}
        for one in reversed(self.meanings.line_of(scope)):
            for statement in getattr(one.node, "body", ()):
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    found[statement.target.id] = (statement.annotation, Place(one.parent or one, END, ()))
        return found

    def part(self, shape: Shape, name: str) -> tuple[ast.expr, Place] | None:
        """The annotation of a field of a type; None where it has none of that name."""
        node = shape.annotation
        if not isinstance(node, ast.expr):
            return None
        if (annotated := self._annotated(node, shape.place)) is not None:
            node = annotated[0]
        for one in self.meanings.parts_of(node):
            if isinstance(one, ast.Subscript):
                if self._is_of(one.value, shape.place, {"Reply", "surefoot.Reply"}):
                    return one.slice, shape.place
                continue
            for meant in self.meanings.of(one, shape.place):
                if isinstance(meant, Class) and (found := self.fields_of(meant.scope).get(name)):
                    return found
        return None

    def element(self, shape: Shape) -> tuple[ast.expr, Place] | None:
        """The annotation of what a list, dict or tuple holds; None where that is not known."""
        node = shape.annotation
        for one in self.meanings.parts_of(node) if isinstance(node, ast.expr) else ():
            if isinstance(one, ast.Subscript) and self._is_of(one.value, shape.place, _SEVERAL):
                inner = one.slice.elts[-1] if isinstance(one.slice, ast.Tuple) else one.slice
                if isinstance(inner, ast.Constant) and isinstance(one.slice, ast.Tuple):
                    inner = one.slice.elts[0]
                return inner, shape.place
        return None

    def checked(self, value: Value, annotation: ast.AST | None, place: Place, hop: Hop) -> Value:
        """A value after a check by this type: clear as far as the type leaves no free text in it."""
        if not value.of("untrusted") or annotation is None:
            return value
        if self.is_checked(annotation, place):
            return Value(value.of("private"), cleared=(hop,), asks=value.asks)
        return Value(value.marks, shape=Shape(annotation, place, hop), cleared=value.cleared, asks=value.asks)

    def takes(self, node: ast.expr | None, place: Place, *, by_model: bool) -> bool:
        """Whether a parameter of this annotation may be given what is untrusted: it says so, or checks it.

        by_model: a model gives it as an argument of a tool, which has to say so, whatever its type.
        """
        if node is None:
            return False
        annotated = self._annotated(node, place)
        for one in () if annotated is None else annotated[1]:
            if self.checks(one, place, also=("untrusted",)):
                return True
        return not by_model and self.is_checked(node, place)

    def checks(self, node: ast.expr, place: Place, *, also: tuple[str, ...] = ()) -> bool:
        """Whether it is a `Text(...)` that leaves no free text; or says one of `also`."""
        for one in self._texts(node, place):
            given = {word.arg: word.value for word in one.keywords}
            for name in (*_CHECKS, *also):
                said = given.get(name)
                if said is not None and not (isinstance(said, ast.Constant) and not said.value):
                    return True
        return False

    def _texts(self, node: ast.expr, place: Place) -> list[ast.Call]:
        """The `Text(...)` that an expression is or is a name of."""
        if isinstance(node, ast.Call):
            return [node] if _TEXT in self.meanings.of(node.func, place) else []
        if isinstance(node, ast.Name) and (scope := place.scope.bound(node.id)) is not None:
            values = [one.value for one in scope.bindings[node.id] if one.kind == "value"]
            return [
                one
                for one in values
                if isinstance(one, ast.Call) and _TEXT in self.meanings.of(one.func, Place(scope, END, ()))
            ]
        return []

    def _annotated(self, node: ast.expr, place: Place) -> tuple[ast.expr, list[ast.expr]] | None:
        """The type and the metadata of `Annotated[...]`, by its name too; None for another annotation."""
        match node:
            case ast.Constant(value=str()):
                parts = self.meanings.parts_of(node)
                return self._annotated(parts[0], place) if len(parts) == 1 and parts[0] is not node else None
            case ast.Subscript(value=head, slice=ast.Tuple(elts=[inner, *metadata])):
                names = {"typing.Annotated", "typing_extensions.Annotated"}
                return (inner, metadata) if self._is_of(head, place, names) else None
            case ast.Name() if (alias := self._aliased(node, place)) is not None:
                return self._annotated(*alias)
            case _:
                return None

    def _aliased(self, node: ast.expr, place: Place) -> tuple[ast.expr, Place] | None:
        """What a name of a type stands for: `Severity = Literal["low", "high"]`, in another module too."""
        if not isinstance(node, ast.Name) or (scope := place.scope.bound(node.id)) is None:
            return None
        bindings = scope.bindings[node.id]
        only = bindings[0] if len(bindings) == 1 else None
        if only is None:
            return None
        if only.kind == "import":
            module, rest = self.meanings.project.imported(only.dotted, scope.module)
            if module is None or len(rest) != 1:
                return None
            return self._aliased(ast.Name(rest[0]), Place(module.scope, END, ()))
        if only.kind == "value" and isinstance(only.value, ast.Subscript | ast.BinOp):
            return only.value, Place(scope, END, ())
        return None

    def _is_of(self, node: ast.expr, place: Place, names: frozenset[str] | set[str]) -> bool:
        return any(isinstance(one, Symbol) and one.dotted in names for one in self.meanings.of(node, place))
