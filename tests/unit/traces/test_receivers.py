"""Receivers by name (docs/guide/traces.md): path, headers, project and credentials, as each of them takes them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from hooked import Hooked
from receiver import Receiver as Server
from receiver import attributes
from surefoot.config import load
from surefoot.config.model import MlflowSettings
from surefoot.errors import ConfigError, InvalidInput
from surefoot.ledger import Entry, RunRecord, Totals
from surefoot.traces import Span, Trace
from surefoot.traces.receivers import Receiver
from surefoot.traces.sending import send
from surefoot.traces.targets import Target
from surefoot.values import new_id

NOTHING = MlflowSettings()


def target(environ: dict[str, str] | None = None, **given: Any) -> Target:
    return Receiver(**given).target(NOTHING, environ or {})


def made_trace() -> Trace:
    run = RunRecord(new_id(), "answer", Entry("m", "f"), "completed", created_ns=1_000, ended_ns=9_000)
    found: Any = [{"text": "Backups run at two.", "score": 0.5, "document": "handbook.md", "page": 3}]
    times = 2_000, 3_000
    span = Span(
        f"{1:032x}.1",
        run.id,
        "find",
        "step",
        "completed",
        1,
        1,
        *times,
        inputs={"question": "q"},
        output=found,
    )
    return Trace(run, (), {}, {}, None, None, (span,), Totals(), 1, False, None)


def test_langsmith_gets_path_key_project_and_spans() -> None:
    with Server() as server:
        environ = {"LANGSMITH_API_KEY": "ls-key", "LANGSMITH_WORKSPACE_ID": "w-1"}
        to = target(environ, to="langsmith", url=server.url, project="desk")
        sent = send([made_trace()], to)
        [arrived] = server.arrived
        assert sent.spans == 2
        assert arrived.path == "/otel/v1/traces"
        assert arrived.headers["x-api-key"] == "ls-key"
        assert arrived.headers["langsmith-project"] == "desk"
        assert arrived.headers["x-tenant-id"] == "w-1"
        assert arrived.headers["content-type"] == "application/x-protobuf"
        found = attributes(server.spans()[1])
        assert found["openinference.span.kind"] == "RETRIEVER"
        assert found["retrieval.documents.0.document.content"] == "Backups run at two."
        assert found["gen_ai.retrieval.query.text"] == "q"


def test_langfuse_gets_path_basic_credentials_and_the_version_of_its_ingestion() -> None:
    with Server() as server:
        environ = {"LANGFUSE_PUBLIC_KEY": "pk-1", "LANGFUSE_SECRET_KEY": "sk-2", "LANGFUSE_HOST": server.url}
        send([made_trace()], target(environ, to="langfuse"))
        [arrived] = server.arrived
        assert arrived.path == "/api/public/otel/v1/traces"
        assert arrived.headers["authorization"] == "Basic " + base64.b64encode(b"pk-1:sk-2").decode()
        assert arrived.headers["x-langfuse-ingestion-version"] == "4"
        assert attributes(server.spans()[0])["gen_ai.operation.name"] == "invoke_workflow"


def test_phoenix_gets_its_project_as_an_attribute_of_the_resource() -> None:
    with Server() as server:
        environ = {"PHOENIX_API_KEY": "p-key", "PHOENIX_COLLECTOR_ENDPOINT": server.url}
        send([made_trace()], target(environ, to="phoenix", project="desk"))
        [arrived] = server.arrived
        assert arrived.path == "/v1/traces"
        assert arrived.headers["authorization"] == "Bearer p-key"
        resource = {
            one.key: one.value.string_value for one in arrived.message.resource_spans[0].resource.attributes
        }
        assert resource["openinference.project.name"] == "desk"
        assert resource["service.name"] == "surefoot"


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        ({"to": "langsmith"}, {"LANGSMITH_API_KEY": "k"}, "https://api.smith.langchain.com/otel/v1/traces"),
        ({"to": "langfuse", "key": "s", "public_key": "p"}, {}, "https://cloud.langfuse.com/api/public/otel/v1/traces"),
        ({"to": "phoenix"}, {}, "http://localhost:6006/v1/traces"),
        ({"to": "phoenix", "url": "http://h:1/v1/traces"}, {}, "http://h:1/v1/traces"),
        ({"to": "otlp", "url": "http://h:1/base/"}, {}, "http://h:1/base/v1/traces"),
        ({"to": "mlflow"}, {"MLFLOW_TRACKING_URI": "http://h:5000/"}, "http://h:5000/v1/traces"),
    ],
)  # fmt: skip
def test_where_each_of_them_is(given: dict[str, Any], environ: dict[str, str], url: str) -> None:
    assert target(environ, **given).url == url


def test_mlflow_gets_its_default_experiment_or_the_one_that_its_variable_names() -> None:
    environ = {"MLFLOW_TRACKING_URI": "http://h:5000"}
    assert target(environ, to="mlflow").headers == {"x-mlflow-experiment-id": "0"}
    environ |= {"MLFLOW_EXPERIMENT_ID": "7", "MLFLOW_TRACKING_TOKEN": "t"}
    assert target(environ, to="mlflow").headers == {
        "x-mlflow-experiment-id": "7",
        "authorization": "Bearer t",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "langsmith"}, "set LANGSMITH_API_KEY"),
        ({"to": "langfuse"}, "set LANGFUSE_PUBLIC_KEY"),
        ({"to": "langfuse", "public_key": "p"}, "set LANGFUSE_SECRET_KEY"),
        ({"to": "mlflow"}, "no MLflow server is named"),
    ],
)
def test_a_credential_that_is_missing_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        target(**given)


def test_further_headers_come_last_and_have_to_be_headers() -> None:
    given = target(to="phoenix", headers={"Authorization": "Bearer mine", "X-Team": "a"})
    assert given.headers == {"authorization": "Bearer mine", "x-team": "a"}
    with pytest.raises(InvalidInput, match="no name of a header"):
        target(to="phoenix", headers={"bad name": "x"})
    with pytest.raises(InvalidInput, match="cannot carry"):
        target(to="langsmith", key="line\nend")


@pytest.mark.parametrize(
    "output",
    [None, [], "text", [{"text": "no score"}], [{"text": 1, "score": 1}], [{"text": "a", "score": True}],
     [{"text": "a", "score": 1}, "b"], [{"text": "a", "score": 1}] * 51],
)  # fmt: skip
def test_what_is_no_retrieval(output: Any) -> None:
    from surefoot.traces.retrieved import retrieved

    assert retrieved(output) == ()


@pytest.mark.parametrize("token", ["tell-nobody\n", "tell-nobódy"])
def test_credentials_that_no_header_carries_are_refused_before_anything_is_asked(token: str) -> None:
    with Hooked() as server:
        with pytest.raises(InvalidInput, match="the value of header authorization") as caught:
            target({"MLFLOW_TRACKING_TOKEN": token}, to="mlflow", url=server.url(""), project="desk")
        assert "tell-nob" not in str(caught.value)
        further = {"X-Token": token}
        with pytest.raises(InvalidInput, match="the value of header x-token"):
            target(to="mlflow", url=server.url(""), project="desk", headers=further)
        assert server.got == []


def test_runs_that_share_a_trace_are_not_for_mlflow(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text('[traces.m]\nto = "mlflow"\njoin = true\n')
    with pytest.raises(ConfigError, match="runs that share one would lose theirs: leave join out"):
        load(tmp_path, environ={})
    (tmp_path / "surefoot.toml").write_text('[traces.m]\nto = "mlflow"\njoin = false\n')
    assert load(tmp_path, environ={}).config.traces["m"].join is False
