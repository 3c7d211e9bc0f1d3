"""The template form with `{name}` placeholders: plain names only, `{{` and `}}` for braces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from surefoot.prompts.budget import current
from surefoot.prompts.stamps import Telling
from surefoot.prompts.threads import NOT_TEXT
from surefoot.texts.fences import is_plain

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Braced:
    """A parsed template: text and names in turn, beginning and ending with text."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def used(self) -> frozenset[str]:
        """Its names."""
        return frozenset(self.names)

    @property
    def needed(self) -> frozenset[str]:
        """Those that it cannot do without, which are all."""
        return frozenset(self.names)

    @property
    def is_flat(self) -> bool:
        """Whether it is text and plain names alone, which it always is."""
        return True

    def fill(self, values: Mapping[str, object], *, told: Telling | None = None) -> str:
        """Put each value in as `str` has it, within the budget that has begun. Values are not looked at again.

        `told` is how the text says from which input it comes.
        """
        budget = current()
        parts = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            value = values[name]
            shown = budget.place(value) if isinstance(value, NOT_TEXT) else str(value)
            budget.spend(len(shown))
            is_told = told == "sources" or (told == "fences" and not is_plain(value))
            parts += (budget.sourced(shown, (name,)) if is_told else shown, text)
        return "".join(parts)


class BraceError(ValueError):
    """A placeholder is malformed; `line` is counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@lru_cache(maxsize=512)
def parse(template: str) -> Braced:
    """Parse a template. Raises `BraceError`."""
    texts = [""]
    names: list[str] = []
    position = 0
    for token in _TOKEN.finditer(template):
        texts[-1] += template[position : token.start()]
        position = token.end()
        if token[0] in ("{{", "}}"):
            texts[-1] += token[0][0]
        elif token[1] is not None and _NAME.fullmatch(token[1]):
            names.append(token[1])
            texts.append("")
        else:
            raise BraceError(_problem(token), template.count("\n", 0, token.start()) + 1)
    texts[-1] += template[position:]
    return Braced(tuple(texts), tuple(names))


def _problem(token: re.Match[str]) -> str:
    if token[1] is None:
        return f"a single `{token[0]}`; write `{token[0] * 2}` for a brace in the text"
    return (
        f"`{token[0]}` is no placeholder: only plain names such as {{query}} are allowed, without "
        "attributes, indexes or formats; write `{{` and `}}` for braces in the text"
    )
