"""Values as a flow's signature wants them: from the text of a cell, or from JSON."""

from __future__ import annotations

import math
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, cast, is_typeddict

import orjson

from surefoot.evals.datasets.json_rows import parsed
from surefoot.locks import made_once

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_PLAIN = (str, int, float, bool)


class Kind:
    """The type of one input, or of the output. Pydantic checks it, and is imported with the first value."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        # A value of the very type needs no check; a subclass does, as True is an int.
        self._exact = annotation if annotation in _PLAIN else None

    def of_text(self, text: str) -> object:
        """The value that a cell spells: objects and lists as JSON, everything else as people write it.

        Raises `ValueError` that says what is wanted.
        """
        if self._exact is str or self._adapter is None:
            return text
        is_json = text.lstrip()[:1] in ("{", "[") and text.lstrip() != ""
        try:
            if is_json:
                return self._checked(parsed(text))
            return _finite(self._adapter.validate_strings(text))
        except ValueError as error:
            # What was taken for JSON may be text, and for text, JSON: a number in a Literal, for one.
            try:
                if is_json:
                    return self._adapter.validate_strings(text)
                return self._checked(parsed(text))
            except ValueError:
                raise ValueError(_reason(error)) from None

    def of_data(self, value: object) -> object:
        """The value that JSON data stands for. Raises `ValueError` that says what is wanted."""
        if type(value) is self._exact or self._adapter is None:
            return value
        try:
            return self._checked(value)
        except ValueError as error:
            raise ValueError(_reason(error)) from None

    @property
    def takes_nothing(self) -> bool:
        """Whether None is a value of it."""
        try:
            return self._adapter is not None and self._checked(None) is None
        except ValueError:
            return False

    @property
    def takes_empty(self) -> bool:
        """Whether an empty text is a value of it."""
        try:
            return self.of_text("") == ""
        except ValueError:
            return False

    @property
    def is_structured(self) -> bool:
        """Whether its values have named fields: a model, a dataclass or a TypedDict."""
        kind = self.annotation
        return is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "model_fields")

    def misfit(self, data: object) -> str | None:
        """Why an object is no value of it, in words; fields that are left out do not count. None where it fits."""
        from pydantic import ValidationError

        if self._adapter is None or not isinstance(data, dict):
            return None
        given = cast("dict[str, object]", data)
        try:
            self._checked(given)
        except ValidationError as error:
            wrong = [each for each in error.errors() if each["type"] not in ("missing", "missing_argument")]
            if wrong:
                where = ".".join(map(str, wrong[0]["loc"]))
                return f"{where}: {_lowered(wrong[0]['msg'])}" if where else _lowered(wrong[0]["msg"])
        unknown = [name for name in given if name not in self._fields] if self._fields else []
        return (
            f"there is no field {unknown[0]!r}: it has {', '.join(sorted(self._fields))}" if unknown else None
        )

    @made_once
    def _fields(self) -> frozenset[str]:
        kind = self.annotation
        fields = getattr(kind, "model_fields", None)
        if fields is not None:
            aliases = {field.alias for field in fields.values() if field.alias}
            # A model that keeps what it does not know has no unknown fields.
            return (
                frozenset() if kind.model_config.get("extra") == "allow" else frozenset({*fields, *aliases})
            )
        return frozenset(getattr(kind, "__dataclass_fields__", None) or getattr(kind, "__annotations__", {}))

    def _checked(self, value: object) -> object:
        # As JSON, so that an object is a model and a text is a date.
        return value if self._adapter is None else _finite(self._adapter.validate_json(orjson.dumps(value)))

    @made_once
    def _adapter(self) -> TypeAdapter[Any] | None:
        """What checks values; None where any value will do, or the type says nothing of its form."""
        from pydantic import PydanticUserError, TypeAdapter

        if self.annotation in (None, Any, object):
            return None
        try:
            return TypeAdapter(self.annotation)
        except PydanticUserError:
            return None


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that can be compared")
    return value


def _reason(error: ValueError) -> str:
    """The first thing that pydantic complains about, with its place inside of the value."""
    found = getattr(error, "errors", None)
    if not callable(found):
        return str(error)
    invalid: ValidationError = error  # type: ignore[assignment]
    first = invalid.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return (
        f"{where}: {_lowered(first['msg'])}"
        if where and isinstance(first["loc"][0], int)
        else _lowered(first["msg"])
    )


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
