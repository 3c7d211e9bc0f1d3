"""What MLflow is told of traces beside their spans: prompts that it has, scores, and the evaluation of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from surefoot.errors import ExportError
from surefoot.ledger import RunScore
from surefoot.models.chain.retries import Retries
from surefoot.traces.mlflow.linking import (
    EVALUATION,
    LINKED_PROMPTS,
    linked_prompts,
    page_of,
    sent_as,
    set_tag,
)
from surefoot.traces.mlflow.registry import Registry
from surefoot.traces.mlflow.server import Server, part
from surefoot.traces.remarks import Remark, left
from surefoot.values import Json, PromptRef

_SCORE = "surefoot.score"


class Notes:
    """Tells an MLflow server of traces in one of its experiments. What it has is asked for once; for one thread.

    A prompt is linked where its version is registered there (`surefoot prompt register`). A score is an assessment
    of the trace, one for each experiment and metric, which is brought up to date. Where the evaluation is there too,
    the trace says on which page.
    """

    def __init__(self, server: Server, experiment_id: str) -> None:
        self._server = server
        self._experiment_id = experiment_id
        self._numbers: dict[PromptRef, int | None] = {}
        self._pages: dict[str, str] = {}

    def tell(self, said: Sequence[Remark], *, patience: Retries, timeout: float) -> None:
        """See `surefoot.traces.remarks.Remarks`."""
        server = replace(self._server, patience=patience, timeout=timeout)
        for one in said:
            name = f"tr-{one.trace}"
            for what, tell in (("prompts", self._link), ("scores", self._assess), ("evaluation", self._lead)):
                try:
                    tell(server, name, one)
                except ExportError as error:
                    left(error, f"the {what} of run {one.run} are not at its trace in MLflow")

    def _link(self, server: Server, name: str, said: Remark) -> None:
        found = [
            (prompt.name, number)
            for prompt in said.prompts
            if (number := self._number(server, prompt)) is not None
        ]
        if found:
            linked: list[Json] = [{"name": prompt, "version": str(number)} for prompt, number in found]
            server.post("traces/link-prompts", trace_id=name, prompt_versions=linked)
            # The link is searched for, the tag is shown.
            set_tag(server, name, LINKED_PROMPTS, linked_prompts(found))

    def _number(self, server: Server, prompt: PromptRef) -> int | None:
        if prompt not in self._numbers:
            found = Registry(server).numbers(prompt.name, prompt.digest)
            self._numbers[prompt] = found[0] if found else None
        return self._numbers[prompt]

    def _assess(self, server: Server, name: str, said: Remark) -> None:
        if not said.scores:
            return
        there = self._assessments(server, name)
        is_new = False
        for given in said.scores:
            made = _assessment(name, given)
            former = there.get(_key(given))
            if former is None:
                server.send("POST", f"traces/{name}/assessments", {"assessment": made}, version="3.0")
                is_new = True
            elif not _is_same(former, made):
                body: dict[str, Json] = {"assessment": made, "update_mask": "feedback,rationale"}
                server.send("PATCH", _place(name, former), body, version="3.0")
        if is_new:
            # Somebody else may have made the same meanwhile: MLflow has no condition for making one.
            self._assessments(server, name)

    def _assessments(self, server: Server, name: str) -> dict[str, dict[str, Any]]:
        """Those of a trace by what they are of: of each the newest. Others are taken away."""
        found: dict[str, Any] = server.get(f"traces/{name}", version="3.0").get("trace") or {}
        info: dict[str, Any] = found.get("trace_info") or {}
        told: list[dict[str, Any]] = info.get("assessments") or []
        there: dict[str, dict[str, Any]] = {}
        # Whoever reads them keeps the same one.
        for each in sorted(told, key=_age):
            metadata: dict[str, Any] = each.get("metadata") or {}
            key = metadata.get(_SCORE)
            if key is None:
                continue
            if key in there:
                server.send("DELETE", _place(name, there[key]), {}, version="3.0")
            there[key] = each
        return there

    def _lead(self, server: Server, name: str, said: Remark) -> None:
        pages = [page for given in said.scores if (page := self._page(server, given.experiment))]
        if pages:
            set_tag(server, name, EVALUATION, pages[-1])

    def _page(self, server: Server, experiment: str) -> str:
        if experiment not in self._pages:
            found = sent_as(server, self._experiment_id, experiment)
            here = (
                "" if found is None else page_of(server.url, self._experiment_id, str(part(found, "run_id")))
            )
            self._pages[experiment] = here
        return self._pages[experiment]


def _age(assessment: Mapping[str, Any]) -> tuple[str, str]:
    return str(assessment.get("create_time", "")).rstrip("Z"), str(assessment.get("assessment_id", ""))


def _place(name: str, assessment: Mapping[str, Any]) -> str:
    return f"traces/{name}/assessments/{part(assessment, 'assessment_id')}"


def _key(given: RunScore) -> str:
    return f"{given.experiment}/{given.score.metric}"


def _assessment(name: str, given: RunScore) -> dict[str, Json]:
    score = given.score
    when = datetime.fromtimestamp(given.scored_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    feedback: dict[str, Json] = {"value": score.value}
    if score.failure:
        feedback = {"error": {"error_code": "NO_SCORE", "error_message": score.failure}}
    metadata: dict[str, Json] = {_SCORE: _key(given)}
    if score.judge_run:
        metadata["surefoot.judge_run"] = score.judge_run
    return {
        "trace_id": name,
        "assessment_name": score.metric,
        "source": {"source_type": "LLM_JUDGE" if score.judge_run else "CODE", "source_id": score.metric},
        "feedback": feedback,
        "rationale": score.reason,
        "metadata": metadata,
        "create_time": when.replace("+00:00", "Z"),
        "last_update_time": when.replace("+00:00", "Z"),
    }


def _is_same(former: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    return _said(former) == _said(made)


def _said(assessment: Mapping[str, Any]) -> tuple[Any, ...]:
    feedback: dict[str, Any] = assessment.get("feedback") or {}
    failure: dict[str, Any] = feedback.get("error") or {}
    return feedback.get("value"), failure.get("error_message"), assessment.get("rationale") or ""
