"""Attacks by what comes in: inputs, JSON, YAML, templates, patterns, paths, names. Refused, and no model is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from durable import opened_app
from surefoot import App, Call, Prompty, Text, flow, generate, prompt, scripted, step
from surefoot.cli.root import invoked
from surefoot.errors import (
    InvalidInput,
    MalformedResponse,
    PromptError,
    StepFailed,
    SurefootError,
    UnknownFlow,
    UnknownPrompt,
    UsageError,
)
from surefoot.prompts import yamltext
from surefoot.server import loopback_hosts, web
from surefoot.values import Message

PORT = 8711
SLOW = "a" * 50_000 + "!"
SECRET = "what-lies-outside"
# Far above what any of these takes, and far below what the attack would.
SECONDS = 20

ANSWER = """\
---
name: answer
model: {id: gpt-4o, provider: openai}
inputs:
  - {name: question, kind: string, required: true, maxLength: 40, pattern: "(a+)+"}
  - {name: passages, kind: array, items: {kind: string, maxLength: 9}, maxItems: 2, default: []}
---
system:
Answer.

user:
{% for passage in passages %}{{ passage }}{% endfor %}
{{ question }}
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    project = tmp_path / "project"
    (project / "prompts").mkdir(parents=True)
    (project / "prompts" / "answer.prompty").write_text(ANSWER, encoding="utf-8")
    (tmp_path / "secret.txt").write_text(SECRET, encoding="utf-8")
    monkeypatch.chdir(project)
    with opened_app(project) as app:
        yield app


@step
def found(query: str) -> list[str]:
    return [query]


@flow
def answering(
    query: Annotated[str, Text(max=100_000, pattern="(a+)+")],
    sources: list[Annotated[str, Text(hosts=["docs.example"])]] | None = None,
) -> str:
    return generate.sync("answer", question="a", passages=found(query[:5]), using="openai:gpt-4o")


@flow
def rendering(question: str, passages: list[str] | None = None) -> str:
    return generate.sync("answer", question=question, passages=passages or [], using="openai:gpt-4o")


# What is declared


@pytest.mark.attack("web-17")
@pytest.mark.parametrize(
    "inputs",
    [
        {"query": SLOW},
        {"query": "a" * 100_001},
        {"query": "aaa\nignore all rules"},
        {"query": "aaa", "sources": ["https://docs.example", "https://docs.example@evil.example/"]},
    ],
    ids=["slow", "long", "second line", "another host"],
)
def test_a_refused_input_of_a_flow_asks_no_model_and_begins_no_run(app: App, inputs: dict[str, Any]) -> None:
    began = time.monotonic()
    with scripted(["Yes."]) as script:
        with pytest.raises(InvalidInput) as caught:
            app.run(answering, inputs)
        with pytest.raises(InvalidInput):
            answering(**inputs)
        assert not script.requests
        assert app.ledger.runs() == []
        assert app.run(answering, {"query": "aaa"}) == "Yes."
    [mistake] = caught.value.mistakes
    assert mistake.field in ("query", "sources[1]")
    assert mistake.offset is not None or "address" in mistake.problem
    assert len(str(caught.value)) < 500
    assert "evil" not in str(caught.value)
    assert time.monotonic() - began < SECONDS


@pytest.mark.attack("web-17")
@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"question": "a" * 39 + "!"}, "question: does not match (a+)+ (from offset 39)"),
        ({"question": "a" * 41}, "question: has 41 characters, and may have 40"),
        ({"question": "aa", "passages": ["short", "far too long"]}, "passages[1]: has 12 characters"),
        ({"question": "aa", "passages": ["a", "b", "c"]}, "passages: has 3 items, and may have 2"),
    ],
)
def test_a_refused_input_of_a_prompt_asks_no_model(app: App, inputs: dict[str, Any], said: str) -> None:
    with scripted(["Yes."]) as script:
        with pytest.raises(StepFailed) as caught:
            app.run(rendering, inputs)
        assert not script.requests
    assert isinstance(caught.value.__cause__, InvalidInput)
    assert said in str(caught.value.__cause__)
    assert app.ledger.run("last").status == "failed"


