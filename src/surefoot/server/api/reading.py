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

_MOST_TAGS, _LONGEST_TAG = 50, 200
_MOST_ASKED = 10
"""Tags that a list may be asked by: each is one more table for the ledger to join."""
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
"""As JSON has them: what else Python takes for one is none."""


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
        if not isinstance(value, str) or not is_text(value, most=most):
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
        if (
            value is None
            or len(value) > most
            or not all(isinstance(one, str) and is_text(one) for one in value)
        ):
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
        if len(found) > _MOST_TAGS or not all(
            is_text(key, most=_LONGEST_TAG) and isinstance(one, str) and is_text(one)
            for key, one in found.items()
        ):
            raise Problem(400, f"{name} is no object of at most {_MOST_TAGS} texts by name, without NUL")
        return cast("dict[str, str]", found)


def is_text(value: str, *, most: int = 1_000) -> bool:
    """Whether every ledger can hold a text: one on a server takes no NUL."""
    return len(value) <= most and "\0" not in value


def query_of(request: Request) -> Mapping[str, str]:
    """The values of a query. Raises `Problem` 400 for what is no text."""
    found = dict(request.query_params)
    for name, value in found.items():
        if not is_text(name, most=_LONGEST_TAG) or not is_text(value):
            raise Problem(
                400, f"{name[:40]!r} of the query is no text of at most 1,000 characters, without NUL"
            )
    return found


def tags_of(query: Mapping[str, str]) -> dict[str, str]:
    """The tags that runs are to have: `tag.NAME`. Raises `Problem` 400 for too many."""
    found = {name[4:]: value for name, value in query.items() if name.startswith("tag.")}
    if len(found) > _MOST_ASKED:
        raise Problem(400, f"runs are listed by at most {_MOST_ASKED} tags")
    return found


def whole(request: Request, name: str, *, least: int, most: int, default: int) -> int:
    """A whole number of the query. Raises `Problem` 400."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10 and least <= int(given) <= most):
        raise Problem(400, f"{name} is no whole number from {least} to {most}")
    return int(given)


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
