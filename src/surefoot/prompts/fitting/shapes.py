"""The JSON types of values and the fields of classes, as far as the code tells."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from surefoot.prompts.fitting import meaning
from surefoot.prompts.fitting.meaning import Class, Function, Result, Symbol, Text
from surefoot.prompts.fitting.meanings import MAX_DEPTH, Meanings
from surefoot.prompts.fitting.reaching import reaching
from surefoot.prompts.fitting.scopes import END, Place, Scope
from surefoot.prompts.fitting.uses import Given
from surefoot.values import Json

Kind: TypeAlias = Literal["dataclass", "model", "typeddict", ""]

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "List": "array",
    "Sequence": "array",
    "Dict": "object",
    "Mapping": "object",
    "None": "null",
}
_MAKERS = {
    "str": "string",
    "repr": "string",
    "int": "integer",
    "len": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "sorted": "array",
    "tuple": "array",
    "dict": "object",
}
_TEXT_METHODS = frozenset({"join", "format", "strip", "lower", "upper", "title", "replace"})
_FIELD = frozenset({"dataclasses.field", "pydantic.Field", "pydantic.fields.Field"})
_LITERALS: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
_UNKNOWN = Given()
_DISPLAYS: dict[type[ast.expr], Given] = {
    ast.JoinedStr: Given("string"),
    ast.List: Given("array"),
    ast.Tuple: Given("array"),
    ast.ListComp: Given("array"),
    ast.Compare: Given("boolean"),
    ast.Dict: Given("object"),
    ast.DictComp: Given("object"),
}


@dataclass(slots=True)
class Shapes:
    """Asks the same project as `meanings` does."""

    meanings: Meanings

    def of(self, node: ast.expr, place: Place, depth: int = 0) -> Given:
        """What is known of a value. Where branches differ, only what they agree on."""
        if depth > MAX_DEPTH:
            return _UNKNOWN
        if (known := _DISPLAYS.get(type(node))) is not None:
            return known
        match node:
            case ast.Constant(value=value):
                return _literal(value)
            case ast.IfExp(body=body, orelse=orelse):
                return _common([self.of(body, place, depth + 1), self.of(orelse, place, depth + 1)])
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.of(value, place, depth + 1)
            case ast.UnaryOp(op=op, operand=operand):
                inner = self.of(operand, place, depth + 1)
                is_number = isinstance(op, ast.USub) and inner.type in ("integer", "number")
                return Given(inner.type if is_number else "boolean" if isinstance(op, ast.Not) else "")
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                joined = _common([self.of(left, place, depth + 1), self.of(right, place, depth + 1)])
                return Given(joined.type) if joined.type in ("string", "array") else _UNKNOWN
            case ast.Name(id=name):
                return self._named(name, place, depth)
            case ast.Call():
                return self._made(node, place)
            case _:
                found = self.meanings.of(node, place)
                return _common([_literal(one.value) if isinstance(one, Text) else _UNKNOWN for one in found])

    def _named(self, name: str, place: Place, depth: int) -> Given:
        found: list[Given] = []
        for binding in reaching(name, place) or ():
            at = Place(binding.scope, binding.spot, binding.block)
            if binding.kind == "value" and isinstance(binding.value, ast.expr):
                found.append(self.of(binding.value, at, depth + 1))
            elif binding.annotation is not None:
                inside = binding.scope.parent if binding.kind == "param" else binding.scope
                found.append(self.annotated(binding.annotation, Place(inside or binding.scope, END, ())))
            elif binding.kind == "import":
                each = self.meanings.bound(name, binding)
                found += [_literal(one.value) if isinstance(one, Text) else _UNKNOWN for one in each]
            else:
                found.append(_UNKNOWN)
        return _common(found)

    def _made(self, node: ast.Call, place: Place) -> Given:
        """What a call gives: by the function that makes the type, or by the annotation of one's own."""
        found: list[Given] = []
        if isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT_METHODS:
            return Given("string") if self.of(node.func.value, place, 1).type == "string" else _UNKNOWN
        for one in self.meanings.of(node.func, place):
            if isinstance(one, Symbol) and one.dotted.startswith("builtins."):
                found.append(Given(_MAKERS.get(one.dotted.removeprefix("builtins."), "")))
            elif isinstance(one, Function) and (says := getattr(one.scope.node, "returns", None)) is not None:
                found.append(self.annotated(says, Place(one.scope.parent or one.scope, END, ())))
            else:
                found.append(_UNKNOWN)
        is_text = any(
            isinstance(one, Result) and one.way == "render" for one in self.meanings.of(node, place)
        )
        return Given("string") if is_text else _common(found)

    def annotated(self, annotation: ast.expr, place: Place) -> Given:
        """The JSON type of an annotation; of a union only where its parts agree."""
        found: list[Given] = []
        for part in self.meanings.parts_of(annotation):
            head = part.value if isinstance(part, ast.Subscript) else part
            if isinstance(head, ast.Constant) and head.value is None:
                found.append(Given("null"))
                continue
            for one in self.meanings.of(head, place):
                if isinstance(one, Class):
                    is_plain = self.kind_of(one.scope) in ("dataclass", "model", "typeddict")
                    found.append(Given("object") if is_plain else _UNKNOWN)
                elif isinstance(one, Symbol):
                    found.append(self._symbol(one, part, place))
                else:
                    found.append(_UNKNOWN)
        return _common(found)

    def _symbol(self, one: Symbol, part: ast.expr, place: Place) -> Given:
        origin, _, name = one.dotted.rpartition(".")
        if origin in ("typing", "typing_extensions") and isinstance(part, ast.Subscript):
            if name in ("Required", "NotRequired", "ReadOnly", "Final"):
                return self.annotated(part.slice, place)
            if name == "Annotated" and isinstance(part.slice, ast.Tuple) and part.slice.elts:
                return self.annotated(part.slice.elts[0], place)
            if name == "Literal":
                items = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
                return Given(_common([self.of(item, place) for item in items]).type)
        if origin in ("builtins", "typing", "collections.abc", "typing_extensions"):
            return Given(_TYPES.get(name, ""))
        return _UNKNOWN

    # Classes

    def kind_of(self, scope: Scope) -> Kind:
        """What kind of data a class holds; empty where it is none that is known."""
        outside = {one.dotted for one in self.meanings.bases_of(scope)}
        if outside & {"pydantic.BaseModel", "pydantic.main.BaseModel"}:
            return "model"
        if outside & {"typing.TypedDict", "typing_extensions.TypedDict"}:
            return "typeddict"
        for one in self.meanings.line_of(scope):
            for decorator in getattr(one.node, "decorator_list", []):
                head = decorator.func if isinstance(decorator, ast.Call) else decorator
                for made in self.meanings.of(head, Place(one.parent or one, END, ())):
                    if made in (Symbol("dataclasses.dataclass"), Symbol("pydantic.dataclasses.dataclass")):
                        return "dataclass"
        return ""

    def fields_of(self, scope: Scope) -> dict[str, Given] | None:
        """The fields of a dataclass, pydantic model or TypedDict, inherited ones too; None for other classes."""
        kind = self.kind_of(scope)
        if not kind:
            return None
        found: dict[str, Given] = {}
        for one in reversed(self.meanings.line_of(scope)):
            node = cast("ast.ClassDef", one.node)
            is_total = not any(
                keyword.arg == "total" and isinstance(keyword.value, ast.Constant) and not keyword.value.value
                for keyword in node.keywords
            )
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    name, given = self._field(statement, one, is_needed=kind != "typeddict" or is_total)
                    if name:
                        found[name] = given
        return found

    def _field(self, statement: ast.AnnAssign, scope: Scope, *, is_needed: bool) -> tuple[str, Given]:
        """One field by the name it has in JSON; without a name it is none."""
        name = cast("ast.Name", statement.target).id
        head = (
            statement.annotation.value
            if isinstance(statement.annotation, ast.Subscript)
            else statement.annotation
        )
        marks = {
            one.dotted.rpartition(".")[2]
            for one in self.meanings.of(head, Place(scope, END, ()))
            if isinstance(one, Symbol)
        }
        if "ClassVar" in marks or name.startswith("_"):
            return "", _UNKNOWN
        needed = (is_needed or "Required" in marks) and "NotRequired" not in marks
        if statement.value is not None:
            needed, name = self._default(statement.value, scope, name)
        type_ = self.annotated(statement.annotation, Place(scope, END, ())).type
        return name, Given(type_, is_needed=needed)

    def _default(self, value: ast.expr, scope: Scope, name: str) -> tuple[bool, str]:
        """Whether a field has to be there though a value stands behind it, and its name in JSON."""
        if not isinstance(value, ast.Call):
            return isinstance(value, ast.Constant) and value.value is ..., name
        heads = self.meanings.of(value.func, Place(scope, END, ()))
        if not any(isinstance(one, Symbol) and one.dotted in _FIELD for one in heads):
            return False, name
        named = {keyword.arg: keyword.value for keyword in value.keywords}
        alias = named.get("validation_alias", named.get("alias"))
        if isinstance(alias, ast.Constant) and isinstance(alias.value, str):
            name = alias.value
        default = value.args[0] if value.args else named.get("default")
        is_open = isinstance(default, ast.Constant) and default.value is ...
        return (default is None or is_open) and "default_factory" not in named, name

    def asked(self, kind: ast.expr, place: Place) -> tuple[dict[str, Given] | None, str]:
        """The fields that an answer of a type has, None where it has none that are known, and the type as written."""
        shown = ast.unparse(kind)
        shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        if isinstance(kind, ast.Subscript):
            heads = self.meanings.of(kind.value, place)
            if any(isinstance(one, Symbol) and one.is_ours and one.dotted == "Reply" for one in heads):
                return self.asked(kind.slice, place)[0], shown
        found: list[dict[str, Given] | None] = []
        for one in self.meanings.of(kind, place):
            if isinstance(one, Class) and not one.is_instance:
                found.append(self.fields_of(one.scope))
            elif isinstance(one, meaning.Literal) and isinstance(one.node, ast.Dict):
                found.append(_schema_fields(one.node))
            else:
                found.append(None)
        return (found[0] if len(found) == 1 else None), shown


def _schema_fields(node: ast.Dict) -> dict[str, Given] | None:
    """The properties of a JSON schema that is written down."""
    try:
        schema = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return None
    required = schema.get("required", ())
    fields = cast("Mapping[str, object]", properties)
    types = {
        name: cast("Mapping[str, object]", one).get("type") if isinstance(one, Mapping) else None
        for name, one in fields.items()
    }
    return {
        name: Given(type_ if isinstance(type_, str) else "", is_needed=name in required)
        for name, type_ in types.items()
    }


def _literal(value: object) -> Given:
    if (type_ := _LITERALS.get(type(value))) is not None:
        return Given(type_, is_literal=True, value=cast("Json", value))
    return _UNKNOWN


def _common(found: list[Given]) -> Given:
    """What all of them say."""
    if not found:
        return _UNKNOWN
    if all(one == found[0] for one in found):
        return found[0]
    types = {one.type for one in found}
    return Given(types.pop()) if len(types) == 1 else _UNKNOWN
