"""Prompts in the form of MLflow's registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


def test_a_model_of_which_nothing_can_be_said() -> None:
    found = tags("---\nname: p\nmodel:\n  id: gpt-4o\n  options: {temperature: warm}\n---\nuser:\nHi\n")
    assert "_mlflow_prompt_model_config" not in found
    assert json.loads(found["mlflow.prompt.text"])[0]["content"] == "Hi"
