"""Prompt files: both forms, the dialects, and every way in which a file can be wrong."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from surefoot.errors import PromptError
from surefoot.prompts import Prompt, Property, load

SHORT = """\
prompt_id: document_summarization_v2
version: 1.10
description: Answers from a context.
template: |
  Context: {context}
  Question: {query}
  Answer as JSON: {{"answer": ""}}
"""

PROMPTY = """\
---
name: Answer
version: 2
model:
  api: chat
  configuration:
    type: openai
    model: gpt-4o
  parameters:
    temperature: 0.2
inputs:
  query:
    type: string
    description: What is asked.
  limit:
    type: int
    default: 3
sample:
  query: What?
outputs:
  answer: {type: string}
---
system:
Answer in {{ limit }} lines.

user:
{{ query }}
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problem(folder: Path, name: str, content: str | bytes) -> str:
    path = write(folder, name, content)
    with pytest.raises(PromptError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_short_form(tmp_path: Path) -> None:
    prompt = load(write(tmp_path, "any.yaml", SHORT))
    assert prompt.name == "document_summarization_v2"
    assert prompt.version == "1.10"
    assert prompt.dialect == "short"
    assert prompt.description == "Answers from a context."
    assert prompt.template.startswith("Context: {context}\n")
    assert prompt.template_line == 5
    assert prompt.label == "document_summarization_v2@1.10"


def test_a_prompty_file(tmp_path: Path) -> None:
    prompt = load(write(tmp_path, "answer.prompty", PROMPTY))
    assert (prompt.name, prompt.version, prompt.dialect) == ("Answer", "2", "promptflow")
    assert prompt.inputs == {
        "query": Property("query", "string", description="What is asked."),
        "limit": Property("limit", "integer", has_default=True, default=3),
    }
    assert prompt.model["parameters"] == {"temperature": 0.2}
    assert prompt.sample == {"query": "What?"}
    assert prompt.outputs == {"answer": Property("answer", "string")}
    assert prompt.metadata == {}
    assert prompt.text.splitlines()[prompt.template_line - 1] == "system:"


def test_the_name_is_the_file_s_where_none_is_declared(tmp_path: Path) -> None:
    prompt = load(write(tmp_path, "hello.prompty", "Say hello.\n"))
    assert (prompt.name, prompt.version, prompt.dialect) == ("hello", "", "prompty-v2")
    assert prompt.template == "Say hello.\n"


@pytest.mark.parametrize(
    ("front", "dialect"),
    [
        ("model: gpt-4o", "prompty-v2"),
        ("model: {id: gpt-4o, provider: openai}", "prompty-v2"),
        ("inputs: [{name: q, kind: string}]", "prompty-v2"),
        ("inputs: {q: {kind: string}}", "prompty-v2"),
        ("displayName: A prompt", "prompty-v2"),
        ("name: plain", "prompty-v2"),
        ("inputs: {q: {type: string}}", "prompty-v1"),
        ("model: {configuration: {type: openai}, parameters: {}}", "promptflow"),
        ("template: jinja2", "prompty-v1"),
        ("sample: {q: 1}", "prompty-v1"),
        ("model: {configuration: {type: serverless}}", "prompty-v1"),
        ("template: {type: jinja2}", "prompty-v1"),
    ],
)
def test_the_dialect_is_recognised(tmp_path: Path, front: str, dialect: str) -> None:
    assert load(write(tmp_path, "a.prompty", f"---\n{front}\n---\nuser:\nhi\n")).dialect == dialect


def test_inputs_in_every_shape(tmp_path: Path) -> None:
    front = (
        "inputs:\n  - {name: a, kind: string, required: true}\n"
        "  - {name: b, kind: float, default: 1.5}\n  - {name: c}\n"
    )
    inputs = load(write(tmp_path, "a.prompty", f"---\n{front}---\nx\n")).inputs
    assert inputs["a"] == Property("a", "string", is_required=True)
    assert inputs["b"] == Property("b", "number", is_required=False, has_default=True, default=1.5)
    assert inputs["c"] == Property("c", "any", is_required=False)
    short = "prompt_id: s\ninputs:\n  a: {type: list}\n  b: hello\n  c:\ntemplate: '{a} {b} {c}'\n"
    inputs = load(write(tmp_path, "s.yml", short)).inputs
    assert inputs["a"] == Property("a", "array")
    assert inputs["b"] == Property("b", has_default=True, default="hello")
    assert inputs["c"] == Property("c")


def same(one: Prompt, other: Prompt) -> bool:
    return (one.digest, one.template, one.text) == (other.digest, other.template, other.text)


@pytest.mark.parametrize("content", [SHORT, PROMPTY])
def test_line_ends_and_byte_order_mark_change_nothing(tmp_path: Path, content: str) -> None:
    name = "a.yaml" if content is SHORT else "a.prompty"
    plain = load(write(tmp_path, name, content))
    assert same(plain, load(write(tmp_path, name, content.replace("\n", "\r\n"))))
    assert same(plain, load(write(tmp_path, name, b"\xef\xbb\xbf" + content.encode())))
    assert same(plain, load(write(tmp_path, name, content + "\n\n")))
    assert not same(plain, load(write(tmp_path, name, content.replace("Answer", "Reply"))))


def test_dashes_inside_the_body_and_the_front_matter(tmp_path: Path) -> None:
    text = "---\nname: a\ndescription: |\n  one\n  ---\n  two\n---\nuser:\nabove\n---\nbelow\n"
    prompt = load(write(tmp_path, "a.prompty", text))
    assert prompt.description == "one\n---\ntwo\n"
    assert prompt.template == "user:\nabove\n---\nbelow\n"


def test_plain_data_is_kept_plain(tmp_path: Path) -> None:
    text = "---\nname: a\nsample: {when: 2026-04-20, 1: one}\nmodel: {api_key: '${env:KEY}'}\n---\nx\n"
    prompt = load(write(tmp_path, "a.prompty", text))
    assert prompt.sample == {"when": "2026-04-20", "1": "one"}
    assert prompt.model == {"api_key": "${env:KEY}"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("prompt_id: a\ntemplate: [\n", ":3:1: this is not valid YAML"),
        ("prompt_id: a\n\ttemplate: x\n", ":2:1: this is not valid YAML"),
        (
            "prompt_id: a\ntemplate: x\nprompt_id: b\n",
            ":3:1: the key `prompt_id` stands twice, first on line 1",
        ),
        ("prompt_id: a\nmodel: {x: 1, x: 2}\ntemplate: x\n", ":2:15: the key `x` stands twice"),
        ("prompt_id: a\n", "template is missing"),
        ("prompt_id: a\ntemplate: [x]\n", ":2:1: template is missing or is no text"),
        ("prompt_id:\ntemplate: x\n", "prompt_id is missing"),
        ("prompt_id: a@b\ntemplate: x\n", "leave out `@`"),
        ("- prompt_id: a\n", ":1:1: expected keys and values"),
        ("prompt_id: a\n? [x]\n: y\ntemplate: x\n", ":2:3: a key has to be a plain name"),
        ("prompt_id: a\nmodel: !!python/object/apply:os.system [ls]\ntemplate: x\n", "not valid YAML"),
        ("prompt_id: a\nmodel: {x: !!binary aGk=}\ntemplate: x\n", "no plain data"),
        ("prompt_id: a\nmodel: 3\ntemplate: x\n", ":2:1: model has to be"),
        ("prompt_id: a\ninputs: 3\ntemplate: x\n", ":2:1: inputs have to be"),
        (
            "prompt_id: a\ninputs: {q: {type: strin}}\ntemplate: x\n",
            "unknown type strin; did you mean string?",
        ),
        ("prompt_id: a\nversion: 2026-13-45\ntemplate: x\n", ":2:10: this value cannot be read"),
    ],
)
def test_a_malformed_short_form(tmp_path: Path, text: str, place: str) -> None:
    assert place in problem(tmp_path, "a.yaml", text)


