"""Traces in a real MLflow server, read back by MLflow's own client (docs/guide/traces.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Trace

from desk import QUESTION, desk_app, made
from serving_there import mlflow_server
from surefoot.traces.ids import trace_id
from wire import WireServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow-traces")) as url:
        yield url


def test_a_run_arrives_with_everything_in_its_place(server: str, tmp_path: Path) -> None:
    with WireServer() as wire:
        app = desk_app(tmp_path, wire, f'to = "mlflow"\nurl = "{server}"\nproject = "support desk"\n')
        run = made(app)
    mlflow.set_tracking_uri(server)
    experiment = mlflow.get_experiment_by_name("support desk")
    [found] = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
    assert isinstance(found, Trace)
    assert found.info.trace_id == f"tr-{trace_id(run).hex()}"
    assert found.info.state == "OK"
    assert QUESTION in found.info.request_preview
    assert "(page 7)" in found.info.response_preview
    usage = found.info.token_usage
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0

    spans = {span.name: span for span in found.data.spans}
    assert {name: span.span_type for name, span in spans.items()} == {
        "invoke_workflow desk": "CHAIN",
        "retrieval find": "RETRIEVER",
        "chat gpt-4o-mini": "LLM",
        "look_up": "CHAIN",
        "embeddings text-embedding-3-small": "EMBEDDING",
    }
    assert spans["invoke_workflow desk"].inputs == {"question": QUESTION}
    assert spans["look_up"].inputs == {"page": 7}
    assert spans["look_up"].outputs == "page 7"
    assert spans["retrieval find"].outputs[0]["text"] == "Backups run at two."
    call = spans["chat gpt-4o-mini"]
    assert call.inputs["temperature"] == 0.25
    assert call.inputs["messages"][0] == {"role": "system", "content": "Answer briefly."}
    assert call.attributes["gen_ai.request.temperature"] == 0.25
    assert call.attributes["gen_ai.request.max_tokens"] == 64
    assert call.attributes["llm.cost.total"] > 0
    assert call.attributes["mlflow.chat.tokenUsage"]["input_tokens"] > 0
    assert call.attributes["mlflow.llm.model"].startswith("gpt-4o-mini")
    root = spans["invoke_workflow desk"].span_id
    assert {span.parent_id for span in spans.values()} == {None, root}
