"""An experiment as MLflow has it: parameters, metrics, tags, a dataset, and a table with a row for each case."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import cast

import orjson

from surefoot.evals.experiments.results import Experiment, Metric, Row
from surefoot.evals.statistics.intervals import student, wilson
from surefoot.traces.mlflow.linking import EXPERIMENT
from surefoot.values import Json

TABLE = "surefoot_cases.json"

_MOST_VALUE = 6000
_NAME = re.compile(r"[^A-Za-z0-9_\-. /]")


def params(experiment: Experiment) -> dict[str, str]:
    """What it was made with. It does not change, as MLflow's parameters do not."""
    found = {
        "flow": experiment.flow,
        "flow_version": experiment.flow_version,
        "dataset": experiment.dataset,
        "dataset_version": experiment.dataset_version,
        "dataset_size": str(experiment.dataset_size),
        "repeats": str(experiment.repeats),
        "kind": experiment.kind,
        "changes": ", ".join(experiment.changes),
    }
    found |= {f"prompt.{name}": digest for name, digest in experiment.prompts.items()}
    return {_named(name): value[:_MOST_VALUE] for name, value in found.items() if value}


def metrics(experiment: Experiment) -> dict[str, float]:
    """Each metric with its coverage, its interval and its failures, and what the cases and the judges have used."""
    found: dict[str, float | None] = {}
    for metric in experiment.metrics:
        found |= _metric(metric, experiment.rows)
    for name, totals in (("cases", experiment.totals), ("judging", experiment.judging)):
        found |= {
            f"{name}.calls": totals.calls,
            f"{name}.tokens": totals.usage.total,
            f"{name}.cost_usd": totals.cost.nanos / 1e9 if totals.is_cost_complete else None,
        }
    latency = experiment.latency
    found |= {
        "rows": len(experiment.rows),
        "failed_runs": len(experiment.failed),
        "latency_p50_s": latency.p50,
        "latency_p95_s": latency.p95,
    }
    return {
        _named(name): float(value)
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }


def _metric(metric: Metric, rows: tuple[Row, ...]) -> Iterator[tuple[str, float | None]]:
    name = metric.name
    if metric.withheld:
        return
    yield name, metric.value
    yield f"{name}.n", metric.n
    yield f"{name}.coverage", metric.coverage
    yield f"{name}.failures", len(metric.failures)
    if metric.failures:
        yield f"{name}.with_failures", metric.value_with_failures
    for label, count in metric.labels.items():
        yield f"{name}.label.{label}", count
    interval = _interval(metric, rows)
    if interval is not None:
        yield f"{name}.low", interval[0]
        yield f"{name}.high", interval[1]


def _interval(metric: Metric, rows: tuple[Row, ...]) -> tuple[float, float] | None:
    """Between which values its mean over cases lies, with 95 % confidence; None of one case."""
    if metric.kind == "labels" or metric.scope == "experiment" or metric.value is None:
        return None
    by_case: dict[str, list[float]] = {}
    for row in rows:
        score = row.scores.get(metric.name)
        if score is not None and not isinstance(score.value, str):
            by_case.setdefault(row.case, []).append(float(score.value))
    if metric.kind == "rate" and metric.cases == metric.n:
        return wilson(metric.value * metric.n, metric.n)
    return student([math.fsum(values) / len(values) for values in by_case.values()])


def tags(experiment: Experiment) -> dict[str, str]:
    """What links it to the record, and what a reader has to know; empty where there is no such thing."""
    found = {
        EXPERIMENT: experiment.id,
        "surefoot.flow": experiment.flow,
        "surefoot.name": experiment.name,
        "surefoot.stopped": experiment.stopped,
        "surefoot.withheld": "; ".join(f"{m.name}: {m.withheld}" for m in experiment.metrics if m.withheld),
        "surefoot.warnings": "; ".join(experiment.warnings),
        "mlflow.source.name": experiment.flow,
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": note(experiment),
        "mlflow.loggedArtifacts": orjson.dumps([{"path": TABLE, "type": "table"}]).decode(),
    }
    return {name: value[:_MOST_VALUE] for name, value in found.items()}


def note(experiment: Experiment) -> str:
    """The table of metrics in Markdown, which MLflow shows above a run."""
    lines = [
        f"`surefoot eval` of **{experiment.flow}** over {experiment.dataset}, {len(experiment.rows)} rows",
        "",
        "| metric | value | coverage | |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {_cell(row.metric)} | {_cell(row.value)} | {_cell(row.coverage)} | {_cell(row.note)} |"
        for row in experiment.table()
    ]
    return "\n".join(lines)


def dataset(experiment: Experiment) -> dict[str, Json]:
    """The dataset by its digest, as an input of the run."""
    profile = {"num_rows": experiment.dataset_size}
    return {
        "dataset": {
            "name": experiment.dataset,
            # MLflow's own digests are of eight digits; it takes 36 characters.
            "digest": experiment.dataset_version[:36],
            "source_type": "surefoot",
            "source": orjson.dumps({"version": experiment.dataset_version}).decode(),
            "profile": orjson.dumps(profile).decode(),
        },
        "tags": [{"key": "mlflow.data.context", "value": "eval"}],
    }


def table(experiment: Experiment) -> bytes:
    """A row for each case, as `mlflow.load_table` reads it. Scores with their reasons, and no input or output."""
    names = [metric.name for metric in experiment.metrics if metric.scope == "case"]
    columns = ["case", "repeat", "run", "status", "error", "seconds", "cost_usd"]
    for name in names:
        columns += [name, f"{name}.reason"]
    data: list[list[Json]] = []
    for row in experiment.rows:
        cost = row.totals.cost.nanos / 1e9 if row.totals.is_cost_complete else None
        seconds = None if row.latency_ns is None else row.latency_ns / 1e9
        line: list[Json] = [row.case, row.repeat, row.run_id, row.status, row.error, seconds, cost]
        for name in names:
            score = row.scores.get(name)
            line += (
                [None, row.failures.get(name, "")]
                if score is None
                else [cast("Json", score.value), score.reason]
            )
        data.append(line)
    return orjson.dumps({"columns": columns, "data": data})


def pairs(found: Mapping[str, str]) -> list[Json]:
    """As the API takes names and values."""
    return [{"key": name, "value": value} for name, value in found.items()]


def _named(name: str) -> str:
    """A name that MLflow takes."""
    return _NAME.sub("_", name)[:250]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
