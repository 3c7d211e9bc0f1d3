"""Prompts in the form of MLflow's registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooked import Answer, Hooked
from surefoot import App
from surefoot.config import load
from surefoot.errors import ConfigError, ExportError
from surefoot.evals import mlflow
from surefoot.evals.mlflow import forms
from surefoot.prompts.loading import parse


def tags(text: str, name: str = "p.prompty") -> dict[str, str]:
    return dict(forms.entry(parse(text, Path(name))).tags)


def test_names_of_braces_are_those_of_mlflow() -> None:
    found = tags("prompt_id: p\nversion: '3'\ntemplate: 'Say {word}, {{word}}'\n", "p.yaml")
    assert (found["mlflow.prompt.text"], found["_mlflow_prompt_type"]) == ("Say {{word}}, {word}", "text")
    assert (found["surefoot.version"], found["surefoot.dialect"]) == ("3", "short")
    assert forms.TEMPLATE not in found


@pytest.mark.parametrize(
    "template",
    [
        # A variable to MLflow, and a text to us.
        "{{{{word}}}} {word}",
        # A template of Jinja to MLflow.
        "{{% {word} %}}",
        # No name of a variable there.
        "{größe}",
    ],
)
def test_what_mlflow_would_read_otherwise_is_kept_as_it_is_written(template: str) -> None:
    found = tags(f"prompt_id: p\ntemplate: '{template}'\n", "p.yaml")
    assert found["mlflow.prompt.text"].strip() == template
    assert found[forms.TEMPLATE] == "braces"


def test_roles_are_messages() -> None:
    found = tags("---\nname: p\n---\nsystem:\nBe brief.\nuser:\n{{q}}\n")
    assert found["_mlflow_prompt_type"] == "chat"
    assert json.loads(found["mlflow.prompt.text"]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "{{q}}"},
    ]


def test_the_model_without_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_MODEL", "not-to-be-told")
    head = (
        "---\nname: p\nmodel:\n  id: ${env:SECRET_MODEL}\n  provider: openai\n  connection: {apiKey: sk-1}\n"
    )
    found = tags(f"{head}  options: {{temperature: 0.5, topP: 1}}\n---\nuser:\nHi\n")
    assert "not-to-be-told" not in str(found)
    assert "sk-1" not in str(found)
    config = json.loads(found["_mlflow_prompt_model_config"])
    assert (config["temperature"], config["top_p"], config["provider"]) == (0.5, 1, "openai")


@pytest.mark.parametrize("stop", ["'${env:STOPPER}'", "[END, '${env:STOPPER}']"])
def test_no_setting_says_what_the_environment_says(stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPPER", "not-to-be-told")
    head = "---\nname: p\nmodel:\n  api: chat\n  configuration: {type: openai, name: gpt-4o}\n"
    found = tags(f"{head}  parameters: {{stop: {stop}}}\n---\nuser:\nHi\n")
    assert "not-to-be-told" not in str(found)
    assert "${env:STOPPER}" in json.loads(found["_mlflow_prompt_model_config"])["stop_sequences"]


def test_a_model_of_which_nothing_can_be_said() -> None:
    found = tags("---\nname: p\nmodel:\n  id: gpt-4o\n  options: {temperature: warm}\n---\nuser:\nHi\n")
    assert "_mlflow_prompt_model_config" not in found
    assert json.loads(found["mlflow.prompt.text"])[0]["content"] == "Hi"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "p.yaml").write_text("prompt_id: p\nversion: '1'\ntemplate: Hi\n")
    (tmp_path / "surefoot.toml").write_text('[mlflow]\ntoken = "${env:TOKEN}"\n')
    own = App(load(tmp_path, environ={"TOKEN": "tell-nobody"}))
    with own.entered():
        yield own
    own.close()


def test_credentials_go_along_and_one_that_is_refused_is_told(app: App) -> None:
    with Hooked() as server:
        server.answers.append(Answer(401))
        with pytest.raises(ExportError, match="its credentials are missing or wrong") as caught:
            mlflow.register("p", url=server.url(""))
        assert server.got[0].headers["authorization"] == "Bearer tell-nobody"
        assert "tell-nobody" not in str(caught.value)


def test_an_overloaded_server_is_asked_again(app: App) -> None:
    made = json.dumps({"model_version": {"version": "1"}}).encode()
    with Hooked() as server:
        busy = Answer(503, {"retry-after": "0"})
        server.answers += [
            busy,
            Answer(),
            busy,
            Answer(),
            Answer(429, {"retry-after": "0"}),
            Answer(body=made),
        ]
        [found] = mlflow.register("p", url=server.url(""))
    assert (found.uri, found.is_new, found.problem) == ("prompts:/p/1", True, "")


def test_no_server_is_named(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match="no MLflow server is named"):
        mlflow.register()
