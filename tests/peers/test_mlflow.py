"""Experiments in a real MLflow server, read back by MLflow's own client (docs/guide/mlflow.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient, artifacts
from mlflow.entities import Run

from serving_there import mlflow_server
from surefoot import flow
from surefoot.app import App
from surefoot.config import load
from surefoot.errors import ExportError
from surefoot.evals import Case, Dataset, Experiment, Score, evaluate, experiment, mlflow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> Iterator[App]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").write_text(f'[mlflow]\nurl = "{server}"\n', encoding="utf-8")
    own = App(load(tmp_path))
    with own.entered():
        yield own
    own.close()


@flow(version="3")
def answer(question: str) -> str:
    if question == "broken":
        raise ValueError(question)
    return question.upper()


def right(response: str, expected: str) -> Score:
    return Score(response == expected, f"{response} for {expected}")


def length(response: str) -> float:
    if response == "C":
        raise ValueError("no length")
    return float(len(response))


def tone(response: str) -> str:
    return "loud"


DATA = Dataset(
    "golden",
    tuple(Case(name, {"question": name}, name.upper() if name != "b" else "?") for name in "abcd"),
)


def evaluated(scorers: object = (right, length, tone)) -> Experiment:
    return evaluate(answer, DATA, scorers, name="nightly")  # type: ignore[arg-type]


def read_back(server: str, sent: mlflow.Sent) -> Run:
    return MlflowClient(server).get_run(sent.run_id)


def test_mlflow_reads_what_was_sent(app: App, server: str) -> None:
    result = evaluated()
    sent = mlflow.send(result, experiment_name="answers")
    run = read_back(server, sent)
    assert (sent.is_new, sent.problem) == (True, "")
    assert MlflowClient(server).get_experiment(run.info.experiment_id).name == "answers"
    assert (run.info.run_name, run.info.status) == ("nightly", "FINISHED")
    params = run.data.params
    assert (params["flow"], params["flow_version"], params["dataset"]) == ("answer", "3", "golden")
    assert params["dataset_version"] == result.dataset_version
    metrics = run.data.metrics
    assert (metrics["right"], metrics["right.coverage"], metrics["right.n"]) == (0.75, 1.0, 4.0)
    assert 0 < metrics["right.low"] < 0.75 < metrics["right.high"] < 1
    assert (metrics["length.coverage"], metrics["length.failures"]) == (0.75, 1.0)
    assert (metrics["length"], metrics["length.with_failures"]) == (1.0, 0.75)
    assert metrics["tone.label.loud"] == 4.0
    assert run.data.tags["surefoot.experiment"] == result.id
    assert "| right | 75% (3 of 4) |" in run.data.tags["mlflow.note.content"]
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].value) == ("golden", "eval")
    assert result.dataset_version.startswith(given.dataset.digest)


def test_the_cases_are_a_table_of_mlflows(app: App, server: str) -> None:
    import mlflow as theirs

    result = evaluated()
    sent = mlflow.send(result)
    theirs.set_tracking_uri(server)
    theirs.set_experiment("answer")
    table = theirs.load_table("surefoot_cases.json", run_ids=[sent.run_id])
    assert list(table["case"]) == ["a", "b", "c", "d"]
    assert list(table["run"]) == [row.run_id for row in result.rows]
    assert list(table["right"]) == [True, False, True, True]
    assert table["right.reason"][1] == "B for ?"
    assert "no length" in table["length.reason"][2]
    names = [each.path for each in artifacts.list_artifacts(run_id=sent.run_id)]
    assert names == ["surefoot_cases.json"]


def test_sending_twice_is_one_run_with_one_value_of_each_metric(app: App, server: str) -> None:
    result = evaluated()
    first = mlflow.send(result)
    second = mlflow.send(experiment(result.id))
    assert (first.run_id, first.is_new, second.is_new) == (second.run_id, True, False)
    client = MlflowClient(server)
    found = client.search_runs([first.experiment_id], f"tags.`surefoot.experiment` = '{result.id}'")
    assert len(found) == 1
    for name in ("right", "right.high", "length", "rows"):
        assert len(client.get_metric_history(first.run_id, name)) == 1
    assert len(client.get_run(first.run_id).inputs.dataset_inputs) == 1


def test_an_experiment_that_went_on_brings_its_run_up_to_date(app: App, server: str) -> None:
    part = evaluate(answer, DATA, [right], limit=2, experiment="01J00000000000000000000001")
    before = mlflow.send(part)
    more = evaluate(answer, DATA, [right, length], limit=2, experiment=part.id)
    after = mlflow.send(more)
    run = read_back(server, after)
    assert (before.run_id, after.is_new) == (after.run_id, False)
    assert run.data.metrics["length"] == 1.0
    assert run.info.run_name == "answer"


def test_two_that_send_the_first_experiment_of_a_name_at_once(app: App, server: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    results = [evaluated(), evaluated()]

    def send(each: Experiment) -> mlflow.Sent:
        with app.entered():
            return mlflow.send(each, experiment_name="raced")

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(send, results))
    assert sent[0].experiment_id == sent[1].experiment_id
    assert sent[0].run_id != sent[1].run_id


def test_what_the_server_refuses_is_told_in_its_words(app: App, server: str) -> None:
    with pytest.raises(ExportError, match=r"answered with 4\d\d"):
        mlflow.send(evaluated(), experiment_name="x" * 5000)
