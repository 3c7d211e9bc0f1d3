"""Scorers of JSON: whether an output is JSON, fits a schema, or equals what is expected."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import shown
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.texts.patterns import compiled, encodable, json_schema_keywords

Lists = Literal["ordered", "any"]

_PROBLEMS = 3
_DEEPEST = 200
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<place>\d+|\*)\]|\['(?P<quoted>[^']*)'\]")


def is_json(output: object) -> Score:
    """Whether the output is JSON: a text that holds it and nothing around it, or data."""
    try:
        data_of(output)
    except ValueError as error:
        return Score(value=False, reason=str(error))
    return Score(value=True)


scaled(is_json)


def json_schema(schema: Mapping[str, Any] | str | Path) -> Callable[[object], Score]:
    """A scorer: whether the output, as JSON, fits a schema (draft 2020-12 unless `$schema` names another).

    schema: the schema, or the path of a JSON file with it. What it refers to has to be within it: nothing is fetched.

    Raises `InvalidInput` for a file that cannot be read and for what is no schema.
    """
    held = _Schema.of(schema)
    _validator(held)

    def json_schema(output: object) -> Score:
        try:
            data = data_of(output)
        except ValueError as error:
            return Score(value=False, reason=str(error))
        problems = _problems(held, data)
        return Score(value=True) if not problems else Score(value=False, reason="; ".join(problems))

    return scaled(json_schema, name=f"json_schema:{held.name}")


def json_equal(
    *, ignore: Sequence[str] = (), lists: Lists = "ordered", tolerance: float = 0.0
) -> Callable[[object, object], Score]:
    """A scorer: whether the output, as JSON, equals what is expected. 1 and 1.0 are equal, 1 and true are not.

    What is expected is JSON too: data, or a text that holds it.

    ignore: paths that are not looked at, as in `$.id`, `$.items[*].created`, `$.items[0]`.
    lists: whether items have to be in the same order, or in `any`.
    tolerance: the greatest distance of two numbers that are equal.

    Raises `InvalidInput` for a path that is none; the scorer does where what is expected is no JSON.
    """
    if lists not in ("ordered", "any"):
        raise InvalidInput(f"lists are compared ordered or in any order, and not {lists!r}")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InvalidInput(f"the tolerance is {tolerance}: write a number from 0")
    alike = _Alike(tuple(_steps(path) for path in ignore), lists == "any", tolerance)

    def json_equal(output: object, expected: object) -> Score:
        try:
            wanted = data_of(expected)
        except ValueError as error:
            raise InvalidInput(f"what is expected cannot be compared as JSON: {error}") from None
        try:
            data = data_of(output)
        except ValueError as error:
            return Score(value=False, reason=str(error))
        found = list(_first(alike.differences(data, wanted, ()), _PROBLEMS + 1))
        if not found:
            return Score(value=True)
        more = "; and more" if len(found) > _PROBLEMS else ""
        return Score(value=False, reason="; ".join(found[:_PROBLEMS]) + more)

    return scaled(json_equal)


def data_of(output: object) -> Any:
    """The data of an output: parsed where it is a text. Raises `ValueError` that says why it is no JSON."""
    if isinstance(output, str):
        try:
            return json.loads(output, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("it is nested too deeply to be read as JSON") from None
        except ValueError as error:
            fence = " (it stands in a code fence)" if output.lstrip().startswith("```") else ""
            raise ValueError(f"{shown(output)} is no JSON: {error}{fence}") from None
    return _plain(output, 0)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not in JSON")


def _plain(value: object, depth: int) -> Any:
    """Data as JSON has it: dataclasses and models as objects, tuples as lists."""
    kind = type(value).__name__
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply to be compared as JSON")
    dump = cast("Callable[..., object] | None", getattr(value, "model_dump", None))
    if dump is not None and not isinstance(value, type):
        value = dump(mode="json")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {str(key): _plain(each, depth + 1) for key, each in pairs}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in cast("Sequence[object]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not in JSON")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{kind} is not in JSON")


# Schemas


@dataclasses.dataclass(frozen=True, slots=True)
class _Schema:
    """A schema as text, so that a scorer is another one where its schema has changed, and how errors name it."""

    name: str
    text: str

    @classmethod
    def of(cls, schema: Mapping[str, Any] | str | Path) -> _Schema:
        if isinstance(schema, Mapping):
            name = str(schema.get("title") or "schema")
            try:
                return cls(name, json.dumps(schema))
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidInput(f"{name} is no JSON schema: {error}") from None
        path = Path(schema)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InvalidInput(f"the schema {path} cannot be read ({said}): check the path") from None
        return cls(str(schema), text)


@lru_cache(maxsize=64)
def _validator(schema: _Schema) -> Any:
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema import validators as untyped
    from referencing import Registry

    try:
        found: object = json.loads(schema.text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the schema {schema.name} is no JSON: {error}") from None
    if not isinstance(found, dict | bool):
        raise InvalidInput(f"the schema {schema.name} is {type(found).__name__}: write a JSON object")
    validators = cast("Any", untyped)
    chosen: Any = validators.validator_for(found, default=Draft202012Validator)
    try:
        chosen.check_schema(found)
    except SchemaError as error:
        raise InvalidInput(f"{schema.name} is no JSON schema: {error.json_path}: {error.message}") from None
    # An answer may be made to be slow to match, which RE2 never is.
    for pattern in _patterns_in(cast("object", found)):
        try:
            compiled(pattern)
        except InvalidInput as error:
            raise InvalidInput(f"{schema.name}: {error}") from None
    kinds: Any = validators.extend(chosen, {**json_schema_keywords(), "pattern": _pattern})
    empty: Registry[Any] = Registry()
    return kinds(found, registry=empty, format_checker=chosen.FORMAT_CHECKER)


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(instance, str):
        return
    if compiled(pattern).search(encodable(instance)) is None:
        yield ValidationError(f"{shown(instance)} does not match {pattern!r}")


def _patterns_in(schema: object) -> Iterator[str]:
    """The patterns of a schema and of those in it."""
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            yield from _patterns_in(one)
    elif isinstance(schema, dict):
        for name, value in cast("dict[str, object]", schema).items():
            # What is listed there are values, and no schemas.
            if name not in ("enum", "const", "default", "examples"):
                yield from _patterns_in(value)
            if name == "pattern" and isinstance(value, str):
                yield value
            elif name == "patternProperties" and isinstance(value, dict):
                yield from cast("dict[str, object]", value)


def _problems(schema: _Schema, data: object) -> list[str]:
    from referencing.exceptions import Unresolvable

    found: list[str] = []
    try:
        for error in _validator(schema).iter_errors(data):
            if len(found) == _PROBLEMS:
                return [*found, "and more"]
            found.append(f"{error.json_path}: {_cut(error.message)}")
    except Unresolvable as error:
        raise InvalidInput(
            f"{schema.name} refers to {error.ref!r}, which is not in it: put it under $defs"
        ) from None
    except RecursionError:
        return ["it is nested too deeply to be held against the schema"]
    return found


def _cut(message: str, most: int = 160) -> str:
    return message if len(message) <= most else f"{message[:most]}..."


# Equality

_Step = str | int | None
"""A key, a place in a list, or any place."""


def _steps(path: str) -> tuple[_Step, ...]:
    if not path.startswith("$"):
        raise InvalidInput(f"{path!r} is no path: begin with $, as in $.items[*].id")
    found: list[_Step] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise InvalidInput(f"{path!r} is no path from {path[at:]!r} on: write it as in $.items[*].id")
        place = step["place"]
        key = step["key"] if step["key"] is not None else step["quoted"]
        found.append(key if place is None else None if place == "*" else int(place))
        at = step.end()
    return tuple(found)


@dataclasses.dataclass(frozen=True, slots=True)
class _Alike:
    """How two values are compared."""

    ignored: tuple[tuple[_Step, ...], ...]
    in_any_order: bool
    tolerance: float

    def differences(self, said: Any, wanted: Any, at: tuple[str | int, ...]) -> Iterator[str]:
        """What differs, place by place."""
        if self._is_ignored(at):
            return
        if len(at) > _DEEPEST:
            yield f"{_path(at)}: nested too deeply to be compared"
        elif isinstance(said, dict) and isinstance(wanted, dict):
            yield from self._of_objects(cast("dict[str, Any]", said), cast("dict[str, Any]", wanted), at)
        elif isinstance(said, list) and isinstance(wanted, list):
            those, these = _listed(said), _listed(wanted)
            yield from (self._of_bags if self.in_any_order else self._of_lists)(those, these, at)
        elif not self._is_same(said, wanted):
            yield f"{_path(at)}: {_json(cast('object', said))} and not {_json(cast('object', wanted))}"

    def _is_ignored(self, at: tuple[str | int, ...]) -> bool:
        return any(
            len(path) == len(at)
            and all(
                step == place or (step is None and isinstance(place, int))
                for step, place in zip(path, at, strict=True)
            )
            for path in self.ignored
        )

    def _is_same(self, said: Any, wanted: Any) -> bool:
        if _is_number(said) and _is_number(wanted):
            return bool(said == wanted) or _is_near(said, wanted, self.tolerance)
        return type(said) is type(wanted) and bool(said == wanted)

    def _of_objects(
        self, said: dict[str, Any], wanted: dict[str, Any], at: tuple[str | int, ...]
    ) -> Iterator[str]:
        for key, value in wanted.items():
            if key in said:
                yield from self.differences(said[key], value, (*at, key))
            elif not self._is_ignored((*at, key)):
                yield f"{_path((*at, key))}: missing"
        for key in said:
            if key not in wanted and not self._is_ignored((*at, key)):
                yield f"{_path((*at, key))}: not expected"

    def _of_lists(self, said: list[Any], wanted: list[Any], at: tuple[str | int, ...]) -> Iterator[str]:
        for place, (one, other) in enumerate(zip(said, wanted, strict=False)):
            yield from self.differences(one, other, (*at, place))
        for place in range(len(said), len(wanted)):
            if not self._is_ignored((*at, place)):
                yield f"{_path((*at, place))}: missing, {_json(wanted[place])} is expected"
        for place in range(len(wanted), len(said)):
            if not self._is_ignored((*at, place)):
                yield f"{_path((*at, place))}: {_json(said[place])} is not expected"

    def _of_bags(self, said: list[Any], wanted: list[Any], at: tuple[str | int, ...]) -> Iterator[str]:
        """Items in any order: what is left when as many as can be are paired with one that is the same."""
        pairs = self._paired(said, wanted, at)
        for place, other in enumerate(wanted):
            if place not in pairs.values() and not self._is_ignored((*at, place)):
                yield f"{_path(at)}: {_json(other)} is missing"
        for mine, each in enumerate(said):
            if mine not in pairs and not self._is_ignored((*at, mine)):
                yield f"{_path(at)}: {_json(each)} is not expected"

    def _paired(self, said: list[Any], wanted: list[Any], at: tuple[str | int, ...]) -> dict[int, int]:
        """Places of items that are the same, said to expected."""
        if not self.tolerance:
            free: dict[str, list[int]] = {}
            for place in reversed(range(len(wanted))):
                free.setdefault(self._key(wanted[place], (*at, place)), []).append(place)
            keys = [self._key(each, (*at, mine)) for mine, each in enumerate(said)]
            return {mine: free[key].pop() for mine, key in enumerate(keys) if free.get(key)}
        # Near is not the same as equal: a may be near b and b near c. So pairs are taken apart again where that
        # lets more of them be made.
        owner: dict[int, int] = {}

        def is_placed(mine: int, tried: set[int]) -> bool:
            for place, other in enumerate(wanted):
                if place in tried or any(self.differences(said[mine], other, (*at, place))):
                    continue
                tried.add(place)
                if place not in owner or is_placed(owner[place], tried):
                    owner[place] = mine
                    return True
            return False

        for mine, _ in enumerate(said):
            is_placed(mine, set())
        return {mine: place for place, mine in owner.items()}

    def _key(self, value: Any, at: tuple[str | int, ...]) -> str:
        """A text that is the same for values that are the same."""
        if self._is_ignored(at) or len(at) > _DEEPEST:
            return "ignored"
        if isinstance(value, dict):
            members = sorted(cast("dict[str, Any]", value).items())
            kept = [(key, each) for key, each in members if not self._is_ignored((*at, key))]
            pairs = [f"{json.dumps(key)}:{self._key(each, (*at, key))}" for key, each in kept]
            return f"{{{','.join(pairs)}}}"
        if isinstance(value, list):
            several = enumerate(cast("list[object]", value))
            items = sorted(self._key(each, (*at, place)) for place, each in several)
            return f"[{','.join(items)}]"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return json.dumps(value)


def _listed(value: Any) -> list[Any]:
    return list(value)


def _is_near(said: float, wanted: float, tolerance: float) -> bool:
    try:
        return abs(said - wanted) <= tolerance
    except OverflowError:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _path(at: Sequence[str | int]) -> str:
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
    return "$" + "".join(parts)


def _json(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        text = "what is nested too deeply to be shown"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _first(found: Iterator[str], most: int) -> Iterator[str]:
    for _, each in zip(range(most), found, strict=False):
        yield each
