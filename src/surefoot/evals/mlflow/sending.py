"""Sending an experiment to MLflow: a run there, found again by its tag, so that sending it twice changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar
from urllib.parse import urlsplit

from surefoot import flows
from surefoot.errors import UnknownExperiment
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.mlflow import payload
from surefoot.ledger import Evaluations
from surefoot.tracecontext import trace_id
from surefoot.traces.mlflow import Refused, Server, server_of
from surefoot.traces.mlflow.linking import EXPERIMENT, LINKED_PROMPTS, link, linked_prompts, page_of, sent_as
from surefoot.traces.mlflow.registry import Registry
from surefoot.traces.mlflow.server import part
from surefoot.traces.remarks import may_be_taken_later
from surefoot.values import Json

T = TypeVar("T")

_MOST_METRICS, _MOST_PARAMS, _MOST_TAGS = 900, 90, 90
_UNKNOWN_THERE = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Sent:
    """Where an experiment stands in MLflow.

    is_new: whether this made the run there. problem: what could not be sent, and why; else empty. traces: of how many
    cases the trace is there; those of the others are linked when they come.
    """

    url: str
    experiment_id: str
    run_id: str
    is_new: bool
    metrics: int
    problem: str = ""
    traces: int = 0

    @property
    def page(self) -> str:
        """The run's page."""
        return page_of(self.url, self.experiment_id, self.run_id)

    def to_json(self) -> dict[str, Json]:
        return {
            "url": self.page,
            "experiment": self.experiment_id,
            "run": self.run_id,
            "is_new": self.is_new,
            "metrics": self.metrics,
            "traces": self.traces,
            "problem": self.problem or None,
        }


def send(experiment: Experiment, *, url: str | None = None, experiment_name: str = "") -> Sent:
    """Send an experiment to an MLflow server: parameters, metrics with coverage and intervals, a table of its cases.

    url: the server's address; else that of the settings, `[mlflow] url`, or MLFLOW_TRACKING_URI.
    experiment_name: MLflow's experiment that the run belongs to; else that of the settings, or the flow's name. It is
        made where there is none.

    The traces of its cases are linked to it, if they are sent to the same experiment of MLflow, now or later. What was
    sent before is found by the tag `surefoot.experiment` and brought up to date. Raises `ConfigError`,
    `InvalidInput` and `ExportError`; sending again goes on.
    """
    server = server_of(url, experiment_name, flows.host().config.mlflow, os.environ)
    return sent_to(server, experiment)


def sent_to(server: Server, experiment: Experiment) -> Sent:
    """See `send`."""
    place = server.experiment_id(server.experiment or experiment.flow)
    begun_ms, ended_ms = _times(experiment)
    found = sent_as(server, place, experiment.id)
    is_new = found is None
    if found is None:
        made = server.post(
            "runs/create",
            experiment_id=place,
            run_name=experiment.name or experiment.flow,
            start_time=begun_ms,
            tags=payload.pairs({EXPERIMENT: experiment.id}),
        )
        found = part(made, "run", "info")
    run_id = str(part(found, "run_id"))
    _log(server, run_id, experiment, ended_ms)
    if not is_new:
        _clear(server, run_id, experiment)
    server.post("runs/log-inputs", run_id=run_id, datasets=[payload.dataset(experiment)])
    problem = _table(server, str(found.get("artifact_uri", "")), experiment)
    server.post(
        "runs/update",
        run_id=run_id,
        status="KILLED" if experiment.stopped else "FINISHED",
        end_time=ended_ms,
        run_name=experiment.name or experiment.flow,
    )
    unled = _link_prompts(server, run_id, experiment)
    traces, unlinked = _link(server, place, run_id, experiment)
    problem = "; ".join(filter(None, (problem, unled, unlinked)))
    return Sent(server.url, place, run_id, is_new, len(payload.metrics(experiment)), problem, traces)


def _log(server: Server, run_id: str, experiment: Experiment, ended_ms: int) -> None:
    """Parameters, tags and metrics, as many at a time as MLflow takes."""
    params = payload.pairs(payload.params(experiment))
    tags = payload.pairs({name: value for name, value in payload.tags(experiment).items() if value})
    # The newest step counts: one with more rows goes before, and the same one again is the same.
    metrics: list[Json] = [
        {"key": name, "value": value, "timestamp": ended_ms, "step": len(experiment.rows)}
        for name, value in payload.metrics(experiment).items()
    ]
    for some in _batches(params, _MOST_PARAMS):
        server.post("runs/log-batch", run_id=run_id, params=some)
    for some in _batches(tags, _MOST_TAGS):
        server.post("runs/log-batch", run_id=run_id, tags=some)
    for some in _batches(metrics, _MOST_METRICS):
        server.post("runs/log-batch", run_id=run_id, metrics=some)


def _clear(server: Server, run_id: str, experiment: Experiment) -> None:
    """Take away the tags that do not hold any more, such as why it was stopped."""
    for name, value in payload.tags(experiment).items():
        if not value:
            try:
                server.post("runs/delete-tag", run_id=run_id, key=name)
            except Refused as refused:
                if refused.code != "RESOURCE_DOES_NOT_EXIST":
                    raise


def _table(server: Server, place: str, experiment: Experiment) -> str:
    """Store the table of cases; why that is not possible, else nothing."""
    parts = urlsplit(place)
    if parts.scheme != "mlflow-artifacts":
        return (
            f"the table of cases was left out: the server keeps files in {parts.scheme or 'a folder'} and takes none "
            "itself; start it with --serve-artifacts (--artifacts-destination)"
        )
    server.put_artifact(f"{parts.path.strip('/')}/{payload.TABLE}", payload.table(experiment))
    return ""


def _link_prompts(server: Server, run_id: str, experiment: Experiment) -> str:
    """Let the run lead to the prompts of the experiment that are registered; why that is not possible, else nothing."""
    registry = Registry(server)
    try:
        found = [
            (name, numbers[0])
            for name, digest in experiment.prompts.items()
            if (numbers := registry.numbers(name, digest))
        ]
        if found:
            server.post("runs/set-tag", run_id=run_id, key=LINKED_PROMPTS, value=linked_prompts(found))
    except Refused as refused:
        if may_be_taken_later(refused):
            raise
        return f"its prompts are not linked: {refused}"
    return ""


def _link(server: Server, place: str, run_id: str, experiment: Experiment) -> tuple[int, str]:
    """Link the traces of the cases: how many are there, and why that is not possible, else nothing."""
    traces = dict.fromkeys(trace_id(row.run_id).hex() for row in experiment.rows if row.run_id)
    try:
        return link(server, place, run_id, list(traces)), ""
    except Refused as refused:
        if may_be_taken_later(refused):
            raise
        why = "this version of MLflow cannot link them, a newer one can"
        if refused.status not in _UNKNOWN_THERE:
            why = str(refused)
        return 0, f"the traces of its cases are not linked: {why}"


def _times(experiment: Experiment) -> tuple[int, int]:
    """When it began and when its last case was judged, in milliseconds: as recorded, so that they stay the same."""
    now_ms = time.time_ns() // 1_000_000
    evaluations = Evaluations(flows.host().ledger)
    try:
        record = evaluations.experiment(experiment.id)
    except UnknownExperiment:
        return now_ms - int(experiment.elapsed_s * 1000), now_ms
    ended_ns = max((case.scored_ns for case in evaluations.cases(record)), default=record.begun_ns)
    return record.begun_ns // 1_000_000, ended_ns // 1_000_000


def _batches(of: list[T], most: int) -> Iterator[list[T]]:
    left = iter(of)
    while some := list(islice(left, most)):
        yield some
