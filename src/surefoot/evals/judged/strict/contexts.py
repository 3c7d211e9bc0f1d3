"""Metrics of what was retrieved: precision, recall, recall of entities."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.evals.judged.conversation import Ask, Talk, ask_all
from surefoot.evals.judged.strict import arithmetic, checks
from surefoot.evals.judged.strict.asks import joined, listing, need, verdicts, voted
from surefoot.evals.scores import Score
from surefoot.retrieval import sentences


def context_precision(
    question: str, context: Sequence[str], answer: str, *, votes: int = 1
) -> Talk[Score | None]:
    """Average precision of the contexts in their order, each useful or not for the answer; 0 where none is."""
    need(question=question, context=context, answer=answer)
    wishes = [
        Ask("usefulness", {"question": question, "context": text, "answer": answer}) for text in context
    ]
    said = yield from ask_all([wish for wish in wishes for _ in range(votes)])
    flags = [[each.verdict] for each in said]
    useful = [arithmetic.majority(flags[at : at + votes])[0] for at in range(0, len(flags), votes)]
    ranks = ", ".join(str(rank) for rank, is_useful in enumerate(useful, 1) if is_useful)
    reason = f"useful: {ranks or 'none'} of {len(useful)}"
    return Score(arithmetic.average_precision(useful), reason)


def context_recall(context: Sequence[str], expected: str, *, votes: int = 1) -> Talk[Score | None]:
    """The share of the reference's sentences that the contexts support."""
    need(context=context, expected=expected)
    parts = [text for span in sentences(expected) if (text := expected[span.start : span.end].strip())]
    held = yield from voted(verdicts(joined(context), parts), votes)
    loose = [part for part, is_held in zip(parts, held, strict=True) if not is_held]
    return Score(arithmetic.share(held), listing("not in the context", loose))


def context_entity_recall(
    context: Sequence[str], expected: str, *, is_exact: bool = False
) -> Talk[Score | None]:
    """The share of the reference's entities that the contexts name; None where it names none.

    is_exact: compare letter by letter, and not by NFKC, case folded, without punctuation around.
    """
    need(context=context, expected=expected)
    asked = [Ask("entities", {"text": text}, checks.named) for text in (expected, joined(context))]
    wanted, there = yield from ask_all(asked)
    if not wanted:
        return None
    known = set(there) if is_exact else {checks.folded(name) for name in there}
    by_key = {name if is_exact else checks.folded(name): name for name in wanted}
    missing = [name for key, name in by_key.items() if key not in known]
    return Score((len(by_key) - len(missing)) / len(by_key), listing("not in the context", missing))
