"""What the signature of a flow or step declares of its parameters: their types, and rules beyond them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_origin

from surefoot.errors import UsageError
from surefoot.flows.declared import (
    has_ruled_dataclasses,
    hints_of,
    is_constraint,
    is_plain_dataclass,
    is_ruled,
    may_change,
    named,
    ruled_fields,
    ruled_later,
)
from surefoot.mistakes import Mistake, kind_of, path_of
from surefoot.texts.patterns import matched_until
from surefoot.texts.text import Text

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, slots=True)
class Rule:
    """What is declared of one parameter. `text` is all of it where that is `Annotated[str, Text(...)]`.

    `changes`: a value may come out as another one (trimmed, or what a validator of the user's makes of it).
    `has_dataclasses`: some of it is declared of fields of dataclasses, of which pydantic takes instances as they are.
    """

    name: str
    text: Text | None
    adapter: TypeAdapter[Any] | None
    changes: bool = False
    has_dataclasses: bool = False

    def checked(self, value: object, mistakes: list[Mistake]) -> object:
        """The value to go on with; what is wrong with it is added to the mistakes."""
        return self.checked_at(value, self.name, mistakes)

    def checked_at(self, value: object, field: str, mistakes: list[Mistake]) -> object:
        """The same for a value that stands at a path."""
        if self.text is not None:
            found = self.text.mistake(value, field)
            if found is None:
                return self.text.trimmed(cast("str", value))
            mistakes.append(found)
            return value
        if self.adapter is not None:
            from pydantic import ValidationError

            try:
                made = self.adapter.validate_python(value)
            except ValidationError as error:
                mistakes += mistakes_of(error, field, value)
                return value
            value = made if self.changes else value
        return with_checked_fields(value, field, mistakes) if self.has_dataclasses else value


def rules_of(function: Any, signature: inspect.Signature) -> dict[str, Rule]:
    """The parameters of a function of which more is declared than a type, by name.

    That is a `Text`, a constraint or validator of pydantic in `Annotated`, a `Literal`, an enumeration, also under
    another name and in the fields of typed mappings, named tuples and dataclasses. Raises `UsageError` where one cannot
    be read or checked.
    """
    found: dict[str, Rule] = {}
    hints = hints_of(function, has_extras=True)
    for name, parameter in signature.parameters.items():
        hint: Any = hints.get(name)
        if hint is None or not is_ruled(hint):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            hint = tuple.__class_getitem__((hint, ...))
        elif parameter.kind is parameter.VAR_KEYWORD:
            hint = dict.__class_getitem__((str, hint))
        found[name] = _rule_of(function, name, hint)
    return found


def _rule_of(function: Any, name: str, hint: Any, *, is_field: bool = False) -> Rule:
    is_text = get_origin(hint) is Annotated and get_args(hint)[0] is str
    metadata = get_args(hint)[1:] if is_text else ()
    texts = [one for one in metadata if isinstance(one, Text)]
    if len(texts) == 1 and not any(map(is_constraint, (one for one in metadata if one is not texts[0]))):
        return Rule(name, texts[0], None, texts[0].trim)
    if (later := ruled_later(hint)) is not None:
        raise UsageError(
            f"{named(function)}: what is declared of {name!r} cannot be checked, as what is in {later} is known only "
            "when it is taken out: declare a list or a Sequence"
        )
    is_direct = is_ruled(hint, into_dataclasses=False)
    # Of a field that holds dataclasses with rules, and has none itself, these are looked at one by one.
    adapter = None if is_field and not is_direct else adapter_of(hint)
    if adapter is None and is_direct:
        raise UsageError(
            f"{named(function)}: what is declared of {name!r} cannot be checked, as pydantic does not know the "
            "type: declare it of a type of plain data"
        )
    return Rule(name, None, adapter, may_change(hint), has_dataclasses=has_ruled_dataclasses(hint))


@lru_cache(maxsize=512)
def _rules_of_fields(kind: type) -> tuple[Rule, ...]:
    """What is declared of the fields of a dataclass."""
    return tuple(_rule_of(kind, name, hint, is_field=True) for name, hint in ruled_fields(kind).items())


def with_checked_fields(value: object, path: str, mistakes: list[Mistake]) -> object:
    """A value of whose dataclasses each field was checked; the same one where nothing in it changes.

    `path` is where it stands. What is wrong is added to the mistakes.
    """
    if isinstance(value, AbstractSet):
        for at, one in enumerate(cast("AbstractSet[object]", value)):
            with_checked_fields(one, f"{path}[{at}]", mistakes)
        return cast("object", value)
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        made = [with_checked_fields(one, f"{path}[{at}]", mistakes) for at, one in enumerate(items)]
        is_same = all(one is other for one, other in zip(made, items, strict=True))
        if is_same or type(items) not in (list, tuple):
            return items
        return made if type(items) is list else tuple(made)
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        parts = {name: with_checked_fields(one, f"{path}.{name}", mistakes) for name, one in table.items()}
        is_same = all(parts[name] is one for name, one in table.items())
        return table if is_same or type(table) is not dict else parts
    kind = cast("type", type(value))
    if not is_plain_dataclass(kind):
        return value
    changed: dict[str, object] = {}
    for rule in _rules_of_fields(kind):
        given = getattr(value, rule.name, None)
        made_one = rule.checked_at(given, f"{path}.{rule.name}", mistakes)
        if made_one is not given:
            changed[rule.name] = made_one
    if not changed:
        return value
    # Not made anew: that would run what its class does when one is made.
    copied = copy.copy(value)
    for name, part in changed.items():
        object.__setattr__(copied, name, part)
    return copied


def adapter_of(hint: Any) -> TypeAdapter[Any] | None:
    """What checks values of a type; None for one that says nothing of its form, or is an alias that names itself."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint)
    except (PydanticUserError, RecursionError):
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
