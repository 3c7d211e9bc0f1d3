"""Regular expressions of users, in RE2's syntax, whose time grows with the text and never faster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from surefoot.errors import InvalidInput

_LOOKS_AROUND = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:=|!|<=|<!)")
_END = re.compile(r"(?<!\\)(?:\$|\\z)$")
_MOST_PARTS = 40
# One sign of a pattern: an escape, a class, or a character.
_SINGLE = re.compile(
    r"\\(?:[pPx]\{[^}]*\}|x[0-9a-fA-F]{2}|.)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|[^\\\[]", re.DOTALL
)
_TIMES = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")
_REFERS_BACK = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[1-9]|k<)")


@lru_cache(maxsize=256)
def compiled(pattern: str, *, is_longest: bool = False) -> Any:
    """The compiled expression; `is_longest`: a match takes in as much as it can, where it could end earlier, too.

    Raises `InvalidInput` that says what RE2 has not: look-around and references back to a group.
    """
    # Takes some milliseconds, and most programs have no pattern.
    import re2  # type: ignore[import-untyped]

    library = cast("Any", re2)
    options = library.Options()
    options.log_errors = False
    options.longest_match = is_longest
    try:
        return library.compile(pattern, options)
    except library.error as error:
        told: object = error.args[0] if error.args else ""
        said = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    except (TypeError, UnicodeEncodeError) as error:
        said = str(error)
    if _LOOKS_AROUND.search(pattern):
        hint = (
            "look-around is not in RE2, which is never slow: match what surrounds it too, or use two patterns"
        )
    elif _REFERS_BACK.search(pattern):
        hint = "references back to a group are not in RE2, which is never slow: write the text out"
    else:
        hint = "the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"
    raise InvalidInput(f"{pattern!r} is no regular expression ({said}): {hint}")


def encodable(text: str) -> str:
    """The text with a mark for each half of a surrogate pair, which is no text that RE2 could read."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def matched_until(pattern: str, text: str) -> int | None:
    """The character from which on a text no longer is as the pattern asks from its beginning; None for no RE2."""
    try:
        begun = compiled(_beginnings(pattern), is_longest=True).match(encodable(text))
    except InvalidInput:
        return None
    return int(begun.end()) if begun is not None else 0


def _beginnings(pattern: str) -> str:
    """A pattern for the beginnings of what a pattern matches, as far as its parts stand in a row.

    Each of them is all parts up to one, and of that one fewer repetitions than it asks for.
    """
    bare = _END.sub("", pattern)
    parts = _parts(bare)
    if parts is None or len(parts) > _MOST_PARTS:
        return bare
    ways = [bare]
    before = ""
    for part, times in parts:
        ways.append(f"{before}{part}{_fewer(times)}" if times else before)
        before += part + times
    return "|".join(f"(?:{way})" for way in ways)


def _parts(pattern: str) -> list[tuple[str, str]] | None:
    """What stands in a row in a pattern, each with how often it is repeated; None where it is a choice."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        end = _end_of_part(pattern, at)
        if end is None:
            return None
        times = _TIMES.match(pattern, end)
        found.append((pattern[at:end], times[0] if times else ""))
        at = times.end() if times else end
    return found


def _end_of_part(pattern: str, at: int) -> int | None:
    depth = 0
    while at < len(pattern):
        found = _SINGLE.match(pattern, at)
        if found is None:
            return None
        at = found.end()
        depth += (found[0] == "(") - (found[0] == ")")
        if found[0] == "|" and depth == 0:
            return None
        if depth <= 0:
            return at
    return None


def _fewer(times: str) -> str:
    if times[0] in "*+?":
        return "*" if times[0] != "?" else "?"
    most = times[1 : times.index("}")].rsplit(",", maxsplit=1)[-1]
    return f"{{0,{most}}}" if most else "*"


def json_schema_keywords() -> dict[str, Any]:
    """The keywords of JSON Schema that search by a pattern, by RE2, for `jsonschema.validators.extend`."""
    return {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }


def _is_found(pattern: str, text: object) -> bool:
    return isinstance(text, str) and compiled(pattern).search(encodable(text)) is not None


def _pattern(_: Any, pattern: str, instance: object, __: object) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _is_found(pattern, instance):
        yield ValidationError(f"does not match {pattern!r}")


def _pattern_properties(validator: Any, schemas: Any, instance: Any, _: object) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, schema in schemas.items():
        for name, value in instance.items():
            if _is_found(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, others: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import Draft202012Validator, ValidationError

    patterns = schema.get("patternProperties")
    if not patterns or not validator.is_type(instance, "object"):
        plainly = cast("Any", Draft202012Validator).VALIDATORS["additionalProperties"]
        yield from plainly(validator, others, instance, schema)
        return
    known = schema.get("properties", {})
    for name, value in instance.items():
        if name in known or any(_is_found(pattern, name) for pattern in patterns):
            continue
        if isinstance(others, dict):
            yield from validator.descend(value, others, path=name)
        elif others is False:
            yield ValidationError(f"Additional properties are not allowed ({name!r} was unexpected)")
