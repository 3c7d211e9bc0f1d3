"""The detector: hard rules and a classifier over what a text says, in whatever spelling; a score and no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from surefoot.guards.detecting.classifier import Classifier, Weights, probability
from surefoot.guards.detecting.decoding import BYTES, Reading, readings_of
from surefoot.guards.detecting.rules import OwnRules, Rule, RuleSet
from surefoot.guards.detecting.shipped import shipped_rules
from surefoot.texts.characters import skeleton

THRESHOLD = 0.9
"""The score from which on a text is taken for an injection: at most 1 % of ordinary texts reach it (`make
guard-report`)."""

_RULE_ODDS = 4.0
"""Log odds that a rule adds."""

_WRITTEN_OUT = frozenset({"base64", "hex", "percent", "escapes", "binary", "tags", "selectors", "reversed"})
"""Spellings whose readings are texts of their own. Figures for letters and the like are only read for rules: what is no
such spelling comes out as no text."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a detector found in a text.

    score: 0 to 1, how much it looks like an injection; a signal for policies, and never proof.
    rules: names of the rules that match, and of the spelling that one was found in, as `encoded:base64`.
    is_too_large: there was more than rules looked at, in the text or encoded in it.
    """

    score: float
    rules: tuple[str, ...] = ()
    is_too_large: bool = False


class Detector:
    """Tells how much a text looks like a prompt injection, by rules and a classifier."""

    def __init__(
        self,
        rules: Mapping[str, str] | None = None,
        weights: Weights | None = None,
        *,
        budget: int = BYTES,
        is_classifying: bool = True,
    ) -> None:
        """The rules and weights that come with the package, and those of a project.

        rules: more rules, as patterns in RE2's syntax by their name, matched against the text as it is written, and
            in small letters, without accents and with letters that look Latin as Latin ones.
        weights: those of a classifier of one's own, instead of the package's.
        budget: characters that are looked at, in the text and in all that is decoded of it.
        is_classifying: False takes the rules alone: a score is 0 where none matches.

        Raises `ConfigError` that names a rule whose pattern is none.
        """
        self._own = OwnRules([Rule(name, pattern) for name, pattern in (rules or {}).items()])
        self._classifier = Classifier(weights) if is_classifying else None
        self._budget = budget

    def look(self, text: str) -> Looked:
        """What is found in a text. It takes a bounded time, whatever the text is; nothing in it is carried out."""
        readings = readings_of(text, budget=self._budget)
        rules: set[str] = set()
        odds: list[float] = []
        for reading in readings.all:
            read = skeleton(reading.text)
            rules.update(self._matched(reading, read))
            # Of what is too large the size is told; more is not spent on it.
            if self._classifier is not None and _is_a_text(reading) and not (odds and readings.is_too_large):
                odds.append(self._classifier.odds(read))
        score = _score(max(odds, default=None), sum(1 for rule in rules if not rule.startswith("encoded:")))
        return Looked(score, tuple(sorted(rules)), readings.is_too_large)

    def _matched(self, reading: Reading, read: str) -> Iterable[str]:
        found = [*_shipped().matched(read), *self._own.matched(read), *self._own.matched(reading.text)]
        if found and reading.spelling:
            found.append(f"encoded:{reading.spelling.split()[0]}")
        if reading.spelling in ("tags", "selectors"):
            found.append(f"hidden:{reading.spelling}")
        return found


@lru_cache(maxsize=1)
def _shipped() -> RuleSet:
    return RuleSet(shipped_rules())


def _is_a_text(reading: Reading) -> bool:
    return not reading.spelling or _WRITTEN_OUT.issuperset(reading.spelling.split())


def _score(odds: float | None, matched: int) -> float:
    if odds is None:
        return probability(_RULE_ODDS * matched) if matched else 0.0
    return probability(max(odds, 0.0) + _RULE_ODDS * matched if matched else odds)
