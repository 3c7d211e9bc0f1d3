"""Traces in a real MLflow server, read back by MLflow's own client (docs/guide/traces.md)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Trace

from desk import KEY, QUESTION, desk, desk_app, made, scored
from serving_there import mlflow_server
from surefoot import App
from surefoot.config import load
from surefoot.evals import Case, Dataset, Score, evaluate
from surefoot.evals import mlflow as ours
from surefoot.ledger import ScoreRecord
from surefoot.tracecontext import trace_id
from surefoot.traces import trace
from surefoot.traces.exporter import Exporter
from surefoot.traces.mlflow import Server
from surefoot.traces.mlflow.notes import Notes
from surefoot.traces.mlflow.server import PATIENCE
from surefoot.traces.remarks import remark
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
    assert "(1 related)" in found.info.response_preview
    assert found.info.tags["mlflow.traceName"] == "desk"
    usage = found.info.token_usage
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0

    # The first call asks for the tool; a second one of the same name has its answer.
    spans = {span.name: span for span in reversed(found.data.spans)}
    assert len(found.data.spans) == 8
    assert {name: span.span_type for name, span in spans.items()} == {
        "invoke_workflow desk": "CHAIN",
        "retrieval find": "RETRIEVER",
        "chat gpt-4o-mini": "LLM",
        "desk": "CHAIN",
        "execute_tool look_up": "TOOL",
        "invoke_workflow related": "CHAIN",
        "embeddings text-embedding-3-small": "EMBEDDING",
    }
    assert spans["invoke_workflow desk"].inputs == {"question": QUESTION}
    assert spans["execute_tool look_up"].inputs == {"page": 42}
    assert spans["execute_tool look_up"].outputs == "page 42"
    assert spans["retrieval find"].outputs[0]["text"] == "Backups run at two."
    call = spans["chat gpt-4o-mini"]
    assert call.inputs["temperature"] == 0.25
    assert call.inputs["messages"][0] == {"role": "system", "content": "Answer briefly."}
    assert call.attributes["gen_ai.request.temperature"] == 0.25
    assert call.attributes["gen_ai.request.max_tokens"] == 64
    cost = call.attributes["llm.cost.total"]
    parts = call.attributes["mlflow.llm.cost"]
    assert parts["input_cost"] + parts["output_cost"] == pytest.approx(parts["total_cost"])
    assert parts["total_cost"] == cost
    assert parts["input_cost"] > 0 < parts["output_cost"]
    assert found.info.cost["total_cost"] == pytest.approx(
        sum(span.attributes.get("llm.cost.total", 0) for span in found.data.spans)
    )
    assert cost > 0
    assert call.attributes["mlflow.chat.tokenUsage"]["input_tokens"] > 0
    assert call.attributes["mlflow.llm.model"].startswith("gpt-4o-mini")
    by_id = {span.span_id: span.name for span in found.data.spans}
    assert {name: by_id.get(span.parent_id) for name, span in spans.items()} == {
        "invoke_workflow desk": None,
        "retrieval find": "invoke_workflow desk",
        "desk": "invoke_workflow desk",
        "chat gpt-4o-mini": "desk",
        "execute_tool look_up": "desk",
        "invoke_workflow related": "invoke_workflow desk",
        "embeddings text-embedding-3-small": "invoke_workflow related",
    }


def settings(server: str, project: str) -> str:
    mine = f'url = "{server}"\nexperiment = "{project}"\n'
    return f'to = "mlflow"\nurl = "{server}"\nproject = "{project}"\n\n[mlflow]\n{mine}'


def again(folder: Path) -> App:
    return App(load(folder, environ={"OPENAI_API_KEY": KEY}))


def trace_of(run: str) -> Trace:
    return MlflowClient().get_trace(f"tr-{trace_id(run).hex()}")


def test_a_trace_leads_to_the_prompts_that_are_registered(server: str, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(server)
    with WireServer() as wire:
        app = desk_app(tmp_path, wire, settings(server, "prompted"))
        with app.entered():
            [prompt] = ours.register("desk")
        run = made(app)
    assert trace_of(run).info.tags["mlflow.linkedPrompts"] == '[{"name":"desk","version":"1"}]'
    experiment = MlflowClient().get_experiment_by_name("prompted").experiment_id
    [found] = mlflow.search_traces(
        locations=[experiment], filter_string=f'prompt = "desk/{prompt.number}"', return_type="list"
    )
    assert found.info.trace_id == trace_of(run).info.trace_id


def test_scores_that_are_given_later_are_assessments_of_the_trace(server: str, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(server)
    with WireServer() as wire:
        run = made(desk_app(tmp_path, wire, settings(server, "scored")))
    app = again(tmp_path)
    sending = Exporter(app.ledger, app.config)
    assert sending.deliver() == {"desk": 0}
    judged = ScoreRecord("grounded", 0.5, "half of it", judge_run="01K7")
    scored(app.ledger, run, ScoreRecord("right", value=True), judged, ScoreRecord("tone", "calm"))
    assert sending.deliver() == {"desk": 1}
    assert sending.deliver() == {"desk": 0}
    scored(
        app.ledger,
        run,
        ScoreRecord("right", value=False, reason="no page"),
        ScoreRecord("long", None, failure="no text"),
    )
    assert sending.deliver() == {"desk": 1}
    # As whoever does who cannot know whether it arrived.
    scored(app.ledger, run, ScoreRecord("right", value=False, reason="no page"))
    assert sending.deliver() == {"desk": 1}
    assert sending.standing()["desk"].shipped.spans == 0
    app.close()
    found = {each.name: each for each in trace_of(run).info.assessments}
    assert len(trace_of(run).info.assessments) == len(found) == 4
    assert (found["right"].value, found["right"].rationale) == (False, "no page")
    assert (found["grounded"].value, found["grounded"].source.source_type) == (0.5, "LLM_JUDGE")
    assert (found["tone"].value, found["tone"].source.source_type) == ("calm", "CODE")
    assert found["long"].error.error_message == "no text"


def test_of_a_score_that_two_tell_at_once_one_assessment_stays(server: str, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(server)
    with WireServer() as wire:
        run = made(desk_app(tmp_path, wire, settings(server, "at once")))
    app = again(tmp_path)
    scored(app.ledger, run, ScoreRecord("right", 0.5))
    found = trace(app.ledger, run)
    place = MlflowClient().get_experiment_by_name("at once").experiment_id

    def tell(_: int) -> None:
        Notes(Server(server), place).tell([remark(found)], patience=PATIENCE, timeout=30.0)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tell, range(4)))
    [kept] = trace_of(run).info.assessments
    assert kept.value == 0.5
    # As a version did that did not look again.
    name = trace_of(run).info.trace_id
    mlflow.log_feedback(trace_id=name, name="right", value=0.1, metadata=dict(kept.metadata))
    mlflow.log_feedback(trace_id=name, name="right", value=0.2)
    tell(0)
    app.close()
    assert sorted(each.value for each in trace_of(run).info.assessments) == [0.2, 0.5]


DATA = Dataset("golden", (Case("a", {"question": QUESTION}), Case("b", {"question": "Who?"})))


def related(response: str) -> Score:
    return Score("related" in response)


def test_an_evaluation_and_the_traces_of_its_cases_lead_to_each_other(server: str, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(server)
    with WireServer() as wire:
        app = desk_app(tmp_path, wire, settings(server, "evaluated"))
        sending = Exporter(app.ledger, app.config)
        sending.deliver()
        with app.entered():
            [prompt] = ours.register("desk")
            first = evaluate(desk, DATA, [related])
            sending.deliver()
            sent = ours.send(first)
            assert (sent.traces, sent.problem) == (2, "")
            second = evaluate(desk, DATA, [related])
            early = ours.send(second)
            assert (early.traces, early.problem) == (0, "")
            sending.deliver()
        app.close()
    linked = f'[{{"name":"desk","version":"{prompt.number}"}}]'
    for result, there in ((first, sent), (second, early)):
        assert MlflowClient().get_run(there.run_id).data.tags["mlflow.linkedPrompts"] == linked
        runs = {f"tr-{trace_id(row.run_id).hex()}" for row in result.rows}
        found = mlflow.search_traces(locations=[there.experiment_id], run_id=there.run_id, return_type="list")
        assert {each.info.trace_id for each in found} == runs
        assert {each.info.tags["surefoot.evaluation"] for each in found} == {there.page}
        assert [each.value for trace in found for each in trace.info.assessments] == [True, True]


def test_an_evaluation_whose_traces_are_sent_nowhere(server: str, tmp_path: Path) -> None:
    with WireServer() as wire:
        app = desk_app(
            tmp_path, wire, f'to = "otlp"\nurl = "http://127.0.0.1:9"\n\n[mlflow]\nurl = "{server}"\n'
        )
        with app.entered():
            sent = ours.send(evaluate(desk, DATA, [related]))
        app.close()
    assert (sent.traces, sent.problem) == (0, "")
