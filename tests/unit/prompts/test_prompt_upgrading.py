"""Files of the first version as files of prompty 2: what becomes of each key, and that they render the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.errors import PromptError
from surefoot.models.generating.sections import section_of
from surefoot.prompts import Prompt, Prompty, load, rendering, upgraded
from surefoot.prompts.definition import normalised
from surefoot.prompts.loading import parse
from surefoot.values import Message

PROMPTFLOW = """\
---
# What it is called.
name: Answer
description: Answers a question.  # kept as it is
version: 1.10
authors: [ann]
# The model.
model:
  api: chat
  # which one
  configuration:
    type: azure_openai
    azure_deployment: gpt-4o
    azure_endpoint: ${env:ENDPOINT}
    api_key: ${env:KEY}
    api_version: 2024-02-01
  parameters:
    max_tokens: 128  # enough
    temperature: 0.2
    stop: END
    parallel_tool_calls: false
    logit_bias: {"50256": -100}
    n: 2
    tool_choice: auto
    tools:
      - type: function
        function:
          name: look_up
          description: Looks it up.
          parameters:
            type: object
            properties:
              words: {type: array, items: {type: string}}
              limit: {type: [integer, "null"], minimum: 1}
              scope:
                type: object
                properties: {place: {type: string, enum: [here, there]}}
                required: [place]
            required: [words]
inputs:
  question:
    type: string
    description: What is asked.
  lines: {type: int, default: 3}
  history: {type: list}
cache: 60
sample:
  question: What?
  history:
    - {role: user, content: Hi}
    - {role: assistant, content: Hello}
outputs:
  answer: {type: string}
---

# system:
  Answer in {{ lines }} lines.
{% if lines > 2 %}

Be thorough.
{% endif %}
  Do not guess.

{% for item in history %}
{{item.role}}:
{{item.content}}
{% endfor %}