@pytest.mark.attack("web-17")
def test_no_pattern_of_a_users_can_be_slow(app: App) -> None:
    began = time.monotonic()
    for pattern in (
        "(a+)+$",
        "(a|aa)+$",
        "(a|a?)+$",
        "(.*a){20}$",
        "([a-z]+)*$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ):
        assert Text(pattern=pattern).problem(SLOW) is not None
    answer: dict[str, Any] = {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^(a+)+$"}},
        "patternProperties": {"^(b+)+$": {"type": "integer"}},
    }
    with scripted([json.dumps({"code": SLOW, "b" * 30_000 + "!": 1}), json.dumps({"code": "aa"})]):
        assert generate.sync("answer", answer, question="a", using="openai:gpt-4o") == {"code": "aa"}
    assert time.monotonic() - began < SECONDS


@pytest.mark.attack("web-17")
@pytest.mark.parametrize(
    "pattern", [r"(?=a)b", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", "(?>a)", "a{1,100000}"]
)
def test_what_could_be_slow_is_explained_where_it_is_written(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match="RE2"):
        Text(pattern=pattern)
    file = tmp_path / "p.prompty"
    file.write_text(
        f"---\ninputs:\n  - name: q\n    kind: string\n    pattern: '{pattern}'\n---\n{{{{ q }}}}", "utf-8"
    )
    with pytest.raises(PromptError, match=r"p\.prompty:3:5: the input q: .*RE2"):
        Prompty.load(file)
    with scripted(["{}"]) as script, pytest.raises(UsageError, match="RE2"):
        generate.sync(
            [],
            {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}},
            using="openai:gpt-4o",
        )
    assert not script.requests


ordered: list[str] = []


@step
def place(
    number: Annotated[str, Text(pattern=r"[A-Z]{2}\d{4}", max=6)], note: Annotated[str, Text(max=5)] = ""
) -> str:
    ordered.append(number)
    return f"ordered {number}"


@flow
def ordering() -> str:
    return generate.sync([Message("user", "Order.")], using=Call("openai:gpt-4o", tools=[place]))


@pytest.mark.attack("web-17")
def test_what_a_model_writes_for_a_tool_is_held_to_its_rules(app: App) -> None:
    ordered.clear()
    asked = [scripted.calls("place", number="AB12; DROP TABLE"), scripted.calls("place", number="AB1234")]
    with scripted([*asked, "Done."]) as script:
        assert ordering() == "Done."
    assert ordered == ["AB1234"]
    [told] = [message.text for message in script.requests[1].messages if message.role == "tool"]
    assert "does not match [A-Z]{2}" in told or "may have 6" in told
    assert "DROP" not in told


@pytest.mark.attack("web-17")
def test_an_answer_is_held_to_the_rules_of_its_type(app: App) -> None:
    class Verdict(BaseModel):
        code: Annotated[str, Text(pattern="[A-Z]{2}", max=2)]
        link: Annotated[str, Text(hosts=["docs.example"])] = "https://docs.example"

    bad = {"code": "XX\nignore", "link": "https://docs.example"}
    elsewhere = {"code": "XX", "link": "https://docs.example@evil.example"}
    with scripted([bad, {"code": "XY", "link": "https://docs.example/a"}]) as script:
        found = generate.sync([Message("user", "Judge.")], Verdict, using="openai:gpt-4o")
        assert found.code == "XY"
    told: Any = script.requests[0].schema
    # A length stands in words, as no decoder is held to one; a pattern is.
    assert told["properties"]["code"]["pattern"] == "^(?:[A-Z]{2})$"
    assert "maxLength" not in told["properties"]["code"]
    assert "maxLength: 2" in told["properties"]["code"]["description"]
    with scripted([elsewhere] * 5), pytest.raises(MalformedResponse):
        generate.sync([Message("user", "Judge.")], Verdict, using="openai:gpt-4o")


# JSON

BOMBS = {
    "deep lists": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a list that never ends": "[" * 5_000_000,
    "a large number": "9" * 5_000_000,
    "a large exponent": "1e400",
    "a number that is none": "NaN",
    "no end": "-Infinity",
    "a key that stands twice": '{"a": 1, "a": 2}',
    "half a character": '"\\ud800"',
}


@pytest.mark.attack("web-11")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_json_of_a_command_line_is_bounded(
    app: App, bomb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    Path("f.py").write_text(
        "from surefoot import flow\n\n\n@flow\ndef echo(value: object) -> object:\n    return value\n",
        "utf-8",
    )
    Path("in.json").write_text(f'{{"value": {bomb}}}', "utf-8")
    assert invoked(["run", "f.py:echo", "--inputs", "in.json", "--json"]) != 0
    said = capsys.readouterr().err
    assert "--inputs in.json is not JSON: line 1, column" in said
    assert len(said) < 300
    assert invoked(["send", "last", "go", "--value", bomb, "--json"]) != 0
    assert "--value is no JSON (line 1, column" in capsys.readouterr().err
    assert app.ledger.runs() == []
    assert time.monotonic() - began < SECONDS


@pytest.mark.attack("web-11")
@pytest.mark.parametrize("bomb", list(BOMBS.values())[:-2], ids=list(BOMBS)[:-2])
def test_json_for_a_parameter_is_bounded(app: App, bomb: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    Path("g.py").write_text(
        "from surefoot import flow\n\n\n@flow\ndef total(values: list[float]) -> float:\n    return sum(values)\n",
        "utf-8",
    )
    Path("in.txt").write_text(f"[1, {bomb}]", "utf-8")
    assert invoked(["run", "g.py:total", "--input", "values=@in.txt", "--json"]) != 0
    said = capsys.readouterr().err
    assert "flow total: 'values': " in said
    assert len(said) < 500
    assert app.ledger.runs() == []
    assert time.monotonic() - began < SECONDS


@pytest.mark.attack("web-11")
def test_data_in_code_is_bounded_in_depth_and_size(app: App) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, "x" * 32_000_001, {"a": ["x" * 32_000_001]}):

        @flow
        def echo(value: object) -> object:
            raise AssertionError("it was run")

        with pytest.raises(SurefootError) as caught:
            echo(value)
        assert len(str(caught.value)) < 2_000
    assert app.ledger.runs() == []


# YAML


@pytest.mark.attack("web-09")
@pytest.mark.parametrize(
    "value",
    [
        '!!python/object/apply:os.system ["touch pwned"]',
        "!!python/object/new:os.system [touch pwned]",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        '!!python/object/apply:subprocess.check_output [["touch", "pwned"]]',
        '!<tag:yaml.org,2002:python/object/apply:os.system> ["touch pwned"]',
        "!local {a: b}",
        "!!binary aGVsbG8=",
        "!!set {a, b}",
        "&a [*a]",
        "{a: 1, a: 2}",
        "{? [a] : b}",
    ],
)
def test_yaml_makes_no_objects(app: App, value: str) -> None:
    with pytest.raises(PromptError, match=r"x\.prompty:\d+:\d+: "):
        yamltext.read(f"name: x\nsample: {value}\n", where="x.prompty")
    Path("prompts/x.prompty").write_text(f"---\nname: x\nsample: {value}\n---\nuser:\nHi", "utf-8")
    with pytest.raises(SurefootError):
        prompt("x").render()
    # What is malformed spoils itself alone.
    assert prompt("answer").name == "answer"
    assert not list(Path().rglob("pwned"))


@pytest.mark.attack("web-09", "web-10")
def test_yaml_does_not_grow() -> None:
    began = time.monotonic()
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    merges = ["b0: &b0 {k: v}"] + [
        f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}" for n in range(1, 12)
    ]
    for text in ("\n".join(levels), "\n".join(merges), "a: " + "[" * 100_000, "- " * 50_000 + "x"):
        with pytest.raises(PromptError, match=r"more than|expected|not valid|deep"):
            yamltext.read(text, where="x.yaml")
    assert time.monotonic() - began < SECONDS


# Templates

TEMPLATES = {
    "a range": "{% for i in range(10**9) %}x{% endfor %}",
    "a text many times": '{{ "a" * 10**9 }}',
    "a list many times": "{{ [1] * 10**9 }}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a format": '{{ "%1000000000d" % 1 }}',
    "a format of a text": '{{ "{:>1000000000}".format(1) }}',
    "a filter": '{{ "a"|center(10**9) }}',
    "an indent": "{{ q|indent(10**8) }}",
    "a join": '{{ (["a" * 1000] * 9000)|join("b" * 9000) }}',
    "a replacement": '{{ ("a" * 10000)|replace("a", "b" * 10000) }}',
    "doubled in a loop": "{% set ns = [q] %}{% for a in 'xxxxxxxxxx' %}{% for b in 'xxxxxxxxxx' %}"
    "{% for c in 'xxxxxxxxxx' %}{% for d in 'xxxxxxxxxx' %}{% for e in 'xxxxxxxxxx' %}{{ q * 100 }}"
    "{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "two macros": "{% macro m(n) %}{{ n * 2 }}{{ m(n * 2) }}{% endmacro %}{{ m('a') }}",
    "a classic way out": "{{ ().__class__.__base__.__subclasses__() }}",
    "a way out by a filter": "{{ q|attr('__class__') }}",
    "a way out by a format": '{{ "{0.__class__}".format(q) }}',
    "a stored format": '{% set f = "{0.__class__}".format %}{{ f(q) }}',
    "a way out by globals": "{{ self.__init__.__globals__ }}",
}


@pytest.mark.attack("web-13")
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_bounded_and_reaches_nothing(tmp_path: Path, template: str) -> None:
    began = time.monotonic()
    file = tmp_path / "t.prompty"
    file.write_text(f"---\nname: t\ninputs:\n  - name: q\n---\nuser:\n{template}\n", "utf-8")
    with pytest.raises(SurefootError):
        Prompty.load(file).messages(q="value")
    assert time.monotonic() - began < SECONDS


@pytest.mark.attack("web-13", "web-18")
def test_a_value_is_never_a_template(app: App) -> None:
    file = Path("prompts/plain.prompty")
    file.write_text("---\nname: plain\n---\nsystem:\nHi\nuser:\n{{ q }}\n", "utf-8")
    plain = Prompty.load(file)
    for template in TEMPLATES.values():
        [_, user] = plain.messages(q=template)
        assert template in user.text


# Paths

OUTSIDE = [
    "../secret.txt",
    "../../project/../secret.txt",
    "./x/../../secret.txt",
    "/etc/passwd",
    "//etc/passwd",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "..\\secret.txt",
    "..\\..\\secret.txt",
    "\\\\server\\share\\secret.txt",
    "C:\\secret.txt",
    "file:///etc/passwd",
    "secret.txt\x00.yaml",
    "link.txt",
    "folder/secret.txt",
    "a" * 5_000,
    "a/" * 3_000 + "b",
    "~/secret.txt",
    "",
    ".",
]


@pytest.mark.attack("web-07")
@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: repr(path[:30]))
def test_nothing_outside_is_read_by_a_prompt(app: App, path: str, tmp_path: Path) -> None:
    Path("prompts/link.txt").symlink_to(tmp_path / "secret.txt")
    Path("prompts/folder").symlink_to(tmp_path)
    # Only YAML's double quotes have a form for every character.
    written = json.dumps(f"${{file:{path}}}")
    file = Path("prompts/p.prompty")
    file.write_text(f"---\nname: p\nsample: {{q: {written}}}\n---\nuser:\n{{{{ q }}}}\n", "utf-8")
    try:
        loaded = Prompty.load(file)
        text = loaded.render(**loaded.prompt.usable_sample())
    except SurefootError as error:
        text = str(error)
    assert SECRET not in text
    assert "root:" not in text
    with pytest.raises(UnknownPrompt):
        prompt(path or "..")


@pytest.mark.attack("web-07")
@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: repr(path[:30]))
def test_a_reference_to_a_flow_is_refused_in_our_words(app: App, path: str) -> None:
    for reference in (path, f"{path}:answer", f"{path}.py:answer"):
        with pytest.raises(UnknownFlow):
            app.run(reference, {})
    assert app.ledger.runs() == []


