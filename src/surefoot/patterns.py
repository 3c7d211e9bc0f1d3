"""Regular expressions of users, in RE2's syntax, whose time grows with the text and never faster."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from surefoot.errors import InvalidInput

_LOOKS_AROUND = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:=|!|<=|<!)")
_END = re.compile(r"(?<!\\)(?:\$|\\z)$")
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
        # How far it matches, without the end that it asks for.
        begun = compiled(_END.sub("", pattern), is_longest=True).match(encodable(text))
    except InvalidInput:
        return None
    return int(begun.end()) if begun is not None else 0
