"""Scorers by a regular expression, in RE2's syntax, whose time grows with the text and never faster."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import shown, text_of
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Where = Literal["anywhere", "whole"]

_LOOKS_AROUND = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:=|!|<=|<!)")
_REFERS_BACK = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[1-9]|k<)")


def regex(pattern: str, *, where: Where = "anywhere") -> Callable[[str], Score]:
    r"""A scorer: whether the response matches. `$` is the end of the text, `\d` and `\w` are ASCII, `(?i)` folds case.

    where: `anywhere` in the response, or the `whole` of it.

    Raises `InvalidInput` for what is no expression of RE2, look-around and references back among it.
    """
    compiled = compiled_by_re2(pattern)
    if where not in ("anywhere", "whole"):
        raise InvalidInput(f"a pattern is looked for anywhere or in the whole, and not {where!r}")
    find = compiled.fullmatch if where == "whole" else compiled.search

    def regex(response: str) -> Score:
        said = text_of(response, "the response")
        if find(_encodable(said)) is not None:
            return Score(value=True)
        return Score(value=False, reason=f"{shown(said)} does not match {pattern}")

    return scaled(regex, name=f"regex:{pattern}")


def not_regex(pattern: str) -> Callable[[str], Score]:
    """A scorer: whether nothing in the response matches. Raises `InvalidInput` as `regex` does."""
    compiled = compiled_by_re2(pattern)

    def not_regex(response: str) -> Score:
        found = compiled.search(_encodable(text_of(response, "the response")))
        if found is None:
            return Score(value=True)
        return Score(value=False, reason=f"{shown(found.group())} matches {pattern}")

    return scaled(not_regex, name=f"not_regex:{pattern}")


@lru_cache(maxsize=256)
def compiled_by_re2(pattern: str) -> Any:
    """The compiled expression. Raises `InvalidInput` that says what RE2 has not."""
    import re2  # type: ignore[import-untyped]

    library = cast("Any", re2)
    options = library.Options()
    options.log_errors = False
    try:
        return library.compile(pattern, options)
    except library.error as error:
        told: object = error.args[0] if error.args else ""
        said = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    except (TypeError, UnicodeEncodeError) as error:
        said = str(error)
    if _LOOKS_AROUND.search(pattern):
        hint = (
            "look-around is not in RE2, which is never slow: match what surrounds it too, or use two scorers"
        )
    elif _REFERS_BACK.search(pattern):
        hint = "references back to a group are not in RE2, which is never slow: write the text out"
    else:
        hint = "the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"
    raise InvalidInput(f"{pattern!r} is no regular expression ({said}): {hint}")


def _encodable(text: str) -> str:
    """Halves of a surrogate pair are no text that RE2 could read."""
    return text.encode("utf-8", "replace").decode("utf-8")
