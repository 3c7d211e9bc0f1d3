"""A row scored by ragas, as a flow: what its metric asks of models is asked here, and recorded in the run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

from surefoot import scope
from surefoot.errors import ConfigError, InvalidInput, MalformedResponse
from surefoot.evals.judged.settings import Model
from surefoot.evals.ragas.environment import SETUP, Api, Environment, folder
from surefoot.evals.ragas.process import Unfit, shared_process
from surefoot.evals.scores import Score
from surefoot.flows.flow import flow
from surefoot.models import embed, generate
from surefoot.retrieval import home
from surefoot.values import Json

FIELDS: Mapping[str, str] = {
    "user_input": "question",
    "response": "response",
    "retrieved_contexts": "context",
    "reference": "expected",
    "reference_contexts": "reference_contexts",
    "retrieved_context_ids": "retrieved_context_ids",
    "reference_context_ids": "reference_context_ids",
    "reference_tool_calls": "reference_tool_calls",
    "reference_topics": "reference_topics",
    "rubrics": "rubrics",
}
"""What ragas calls the parts of a row, and what they are called here."""

_LISTS = frozenset(
    {"retrieved_contexts", "reference_contexts", "retrieved_context_ids", "reference_context_ids"}
)


@dataclass(frozen=True, slots=True)
class RagasSettings:
    """Which metric of ragas judges, and by which models: recorded with each judgement.

    version: of ragas. Another one makes another judge.
    params: what the metric is made with.
    """

    metric: str
    api: Api
    version: str
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    using: Model = None
    embeddings: str = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        """As an input of a flow it is taken as it is: of what is in a `Call` pydantic can make no type."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)


@flow(name="ragas")
async def by_ragas(  # noqa: PLR0917  (it is called by name, as all flows of scorers are)
    settings: RagasSettings,
    question: Any = None,
    response: Any = None,
    context: Any = None,
    expected: Any = None,
    reference_contexts: Any = None,
    retrieved_context_ids: Any = None,
    reference_context_ids: Any = None,
    reference_tool_calls: Any = None,
    reference_topics: Any = None,
    rubrics: Any = None,
) -> Score:
    """ragas' score of a row. What is None is not handed over.

    Raises `InvalidInput` for a row that ragas refuses, `MalformedResponse` where its number is NaN,
    `ScorerUnavailable`, and what `generate` and `embed` raise.
    """
    named = {
        "question": question,
        "response": response,
        "context": context,
        "expected": expected,
        "reference_contexts": reference_contexts,
        "retrieved_context_ids": retrieved_context_ids,
        "reference_context_ids": reference_context_ids,
        "reference_tool_calls": reference_tool_calls,
        "reference_topics": reference_topics,
        "rubrics": rubrics,
    }
    fields = {
        theirs: _as_they_take_it(theirs, named[ours])
        for theirs, ours in FIELDS.items()
        if named[ours] is not None
    }
    place = Environment.at(folder())
    if place.version != settings.version:
        raise ConfigError(
            f"this was begun with ragas {settings.version}, and in {place.folder} is {place.version}: begin anew, or "
            f"run `{SETUP}` where the settings name another folder"
        )
    request: dict[str, Json] = {
        "metric": settings.metric,
        "api": settings.api,
        "params": dict(settings.params),
        "fields": fields,
    }
    said = await shared_process(place.python).score(request, Granting(settings).grant)
    return _score_of(said, settings)


def _score_of(said: Mapping[str, Any], settings: RagasSettings) -> Score:
    if "error" in said:
        raise InvalidInput(f"ragas' {settings.metric} says {said['error']}")
    value = said["value"]
    if value is None:
        raise MalformedResponse(
            f"ragas' {settings.metric} makes NaN of this row, as of answers without a statement, a verdict or a valid "
            "rating: look at the judge's answers in this run"
        )
    return Score(value if isinstance(value, bool | str) else float(value), said.get("reason") or "")


class Granting:
    """Answers what a metric asks on its way to one score. The same question again gets an answer of its own."""

    def __init__(self, settings: RagasSettings) -> None:
        self._settings = settings
        self._asked: set[str] = set()

    async def grant(self, question: Mapping[str, Any]) -> Json:
        """An object, texts or vectors. Raises `Unfit` for an answer that does not fit, else what models raise."""
        if "texts" in question:
            return await self._vectors(question["texts"])
        prompt = str(question["prompt"])
        if "schema" in question:
            return await self._answer(prompt, question["schema"])
        return [await self._answer(prompt, None) for _ in range(int(question["count"]))]

    async def _answer(self, prompt: str, schema: Mapping[str, Json] | None) -> Json:
        using = self._settings.using
        messages = [{"role": "user", "content": prompt}]
        is_repeated = prompt in self._asked
        self._asked.add(prompt)
        # Asked again it is asked for another opinion, and not for the same one out of the cache.
        with scope.caching("never") if is_repeated else nullcontext():
            if schema is None:
                return await generate(messages, str, using=using)
            try:
                return await generate(messages, schema, using=using)
            except MalformedResponse as malformed:
                raise Unfit(str(malformed)) from malformed

    async def _vectors(self, texts: list[str]) -> Json:
        if self._settings.embeddings:
            found = await embed(texts, using=self._settings.embeddings)
            return [list(vector) for vector in found]
        import asyncio

        # A blocking computation, which would stop the judges of the other cases.
        made = await asyncio.to_thread(home().embedder.embed, texts)
        return cast("Json", made.tolist())


def _as_they_take_it(name: str, value: Any) -> Json:
    """A part of a row as ragas wants it: contexts in a list, a reference as one text.

    Raises `InvalidInput` where several answers are expected.
    """
    several: list[Json] | None = list(value) if type(value) in (list, tuple) else None
    if name in _LISTS and several is None:
        return [value]
    if name == "reference":
        if several is None:
            return str(value)
        if len(several) != 1:
            raise InvalidInput(
                f"{len(several)} answers are expected, and ragas compares with one: name it by a reading, as in "
                "reads={'expected': '$metadata.reference'}"
            )
        return str(several[0])
    return cast("Json", value if several is None else several)
