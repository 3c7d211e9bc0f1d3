"""Ours: `evaluate` over a dataset, each row a recorded run with a judge and a plain scorer, and a comparison."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from benchmarks.contenders.rows import AT_ONCE_ROWS, has_answer, judging, taken_by, verdict
from benchmarks.contenders.serving import MODEL, Round, question, serve_async
from surefoot import App, Case, Dataset, Score, flow, generate
from surefoot.evals import Experiment, Judged, compare, evaluate_async

USING = f"openai:{MODEL}"


@flow
async def target(prompt: str) -> str:
    return str(await generate([{"role": "user", "content": prompt}], using=USING))


@flow
async def judge(prompt: str, response: str) -> Score:
    said = str(await generate([{"role": "user", "content": judging(prompt, response)}], using=USING))
    return Score(verdict(said), said)


def dataset(number: int) -> Dataset:
    """So many questions, each of about 1 KiB."""
    return Dataset("rows", tuple(Case(f"c{one}", {"prompt": question(one)}) for one in range(number)))


async def evaluated(app: App, data: Dataset) -> Experiment:
    with app.entered():
        found = await evaluate_async(target, data, [Judged(judge), has_answer], concurrency=AT_ONCE_ROWS)
    if (found["judge"].n, found["judge"].value, found["has_answer"].n) != (len(data), 1.0, len(data)):
        raise SystemExit(f"not all rows passed: {found.table()}")
    return found


async def main(folder: Path, url: str) -> None:
    os.chdir(folder)
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "key"}
    app = App()
    app.prepare()
    baselines: dict[int, Experiment] = {}

    async def rows(number: int) -> dict[str, float]:
        data = dataset(number)
        with Round() as taken:
            found = await evaluated(app, data)
            if number in baselines:
                compare(found, baselines[number])
        baselines.setdefault(number, found)
        return taken_by(number, taken)

    async def memory(number: int) -> dict[str, float]:
        await evaluated(app, dataset(number))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"steps": number, "peak": peak * (1 if sys.platform == "darwin" else 1024)}

    await serve_async({"rows": rows, "memory": memory})
    app.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
