"""ragas and MLflow, as far as neither is needed: what is refused before, and what would be sent."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from surefoot import flow
from surefoot.app import App
from surefoot.cli import eval as command
from surefoot.config import load
from surefoot.config.model import MlflowSettings
from surefoot.errors import ConfigError, ExportError, InvalidInput, ScorerUnavailable
from surefoot.evals import Case, Dataset, Experiment, evaluate, mlflow, ragas
from surefoot.evals.mlflow import payload
from surefoot.evals.ragas.process import RagasProcess, environment


@flow
def answer(question: str) -> str:
    return question


def right(response: str, expected: str) -> bool:
    return response == expected


def short(response: str) -> float:
    if response == "c":
        raise ValueError("cannot say")
    return 1.0


def evaluated() -> Experiment:
    cases = tuple(Case(name, {"question": name}, "a") for name in "abc")
    return evaluate(answer, Dataset("d", cases), [right, short])


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_metric_of_ragas_says_what_to_do_where_it_is_not_set_up(app: App) -> None:
    with pytest.raises(ConfigError, match=r"not set up in .*ragas: run `surefoot ragas setup`"):
        ragas.metric("AnswerRelevancy")


def test_setup_leaves_a_folder_with_other_things_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds other things"):
        ragas.set_up(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_setup_names_the_python_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no environment can be made with /no/such/python"):
        ragas.set_up(tmp_path / "env", python="/no/such/python")


def test_a_process_that_cannot_start_says_so(tmp_path: Path) -> None:
    import asyncio

    async def nobody(question: object) -> None:
        raise AssertionError(question)

    with pytest.raises(ScorerUnavailable, match=r"cannot be started with .*python"):
        asyncio.run(RagasProcess(tmp_path / "python").score({}, nobody))


def test_a_process_without_ragas_is_not_started_again_and_again(app: App) -> None:
    import asyncio
    import sys

    async def nobody(question: object) -> None:
        raise AssertionError(question)

    process = RagasProcess(Path(sys.executable))
    with pytest.raises(
        ScorerUnavailable, match=r"(?s)before it was ready; it said:.*No module named 'ragas'"
    ):
        asyncio.run(process.score({"metric": "ExactMatch"}, nobody))
    process.stop()


def test_the_process_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    found = environment()
    assert not [name for name in found if "KEY" in name]
    assert found["RAGAS_DO_NOT_TRACK"] == "true"


def test_metrics_go_with_coverage_and_intervals(app: App) -> None:
    found = payload.metrics(evaluated())
    assert (found["right"], found["right.n"], found["right.coverage"]) == (pytest.approx(1 / 3), 3, 1)
    assert 0 < found["right.low"] < 1 / 3 < found["right.high"] < 1
    assert (found["short"], found["short.coverage"], found["short.failures"]) == (1, pytest.approx(2 / 3), 1)
    assert found["short.with_failures"] == pytest.approx(2 / 3)


def test_the_table_holds_reasons_and_no_inputs(app: App) -> None:
    result = evaluated()
    found = json.loads(payload.table(result))
    assert found["columns"][:4] == ["case", "repeat", "run", "status"]
    assert [line[2] for line in found["data"]] == [row.run_id for row in result.rows]
    assert "cannot say" in found["data"][2][found["columns"].index("short.reason")]


def test_a_server_that_is_not_there_and_one_that_is_none(app: App) -> None:
    port = unused_port()
    with pytest.raises(ExportError, match=f"{port} cannot be reached: nothing listens there"):
        mlflow.send(evaluated(), url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///mlruns", "is no address of an MLflow server"),
        ("http://me:secret@host:5000", "holds a password"),
    ],
)
def test_what_is_no_address_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        mlflow.server_of(url, "", MlflowSettings(), {})
    assert "secret" not in str(caught.value)


def test_credentials_are_of_the_settings_then_of_mlflows_variables(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text('[mlflow]\ntoken = "${env:T}"\n', encoding="utf-8")
    own = load(tmp_path, environ={"T": "ours", "MLFLOW_TRACKING_URI": "http://host"}).config.mlflow
    environ = {
        "MLFLOW_TRACKING_USERNAME": "u",
        "MLFLOW_TRACKING_PASSWORD": "p",
        "MLFLOW_TRACKING_URI": "http://h",
    }
    assert mlflow.server_of(None, "", own, environ).headers == {"authorization": "Bearer ours"}
    theirs = mlflow.server_of(None, "", MlflowSettings(), environ)
    assert (theirs.url, theirs.headers) == ("http://h", {"authorization": "Basic dTpw"})
    assert "dTpw" not in repr(theirs)


def test_the_command_refuses_before_anything_runs(app: App, tmp_path: Path) -> None:
    nothing = CliRunner().invoke(command.command, [], standalone_mode=False)
    assert "surefoot eval --experiment last --to mlflow" in str(nothing.exception)
    (tmp_path / "flows.py").write_text(
        "from surefoot import flow\n\n\n@flow\ndef f(q: str) -> str:\n    return q\n"
    )
    asked = ["flows.py:f", "--data", "missing.jsonl", "--to", "mlflow"]
    unnamed = CliRunner().invoke(command.command, asked, standalone_mode=False)
    assert "no MLflow server is named" in str(unnamed.exception)
    assert app.ledger.runs() == []