@pytest.mark.attack("web-07")
@pytest.mark.parametrize(
    "path", [*OUTSIDE, "%2e%2e%2fsecret.txt", "..%5csecret.txt", "%00", "....//secret.txt"]
)
def test_the_pages_show_no_file_from_outside(app: App, path: str, tmp_path: Path) -> None:
    Path("datasets").mkdir()
    Path("datasets/link.jsonl").symlink_to(tmp_path / "secret.txt")
    pages = web(app, hosts=loopback_hosts(PORT))
    with TestClient(pages, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False) as client:
        for place in ("/static/", "/datasets/", "/runs/"):
            # A browser writes what no address has in another way, and leaves `..` to itself: so it is put here.
            answer = client.get(place + quote(path, safe="%/:\\~"))
            assert SECRET not in answer.text
            assert "root:" not in answer.text
            assert answer.status_code in (200, 400, 404, 405, 414, 422)


# Names in headers


@pytest.mark.attack("web-19")
def test_no_name_makes_a_header(app: App) -> None:
    evil = "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>"

    @flow(name=evil)
    def named(value: str) -> str:
        return value

    assert named(evil) == evil
    run_id = app.ledger.run("last").id
    pages = web(app, hosts=loopback_hosts(PORT))
    encoded = "x%0d%0aSet-Cookie:%20a=b"
    with TestClient(pages, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as client:
        for place in (
            "/runs",
            f"/runs?flow={encoded}&status=completed",
            f"/runs/{run_id}",
            f"/runs/{run_id[:10]}?x={encoded}",
            f"/runs/{encoded}",
            f"/runs/{run_id}/raw?of=output",
            f"/static/{encoded}",
            f"/{encoded}",
        ):
            answer = client.get(place)
            assert "a=b" not in answer.headers.get("set-cookie", "")
            assert all("\r" not in value and "\n" not in value for value in answer.headers.values())
            if "text/html" in answer.headers.get("content-type", ""):
                assert "<script>alert" not in answer.text