{# A remark. #}
user:
{{question}}
"""


def write(folder: Path, text: str, **files: str) -> Prompt:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    (folder / "p.prompty").write_text(text)
    return load(folder / "p.prompty")


def again(prompt: Prompt, folder: Path) -> Prompt:
    """The upgraded file, as it is loaded and recognised."""
    path = folder / "upgraded.prompty"
    path.write_text(upgraded(prompt).text)
    found = load(path)
    assert found.dialect == "prompty-v2"
    return found


def front_of(prompt: Prompt) -> Mapping[str, object]:
    return yaml.safe_load(upgraded(prompt).text.split("---\n")[1])  # type: ignore[no-any-return]


def test_a_file_of_promptflow(tmp_path: Path) -> None:
    prompt = write(tmp_path, PROMPTFLOW)
    assert front_of(prompt) == {
        "name": "Answer",
        "description": "Answers a question.",
        "metadata": {"authors": ["ann"], "outputs": {"answer": {"type": "string"}}, "version": "1.10"},
        "model": {
            "id": "gpt-4o",
            "provider": "azure",
            "apiType": "chat",
            "connection": {
                "kind": "key",
                "endpoint": "${env:ENDPOINT}",
                "apiKey": "${env:KEY}",
                "apiVersion": "2024-02-01",
            },
            "options": {
                "maxOutputTokens": 128,
                "temperature": 0.2,
                "stopSequences": ["END"],
                "allowMultipleToolCalls": False,
                "additionalProperties": {"logit_bias": {"50256": -100}, "n": 2, "tool_choice": "auto"},
            },
        },
        "tools": [
            {
                "name": "look_up",
                "kind": "function",
                "description": "Looks it up.",
                "parameters": [
                    {"name": "words", "kind": "array", "items": {"kind": "string"}, "required": True},
                    {"name": "limit", "kind": "integer", "nullable": True},
                    {
                        "name": "scope",
                        "kind": "object",
                        "properties": [
                            {
                                "name": "place",
                                "kind": "string",
                                "enumValues": ["here", "there"],
                                "required": True,
                            }
                        ],
                    },
                ],
            }
        ],
        "inputs": [
            {
                "name": "question",
                "kind": "string",
                "description": "What is asked.",
                "example": "What?",
                "required": True,
            },
            {"name": "lines", "kind": "integer", "default": 3},
            {
                "name": "history",
                "kind": "array",
                "items": {"kind": "any"},
                "example": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
                "required": True,
            },
        ],
        "cache": 60,
        "template": {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}},
    }
    made = again(prompt, tmp_path)
    assert (made.version, made.cache, made.sample) == ("1.10", 60, prompt.sample)
    assert rendering.messages_of(made, made.sample) == rendering.messages_of(prompt, prompt.sample)


def test_what_needs_no_change_stays_as_it_is_written(tmp_path: Path) -> None:
    done = upgraded(write(tmp_path, PROMPTFLOW))
    lines = done.text.splitlines()
    for kept in ("# What it is called.", "description: Answers a question.  # kept as it is", "cache: 60"):
        assert kept in lines
    # In their order, with the comments above.
    order = ["name", "description", "metadata", "model", "tools", "inputs", "cache", "template"]
    assert re.findall(r"^(\w+):", done.text.split("---\n")[1], re.MULTILINE) == order
    assert lines.index("# The model.") < lines.index("# which one") < lines.index("model:")
    assert any("comments at the ends of lines" in note for note in done.notes)


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    notes = "\n".join(upgraded(write(tmp_path, PROMPTFLOW)).notes)
    assert "prompty 2 has no words for minimum of the tool look_up, limit: they are left out" in notes
    assert "api_version stands in the connection, where prompty 2 ignores it" in notes
    assert "outputs are kept under metadata" in notes
    assert "renders other messages" not in notes


def test_a_file_of_prompty_0(tmp_path: Path) -> None:
    prompt = write(
        tmp_path,
        "---\nbase: base.prompty\nmodel: {parameters: {seed: 0}}\nsample: {name: Ann}\n---\n"
        "system:\nHi {{name}}, {{place}}\n",
        base__prompty="---\nname: B\ndescription: of the base\nmodel: {api: chat, configuration: {type: openai, "
        "model: m, base_url: 'https://h/v1', organization: o}, parameters: {top_p: 0.5}}\nsample: {place: Rome}\n"
        "---\nuser:\nx\n",
    )
    done = upgraded(prompt)
    front = front_of(prompt)
    assert front == {
        "name": "B",
        "description": "of the base",
        "model": {
            "id": "m",
            "provider": "openai",
            "apiType": "chat",
            "connection": {"kind": "key", "endpoint": "https://h/v1", "organization": "o"},
            "options": {"topP": 0.5, "seed": 0},
        },
        # Each value of the sample stands in where that input is not given.
        "inputs": [
            {"name": "place", "kind": "string", "default": "Rome"},
            {"name": "name", "kind": "string", "default": "Ann"},
        ],
        "template": {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}},
    }
    assert "what the base base.prompty gives is written out: prompty 2 has no base" in done.notes
    assert rendering.messages_of(again(prompt, tmp_path), {}) == rendering.messages_of(prompt, prompt.sample)


def test_files_that_hold_text_stay_and_data_are_written_out(tmp_path: Path) -> None:
    prompt = write(
        tmp_path,
        "---\nmodel:\n  configuration: ${file:c.json}\n  parameters: {tools: '${file:t.json}'}\n"
        "inputs: {ctx: {type: string, default: '${file:ctx.txt}'}}\nsample: s.json\n---\nuser:\n{{ctx}}\n",
        c__json='{"type": "openai", "model": "m", "connection": "main"}',
        t__json='[{"type": "function", "function": {"name": "f"}}]',
        ctx__txt="a long text\n",
        s__json='{"ctx": "short"}',
    )
    front = front_of(prompt)
    assert front["model"] == {
        "id": "m",
        "provider": "openai",
        "connection": {"kind": "reference", "name": "main"},
    }
    assert front["tools"] == [{"name": "f", "kind": "function", "parameters": []}]
    assert front["inputs"] == [
        {"name": "ctx", "kind": "string", "default": "${file:ctx.txt}", "example": "short"}
    ]
    assert again(prompt, tmp_path).inputs["ctx"].default == "a long text\n"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("{max_completion_tokens: 5}", {"maxOutputTokens": 5}),
        (
            "{max_tokens: 4, max_completion_tokens: 5}",
            {"maxOutputTokens": 4, "additionalProperties": {"max_completion_tokens": 5}},
        ),
        ("{stop: [a, b], user: u}", {"stopSequences": ["a", "b"], "additionalProperties": {"user": "u"}}),
        ("{stream: true}", {"additionalProperties": {"stream": True}}),
        ("{reasoning_effort: low, top_k: 3}", {"reasoningEffort": "low", "topK": 3}),
        (
            "{response_format: {type: json_object}}",
            {"additionalProperties": {"response_format": {"type": "json_object"}}},
        ),
        ("{temperature: null}", None),
    ],
)  # fmt: skip
def test_every_parameter_lands(tmp_path: Path, model: str, options: object) -> None:
    prompt = write(
        tmp_path,
        f"---\nmodel: {{configuration: {{type: openai, model: m}}, parameters: {model}}}\n---\nuser:\nx\n",
    )
    found = front_of(prompt)["model"]
    assert isinstance(found, dict)
    assert found.get("options") == options


def test_json_with_outputs_becomes_structured(tmp_path: Path) -> None:
    prompt = write(
        tmp_path,
        "---\nmodel: {configuration: {type: openai, model: m}, parameters: {response_format: {type: json_object}}}\n"
        "outputs: {a: {type: string}, b: {type: list}}\n---\nuser:\nx\n",
    )
    front = front_of(prompt)
    assert front["outputs"] == [
        {"name": "a", "kind": "string", "required": True},
        {"name": "b", "kind": "array", "required": True, "items": {"kind": "any"}},
    ]
    assert "options" not in front["model"]  # type: ignore[operator]
    assert any("JSON Schema of `outputs`" in note for note in upgraded(prompt).notes)


def test_functions_become_tools(tmp_path: Path) -> None:
    prompt = write(
        tmp_path,
        "---\nmodel: {configuration: {type: openai}, parameters: {functions: [{name: f, parameters: {type: object, "
        "properties: {q: {anyOf: [{type: string}, {type: number}]}}}}], function_call: auto}}\n---\nuser:\nx\n",
    )
    assert front_of(prompt)["tools"] == [
        {
            "name": "f",
            "kind": "function",
            "parameters": [{"name": "q", "kind": "union", "anyOf": [{"kind": "string"}, {"kind": "float"}]}],
        }
    ]
    assert any("function_call" in note for note in upgraded(prompt).notes)


@pytest.mark.parametrize(
    ("front", "body", "noted"),
    [
        ("", "user:\nx\ntool:\ny\n", "prompty 2 has no role tool"),
        ("", "assistant:\n## tool_calls:\n[]\n", "does not read the headings tool_calls"),
        ("response: all, ", "user:\nx\n", "not the whole response"),
        ("api: completion, ", "x\n", "no API for completions"),
        ("configuration: {type: own_type}, ", "user:\nx\n", "has the type own_type"),
    ],
)
def test_what_prompty_2_cannot_say(tmp_path: Path, front: str, body: str, noted: str) -> None:
    configuration = "" if "configuration" in front else "configuration: {type: openai}, "
    prompt = write(tmp_path, f"---\nmodel: {{{front}{configuration}parameters: {{}}}}\n---\n{body}")
    assert any(noted in note for note in upgraded(prompt).notes)


def test_pictures_of_promptflow_are_inputs(tmp_path: Path) -> None:
    prompt = write(
        tmp_path,
        "---\nmodel: {configuration: {type: openai}, parameters: {}}\ninputs: {p: {type: string}}\n---\n"
        "user:\nlook ![image]({{p}}) here\n",
    )
    done = upgraded(prompt)
    assert "look \n{{ p }}\n here" in done.text
    assert front_of(prompt)["inputs"] == [{"name": "p", "kind": "image", "required": True}]


def test_lines_that_only_prompty_2_takes_for_markers_stay_text(tmp_path: Path) -> None:
    head = "---\nmodel: {configuration: {type: openai}, parameters: {}}\nsample: {q: x}\n---\n"
    body = "user:\none\ndeveloper:\ntwo\nsystem[name=x]:\nthree {{q}}\n"
    prompt = write(tmp_path, head + body)
    made = again(prompt, tmp_path)
    expected = rendering.messages_of(prompt, {"q": "x"})
    assert [message.role for message in expected] == ["user"]
    assert rendering.messages_of(made, {"q": "x"}) == expected


def test_files_that_need_none(tmp_path: Path) -> None:
    path = tmp_path / "new.prompty"
    path.write_text("---\nmodel: m\n---\nuser:\nx\n")
    assert upgraded(load(path)).text == path.read_text()
    short = tmp_path / "s.yaml"
    short.write_text("prompt_id: s\ntemplate: x\n")
    with pytest.raises(PromptError, match="is in the short form, which stays as it is"):
        upgraded(load(short))


@pytest.mark.parametrize(
    "front",
    [
        "{model: {configuration: {type: openai, model: m}, parameters: {}}, name: flow, sample: {q: 1}}",
        "x: &x {seed: 1}\nmodel:\n  configuration: {type: openai, model: m}\n  parameters: *x\nsample: {q: 1}",
        "model: &m\n  configuration: {type: openai, model: m}\n  parameters: {}\n$schema: *m\nsample: {q: 1}",
        "name: 0123\ndescription: yes\nmodel: {configuration: {type: openai}, parameters: {}}\nsample: {q: 1}",
        "+++",
    ],
)
def test_front_matter_in_odd_forms(tmp_path: Path, front: str) -> None:
    text = f"---\n{front}\n---\nuser:\n{{{{q}}}}\n"
    if front == "+++":
        text = "\n +++\nsample: {q: 1}\n+++\nuser:\n{{q}}\n"
    prompt = write(tmp_path, text)
    made = again(prompt, tmp_path)
    assert (made.name, made.description) == (
        prompt.name if prompt.name != "p" else "upgraded",
        prompt.description,
    )
    assert rendering.messages_of(made, {"q": 1}) == rendering.messages_of(prompt, {"q": 1})


_PIECES = st.sampled_from(
    [
        *(
            "{% if a %}",
            "{% else %}",
            "{% endif %}",
            "{% for x in xs %}",
            "{% endfor %}",
            "{%- if b -%}",
            "{%+ if b +%}",
        ),
        *(
            "{# note #}",
            "{#- note -#}",
            "{% set y = 1 %}",
            "{% raw %}{{ a }}\n{% endraw %}\n",
            "{{ a }}",
            "{{ x }}",
            "{{ xs }}",
        ),
        *(
            "\n",
            "\n\n",
            "\n \n",
            "  ",
            "text",
            " - item",
            "user:",
            "system:",
            "# assistant:",
            "\nuser:\n",
            "developer:",
        ),
        *("\n{% endif %}\n", "\n{% if a %}\n", "%}", "{{ '%}' }}", "\t"),
    ]
)


@pytest.mark.parametrize("dialect", ["promptflow", "prompty-v1"])
@given(
    pieces=st.lists(_PIECES, max_size=14), values=st.tuples(st.booleans(), st.booleans(), st.integers(0, 2))
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_template_renders_the_same(
    dialect: str, pieces: list[str], values: tuple[bool, bool, int]
) -> None:
    body = "user:\n" + "".join(pieces)
    front = "model: {configuration: {type: openai, model: m}, parameters: {}}\n"
    front += "template: {type: jinja2}\n" if dialect == "prompty-v1" else ""
    sample = {"a": values[0], "b": values[1], "xs": ["one", "two"][: values[2]]}
    text = f"---\n{front}sample: {sample}\n---\n{body}\n".replace("True", "true").replace("False", "false")
    try:
        prompt = parse(normalised(text), Path("p.prompty"))
        expected = rendering.messages_of(prompt, sample)
    except PromptError:
        return
    assert prompt.dialect == dialect
    done = upgraded(prompt)
    made = parse(done.text, Path("p.prompty"))
    found = rendering.messages_of(made, sample)
    is_told = any("renders other messages" in note or "does not render" in note for note in done.notes)
    assert found == expected or is_told
    # White space at the edges of a message, and messages of nothing else, are all that may differ: where control flow
    # decides what an edge is.
    assert _told(found) == _told(expected)


def _told(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text.strip()) for message in messages if message.text.strip()]


@pytest.mark.parametrize(
    "configuration",
    [
        "{type: openai, model: m, api_key: '${env:KEY}', base_url: 'https://h/v1', organization: o}",
        "{type: azure_openai, azure_deployment: d, azure_endpoint: '${env:E}', api_key: '${env:K}', api_version: '1'}",
        "{type: azure_openai, azure_deployment: d, connection: main}",
        "{type: azure_openai, azure_deployment: d}",
        "{type: openai, model: gpt-4o}",
        "{type: serverless, endpoint: 'https://models.inference.ai.azure.com', model: Llama, key: '${env:KEY}'}",
    ],
)
def test_an_upgraded_file_asks_the_same(tmp_path: Path, configuration: str) -> None:
    settings = "max_tokens: 3, temperature: 0.5, presence_penalty: 1, stop: [a], seed: 4, user: u, n: 1"
    tool = (
        "{type: function, function: {name: f, parameters: {type: object, properties: {q: {type: string}}}}}"
    )
    prompt = write(
        tmp_path,
        f"---\nmodel: {{api: chat, configuration: {configuration}, parameters: {{{settings}, tool_choice: auto, "
        f"tools: [{tool}]}}}}\n---\nuser:\nx\n",
    )
    before, after = section_of(Prompty(prompt)), section_of(Prompty(again(prompt, tmp_path)))
    for name in ("call", "api", "form", "parameters", "tools", "schema", "names", "is_stream", "is_whole"):
        assert getattr(after, name) == getattr(before, name)
    assert (before.stated is None) == (after.stated is None)
    if before.stated is not None and after.stated is not None:
        for name in ("provider", "base_url", "is_key_ambient", "is_anonymous", "api_version", "organization"):
            assert getattr(after.stated, name) == getattr(before.stated, name)
