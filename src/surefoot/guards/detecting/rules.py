"""Rules: named patterns that are matched together, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from surefoot.errors import ConfigError, InvalidInput
from surefoot.texts import patterns
from surefoot.texts.patterns import encodable

_MEMORY = 96 << 20
"""Bytes that the automaton of all rules may take: RE2 gives up, and finds nothing, beyond them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A named pattern in RE2's syntax, matched against readings of a text: in small letters, without accents."""

    name: str
    pattern: str


def re2() -> Any:
    """The library, which is imported when the first pattern is compiled."""
    import re2  # type: ignore[import-untyped]

    return cast("Any", re2)


def new_set() -> Any:
    """A set of patterns to which some are added before it is compiled."""
    library = re2()
    options = library.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return library.Set.SearchSet(options)


def compiled(pattern: str, *, where: str = "[guards.rules]") -> Any:
    """A pattern of a project, in RE2's syntax, whose time grows with the text and never faster.

    Raises `ConfigError` for what RE2 has not, such as look-around and references back.
    """
    try:
        return patterns.compiled(pattern)
    except InvalidInput as error:
        raise ConfigError(f"{where}: {error}") from None


class RuleSet:
    """Rules that are matched in one pass over a text: those of the package, of which is known what they take."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._set = new_set()
        self._names = [rule.name for rule in rules]
        for rule in rules:
            self._set.Add(rule.pattern)
        self._set.Compile()

    def matched(self, text: str) -> list[str]:
        """The names of the rules that match somewhere, sorted."""
        found: list[int] | None = self._set.Match(encodable(text))
        return sorted({self._names[number] for number in found or ()})


class OwnRules:
    """Rules of a project, each matched for itself.

    An automaton of all of them may outgrow its memory, and RE2 would find nothing and say nothing; for a single pattern
    it goes on in another way.
    """

    def __init__(self, rules: Sequence[Rule], *, where: str = "[guards.rules]") -> None:
        """Raises `ConfigError` that names the rule whose pattern is none; `where` says where they stand."""
        self._patterns = [(rule.name, compiled(rule.pattern, where=f"{where} {rule.name}")) for rule in rules]

    def matched(self, text: str) -> list[str]:
        """The names of the rules that match somewhere, sorted."""
        said = encodable(text) if self._patterns else ""
        return sorted({name for name, pattern in self._patterns if pattern.search(said) is not None})
