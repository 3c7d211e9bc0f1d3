"""What becomes of the rest where an MLflow server says no to a part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hooked import Answer, Hooked
from surefoot import App, flow
from surefoot.config import load
from surefoot.errors import ExportError
from surefoot.evals import Case, Dataset, Experiment, evaluate, mlflow

KNOWN = {
    "experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
    "runs/create": {"run": {"info": {"run_id": "r1", "artifact_uri": "mlflow-artifacts:/7/r1"}}},
    "model-versions/create": {"model_version": {"version": "1"}},
    "registered-models/get": {"registered_model": {}},
}


@flow
def answer(question: str) -> str:
    return question


def right(response: str) -> bool:
    return bool(response)


def evaluated() -> Experiment:
    return evaluate(answer, Dataset("d", (Case("a", {"question": "a"}),)), [right])


class Refusing(Hooked):
    """An MLflow server that knows what tests need, and says no where a request's path and body hold a text."""

    def __init__(self, text: str, status: int = 403, *, code: str = "PERMISSION_DENIED") -> None:
        super().__init__()
        self.no = text
        refusal = json.dumps({"error_code": code, "message": "not you"} if code else {}).encode()
        self.refusal = Answer(status, body=refusal)
        self.before = lambda: self.answers.append(self._answer())

    def asked(self, path: str) -> int:
        return sum(path in got.path for got in self.got)

    def _answer(self) -> Answer:
        got = self.got[-1]
        if self.no in f"{got.path} {got.body.decode(errors='replace')}":
            return self.refusal
        found: Any = next((answer for path, answer in KNOWN.items() if path in got.path), {})
        return Answer(body=json.dumps(found).encode())


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "prompts").mkdir()
    for name in ("p", "q"):
        (tmp_path / "prompts" / f"{name}.yaml").write_text(f"prompt_id: {name}\nversion: '1'\ntemplate: Hi\n")
    (tmp_path / "surefoot.toml").write_text("")
    own = App(load(tmp_path, environ={}))
    with own.entered():
        yield own
    own.close()


@pytest.mark.parametrize(
    ("status", "code"), [(403, "PERMISSION_DENIED"), (404, ""), (404, "ENDPOINT_NOT_FOUND")]
)
def test_a_registry_that_says_no_keeps_no_experiment_back(app: App, status: int, code: str) -> None:
    with Refusing("model-versions/search", status, code=code) as server:
        sent = mlflow.send(replace(evaluated(), prompts={"p": "d" * 64}), url=server.url(""))
        assert f"its prompts are not linked: {server.url('')} answered with {status}" in sent.problem
        assert [server.asked(path) for path in ("surefoot_cases.json", "runs/update")] == [1, 1]


def test_traces_that_may_not_be_linked_keep_no_experiment_back(app: App) -> None:
    with Refusing("traces/link-to-run") as server:
        sent = mlflow.send(evaluated(), url=server.url(""))
        assert "the traces of its cases are not linked" in sent.problem
        assert "(not you)" in sent.problem


def test_wrong_credentials_at_the_registry_are_an_error(app: App) -> None:
    with Refusing("model-versions/search", 401) as server:
        with pytest.raises(ExportError, match="credentials"):
            mlflow.send(replace(evaluated(), prompts={"p": "d" * 64}), url=server.url(""))
        assert server.asked("runs/update") == 1


def test_a_version_that_may_not_be_registered_keeps_no_other_one_back(app: App) -> None:
    with Refusing('"name":"p"') as server:
        refused, made = mlflow.register("p", "q", url=server.url(""))
    assert (refused.number, "answered with 403 (not you)" in refused.problem) == (None, True)
    assert (made.number, made.problem) == (1, "")


def test_an_alias_that_is_refused_is_told_beside_the_version(app: App) -> None:
    app.prompts.promote("p@1", "production")
    with Refusing("registered-models/alias", 400) as server:
        first, second = mlflow.register("p", "q", url=server.url(""))
    assert (first.uri, first.aliases) == ("prompts:/p/1", ())
    assert "no alias production: " in first.problem
    assert (second.number, second.problem) == (1, "")


def test_an_experiment_that_may_not_list_prompts_is_told_beside_them(app: App) -> None:
    with Refusing("registered-models/set-tag") as server:
        found = mlflow.register("p", "q", url=server.url(""), experiment_name="answers")
    assert [each.number for each in found] == [1, 1]
    assert all("answered with 403" in each.problem for each in found)


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHENTICATED"), (500, "INTERNAL_ERROR"), (404, "")])
def test_what_is_the_same_for_all_is_an_error(app: App, status: int, code: str) -> None:
    with Refusing("model-versions/create", status, code=code) as server:
        with pytest.raises(ExportError, match=f"answered with {status}"):
            mlflow.register("p", "q", url=server.url(""))
        assert server.asked("model-versions/create") == 1