@pytest.mark.parametrize(
    ("template", "line", "token"),
    [
        ("ok\n  {context.secret}", 4, "{context.secret}"),
        ("{items[0]}", 3, "{items[0]}"),
        ("{value!r}", 3, "{value!r}"),
        ("{value:>99999999}", 3, "{value:>99999999}"),
        ("{}", 3, "{}"),
        ("{0}", 3, "{0}"),
        ("a\n\n  b { c", 5, "a single `{`"),
        ("a } b", 3, "a single `}`"),
    ],
)
def test_a_malformed_placeholder(tmp_path: Path, template: str, line: int, token: str) -> None:
    message = problem(tmp_path, "a.yaml", f"prompt_id: a\ntemplate: |\n  {template}\n")
    assert f"a.yaml:{line}: " in message
    assert token in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("---\nname: a\nuser:\nhi\n", ":1: the front matter has no end"),
        ("---\nname: a\nmodel: [\n---\nhi\n", ":4:1: this is not valid YAML"),
        ("---\nname: a\n---\nuser:\nhi {{ name\n", ":5: the template has a mistake"),
        ("---\nname: a\n---\n{% for x in y %}\n", ":4: the template has a mistake"),
        (
            "---\nname: a\n---\nok\n{{ x | shout }}\n",
            ":5: the template has a mistake: No filter named 'shout'",
        ),
        ("---\nname: a\n---\n{% include 'b' %}\n", ":4: the template has a mistake: other templates cannot"),
        ("---\nname: a\nbase: b.prompty\n---\nhi\n", ":3:1: the base b.prompty is not there"),
        ("---\nname: a\ntemplate: handlebars\n---\nhi\n", ":3:1: templates of the kind `handlebars`"),
        (
            "---\ntemplate: {format: jinja2, parser: {kind: own}}\n---\nhi\n",
            ":2:1: templates with the parser `own`",
        ),
        ("---\nmodel: {id: m}\ntemplate: jinja2\n---\nhi\n", ":3:1: Invalid template format: 'jinja2'"),
        ("---\nname: a\n---\nok\nuser[name={{ x }}]:\nhi\n", ":5: the attributes of a role marker"),
    ],
)
def test_a_malformed_prompty_file(tmp_path: Path, text: str, place: str) -> None:
    assert place in problem(tmp_path, "a.prompty", text)


