"""mlflow.genai: `evaluate` with two scorers, recorded in a store of its own; target and judge ask by the OpenAI SDK."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, judging, serve_rows, verdict
from benchmarks.contenders.serving import MODEL, question

os.environ |= {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": str(AT_ONCE_ROWS),
    # Its threads take several connections each, and with those that it has by default they wait for each other.
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(8 * AT_ONCE_ROWS),
}

import mlflow
import openai
from mlflow.genai.scorers import scorer


def rows(sdk: openai.OpenAI, number: int) -> int:
    def ask(prompt: str) -> str:
        answer = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return answer.choices[0].message.content or ""

    @scorer
    def judge(inputs: dict[str, str], outputs: str) -> bool:
        return verdict(ask(judging(inputs["prompt"], outputs)))

    @scorer
    def contains(outputs: str) -> bool:
        return has_answer(outputs)

    found = mlflow.genai.evaluate(
        data=[{"inputs": {"prompt": question(one)}} for one in range(number)],
        predict_fn=ask,
        scorers=[judge, contains],
    )
    is_whole = found.metrics["judge/mean"] == found.metrics["contains/mean"] == 1.0
    return number if is_whole else 0


def main(url: str) -> None:
    with TemporaryDirectory() as folder, openai.OpenAI(base_url=url, api_key="key") as sdk:
        os.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{Path(folder) / 'mlflow.db'}")
        mlflow.set_experiment("rows")
        serve_rows(lambda number: rows(sdk, number))


if __name__ == "__main__":
    main(sys.argv[1])
