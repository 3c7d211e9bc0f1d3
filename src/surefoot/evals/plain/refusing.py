"""Scorers of refusals: a response that says that it does not answer."""

from __future__ import annotations

import re
from collections.abc import Callable

from surefoot.evals.datasets import Case
from surefoot.evals.plain.matching import shown, text_of
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Refused = Callable[[str], bool]
"""Whether a response says that there is no answer."""

_OPENING = 300
_APOSTROPHES = str.maketrans("\u2019\u02bc\u00b4`", "''''")
_ABLE = "answer|help|assist|comply|fulfil|provide|do|support|discuss|share|create|generate|write"
_SOURCE = "context|documents?|text|passages?|sources?"
_SAYS = "contain|mention|say|provide|state|include"
_PHRASES = re.compile(
    "|".join(
        (
            # English: that one cannot or may not, or that nothing is known or found.
            rf"\bi(?: am|'m)? (?:can't|cannot|can not|could not|couldn't|won't|will not)\b(?:\s\w+)? (?:{_ABLE})\b",
            rf"\bi(?: am|'m) (?:unable|not able|not allowed|not permitted) to (?:{_ABLE})\b",
            r"\bi(?: must| have to)? (?:respectfully )?(?:decline|refuse)\b",
            r"\bi (?:do not|don't) (?:know|have (?:enough|sufficient|any|access|that|the|this|information))\b",
            r"\bas an ai\b.{0,80}\b(?:can't|cannot|can not|unable|not able|don't|do not)\b",
            r"\bthere is (?:no|not enough|insufficient) (?:information|answer|data)\b",
            rf"\b(?:{_SOURCE}) (?:do|does)(?: not|n't) (?:{_SAYS})\b",
            # German, French, Spanish, Italian, Portuguese.
            r"\bich kann (?:dir |ihnen |das |diese |dabei )*(?:leider )?(?:nicht|keine)\b",
            r"\bich wei\u00df (?:es |das )?nicht\b",
            r"\bje (?:ne )?(?:peux|suis) pas\b",
            r"\bje ne (?:sais|peux) pas\b",
            r"\bno puedo (?:ayudar|responder|proporcionar|cumplir)",
            r"\bno (?:lo )?s\u00e9\b",
            r"\bnon (?:posso|lo so)\b",
            r"\bn\u00e3o (?:posso|sei)\b",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def is_refusal(response: str) -> bool:
    """Whether a response begins by declining: a list of phrases of some languages, in its first 300 characters.

    It is a rule of thumb. Where your flow has words of its own for a refusal, ask for those.
    """
    return _refusal_in(response) is not None


def no_refusal(response: str) -> Score:
    """Whether the response answers, and does not decline as `is_refusal` tells."""
    found = _refusal_in(text_of(response, "the response"))
    return Score(value=True) if found is None else Score(value=False, reason=f"it declines: {shown(found)}")


scaled(no_refusal)


def right_refusal(
    refused: Refused, *, unanswerable: str = "unanswerable"
) -> Callable[[str, Case], Score | None]:
    """A scorer: whether what cannot be answered is refused, and what can be is not.

    refused: tells whether a response of the flow refuses.
    unanswerable: the metadata column that is true where there is no answer. A case without it counts as answerable
        if an answer is expected, else the scorer does not apply.
    """

    def right_refusal(response: str, case: Case) -> Score | None:
        marked = case.metadata.get(unanswerable)
        if marked is None and case.expected is None:
            return None
        should, did = bool(marked), refused(response)
        said = "refused" if did else "answered"
        return Score(should == did, f"{said}, and there is {'no' if should else 'an'} answer")

    return scaled(right_refusal)


def _refusal_in(response: str) -> str | None:
    opening = " ".join(response[:_OPENING].translate(_APOSTROPHES).split())
    found = _PHRASES.search(opening)
    return None if found is None else found[0]
