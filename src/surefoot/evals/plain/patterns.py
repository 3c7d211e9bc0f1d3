"""Scorers by a regular expression, in RE2's syntax, whose time grows with the text and never faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import shown, text_of
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.texts.patterns import compiled, encodable

Where = Literal["anywhere", "whole"]


def regex(pattern: str, *, where: Where = "anywhere") -> Callable[[str], Score]:
    r"""A scorer: whether the response matches. `$` is the end of the text, `\d` and `\w` are ASCII, `(?i)` folds case.

    where: `anywhere` in the response, or the `whole` of it.

    Raises `InvalidInput` for what is no expression of RE2, look-around and references back among it.
    """
    expression = compiled(pattern)
    if where not in ("anywhere", "whole"):
        raise InvalidInput(f"a pattern is looked for anywhere or in the whole, and not {where!r}")
    find = expression.fullmatch if where == "whole" else expression.search

    def regex(response: str) -> Score:
        said = text_of(response, "the response")
        if find(encodable(said)) is not None:
            return Score(value=True)
        return Score(value=False, reason=f"{shown(said)} does not match {pattern}")

    return scaled(regex, name=f"regex:{pattern}")


def not_regex(pattern: str) -> Callable[[str], Score]:
    """A scorer: whether nothing in the response matches. Raises `InvalidInput` as `regex` does."""
    expression = compiled(pattern)

    def not_regex(response: str) -> Score:
        found = expression.search(encodable(text_of(response, "the response")))
        if found is None:
            return Score(value=True)
        return Score(value=False, reason=f"{shown(found.group())} matches {pattern}")

    return scaled(not_regex, name=f"not_regex:{pattern}")
