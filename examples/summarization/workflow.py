"""A question about a document: retrieve, prompt, call a model, check the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from openai import OpenAI

from surefoot import Prompty, Workflow, step
from surefoot.retrieval import Collection, Passage

UNAVAILABLE = "The document does not say."
REFUSALS = ("does not say", "not mentioned", "no information", "not available", "unavailable")
ANSWERABLE_FROM = 0.58
"""Cosine between the question and a sentence below which that sentence is taken to hold no answer.

A sentence that was found by its words alone has none; then only the model's answer is checked."""


@dataclass(frozen=True)
class Check:
    """What the check of an answer found. `quote` is the sentence of the document that answers, if one does."""

    verdict: Literal["supported", "unsupported", "unavailable", "empty"]
    reason: str
    quote: Passage | None = None


def by_words(query: str, document_id: str) -> list[Passage]:
    """The three sentences that share most words with the question: needs no vectors, and is less apt."""
    return Collection.open("handbook").best_sentences(query, document=document_id, top=3, mode="text")


@step(pure=True, fallback=by_words)
def retrieve_context(query: str, document_id: str) -> list[Passage]:
    """The three sentences of the document that come closest to the question."""
    return Collection.open("handbook").best_sentences(query, document=document_id, top=3)


@step(pure=True)
def check_answer(answer: str, context: list[Passage]) -> Check:
    """Whether the document holds an answer at all, and whether it holds this one."""
    near = [passage for passage in context if passage.cosine is None or passage.cosine >= ANSWERABLE_FROM]
    if not near:
        return Check("unavailable", "no sentence of the document comes close to the question")
    if not words(answer):
        return Check("empty", "the model gave no answer", quote=near[0])
    if any(phrase in answer.lower() for phrase in REFUSALS):
        return Check("unavailable", "the model found no answer in the context")
    for passage in near:
        if words(answer) <= words(passage.text) or passage.text in answer:
            return Check("supported", "the answer is contained in the context", quote=passage)
    return Check("unsupported", "the answer holds words that the context does not", quote=near[0])


class SummarizationWorkflow(Workflow):
    """Answers from one document of the handbook, with the sentence that says so."""

    def __init__(self, client: OpenAI):
        super().__init__()
        self.client = client

    def run(self, query: str, document_id: str) -> dict[str, object]:
        context = retrieve_context(query, document_id)
        final_prompt = Prompty.load_template("document_summarization_v2").render(
            context="\n".join(passage.text for passage in context), query=query
        )
        response = self.client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": final_prompt}],
            temperature=0,
            max_tokens=64,
        )
        answer = (response.choices[0].message.content or "").strip()
        check = check_answer(answer, context)
        return {"summary": summary(answer, check), "context_used": context}


def summary(answer: str, check: Check) -> str:
    """The answer where the context supports it, else the sentence that comes closest, always with its source."""
    if check.quote is None:
        return UNAVAILABLE
    source = f'"{check.quote.text}" [{check.quote.document}]'
    return f"{answer} — {source}" if check.verdict == "supported" else source


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))
