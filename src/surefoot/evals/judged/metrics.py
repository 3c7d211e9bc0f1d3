"""The metrics that a model judges, as scorers: each function makes one, with the model that judges and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from surefoot.errors import InvalidInput
from surefoot.evals.judged import flows, judges
from surefoot.evals.judged.settings import Compat, Model, Settings
from surefoot.evals.judged.strict.grades import levels_of
from surefoot.evals.scoring.judging import Judged
from surefoot.flows import AnyFlow

Prompts = str | Mapping[str, str] | None
"""A prompt of the library that takes the place of the metric's main judge, or several by the questions that they are
asked."""
Mode = Literal["precision", "recall", "f1"]
Level = Literal["low", "high"]
_UNIT = (0.0, 1.0)


def faithfulness(
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How much of a response its context supports, 0 to 1: supported statements / statements.

    Asks for the statements of the `response` to the `question`, then for a verdict on each by the `context`. Does not
    apply to a response that states nothing. Raises `InvalidInput`, as all of these do, for settings that do not fit.
    """
    return _judged(
        flows.faithfulness, "verdicts", name, Settings(using, compat, votes, _of(prompt, "verdicts"))
    )


def answer_relevancy(
    *,
    using: Model = None,
    compat: Compat | None = None,
    strictness: int = 3,
    embeddings: str = "",
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How near a response is to the `question`, 0 to 1: the mean cosine of the question with `strictness` (odd) other
    questions that the `response` would answer, by the vectors of `embeddings`; 0 where most call it noncommittal.
    """
    _check(strictness > 0, f"strictness is {strictness}: ask once at least")
    _check(compat is not None or strictness % 2, f"strictness is {strictness}: give an odd number")
    settings = Settings(using, compat, 1, _of(prompt, "relevance"), embeddings)
    return _judged(flows.answer_relevancy, "relevance", name, settings, strictness=strictness)


def context_precision(
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How far up the useful contexts stand, 0 to 1: average precision of the `context` in its order, each one useful or
    not for the `expected` answer to the `question`.
    """
    settings = Settings(using, compat, votes, _of(prompt, "usefulness"))
    return _judged(flows.context_precision, "usefulness", name, settings)


def context_utilization(
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """`context_precision` without a reference: useful for the `response` that was given."""
    settings = Settings(using, compat, votes, _of(prompt, "usefulness"))
    return _judged(flows.context_utilization, "usefulness", name, settings)


def context_recall(
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How much of the `expected` answer the `context` holds, 0 to 1: supported sentences / sentences.

    In ragas' form the judge takes the answer apart itself, so that nobody can tell whether it left out a part.
    """
    question = "attributions" if compat else "verdicts"
    settings = Settings(using, compat, votes, _of(prompt, question))
    return _judged(flows.context_recall, question, name, settings)


def context_entity_recall(
    *,
    using: Model = None,
    compat: Compat | None = None,
    is_exact: bool = False,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How many of the entities of the `expected` answer the `context` names, 0 to 1.

    is_exact: compare letter by letter; by default case, Unicode's forms and punctuation around make no difference.
    """
    settings = Settings(using, compat, 1, _of(prompt, "entities"))
    return _judged(flows.context_entity_recall, "entities", name, settings, is_exact=is_exact)


def noise_sensitivity(
    *,
    using: Model = None,
    compat: Compat | None = None,
    mode: Literal["relevant", "irrelevant"] = "relevant",
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How often a context misleads, 0 to 1, less is better: the share of the response's statements that the `expected`
    answer does not support and that a context does which is relevant (supports a part of that answer), or `irrelevant`.
    """
    _one_of("mode", mode, ("relevant", "irrelevant"))
    settings = Settings(using, compat, votes, _of(prompt, "verdicts"))
    return replace(_judged(flows.noise_sensitivity, "verdicts", name, settings, mode=mode), direction="lower")


def factual_correctness(
    *,
    using: Model = None,
    compat: Compat | None = None,
    mode: Mode = "f1",
    beta: float = 1.0,
    atomicity: Level = "low",
    coverage: Level = "low",
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How far the claims of the `response` and the `expected` answer agree, 0 to 1: precision, recall or F-beta.

    atomicity, coverage: how far claims are split, and whether side remarks count.
    """
    _one_of("mode", mode, ("precision", "recall", "f1"))
    _check(beta > 0, f"beta is {beta}: give a number above 0")
    settings = Settings(using, compat, votes, _of(prompt, "verdicts"))
    more: dict[str, object] = {
        "mode": mode,
        "beta": float(beta),
        "atomicity": atomicity,
        "coverage": coverage,
    }
    return _judged(flows.factual_correctness, "verdicts", name, settings, **more)


def answer_correctness(
    *,
    using: Model = None,
    compat: Compat | None = None,
    weights: Sequence[float] = (0.75, 0.25),
    beta: float = 1.0,
    embeddings: str = "",
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How right a `response` is, 0 to 1: the F-beta of its statements against those of the `expected` answer, and the
    cosine of the two texts, weighted by `weights`; without vectors where the second weight is 0.
    """
    _check(
        len(weights) == 2 and min(weights) >= 0 and any(weights),
        f"the weights are {list(weights)}: give two that are not negative, one above 0",
    )
    _check(beta > 0, f"beta is {beta}: give a number above 0")
    settings = Settings(using, compat, 1, _of(prompt, "classification"), embeddings)
    more: dict[str, object] = {"weights": [float(weight) for weight in weights], "beta": float(beta)}
    return _judged(flows.answer_correctness, "classification", name, settings, **more)


def semantic_similarity(
    *,
    compat: Compat | None = None,
    threshold: float | None = None,
    embeddings: str = "",
    name: str = "",
    using: Model = None,
) -> Judged:
    """How near the `response` is to the `expected` answer by their vectors: the cosine, -1 to 1; whether it reaches the
    `threshold` where one is given. No judge is asked, whatever `using` says.
    """
    settings = Settings(using, compat, embeddings=embeddings)
    judged = _judged(flows.semantic_similarity, "", name, settings, threshold=threshold)
    return judged if threshold is not None else replace(judged, range=(-1.0, 1.0))


def rubric(
    rubrics: Mapping[str, str] | None = None,
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """The level of a rubric that fits a `response`, with what there is of `question`, `context` and `expected`.

    rubrics: what each level means, `{"1": "wrong", "2": "right, and too long", ...}`. Without it each case brings its
        own, in the column `rubrics`.
    """
    # Where each case brings its own, they need not have the same levels.
    levels = levels_of(rubrics) if rubrics is not None and compat is None else None
    more: dict[str, object] = {} if rubrics is None else {"rubrics": dict(rubrics)}
    settings = Settings(using, compat, votes, _of(prompt, "rubric"))
    judged = _judged(flows.rubric, "rubric", name, settings, **more)
    return replace(judged, range=None if levels is None else (float(min(levels)), float(max(levels))))


def aspect_critic(
    definition: str,
    *,
    using: Model = None,
    compat: Compat | None = None,
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """Whether something holds of a `response`, true or false: `aspect_critic("Is it free of personal data?")`."""
    settings = Settings(using, compat, votes, _of(prompt, "aspect"))
    return _judged(flows.aspect_critic, "aspect", name, settings, definition=definition)


def simple_criteria(
    definition: str,
    *,
    using: Model = None,
    compat: Compat | None = None,
    scale: tuple[int, int] = (0, 10),
    votes: int = 1,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """A score for a `response` by one criterion, a whole number on the `scale`."""
    _check(scale[0] < scale[1], f"the scale is {scale}: give the lowest number, then the highest")
    settings = Settings(using, compat, votes, _of(prompt, "criteria"))
    more: dict[str, object] = {"definition": definition, "lowest": scale[0], "highest": scale[1]}
    judged = _judged(flows.simple_criteria, "criteria", name, settings, **more)
    return replace(judged, range=scale)


def answer_accuracy(
    *, using: Model = None, compat: Compat | None = None, prompt: Prompts = None, name: str = ""
) -> Judged:
    """How far `response` and `expected` answer say the same, 0 to 1: two ratings (0, 2, 4), one in each order."""
    settings = Settings(using, compat, 1, _of(prompt, "accuracy"))
    return _judged(flows.answer_accuracy, "accuracy", name, settings)


def context_relevance(
    *, using: Model = None, compat: Compat | None = None, prompt: Prompts = None, name: str = ""
) -> Judged:
    """How far the `context` answers the `question`, 0 to 1: two ratings (0, 1, 2), asked for in different words."""
    settings = Settings(using, compat, 1, _of(prompt, "context_relevance"))
    return _judged(flows.context_relevance, "context_relevance", name, settings)


def response_groundedness(
    *, using: Model = None, compat: Compat | None = None, prompt: Prompts = None, name: str = ""
) -> Judged:
    """How far the `context` supports the `response`, 0 to 1: two ratings (0, 1, 2), asked for in different words.

    Cheaper than `faithfulness`, which says which statements have no support.
    """
    settings = Settings(using, compat, 1, _of(prompt, "groundedness"))
    return _judged(flows.response_groundedness, "groundedness", name, settings)


def summary_score(
    *,
    using: Model = None,
    compat: Compat | None = None,
    coeff: float = 0.5,
    length_penalty: bool = True,
    prompt: Prompts = None,
    name: str = "",
) -> Judged:
    """How good a summary of the `context` the `response` is, 0 to 1: the share of questions about the text that it
    answers, and how short it is, weighted by `coeff`; without `length_penalty` the first alone.
    """
    _check(0 <= coeff <= 1, f"coeff is {coeff}: give a number from 0 to 1")
    settings = Settings(using, compat, 1, _of(prompt, "quiz_answers"))
    return _judged(
        flows.summary_score, "quiz_answers", name, settings, coeff=float(coeff), length_penalty=length_penalty
    )


def pairwise_preference(
    *, using: Model = None, criteria: str = "", prompt: Prompts = None, name: str = ""
) -> Judged:
    """Whether the `response` is better than the `other` one: 1, 0, or 0.5 for a tie.

    Asked in both orders. A judge that prefers the place and not the text gives a tie, whose reason says so.

    criteria: what better means.
    """
    settings = Settings(using, None, 1, _of(prompt, "preference"))
    return _judged(flows.pairwise_preference, "preference", name, settings, criteria=criteria)


def _judged(flow: AnyFlow, question: str, name: str, settings: Settings, **inputs: Any) -> Judged:
    """The scorer, 0 to 1; a prompt of the library that it judges by is told, so that its agreement is measured anew
    with it."""
    judges.check_prompts(settings.prompts)
    constant: dict[str, object] = {**inputs, "settings": settings}
    prompt = settings.prompts.get(question, "")
    return Judged(flow, name=name, prompt=prompt, inputs=constant, direction="higher", range=_UNIT)


def _of(prompt: Prompts, question: str) -> dict[str, str]:
    if prompt is None:
        return {}
    return {question: prompt} if isinstance(prompt, str) else dict(prompt)


def _one_of(what: str, value: str, known: Sequence[str]) -> None:
    _check(value in known, f"the {what} is {value!r}: give one of {', '.join(known)}")


def _check(holds: object, problem: str) -> None:
    """Raise `InvalidInput` with the problem."""
    if not holds:
        raise InvalidInput(problem)
