"""What a request says: its body as JSON, bounded and checked, and the values of its query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from surefoot.server.api.problems import Problem
from surefoot.texts import jsontext

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.values import Json

_JSON = "application/json"


async def body_of(request: Request, known: Sequence[str], *, most: int) -> dict[str, Json]:
    """The JSON object of a body that has no other keys than these; an empty body is an empty object.

    Raises `Problem`: 400 for what is no such object, 413 for more than `most` bytes, 415 for another type.
    """
    raw = await _bytes(request, most)
    if not raw:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise Problem(415, f"a body is sent as {_JSON}")
    try:
        value = jsontext.read(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8") from None
    except jsontext.NoJson as error:
        raise Problem(400, f"the body is no JSON that is read here: {error}") from None
    if not isinstance(value, dict):
        raise Problem(400, "the body is no JSON object")
    if unknown := sorted(value.keys() - set(known)):
        raise Problem(
            400, f"the body has an unknown key {unknown[0][:60]!r}; there are: {', '.join(known) or 'none'}"
        )
    return value


async def _bytes(request: Request, most: int) -> bytes:
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and int(told[:20]) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> Problem:
    # Whoever goes on sending is not listened to.
    return Problem(
        413, f"a body has at most {most:,} bytes ([serve] max_body)", headers={"connection": "close"}
    )


class Fields:
    """The values of a body by name, each of its kind. Methods raise `Problem` 400."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values

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
        if not isinstance(value, str) or len(value) > most:
            raise Problem(400, f"{name} is no text of at most {most:,} characters")
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
        value = self._values.get(name) or []
        if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
            raise Problem(400, f"{name} is no list of at most {most} texts")
        return cast("list[str]", value)

    def items(self, name: str, *, most: int) -> list[Json]:
        """A list; empty where there is none."""
        value = self._values.get(name) or []
        if not isinstance(value, list) or len(value) > most:
            raise Problem(400, f"{name} is no list of at most {most:,}")
        return value

    def pairs(self, name: str) -> dict[str, str]:
        """An object of texts."""
        found = self.mapping(name)
        if len(found) > 50 or not all(isinstance(one, str) and len(one) <= 1_000 for one in found.values()):
            raise Problem(400, f"{name} is no object of at most 50 texts")
        return cast("dict[str, str]", found)


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
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 1e6:
        raise Problem(400, "wait is no number of seconds")
    return min(seconds, default)
