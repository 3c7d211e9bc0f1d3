"""Scorers by meaning: similarity of texts, and support by the context, both by the embedder of the current app."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from surefoot.evals.plain.grounding import folded, is_long_enough, quotations, stands_in
from surefoot.evals.plain.matching import shown, text_of, texts
from surefoot.evals.plain.refusing import Refused
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.retrieval import home, sentences

SUPPORTED_FROM = 0.75
"""Cosine from which a sentence counts as a paraphrase of another. A convention, not a law: look at your own data."""

_CITATION = re.compile(r"\s*\[[^\[\]]*\]")


def embedding_similarity(answer: str, expected: str | Sequence[str]) -> Score:
    """Cosine of the answer's vector and the expected one's, -1 to 1, by the embedder of the current app.

    It measures how near the topics are: "15 minutes" and "50 minutes" are near.
    """
    wanted = texts(expected)
    said = text_of(answer, "the answer")
    embedder = home().embedder
    vectors = embedder.embed([said, *wanted])
    cosines = [float(cosine) for cosine in vectors[1:] @ vectors[0]]
    best = max(range(len(wanted)), key=cosines.__getitem__)
    return Score(cosines[best], f"compared with {shown(wanted[best])} by {embedder.name}")


scaled(embedding_similarity, within=(-1.0, 1.0))


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
        missing = [quote for quote in quotations if not stands_in(quote, whole)]
        loose = [statement for statement in statements if not stands_in(statement, whole)]
        missing += [text for text, cosine in _nearest(loose, context) if cosine < threshold]
        total = len(quotations) + len(statements)
        reason = f"not supported: {'; '.join(text[:80] for text in missing)}" if missing else ""
        return Score((total - len(missing)) / total, reason)

    return scaled(support)


def taken_apart(response: str) -> tuple[list[str], list[str]]:
    """The quotations of a response, and the sentences of the rest without citations."""
    text = _CITATION.sub("", response)
    spans = [span for span in quotations(text) if is_long_enough(span.text)]
    rest, at = "", 0
    for span in spans:
        # A line of its own, so that no sentence runs across the quotation.
        rest += text[at : span.start] + "\n\n"
        at = span.end
    rest += text[at:]
    found = [rest[span.start : span.end].strip(" \u2013\u2014-:") for span in sentences(rest)]
    return [span.text for span in spans], [sentence for sentence in found if sentence]


def _nearest(statements: Sequence[str], context: Sequence[str]) -> list[tuple[str, float]]:
    """Each statement with its best cosine among the sentences of the context; -1 where that has none."""
    against = [text[span.start : span.end] for text in context for span in sentences(text)]
    if not statements or not against:
        return [(statement, -1.0) for statement in statements]
    embedder = home().embedder
    cosines = embedder.embed(statements) @ embedder.embed(against).T
    return [(statement, float(max(row))) for statement, row in zip(statements, cosines, strict=True)]