def test_aliases_are_counted_as_often_as_they_are_used(tmp_path: Path) -> None:
    levels = ["model:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    text = "prompt_id: a\n" + "\n".join(levels) + "\ntemplate: x\n"
    assert "aliases counted" in problem(tmp_path, "a.yaml", text)
    assert load(
        write(tmp_path, "b.yaml", "prompt_id: b\nmodel: {x: &x {y: 1}, z: *x}\ntemplate: x\n")
    ).model == {
        "x": {"y": 1},
        "z": {"y": 1},
    }


def test_yaml_that_contains_itself_or_is_too_deep(tmp_path: Path) -> None:
    assert "contains itself" in problem(tmp_path, "a.yaml", "prompt_id: a\nmodel: &m {x: *m}\ntemplate: x\n")
    assert "nested" in problem(
        tmp_path, "b.yaml", f"prompt_id: b\nmodel: {'[' * 100}{']' * 100}\ntemplate: x\n"
    )
    assert "nest" in problem(
        tmp_path, "c.yaml", f"prompt_id: c\nmodel: {'[' * 50_000}{']' * 50_000}\ntemplate: x\n"
    )


def test_files_that_are_too_large_or_no_text_or_not_there(tmp_path: Path) -> None:
    assert "pass long texts as inputs" in problem(tmp_path, "a.prompty", "x" * 2_000_000)
    assert "not UTF-8 text (byte 2)" in problem(tmp_path, "a.prompty", b"hi\xff")
    with pytest.raises(PromptError, match=r"gone\.prompty: it cannot be read"):
        load(tmp_path / "gone.prompty")


def test_a_template_nested_too_deeply(tmp_path: Path) -> None:
    assert "nested too deeply" in problem(
        tmp_path, "a.prompty", "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"
    )


def test_an_unknown_key_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        load(write(tmp_path, "a.yaml", "prompt_id: a\nversoin: 2\ntemplate: x\n"))
    assert (
        "a.yaml:2:1: the key versoin is not known to short and has no effect; did you mean version?"
        in caplog.text
    )
