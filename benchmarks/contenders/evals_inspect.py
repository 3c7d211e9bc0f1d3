"""inspect-ai: a task whose solver and scorer ask through its own models, logged into a folder."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"OPENAI_API_KEY": "key", "INSPECT_DISABLE_MODEL_COST_DATA": "1", "INSPECT_CTL_SERVER": "false"}

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer
from inspect_ai.solver import generate

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, judging, serve_rows, verdict
from benchmarks.contenders.serving import MODEL, question


@scorer(metrics=[accuracy()])
def judge() -> Any:
    async def score(state: Any, target: Any) -> Score:  # noqa: ARG001  (called by name)
        response = state.output.completion
        said = await get_model().generate(judging(state.input_text, response))
        return Score(value=CORRECT if verdict(said.completion) else INCORRECT, explanation=said.completion)

    return score


@scorer(metrics=[accuracy()])
def contains() -> Any:
    async def score(state: Any, target: Any) -> Score:  # noqa: ARG001  (called by name)
        return Score(value=CORRECT if has_answer(state.output.completion) else INCORRECT)

    return score


def rows(url: str, number: int) -> int:
    samples = [Sample(id=f"c{one}", input=question(one)) for one in range(number)]
    with TemporaryDirectory() as folder:
        [log] = evaluate(
            Task(dataset=MemoryDataset(samples), solver=generate(), scorer=[judge(), contains()]),
            model=f"openai/{MODEL}",
            model_base_url=url,
            model_args={"responses_api": False},
            max_connections=AT_ONCE_ROWS,
            max_samples=AT_ONCE_ROWS,
            display="none",
            log_dir=folder,
            log_level="error",
        )
    if log.results is None:
        raise SystemExit(f"inspect ended as {log.status}: {log.error}")
    found = [each.metrics["accuracy"].value for each in log.results.scores]
    return int(log.results.completed_samples * min(found))


if __name__ == "__main__":
    serve_rows(lambda number: rows(sys.argv[1], number))
