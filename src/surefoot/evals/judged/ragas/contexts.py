"""ragas' metrics of what was retrieved: precision, recall, recall of entities."""

from __future__ import annotations

from typing import Literal

from surefoot.evals.judged.conversation import Talk
from surefoot.evals.judged.ragas import arithmetic
from surefoot.evals.judged.ragas.asks import one
from surefoot.evals.judged.ragas.sample import Api, RagasSample


def context_precision_with_reference(sample: RagasSample, api: Api) -> Talk[float]:
    """Average precision of the contexts' usefulness for the reference."""
    return (yield from _precision(sample, api, "reference"))


def context_precision_without_reference(sample: RagasSample, api: Api) -> Talk[float]:
    """Average precision of the contexts' usefulness for the response."""
    return (yield from _precision(sample, api, "response"))


def _precision(sample: RagasSample, api: Api, against: Literal["reference", "response"]) -> Talk[float]:
    if api == "collections":
        sample.need("user_input", against, "retrieved_contexts")
    verdicts: list[int] = []
    for context in sample.contexts("retrieved_contexts"):
        found = yield from one(
            "usefulness", question=sample.text("user_input"), context=context, answer=sample.text(against)
        )
        verdicts.append(found.verdict if api == "collections" else int(bool(found.verdict)))
    return arithmetic.average_precision(verdicts)


def context_recall(sample: RagasSample, api: Api) -> Talk[float]:
    """The mean of what the judge says of the statements that it finds in the reference."""
    if api == "collections":
        sample.need("user_input", "reference", "retrieved_contexts")
    found = yield from one(
        "attributions",
        question=sample.text("user_input"),
        context="\n".join(sample.contexts("retrieved_contexts")),
        answer=sample.text("reference"),
    )
    raw = [each.attributed for each in found.classifications]
    return arithmetic.share(raw if api == "collections" else [int(bool(value)) for value in raw])


def context_entity_recall(sample: RagasSample, api: Api) -> Talk[float]:
    """The share of the reference's entities that the contexts hold, letter by letter."""
    reference = sample.text("reference")
    contexts = "\n".join(sample.contexts("retrieved_contexts"))
    wanted = (yield from one("entities", text=reference)).entities
    there = (yield from one("entities", text=contexts)).entities
    shared = len(set(wanted) & set(there))
    return shared / ((len(set(wanted)) if api == "collections" else len(wanted)) + 1e-8)
