"""Rankings: the words of a full-text query, and the fusion of two orders into one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TERM = re.compile(r"\w+")
_MOST_TERMS = 64
# Rank fusion looks at places, not at scores: a passage that shares nothing but these with the question would
# be lifted as if it held the answer.
# fmt: off
_FUNCTION_WORDS = frozenset(
    {
        "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could",
        "did", "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is",
        "it", "its", "may", "me", "must", "my", "no", "not", "of", "on", "or", "our", "shall", "should",
        "so", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
        "to", "us", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why",
        "will", "with", "would", "you", "your",
    }
)
# fmt: on


def match_expression(query: str) -> str:
    """An FTS5 expression that finds what shares a word with `query`, or an empty string if it has no words.

    Every word is quoted, so nothing in a query is read as FTS5 syntax. English function words count only if
    the query has no others.
    """
    return " OR ".join(f'"{term}"' for term in _telling(query)[:_MOST_TERMS])


def shared_words(query: str, text: str) -> float:
    """The share of the query's telling words that stand in `text`, 0 to 1."""
    wanted = set(_telling(query))
    return len(wanted & {term.casefold() for term in _TERM.findall(text)}) / len(wanted) if wanted else 0.0


def _telling(query: str) -> list[str]:
    """The words of a query, each once, without English function words unless it has no others."""
    terms = list(dict.fromkeys(term.casefold() for term in _TERM.findall(query)))
    return [term for term in terms if term not in _FUNCTION_WORDS] or terms


def fused(rankings: Sequence[Sequence[int]], *, constant: int = 60) -> dict[int, float]:
    """Reciprocal rank fusion: each item's sum of 1 / (constant + place) over the rankings it occurs in.

    Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods", SIGIR 2009, whose constant is the default.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1 / (constant + place)
    return scores
