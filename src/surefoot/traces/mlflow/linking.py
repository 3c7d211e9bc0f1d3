"""An evaluation in MLflow and the traces of its cases: linked, so that each leads to the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from surefoot.traces.mlflow.server import Server, part
from surefoot.values import Json

EVALUATION = "surefoot.evaluation"
"""The tag of a trace with the page of the evaluation in which its run was judged."""
EXPERIMENT = "surefoot.experiment"
"""The tag of a run of MLflow by which an experiment is found again."""

LINKED_PROMPTS = "mlflow.linkedPrompts"
"""The tag of a trace or a run with the prompts that its page leads to."""

_MOST_LINKS = 100
_PAGE = 500


def linked_prompts(found: Iterable[tuple[str, int]]) -> str:
    """The value of that tag: names of prompts and MLflow's numbers of their versions."""
    return orjson.dumps([{"name": name, "version": str(number)} for name, number in found]).decode()


def sent_as(server: Server, experiment_id: str, experiment: str) -> dict[str, Any] | None:
    """The run of MLflow that an experiment was sent as, the first of several. Raises `ExportError`."""
    said = server.post(
        "runs/search",
        experiment_ids=[experiment_id],
        filter=f"tags.`{EXPERIMENT}` = '{experiment}'",
        order_by=["attributes.start_time ASC"],
        max_results=1,
    )
    runs: list[dict[str, Any]] = said.get("runs") or []
    return part(runs[0], "info") if runs else None


def page_of(url: str, experiment_id: str, run_id: str) -> str:
    """The page of a run of MLflow."""
    return f"{url}/#/experiments/{experiment_id}/runs/{run_id}"


def link(server: Server, experiment_id: str, run_id: str, traces: Sequence[str]) -> int:
    """Link traces (ids in hexadecimal) to a run of MLflow; how many of all that are linked to it are there.

    Those that are not there yet are linked when they come. Raises `ExportError`.
    """
    for begin in range(0, len(traces), _MOST_LINKS):
        some: list[Json] = [f"tr-{trace}" for trace in traces[begin : begin + _MOST_LINKS]]
        server.post("traces/link-to-run", trace_ids=some, run_id=run_id)
    page, there = page_of(server.url, experiment_id, run_id), 0
    for info in _linked(server, experiment_id, run_id):
        there += 1
        tags: dict[str, Any] = info.get("tags") or {}
        if tags.get(EVALUATION) != page:
            set_tag(server, str(part(info, "trace_id")), EVALUATION, page)
    return there


def set_tag(server: Server, trace: str, key: str, value: str) -> None:
    """Set a tag of a trace that is there, by its name in MLflow. Raises `ExportError`."""
    server.send("PATCH", f"traces/{trace}/tags", {"key": key, "value": value}, version="3.0")


def _linked(server: Server, experiment_id: str, run_id: str) -> Iterator[dict[str, Any]]:
    """What is known of the traces of an experiment of MLflow that are linked to a run and are there."""
    place: Json = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
    asked: dict[str, Json] = {
        "locations": [place],
        "filter": f"request_metadata.`mlflow.sourceRun` = '{run_id}'",
        "max_results": _PAGE,
    }
    while True:
        said = server.send("POST", "traces/search", asked, version="3.0")
        yield from said.get("traces") or []
        if not (token := said.get("next_page_token")):
            return
        asked["page_token"] = token
