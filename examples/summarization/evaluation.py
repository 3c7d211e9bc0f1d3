"""What a good answer is here: `surefoot eval examples/summarization` asks the questions of golden.jsonl.

`evaluation` is about the handbook. `squad` asks questions about paragraphs of Wikipedia, in SQuAD's form: a file of
questions (question, answer, doc_id), and beside it, with `_docs` for `_qa` in its name, one of documents (id, text).
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import orjson
from openai import OpenAI
from workflow import UNAVAILABLE, SummarizationWorkflow, check_answer, summary

from surefoot import Prompty, Workflow, step
from surefoot.errors import InvalidInput
from surefoot.evals import (
    Dataset,
    Evaluation,
    Excerpt,
    Judged,
    Score,
    citation_correctness,
    contains_expected,
    embedding_similarity,
    exact_match,
    normalised_match,
    right_refusal,
    support,
    token_f1,
    yes_or_no,
)
from surefoot.ingest import ingest
from surefoot.retrieval import Collection, Passage

HERE = Path(__file__).parent
CITED = re.compile(r'(?:^| — )"(?P<quote>.+)" \[(?P<document>[^\]]+)\]$', re.DOTALL)


# How an output, {"summary": ..., "context_used": [...]}, is read


def refused(response: str) -> bool:
    return response.startswith(UNAVAILABLE)


def answer(output: dict[str, str]) -> str:
    """The words that answer: the model's, or the quoted sentence where the model's were not supported."""
    cited = CITED.search(output["summary"])
    if cited is None:
        return output["summary"]
    return output["summary"][: cited.start()] or cited["quote"]


def citations(output: dict[str, str]) -> list[Excerpt]:
    cited = CITED.search(output["summary"])
    return [Excerpt(cited["quote"], cited["document"])] if cited else []


def excerpts(output: dict[str, list[Passage]]) -> list[Excerpt]:
    return [Excerpt(passage.text, passage.document) for passage in output["context_used"]]


READS = {
    "response": "summary",
    "answer": answer,
    "context": "context_used.text",
    "citations": citations,
    "excerpts": excerpts,
}
SCORERS = [
    exact_match,
    normalised_match,
    token_f1,
    embedding_similarity,
    contains_expected,
    right_refusal(refused),
    citation_correctness(refused),
    support(refused=refused),
]


# A model as the judge of faithfulness


class Faithfulness(Workflow, name="faithfulness"):
    """Asks a model whether the context supports the response."""

    def __init__(self, client: OpenAI):
        super().__init__()
        self.client = client

    def run(self, response: str, context: list[str]) -> Score:
        prompt = Prompty.load_template("faithfulness_judge").render(
            context="\n".join(context), statement=response
        )
        verdict = self.client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=4
        )
        return yes_or_no(verdict.choices[0].message.content or "")


def is_answer(response: str) -> bool:
    return not refused(response)


def judges() -> list[Judged]:
    labelled = Dataset.load(
        HERE / "judge_cases.jsonl",
        flow=Faithfulness,
        columns={"response": "statement", "expected": "is_faithful"},
    )
    return [Judged(Faithfulness, labelled=labelled, applies=is_answer, prompt="faithfulness_judge")]


# The handbook


def ingest_handbook(_: Dataset) -> None:
    ingest(HERE / "docs", "handbook")


evaluation = Evaluation(
    SummarizationWorkflow,
    SCORERS,
    data="golden.jsonl",
    reads=READS,
    judges=judges(),
    prepare=ingest_handbook,
    name="handbook",
)


# Other documents


@step(pure=True)
def retrieve_from(collection: str, query: str, document_id: str) -> list[Passage]:
    return Collection.open(collection).best_sentences(query, document=document_id, top=3)


class CollectionWorkflow(Workflow):
    """The workflow of the handbook, for documents of any collection."""

    def __init__(self, client: OpenAI, collection: str):
        super().__init__()
        self.client = client
        self.collection = collection

    def run(self, query: str, document_id: str) -> dict[str, object]:
        context = retrieve_from(self.collection, query, document_id)
        prompt = Prompty.load_template("document_summarization_v2").render(
            context="\n".join(passage.text for passage in context), query=query
        )
        response = self.client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=64
        )
        said = (response.choices[0].message.content or "").strip()
        return {"summary": summary(said, check_answer(said, context)), "context_used": context}


def ingest_paragraphs(dataset: Dataset) -> None:
    """Take the documents that the cases ask about into the collection `squad`."""
    if dataset.path is None:
        return
    wanted = {case.inputs["document_id"] for case in dataset}
    file = dataset.path.with_name(dataset.path.name.replace("_qa", "_docs"))
    if not file.is_file():
        raise InvalidInput(f"there is no file {file} with the documents of {dataset.path.name}")
    collection = Collection.open("squad", create=True)
    for line in file.read_bytes().splitlines():
        document = orjson.loads(line)
        text = document["text"].encode()
        if document["id"] in wanted and not collection.holds(document["id"], sha256(text).hexdigest()):
            collection.put(document["id"], text, format="text")


squad = Evaluation(
    CollectionWorkflow,
    SCORERS,
    columns={"query": "question", "document_id": "doc_id", "expected": "answer"},
    reads=READS,
    init={"collection": "squad"},
    prepare=ingest_paragraphs,
    name="squad",
)
