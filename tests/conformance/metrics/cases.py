"""One case of the data: the metric led through its conversation with the answers that the case holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from surefoot.errors import InvalidInput, MalformedResponse
from surefoot.evals import plain
from surefoot.evals.judged import ragas
from surefoot.evals.judged.conversation import Ask, Vector, hold
from surefoot.evals.judged.shapes import read

_TOLERANCE = 1e-9
# What is no question to ragas' judge, but a setting of it, or ours.
_SETTINGS = ("definition", "wording", "atomicity", "coverage", "rubrics")
_FIELDS = ("user_input", "response", "reference", "retrieved_contexts", "reference_contexts", "rubrics")
_ERRORS = {
    "ValueError": (InvalidInput, MalformedResponse),
    "TypeError": (InvalidInput,),
    "AssertionError": (InvalidInput,),
}


@dataclass(slots=True)
class Answers:
    """The answers of a case's judge, each given once."""

    calls: list[Mapping[str, Any]]
    vectors: Mapping[str, Vector]
    made: int = 0
    problems: list[str] = field(default_factory=list[str])

    def answer(self, asked: Ask) -> object:
        """The answer to this question. Raises `MalformedResponse` where it does not fit its form."""
        self.made += 1
        found = next((call for call in self.calls if _is_same(asked, call)), None) or next(
            (call for call in self.calls if _is_within(asked, call)), None
        )
        if found is None:
            self.problems.append(
                f"asked {asked.question} with {dict(asked.inputs)}, which the case does not answer"
            )
            raise MalformedResponse("the case has no answer")
        self.calls.remove(found)
        return read(asked, found["output"])

    def embed(self, texts: tuple[str, ...]) -> list[Vector]:
        return [self.vectors[text] for text in texts]


def judged(case: Mapping[str, Any]) -> str | None:
    """What is wrong with our score, or None."""
    expected, api = case["expected"], str(case["api"])
    outputs: list[Mapping[str, Any]] = [{"output": output} for output in case.get("llm_outputs") or ()]
    given = Answers(list(case.get("llm_calls") or outputs), case.get("embeddings") or {})
    score: float | None = None
    error: Exception | None = None
    try:
        score = _score(case, api, given)
    except (InvalidInput, MalformedResponse, ZeroDivisionError) as raised:
        error = raised
    except Exception as other:  # noqa: BLE001 (a failed case, and not the end of the others)
        return f"{type(other).__name__}: {other}"
    if given.problems:
        return given.problems[0]
    if expected.get("error"):
        wanted = _ERRORS.get(expected["error"], (MalformedResponse,))
        if not isinstance(error, wanted):
            return f"{expected['error']} in ragas; here {score if error is None else repr(error)}"
    elif error is not None:
        return f"{_shown(expected)} in ragas; here {error!r}"
    elif not _is_equal(expected, score):
        return f"{_shown(expected)} in ragas; here {score}"
    if given.made != expected.get("calls_made", given.made):
        return f"{expected['calls_made']} calls in ragas; here {given.made}"
    return None


def _score(case: Mapping[str, Any], api: str, given: Answers) -> float | None:
    """Our score; NaN where ragas has NaN. Raises what the metric raises."""
    metric, params, sample = case["metric"], dict(case["params"]), case["sample"]
    if not ragas.is_known(metric):
        score = plain.parity(metric, api, sample, params)
        return math.nan if score is None else score
    params.pop("name", None)
    is_legacy = api.startswith("legacy")
    if metric == "answer_relevancy" and is_legacy and _is_asked_once(case, api):
        params["strictness"] = 1
    talk = ragas.conversation(
        metric,
        ragas.RagasSample(**{name: value for name, value in sample.items() if name in _FIELDS}),
        api="legacy" if is_legacy else "collections",
        **params,
    )
    return hold(talk, answer=given.answer, embed=given.embed)


def _is_asked_once(case: Mapping[str, Any], api: str) -> bool:
    """Whether the older code was given a newer model, of which it gets one answer, whatever it asks for."""
    return "instr" in api or "_instr_" in str(case["id"])


def _is_same(asked: Ask, call: Mapping[str, Any]) -> bool:
    """Whether a recorded call has this question's inputs, whatever ragas calls them."""
    if not isinstance(call.get("input"), Mapping):
        return False
    ours = [value for name, value in asked.inputs.items() if name not in _SETTINGS]
    theirs = [value for name, value in call["input"].items() if name not in _SETTINGS]
    return sorted(map(_key, ours)) == sorted(map(_key, theirs))


def _is_within(asked: Ask, call: Mapping[str, Any]) -> bool:
    """Whether this question's texts stand somewhere in a call that was recorded otherwise: as one text, or without
    what it was asked."""
    given = "\n".join(_texts(call.get("input")))
    return not given or all(
        text in given
        for name, value in asked.inputs.items()
        if name not in _SETTINGS
        for text in _texts(value)
    )


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for part in cast("Mapping[str, object]", value).values() for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in cast("Sequence[object]", value) for text in _texts(part)]
    return [str(value)] if isinstance(value, str | int) else []


def _key(value: object) -> str:
    return repr(list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else value)


def _is_equal(expected: Mapping[str, Any], score: float | None) -> bool:
    if expected.get("nan"):
        return score is not None and math.isnan(score)
    return score is not None and abs(float(score) - float(expected["score"])) <= _TOLERANCE


def _shown(expected: Mapping[str, Any]) -> str:
    return "NaN" if expected.get("nan") else str(expected["score"])
