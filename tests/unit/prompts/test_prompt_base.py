"""`base` of prompty 0.x: what is taken over. The expectations are what prompty 0.1.50 made of such files."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import PromptError
from surefoot.prompts import load

BASE = """\
---
name: Base
description: the base
version: "3"
authors: [ann]
tags: [t1]
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt-4}
  parameters: {temperature: 0.1, max_tokens: 5}
inputs:
  a: {type: string, default: from-base}
sample: {a: base-a, b: base-b}
template: mustache
---
system:
of the base
"""


def put(folder: Path, name: str, front: str, body: str = "user:\nchild {{a}} [{{b}}]\n") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n{front}\n---\n{body}")
    return path


def problem(path: Path) -> str:
    with pytest.raises(PromptError) as caught:
        load(path)
    return str(caught.value)


def test_a_child_over_its_base(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "base.prompty").write_text(BASE)
    prompt = load(
        put(
            tmp_path,
            "child.prompty",
            "base: base.prompty\nname: Child\nauthors: [bob]\n"
            "model: {parameters: {temperature: 0.9}}\nsample: {b: child-b}",
        )
    )
    assert (prompt.name, prompt.description, prompt.version) == ("Child", "the base", "3")
    assert prompt.dialect == "prompty-v1"
    assert prompt.model == {
        "api": "chat",
        "configuration": {"type": "azure_openai", "azure_deployment": "gpt-4"},
        "parameters": {"temperature": 0.9, "max_tokens": 5},
    }
    assert prompt.sample == {"a": "base-a", "b": "child-b"}
    assert prompt.metadata == {"authors": ["ann", "bob"], "tags": ["t1"], "base": "base.prompty"}
    # As in prompty 0.x, these are the file's own, and that is said.
    assert (prompt.inputs, prompt.template_kind) == ({}, "jinja2")
    assert "inputs and template of the base base.prompty is not taken over" in caplog.text
    assert prompt.files == {"base.prompty": BASE}


def test_the_digest_changes_with_the_base(tmp_path: Path) -> None:
    (tmp_path / "base.prompty").write_text(BASE)
    path = put(tmp_path, "child.prompty", "base: base.prompty")
    before = load(path).digest
    (tmp_path / "base.prompty").write_text(BASE.replace("0.1", "0.2"))
    assert load(path).digest != before


def test_a_base_in_a_folder_sees_files_from_there(tmp_path: Path) -> None:
    put(tmp_path, "sub/one.prompty", "base: two.prompty\nmodel: {parameters: '${file:p.json}'}")
    put(tmp_path, "sub/two.prompty", "model: {configuration: {type: openai, model: m}}")
    (tmp_path / "sub" / "p.json").write_text('{"seed": 1}')
    prompt = load(put(tmp_path, "child.prompty", "base: sub/one.prompty"))
    assert prompt.model == {"configuration": {"type": "openai", "model": "m"}, "parameters": {"seed": 1}}
    assert sorted(prompt.files) == ["sub/one.prompty", "sub/p.json", "sub/two.prompty"]


def test_bases_that_cannot_be_taken_over(tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(tmp_path, "outside.prompty", "name: x")
    put(home, "a.prompty", "name: a\nbase: b.prompty")
    put(home, "b.prompty", "base: a.prompty")
    put(home, "self.prompty", "base: ./self.prompty")
    put(home, "gone.prompty", "name: g\nbase: nowhere.prompty")
    put(home, "out.prompty", "base: ../outside.prompty")
    put(home, "list.prompty", "base: [x]")
    put(home, "bad.prompty", "base: broken.prompty")
    (home / "broken.prompty").write_text("---\nname: [\n---\nx\n")
    said = problem(home / "a.prompty")
    assert said.startswith(f"{home}/a.prompty:3:1: b.prompty:2:1: the base a.prompty is its own base: ")
    assert "a.prompty -> b.prompty -> a.prompty; break the circle" in said
    assert f"{home}/self.prompty:2:1: the base self.prompty is its own base" in problem(home / "self.prompty")
    assert f"{home}/gone.prompty:3:1: the base nowhere.prompty is not there" in problem(home / "gone.prompty")
    assert "out.prompty:2:1: the file ../outside.prompty lies outside allowed roots" in problem(
        home / "out.prompty"
    )
    assert "list.prompty:2:1: base has to be the path of a file" in problem(home / "list.prompty")
    assert "bad.prompty:2:1: broken.prompty:3:1: this is not valid YAML" in problem(home / "bad.prompty")


def test_a_chain_of_bases_has_an_end(tmp_path: Path) -> None:
    for number in range(30):
        put(tmp_path, f"{number}.prompty", f"base: {number + 1}.prompty\nsample: {{n{number}: 1}}")
    put(tmp_path, "30.prompty", "name: last")
    assert "more than 10 bases follow each other" in problem(tmp_path / "0.prompty")
    assert len(load(tmp_path / "22.prompty").sample) == 8
