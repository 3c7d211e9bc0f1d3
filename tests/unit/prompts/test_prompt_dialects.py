"""Dialects: how each is recognised, what its front matter means, and what has no effect in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import pytest

from surefoot.errors import PromptError
from surefoot.prompts import Dialect, Prompt, load
from surefoot.prompts.frontmatter import split

FIRST = "model: {api: chat, configuration: {type: azure_openai, azure_deployment: d}, parameters: {}}"


def made(folder: Path, front: str, body: str = "user:\nhi\n", *, dialect: str = "") -> Prompt:
    path = folder / "p.prompty"
    path.write_text(f"---\n{front}\n---\n{body}")
    return load(path, dialect=cast("Dialect", dialect) if dialect else None)


@pytest.mark.parametrize(
    ("front", "dialect"),
    [
        (FIRST, "promptflow"),
        (f"{FIRST}\nsample: {{q: 1}}\ninputs: {{q: {{type: string}}}}\ntemplate: jinja2", "promptflow"),
        # promptflow loads none of these, and so nobody relies on what it would make of them.
        (f"{FIRST}\nbase: other.prompty", "prompty-v1"),
        (f"{FIRST}\ntemplate: mustache", "prompty-v1"),
        (f"{FIRST}\ntemplate: {{type: jinja2, parser: prompty}}", "prompty-v1"),
        (f"{FIRST}\ninputs: {{q: a value}}", "prompty-v1"),
        ("model: {api: chat, configuration: {type: openai}}", "prompty-v1"),
        ("model: {api: chat, configuration: {type: serverless}, parameters: {}}", "prompty-v1"),
        ("sample: {q: 1}", "prompty-v1"),
        # The model decides, as no dialect reads that of another.
        (f"{FIRST}\ninputs: {{q: {{kind: string}}}}", "promptflow"),
        ("model: {id: gpt-4o}\nsample: {q: 1}\nauthors: [ann]", "prompty-v2"),
        ("model: gpt-4o\ninputs: {q: {type: string}}", "prompty-v2"),
        ("inputSchema: {properties: [{name: q}]}", "prompty-v2"),
        ("outputs: [{name: a, kind: string}]", "prompty-v2"),
        ("description: nothing tells", "prompty-v2"),
        ("inputs: {q: a value}", "prompty-v2"),
    ],
)
def test_the_dialect_is_told_by_its_keys(tmp_path: Path, front: str, dialect: str) -> None:
    (tmp_path / "other.prompty").write_text("---\nname: other\n---\nuser:\nx\n")
    assert made(tmp_path, front).dialect == dialect


def test_a_model_in_a_file_decides_too(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"configuration": {"type": "openai", "model": "m"}, "parameters": {}}')
    assert made(tmp_path, "model: ${file:m.json}").dialect == "promptflow"
    (tmp_path / "m.json").write_text('{"id": "m"}')
    assert made(tmp_path, "model: ${file:m.json}").dialect == "prompty-v2"
    (tmp_path / "m.json").write_text('"gpt-4o"')
    assert made(tmp_path, "model: ${file:m.json}").model == {"id": "gpt-4o"}


def test_the_dialect_can_be_forced(tmp_path: Path) -> None:
    front = f"{FIRST}\ninputs: {{q: {{type: string}}}}"
    for dialect in ("promptflow", "prompty-v1", "prompty-v2"):
        assert made(tmp_path, front, dialect=dialect).dialect == dialect
    with pytest.raises(PromptError, match="cannot be read as short: only a YAML file"):
        made(tmp_path, front, dialect="short")
    with pytest.raises(PromptError, match="there is no dialect 'prompty-v3'; there are short, promptflow"):
        made(tmp_path, front, dialect="prompty-v3")
    path = tmp_path / "s.yaml"
    path.write_text("prompt_id: s\ntemplate: x\n")
    assert load(path, dialect="short").dialect == "short"
    with pytest.raises(PromptError, match=r"s\.yaml:1:1: it cannot be read as promptflow"):
        load(path, dialect="promptflow")


@pytest.mark.parametrize(
    ("text", "front", "template", "line"),
    [
        ("---\nname: a\n---\nbody\n", "name: a\n", "body\n", 4),
        ("+++\nname: a\n+++\nbody\n", "name: a\n", "body\n", 4),
        ("---\nname: a\n+++\nbody\n", "name: a\n", "body\n", 4),
        ("\n\n  ---  \nname: a\n----\t\nbody\n", "name: a\n", "body\n", 6),
        ("---\n---\nbody\n", "", "body\n", 3),
        ("---\nname: a\n---\nx\n---\ny\n+++\n---\n", "name: a\n", "x\n---\ny\n+++\n---\n", 4),
        ("---\nd: |\n  ---\n  x\nt: a --- b\n---\nbody\n", "d: |\n  ---\n  x\nt: a --- b\n", "body\n", 7),
        ("---\nname: a\n---\n", "name: a\n", "", 4),
        ("no fence\n---\nbody\n", "", "no fence\n---\nbody\n", 1),
        ("\n", "", "\n", 1),
        ("--- name: a\n---\n", "", "--- name: a\n---\n", 1),
    ],
)
def test_where_the_front_matter_ends(text: str, front: str, template: str, line: int) -> None:
    parts = split(text, "p")
    assert (parts.front, parts.template, parts.template_line) == (front, template, line)


def test_text_before_front_matter_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p.prompty"
    path.write_text("<!-- by ann -->\n---\nname: a\n---\nuser:\nhi\n")
    assert load(path).name == "p"
    assert "p.prompty:2:1: this looks like front matter, but text stands before it" in caplog.text
    caplog.clear()
    path.write_text("A rule:\n---\nand more\n---\n")
    load(path)
    assert not caplog.records


def test_each_dialect_reads_yaml_as_its_library_does(tmp_path: Path) -> None:
    sample = (
        "sample: {a: yes, b: 010, c: 12:30, d: 1e3, e: 0o17, f: 2026-04-20, g: 'on', h: ~, i: 1_000, j: True}"
    )
    newer = made(tmp_path, f"{FIRST}\n{sample}").sample
    assert newer == {
        "a": "yes",
        "b": 10,
        "c": "12:30",
        "d": 1000.0,
        "e": 15,
        "f": "2026-04-20",
        "g": "on",
        "h": None,
        "i": 1000,
        "j": True,
    }
    older = made(tmp_path, sample).sample
    assert older == {
        "a": True,
        "b": 8,
        "c": 750,
        "d": "1e3",
        "e": "0o17",
        "f": "2026-04-20",
        "g": "on",
        "h": None,
        "i": 1000,
        "j": True,
    }


def test_texts_of_prompty_0_have_no_edges(tmp_path: Path) -> None:
    front = "sample:\n  a: |\n    text\n  b: ['  x ', 1]"
    assert made(tmp_path, front).sample == {"a": "text", "b": ["x", 1]}
    assert made(tmp_path, f"{FIRST}\n{front}").sample == {"a": "text\n", "b": ["  x ", 1]}


@pytest.mark.parametrize(
    ("template", "dialect", "kind", "is_strict"),
    [
        ("jinja2", "prompty-v1", "jinja2", False),
        ("mustache", "prompty-v1", "mustache", False),
        ("{type: mustache, parser: prompty}", "prompty-v1", "mustache", False),
        ("{format: mustache, parser: prompty}", "prompty-v2", "mustache", False),
        ("{format: {kind: mustache}}", "prompty-v2", "mustache", False),
        ("{format: {kind: jinja2, strict: true}, parser: {kind: prompty}}", "prompty-v2", "jinja2", True),
        ("{format: {strict: true}}", "prompty-v2", "jinja2", True),
        ("{parser: prompty}", "prompty-v2", "jinja2", False),
    ],
)
def test_templates_in_every_form(
    tmp_path: Path, template: str, dialect: str, kind: str, is_strict: bool
) -> None:
    prompt = made(tmp_path, f"template: {template}")
    assert (prompt.dialect, prompt.template_kind, prompt.is_strict) == (dialect, kind, is_strict)


def test_a_template_that_cannot_be_honoured(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert made(tmp_path, "template: {format: {kind: nunjucks}}").template_kind == "jinja2"
    assert "p.prompty:2:1: templates of the kind nunjucks are rendered as jinja2" in caplog.text
    assert made(tmp_path, f"{FIRST}\ntemplate: mustache", dialect="promptflow").template_kind == "jinja2"
    assert "promptflow renders every template as jinja2, and so it is here, not as mustache" in caplog.text
    for front, said in (
        ("model: {id: m}\ntemplate: jinja2", ":3:1: Invalid template format: 'jinja2'"),
        ("template: 3", ":2:1: Invalid template format"),
        ("template: {format: {kind: go}}", ":2:1: templates of the kind `go`"),
        ("template: {format: {kind: [x]}}", ":2:1: templates of the kind"),
        ("template: {parser: {kind: own}}", ":2:1: templates with the parser `own`"),
    ):
        with pytest.raises(PromptError) as caught:
            made(tmp_path, front)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("front", "warned"),
    [
        ("model: {id: m}\nmodle: x", "3:1: the key modle is not known to prompty-v2 and has no effect; did you mean"),
        ("model: {id: m}\nbase: x.prompty", "3:1: the key base is not known to prompty-v2"),
        ("model: {id: m}\nprompt_id: x", "it is a key of short"),
        ("model: {id: m, providr: openai}", "2:16: the key providr in model is not known to prompty-v2"),
        ("model: {id: m, configuration: {}}", "the key configuration in model is not known"),
        ("model: {id: m, options: {max_output_tokens: 3}}", "did you mean maxOutputTokens?"),
        ("model: {id: m, connection: {kind: key, api_key: x}}", "the key api_key in model.connection"),
        ("inputs:\n  - name: a\n    kind: string\n  - name: b\n    kinds: x", "6:5: the key kinds in inputs.1"),
        ("inputs: {a: {kind: string, requierd: true}}", "the key requierd in inputs.a"),
        ("outputs: [{name: a, kind: string, descrption: x}]", "in outputs.0"),
        ("template: {format: {kind: jinja2}, parsr: prompty}", "the key parsr in template"),
        ("template: {format: {kind: jinja2, stric: true}}", "the key stric in template.format"),
        ("model: m\ntools: [{name: a, kind: function, paramters: []}]", "the key paramters in tools.0"),
        (f"{FIRST[:-2]}max_token: 3}}}}", "the key max_token in model.parameters"),
        (f"{FIRST}\nsampel: {{q: 1}}", "did you mean sample?"),
        ("model: m\ninputSchema: {properties: []}", "the key inputSchema is not known to prompty-v2"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, front: str, warned: str
) -> None:
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        made(tmp_path, front)
    assert warned in caplog.text
    assert len(caplog.records) == 1


def test_what_is_handed_on_or_of_use_elsewhere_is_not_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for front in (
        f"{FIRST[:-2]}own_setting: 3, max_tokens: 5}}}}\nauthors: [a]\ntags: [b]\nversion: 3\n$schema: x",
        "model: {id: m, connection: {kind: own, region: x}}\nmetadata: {anything: 1}\ndisplayName: D",
        "tools: [{name: a, kind: own_kind, endpointUrl: x}]\nmodel: m",
        "inputs: {q: {type: string, is_chat_input: true}}",
    ):
        made(tmp_path, front)
    assert not caplog.records


def test_nothing_of_a_file_is_dropped(tmp_path: Path) -> None:
    prompt = made(
        tmp_path,
        "name: n\ndisplayName: A name\nmetadata: {authors: [ann], version: 1.10}\nmodel: m\nowner: team\n"
        "inputs: [{name: a, kind: string, unit: metres}]\ntemplate: {format: {kind: jinja2, options: {x: 1}}}",
    )
    assert prompt.version == "1.10"
    assert prompt.metadata == {
        "authors": ["ann"],
        "version": 1.1,
        "displayName": "A name",
        "owner": "team",
        "inputs": {"a": {"unit": "metres"}},
        "template": {"format": {"kind": "jinja2", "options": {"x": 1}}},
    }
    assert made(tmp_path, "metadata: [1]").metadata == {"metadata": [1]}


def test_tools_in_every_form(tmp_path: Path) -> None:
    openai = "{type: function, function: {name: f, parameters: {type: object}}}"
    assert made(tmp_path, "model: m\ntools: [{name: a, kind: mcp}]").tools == ({"name": "a", "kind": "mcp"},)
    assert made(tmp_path, "model: m\ntools: {a: {kind: mcp}}").tools == ({"name": "a", "kind": "mcp"},)
    prompt = made(tmp_path, f"{FIRST[:-2]}tools: [{openai}]}}}}")
    # Those among the parameters of the model are a part of these, as in the libraries of the first version.
    assert prompt.tools == ()
    assert prompt.model["parameters"] == {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    }
    with pytest.raises(PromptError, match=r"p\.prompty:3:1: tools have to be a list"):
        made(tmp_path, "model: m\ntools: [x]")


def test_a_whole_file_of_yaml_has_its_template_under_instructions(tmp_path: Path) -> None:
    prompt = made(tmp_path, "model: m\ninstructions: |\n  user:\n  hi", "")
    assert (prompt.template, prompt.template_line) == ("user:\nhi\n", 4)


def test_examples_are_the_sample_of_a_file_that_has_no_other(tmp_path: Path) -> None:
    front = "model: m\ninputs: [{name: a, kind: string, example: x}, {name: b, kind: integer, default: 3}]"
    assert made(tmp_path, front).sample == {"a": "x"}
    assert made(tmp_path, f"{front}\nsample: {{a: y}}").sample == {"a": "y"}
