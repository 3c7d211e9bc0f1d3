"""Which values may instruct, as the team says: `trusted` and `endorse`."""

from __future__ import annotations

from typing import Any, TypeVar

from surefoot import scope
from surefoot.annotated import checked_parts
from surefoot.errors import InvalidInput

T = TypeVar("T")


def trusted(value: T) -> T:
    """Say that a value may instruct, as the team vouches for it: it is given back as it is.

    It is remembered by identity, with the texts in it, for as long as the run is open: what is made of it (an f-string,
    a slice) is another value. Outside of a run there is nothing to remember, and nothing is checked.
    """
    if (here := scope.current()) is not None:
        here.trust(value)
    return value


def endorse(value: object, kind: type[T]) -> T:
    """A value as a `kind`, validated as pydantic does, whose checked fields are trusted from here on in this run.

    Checked are numbers, booleans, enums and `Literal`s, dates and times, and texts that had to pass a pattern or a list
    (`Annotated[str, Text(pattern=...)]`, `Text(allow=[...])`, `Text(hosts=[...])`). A free text stays untrusted. Raises
    `InvalidInput` that names what does not fit, and not the value.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        result = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        named = getattr(kind, "__name__", str(kind))
        raise InvalidInput(f"endorse: what was given is no {named}: {_problems(error)}") from None
    if (here := scope.current()) is not None:
        for part in checked_parts(result, kind):
            here.trust(part)
    return result


def _problems(error: Any) -> str:
    """What is wrong, by field. What a validator of the user's says may quote the value: only its kind is told."""
    said: list[str] = []
    for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        where = ".".join(map(str, one["loc"])) or "the value"
        said.append(f"{where}: {one['type'] if one['type'] == 'value_error' else one['msg']}")
    return "; ".join(said)
