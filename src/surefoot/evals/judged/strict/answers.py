"""Metrics of an answer: faithfulness, relevancy, correctness, similarity, noise sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from surefoot.evals.judged.conversation import Ask, Talk, ask, ask_all, vectors
from surefoot.evals.judged.strict import arithmetic, checks
from surefoot.evals.judged.strict.asks import all_voted, joined, listing, need, statements, verdicts, voted
from surefoot.evals.scores import Score


def faithfulness(
    question: str, response: str, context: Sequence[str], *, votes: int = 1
) -> Talk[Score | None]:
    """The share of the response's statements that the context supports; None where it states nothing."""
    need(question=question, response=response, context=context)
    stated: list[str] = yield from ask(statements(question, response))
    if not stated:
        return None
    held = yield from voted(verdicts(joined(context), stated), votes)
    loose = [statement for statement, is_held in zip(stated, held, strict=True) if not is_held]
    return Score(arithmetic.share(held), listing("not supported", loose))


def answer_relevancy(question: str, response: str, *, strictness: int = 3) -> Talk[Score | None]:
    """The mean cosine, cut at 0, of the question and those that the response would answer.

    0 where most of the `strictness` judgements (an odd number) call the response noncommittal.
    """
    need(question=question, response=response)
    found = yield from ask_all([Ask("relevance", {"response": response})] * strictness)
    (is_noncommittal,) = arithmetic.majority([[each.noncommittal] for each in found])
    if is_noncommittal:
        return Score(0.0, "the response is noncommittal")
    asked, *answered = yield from vectors([question, *(each.question for each in found)])
    cosines = [max(arithmetic.cosine(asked, vector), 0.0) for vector in answered]
    return Score(
        sum(cosines) / len(cosines), listing("it answers", sorted({each.question for each in found}))
    )


def factual_correctness(
    response: str,
    expected: str,
    *,
    mode: Literal["precision", "recall", "f1"] = "f1",
    beta: float = 1.0,
    atomicity: Literal["low", "high"] = "low",
    coverage: Literal["low", "high"] = "low",
    votes: int = 1,
) -> Talk[Score | None]:
    """Precision: of the response's claims, how many the reference supports. Recall: of the reference's, how many the
    response does. Or their F-beta. None where the text whose claims are to be counted makes none.
    """
    need(response=response, expected=expected)
    texts = {"precision": [response], "recall": [expected]}.get(mode, [response, expected])
    found = yield from ask_all(
        [
            Ask("claims", {"response": text, "atomicity": atomicity, "coverage": coverage}, checks.claimed)
            for text in texts
        ]
    )
    if not found[-1]:
        # Those of the reference, without which nothing can be recalled; of the response where only that counts.
        return None
    if not found[0]:
        return Score(0.0, "the response claims nothing")
    against = {"precision": [expected], "recall": [response]}.get(mode, [expected, response])
    held = yield from all_voted(
        [verdicts(text, claims) for text, claims in zip(against, found, strict=True)], votes
    )
    shares = [arithmetic.share(each) for each in held]
    value = shares[0] if len(shares) == 1 else arithmetic.f_beta(shares[0], shares[1], beta)
    loose = [
        claim
        for claims, each in zip(found, held, strict=True)
        for claim, is_held in zip(claims, each, strict=True)
        if not is_held
    ]
    return Score(value, listing("only in one of the two", loose))


def semantic_similarity(
    response: str, expected: str, *, threshold: float | None = None
) -> Talk[Score | None]:
    """The cosine of response and reference, -1 to 1; with a threshold, 0 too, whether it is reached."""
    need(response=response, expected=expected)
    first, second = yield from vectors([response, expected])
    cosine = arithmetic.cosine(first, second)
    return Score(cosine) if threshold is None else Score(cosine >= threshold, f"cosine {cosine:.3f}")


def answer_correctness(
    question: str,
    response: str,
    expected: str,
    *,
    weights: Sequence[float] = (0.75, 0.25),
    beta: float = 1.0,
) -> Talk[Score | None]:
    """The weighted mean of the F-beta of the statements and the cosine of the texts, cut at 0.

    None where the reference states nothing; a response that states nothing has an F-beta of 0.
    """
    need(question=question, response=response, expected=expected)
    said, wanted = yield from ask_all([statements(question, response), statements(question, expected)])
    if not wanted:
        return None
    factuality, reason = 0.0, "the response states nothing"
    if said:
        wish = Ask(
            "classification",
            {"question": question, "answer": said, "ground_truth": wanted},
            checks.classified(said, wanted),
        )
        tp, fp, fn = yield from ask(wish)
        factuality = arithmetic.f_beta(tp / (tp + fp), tp / (tp + fn) if tp + fn else 0.0, beta)
        reason = f"{tp} right, {fp} wrong, {fn} missing"
    similarity = 0.0
    if weights[1]:
        first, second = yield from vectors([response, expected])
        similarity = max(arithmetic.cosine(first, second), 0.0)
    value = (factuality * weights[0] + similarity * weights[1]) / (weights[0] + weights[1])
    return Score(value, reason)


def noise_sensitivity(
    question: str,
    response: str,
    context: Sequence[str],
    expected: str,
    *,
    mode: Literal["relevant", "irrelevant"] = "relevant",
    votes: int = 1,
) -> Talk[Score | None]:
    """The share of the response's statements that are wrong and that a (ir)relevant context supports; less is better.

    A context is relevant that supports a statement of the reference. None where one of the two texts states nothing.
    """
    need(question=question, response=response, context=context, expected=expected)
    wanted, said = yield from ask_all([statements(question, expected), statements(question, response)])
    if not wanted or not said:
        return None
    wishes = [verdicts(text, about) for text in context for about in (wanted, said)]
    held = yield from all_voted([*wishes, verdicts(expected, said)], votes)
    by_reference, by_response, right = held[:-1:2], held[1:-1:2], held[-1]
    relevant = [any(each) for each in by_reference]
    misled: list[str] = []
    for index, statement in enumerate(said):
        supporting = [relevant[n] for n, each in enumerate(by_response) if each[index]]
        is_hit = any(supporting) if mode == "relevant" else bool(supporting) and not any(supporting)
        if is_hit and not right[index]:
            misled.append(statement)
    return Score(len(misled) / len(said), listing(f"wrong, from {mode} contexts", misled))
