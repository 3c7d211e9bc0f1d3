"""Scorers by source: whether what a response quotes and cites stands in its context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.plain.compat import parity
from surefoot.evals.plain.matching import shown, text_of
from surefoot.evals.plain.normalising import words
from surefoot.evals.plain.refusing import Refused
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.evals.scoring.readings import Excerpt

_SHORTEST_QUOTE = 3
# Marks that open and close differently, and the straight one. An apostrophe is none: it stands in words.
_QUOTED = re.compile(
    r'"([^"]+)"|\u201c([^\u201c\u201d]+)\u201d|\u201e([^\u201e\u201c\u201d]+)[\u201c\u201d]|\u00ab([^\u00ab\u00bb]+)\u00bb'
    r"|\u300c([^\u300c\u300d]+)\u300d|\u300e([^\u300e\u300f]+)\u300f"
)


@dataclass(frozen=True, slots=True)
class Quotation:
    """What stands between quotation marks, and the half-open range of characters with them."""

    text: str
    start: int
    end: int


def quoted_spans(
    *, least_words: int = _SHORTEST_QUOTE, compat: Literal["ragas"] | None = None
) -> Callable[[str, Sequence[str]], Score | None]:
    """A scorer: the share of a response's quotations that stand word for word in one text of the context, 0 to 1.

    Space, case and a full stop at the end are folded; a quotation has whole words at both ends. It does not apply to
    responses without a quotation of so many words.

    compat: `ragas` gives that library's number: 1 without a quotation, marks of any two kinds make a pair, apostrophes
        too, and texts of the context are read on into one another.
    """
    if least_words < 1:
        raise InvalidInput(f"least_words is {least_words}: a quotation has 1 word at least")

    def quoted_spans(response: str, context: Sequence[str]) -> Score | None:
        said, known = text_of(response, "the response"), context_of(context)
        if compat is not None:
            sample = {"response": said, "retrieved_contexts": known}
            return Score(
                parity("quoted_spans", "collections", sample, {"min_span_words": least_words}) or 0.0
            )
        spans = [each.text for each in quotations(said) if is_long_enough(each.text, least_words)]
        if not spans:
            return None
        whole = [folded(text) for text in known]
        missing = [span for span in spans if not stands_in(span, whole)]
        reason = f"not in the context: {'; '.join(shown(span) for span in missing)}" if missing else ""
        return Score((len(spans) - len(missing)) / len(spans), reason)

    return scaled(quoted_spans)


def citation_correctness(
    refused: Refused, *, evidence: str = "evidence"
) -> Callable[[str, Sequence[Excerpt], Sequence[Excerpt], Case], Score | None]:
    """A scorer: whether every cited sentence stands word for word in the context from the cited document and,
    where the case names its evidence, whether one of them holds it. Space and case are folded.

    It takes `citations` and `excerpts` (the context), both lists of `Excerpt`, by the readings of those names, and
    does not apply to refusals. An answer without a citation is not correct.

    evidence: the metadata column with the sentence that holds the answer; None in it means that there is none.
    """

    def citation_correctness(
        response: str, citations: Sequence[Excerpt], excerpts: Sequence[Excerpt], case: Case
    ) -> Score | None:
        if refused(response):
            return None
        if not citations:
            return Score(value=False, reason="the answer cites nothing")
        for cited in citations:
            known = [folded(each.text) for each in excerpts if each.source == cited.source]
            wording = folded(cited.text)
            if not wording or not any(wording in text for text in known):
                return Score(
                    value=False,
                    reason=f"{cited.text[:80]!r} does not stand in the context from {cited.source!r}",
                )
        wanted = case.metadata.get(evidence)
        if isinstance(wanted, str) and not any(folded(wanted) in folded(cited.text) for cited in citations):
            return Score(value=False, reason="the citation is not the sentence that holds the answer")
        return Score(value=True)

    return scaled(citation_correctness)


def quotations(text: str) -> list[Quotation]:
    """All quotations of a text, in order."""
    return [Quotation(_inside(match), match.start(), match.end()) for match in _QUOTED.finditer(text)]


def is_long_enough(quotation: str, least: int = _SHORTEST_QUOTE) -> bool:
    """Whether it has so many words. A letter of a script without spaces counts as one."""
    return len(words(quotation, "unicode")) >= least


def folded(text: str) -> str:
    """Single spaces, case folded, without a full stop at the end."""
    return " ".join(text.casefold().split()).rstrip(".")


def stands_in(statement: str, context: Sequence[str]) -> bool:
    """Whether it stands in one of these folded texts, with whole words at both ends."""
    wanted = re.compile(rf"(?<!\w){re.escape(folded(statement))}(?!\w)")
    return any(wanted.search(text) for text in context)


def context_of(context: object) -> list[str]:
    """The texts of a context: a list of them, or one. Raises `InvalidInput` for what is none."""
    if isinstance(context, str):
        return [context]
    if isinstance(context, list | tuple):
        several = cast("Sequence[object]", context)
        if all(isinstance(text, str) for text in several):
            return list(cast("Sequence[str]", several))
        found = next(type(text).__name__ for text in several if not isinstance(text, str))
        raise InvalidInput(
            f"the context holds {found} and not only texts: name the field, reads={{'context': 'path.to.text'}}"
        )
    raise InvalidInput(
        f"the context is {type(context).__name__}: say where its texts stand, reads={{'context': 'path.to.text'}}"
    )


def _inside(match: re.Match[str]) -> str:
    groups = cast("Iterable[str | None]", match.groups())
    return next(group for group in groups if group is not None)
