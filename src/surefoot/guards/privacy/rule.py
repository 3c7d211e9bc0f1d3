"""One kind of thing that is looked for in text, and what was found of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SECRET = "secret"  # noqa: S105  (the name of the kind)
"""The kind of all that opens something: keys, passwords, tokens."""

Measure = Callable[[str], int]
"""How many characters of what a pattern has found count, from its beginning; 0 where it is something else."""

# What may stand before: nothing, a sign, or an escape of JSON, whose letter would look like the end of a word.
LEFT = r"(?:^|[^A-Za-z0-9]|\\[nrtbf])"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of thing is found.

    `hint` is a short pattern without which `pattern` finds nothing: those of all rules are looked for in one pass.
    Both are RE2's. The first group of `pattern` is what is hidden, as far as `measure` lets it count. Where the
    next one may begin in the midst of a find, the group takes its first signs alone, and `tail` matches the rest.
    """

    kind: str
    name: str
    hint: str
    pattern: str
    measure: Measure | None = None
    tail: str = ""
    is_guess: bool = False
    """Whether it knows a secret by the words around it: often that is an example."""


@dataclass(frozen=True, slots=True)
class Found:
    """That a text holds something, from the character `start` to before `end`: never the thing itself.

    `kind` is `secret`, one of personal data (`email`, `phone`, `card`, `iban`, `ssn`, `ip`, `tax_id`), or the name of
    a pattern of the user's; `rule` is which form of it. `is_guess`: what stands around it says so, and nothing else.
    """

    kind: str
    start: int
    end: int
    rule: str = ""
    is_guess: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether it opens something, and is no personal data."""
        return self.kind == SECRET
