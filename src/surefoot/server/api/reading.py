"""What a request says: the fields of its body, and the values of its query."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from surefoot.server.api.problems import Problem
from surefoot.server.entry import body_of, has_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.values import Json


_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
"""As JSON has them: what else Python takes for one is none."""
_LONGEST = 1_000
_NUL = "\x00"
"""A database of text cannot hold it."""


def fields_of(request: Request, known: Sequence[str]) -> Fields:
    """The fields of a body, which has no others than these; none of an empty one. Raises `Problem` 400."""
    if not has_body(request):
        return Fields({})
    value = body_of(request)
    if not isinstance(value, dict):
        raise Problem(400, "the body is no JSON object")
    if unknown := sorted(value.keys() - set(known)):
        raise Problem(
            400, f"the body has an unknown key {unknown[0][:60]!r}; there are: {', '.join(known) or 'none'}"
        )
    return Fields(value)


class Fields:
    """The values of a body by name, each of its kind. Methods raise `Problem` 400."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values

    def get(self, name: str) -> Json:
        """A value of any kind; None where there is none."""
        return self._values.get(name)

    def mapping(self, name: str) -> dict[str, Json]:
        """An object; empty where there is none."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Problem(400, f"{name} is no object")
        return value

    def text(self, name: str, *, most: int = 1_000) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most or _NUL in value:
            raise Problem(400, f"{name} is no text of at most {most:,} characters, without NUL")
        return value

    def seconds(self, name: str) -> float | None:
        """A number above 0."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise Problem(400, f"{name} is no number of seconds above 0")
        return float(value)

    def truth(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise Problem(400, f"{name} is neither true nor false")
        return value

    def texts(self, name: str, *, most: int = 100) -> list[str]:
        """A list of texts; empty where there is none."""
        value = self._list(name)
        if value is None or len(value) > most or not all(map(_is_text, value)):
            raise Problem(400, f"{name} is no list of at most {most} texts")
        return cast("list[str]", value)

    def items(self, name: str, *, most: int) -> list[Json]:
        """A list; empty where there is none."""
        value = self._list(name)
        if value is None or len(value) > most:
            raise Problem(400, f"{name} is no list of at most {most:,}")
        return value

    def _list(self, name: str) -> list[Json] | None:
        """A list; empty where there is none, None where there is something else."""
        value = self._values.get(name)
        if value is None:
            return []
        return value if isinstance(value, list) else None

    def pairs(self, name: str) -> dict[str, str]:
        """An object of texts."""
        found = self.mapping(name)
        if (
            len(found) > 50
            or any(_NUL in key for key in found)
            or not all(_is_text(one) and len(cast("str", one)) <= _LONGEST for one in found.values())
        ):
            raise Problem(400, f"{name} is no object of at most 50 texts, without NUL")
        return cast("dict[str, str]", found)


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and _NUL not in value


def whole(request: Request, name: str, *, least: int, most: int, default: int) -> int:
    """A whole number of the query. Raises `Problem` 400."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10 and least <= int(given) <= most):
        raise Problem(400, f"{name} is no whole number from {least} to {most}")
    return int(given)


def text_of(request: Request, name: str) -> str | None:
    """A text of the query; None where there is none. Raises `Problem` 400."""
    given = request.query_params.get(name)
    if given is not None and (len(given) > _LONGEST or _NUL in given):
        raise Problem(400, f"{name} is no text of at most {_LONGEST:,} characters, without NUL")
    return given


def wait_of(request: Request, default: float) -> float:
    """For how many seconds the answer waits for the run: `wait` of the query, or none by `Prefer: respond-async`."""
    preferred = {one.strip().lower() for one in request.headers.get("prefer", "").split(",")}
    given = request.query_params.get("wait")
    if given is None:
        return 0.0 if "respond-async" in preferred else default
    seconds = float(given) if _NUMBER.fullmatch(given) else -1.0
    if not 0 <= seconds <= 1e6:
        raise Problem(400, "wait is no number of seconds")
    return min(seconds, default)
