"""Scorers by meaning and by source: similarity, refusals, citations, support by the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from surefoot.evals.datasets import Case
from surefoot.evals.readings import Excerpt
from surefoot.evals.scores import Score
from surefoot.evals.text import texts
from surefoot.retrieval import home, sentences

SUPPORTED_FROM = 0.75
"""Cosine from which a sentence counts as a paraphrase of another. A convention, not a law: look at your own data."""

Refused = Callable[[str], bool]
"""Whether a response says that there is no answer."""

_QUOTED = re.compile(r'"([^"]+)"|\u201c([^\u201d]+)\u201d|\u00ab([^\u00bb]+)\u00bb')
_CITATION = re.compile(r"\s*\[[^\[\]]*\]")
_SHORTEST_QUOTE = 3


def embedding_similarity(answer: str, expected: str | Sequence[str]) -> Score:
    """Cosine of the answer's vector and the expected one's, -1 to 1, by the embedder of the current app.

    It measures how near the topics are: "15 minutes" and "50 minutes" are near.
    """
    wanted = texts(expected)
    embedder = home().embedder
    vectors = embedder.embed([answer, *wanted])
    cosines = [float(cosine) for cosine in vectors[1:] @ vectors[0]]
    best = max(range(len(wanted)), key=cosines.__getitem__)
    return Score(cosines[best], f"compared with {wanted[best]!r} by {embedder.name}")


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

    return right_refusal


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
            if not any(folded(cited.text) in text for text in known):
                return Score(
                    value=False,
                    reason=f"{cited.text[:80]!r} does not stand in the context from {cited.source!r}",
                )
        wanted = case.metadata.get(evidence)
        if isinstance(wanted, str) and not any(folded(wanted) in folded(cited.text) for cited in citations):
            return Score(value=False, reason="the citation is not the sentence that holds the answer")
        return Score(value=True)

    return citation_correctness


def support(
    *, threshold: float = SUPPORTED_FROM, refused: Refused | None = None
) -> Callable[[str, Sequence[str]], Score | None]:
    """A scorer: the share of a response's statements that the context supports, 0 to 1, without a judge.

    Statements are its quotations of three words or more, and the sentences of what is left when quotations and
    bracketed citations are taken out. A quotation is supported if it stands in the context word for word (space
    and case folded); a sentence if it does, or if its best cosine with a sentence of the context is at least
    `threshold`. Does not apply to refusals and to responses without a statement.

    It finds what is about something else. It cannot find a wrong number in a sentence that is otherwise right.
    """

    def support(response: str, context: Sequence[str]) -> Score | None:
        if refused is not None and refused(response):
            return None
        quotations, statements = taken_apart(response)
        if not quotations and not statements:
            return None
        whole = [folded(text) for text in context]
        missing = [quote for quote in quotations if not _stands_in(quote, whole)]
        loose = [statement for statement in statements if not _stands_in(statement, whole)]
        missing += [text for text, cosine in _nearest(loose, context) if cosine < threshold]
        total = len(quotations) + len(statements)
        reason = f"not supported: {'; '.join(text[:80] for text in missing)}" if missing else ""
        return Score((total - len(missing)) / total, reason)

    return support


def taken_apart(response: str) -> tuple[list[str], list[str]]:
    """The quotations of a response, and the sentences of the rest without citations."""
    text = _CITATION.sub("", response)
    spans = [match for match in _QUOTED.finditer(text) if len(_inside(match).split()) >= _SHORTEST_QUOTE]
    rest, at = "", 0
    for match in spans:
        # A line of its own, so that no sentence runs across the quotation.
        rest += text[at : match.start()] + "\n\n"
        at = match.end()
    rest += text[at:]
    found = [rest[span.start : span.end].strip(" \u2013\u2014-:") for span in sentences(rest)]
    return [_inside(match) for match in spans], [sentence for sentence in found if sentence]


def folded(text: str) -> str:
    """Single spaces, case folded, without a full stop at the end."""
    return " ".join(text.casefold().split()).rstrip(".")


def _inside(match: re.Match[str]) -> str:
    groups = cast("Iterable[str | None]", match.groups())
    return next(group for group in groups if group is not None)


def _stands_in(statement: str, context: Sequence[str]) -> bool:
    """Whether it stands in the context with whole words at both ends."""
    wanted = re.compile(rf"(?<!\w){re.escape(folded(statement))}(?!\w)")
    return any(wanted.search(text) for text in context)


def _nearest(statements: Sequence[str], context: Sequence[str]) -> list[tuple[str, float]]:
    """Each statement with its best cosine among the sentences of the context; -1 where that has none."""
    against = [text[span.start : span.end] for text in context for span in sentences(text)]
    if not statements or not against:
        return [(statement, -1.0) for statement in statements]
    embedder = home().embedder
    cosines = embedder.embed(statements) @ embedder.embed(against).T
    return [(statement, float(max(row))) for statement, row in zip(statements, cosines, strict=True)]
