"""What the signature of a flow or step declares of its parameters: their types, and rules beyond them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

from surefoot.errors import UsageError
from surefoot.mistakes import Mistake, kind_of, path_of
from surefoot.texts.patterns import matched_until
from surefoot.texts.text import Text

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_SAYS_A_RULE = re.compile(r"\b(?:Text|Field)\(")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is declared of one parameter. `text` is all of it where that is `Annotated[str, Text(...)]`.

    `changes`: a value may come out as another one (trimmed, or what a validator of the user's makes of it).
    """

    name: str
    text: Text | None
    adapter: TypeAdapter[Any] | None
    changes: bool

    def checked(self, value: object, mistakes: list[Mistake]) -> object:
        """The value to go on with; what is wrong with it is added to the mistakes."""
        if self.text is not None:
            found = self.text.mistake(value, self.name)
            if found is None:
                return self.text.trimmed(cast("str", value))
            mistakes.append(found)
            return value
        from pydantic import ValidationError

        try:
            made = cast("TypeAdapter[Any]", self.adapter).validate_python(value)
        except ValidationError as error:
            mistakes += mistakes_of(error, self.name, value)
            return value
        return made if self.changes else value


def rules_of(function: Any, signature: inspect.Signature) -> dict[str, Rule]:
    """The parameters of a function of which more is declared than a type, by name.

    That is a `Text`, a constraint or validator of pydantic in `Annotated`, a `Literal`, an enumeration. Raises
    `UsageError` where one cannot be read or checked.
    """
    found: dict[str, Rule] = {}
    hints = hints_of(function, has_extras=True)
    for name, parameter in signature.parameters.items():
        hint: Any = hints.get(name)
        if hint is None or not _is_ruled(hint):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            hint = tuple.__class_getitem__((hint, ...))
        elif parameter.kind is parameter.VAR_KEYWORD:
            hint = dict.__class_getitem__((str, hint))
        is_text = get_origin(hint) is Annotated and get_args(hint)[0] is str
        metadata = get_args(hint)[1:] if is_text else ()
        texts = [one for one in metadata if isinstance(one, Text)]
        if len(texts) == 1 and not any(map(_is_constraint, (one for one in metadata if one is not texts[0]))):
            found[name] = Rule(name, texts[0], None, texts[0].trim)
            continue
        adapter = adapter_of(hint)
        if adapter is None:
            raise UsageError(
                f"{_named(function)}: what is declared of {name!r} cannot be checked, as pydantic does not know the "
                "type: declare it of a type of plain data"
            )
        found[name] = Rule(name, None, adapter, _may_change(hint))
    return found


def hints_of(function: Any, *, has_extras: bool = False) -> dict[str, Any]:
    """The annotations of a function by parameter, and that of its result as `return`, as far as they can be read.

    `has_extras`: with what `Annotated` says beside the type. Raises `UsageError` where a `Text` or `Field` in it cannot
    be read: passed over, it would let through what it is to refuse.
    """
    try:
        return get_type_hints(function, include_extras=has_extras)
    except (NameError, TypeError):
        # A name that is imported for typing only: that parameter is taken as it comes, the others are not.
        found: dict[str, Any] = {}
        names = getattr(inspect.unwrap(function), "__globals__", {})
        for name, hint in getattr(function, "__annotations__", {}).items():
            try:
                one = type("One", (), {"__annotations__": {name: hint}})
                found |= get_type_hints(one, globalns=names, include_extras=has_extras)
            except (NameError, TypeError) as error:
                if has_extras and isinstance(hint, str) and _says_a_rule(hint, error):
                    raise UsageError(
                        f"{_named(function)}: what is declared of {name!r} cannot be read ({error}): import its names "
                        "at the top of the module, and not for type checking only"
                    ) from None
        return found


def _says_a_rule(hint: str, error: Exception) -> bool:
    """Whether an annotation that cannot be read declares something, or what cannot be read is what declares it."""
    missing = re.escape(getattr(error, "name", "") or "")
    is_called = bool(missing) and re.search(rf"\b{missing}[\w.]*\(", hint) is not None
    return "Annotated" in hint and (is_called or _SAYS_A_RULE.search(hint) is not None)


def adapter_of(hint: Any) -> TypeAdapter[Any] | None:
    """What checks values of a type; None for a type of the user's that says nothing of its form."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint)
    except PydanticUserError:
        return None


def mistakes_of(error: ValidationError, name: str, value: object) -> list[Mistake]:
    """What pydantic found wrong with a value, which is not told."""
    return [_mistake(cast("Mapping[str, Any]", one), name, value) for one in error.errors(include_url=False)]


def _mistake(found: Mapping[str, Any], name: str, value: object) -> Mistake:
    kind = str(found["type"])
    context = cast("Mapping[str, Any]", found.get("ctx") or {})
    field = path_of((name, *_steps(found["loc"], value)))
    if kind == "text":
        return Mistake(field, context["rule"], context["problem"], context["offset"])
    said = str(found["msg"])
    if kind in ("value_error", "assertion_error"):
        # A validator of the user's, whose words are the user's too.
        return Mistake(field, kind, said.partition(", ")[2] or said)
    given, offset = found.get("input"), None
    if isinstance(given, str) and kind == "string_too_long":
        offset = int(context["max_length"])
    elif isinstance(given, str) and kind == "string_pattern_mismatch":
        offset = matched_until(str(context["pattern"]), given)
    problem = said[:1].lower() + said[1:]
    if offset is not None:
        problem += f" (from offset {offset})"
    elif kind.endswith(("_type", "_parsing")):
        problem += f" (given {kind_of(given)})"
    return Mistake(field, kind, problem, offset)


def _steps(location: tuple[str | int, ...], value: object) -> list[str | int]:
    """Where a mistake is within a value, without the branches of unions, which pydantic names among the steps."""
    steps: list[str | int] = []
    for step in location:
        if isinstance(step, int) and isinstance(value, list | tuple):
            value = cast("list[object]", value)[step] if step < len(value) else None
        elif isinstance(value, Mapping):
            table = cast("Mapping[object, object]", value)
            if step not in table and step != location[-1]:
                continue
            value = table.get(step)
        elif isinstance(step, str) and hasattr(value, step):
            value = getattr(value, step)
        else:
            continue
        steps.append(step)
    return steps


def _is_ruled(hint: Any) -> bool:
    """Whether more is declared than a type, anywhere in an annotation."""
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return True
    if get_origin(hint) is Annotated and any(
        map(_is_constraint, cast("tuple[object, ...]", cast("Any", hint).__metadata__))
    ):
        return True
    return any(map(_is_ruled, _parts(hint)))


def _is_constraint(said: object) -> bool:
    if isinstance(said, Text):
        return True
    if not type(said).__module__.startswith(("pydantic", "annotated_types")):
        return hasattr(said, "__get_pydantic_core_schema__")
    # A `Field` that only describes says nothing of the value.
    return not hasattr(said, "description") or bool(getattr(said, "metadata", None))


def _may_change(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        for said in hint.__metadata__:
            if said.trim if isinstance(said, Text) else hasattr(said, "__get_pydantic_core_schema__"):
                return True
    return any(map(_may_change, _parts(hint)))


def _parts(hint: Any) -> tuple[Any, ...]:
    # What `Callable` and `Literal` hold is no annotation.
    return (
        ()
        if get_origin(hint) is Literal
        else tuple(part for part in get_args(hint) if not isinstance(part, list))
    )


def _named(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', function)}"
