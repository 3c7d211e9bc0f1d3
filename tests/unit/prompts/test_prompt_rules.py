"""Rules of a prompt's inputs: lengths, patterns, lists and bounds, in every dialect; told, compared, carried over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surefoot import Prompty
from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import comparing, upgraded
from surefoot.prompts.properties import schema_of

SECOND = """\
---
name: p
inputs:
  - {name: query, kind: string, required: true, maxLength: 10, minLength: 2, pattern: "[a-z ]+"}
  - {name: mode, kind: string, default: short, allow: [short, long]}
  - {name: top, kind: integer, default: 3, minimum: 1, maximum: 9}
  - {name: link, kind: string, default: "", hosts: [docs.example]}
  - name: lines
    kind: array
    default: []
    maxItems: 2
    items: {kind: object, properties: [{name: word, kind: string, maxLength: 3}]}
---
system:
{{ mode }} {{ top }} {{ link }} {{ lines }}
user:
{{ query }}
"""
FIRST = """\
---
name: p
model: {api: chat, configuration: {type: openai, model: gpt-4o}, parameters: {max_tokens: 5}}
inputs:
  query: {type: string, maxLength: 10, pattern: "[a-z ]+"}
  top: {type: int, default: 3, minimum: 1}
---
system:
{{ top }}
user:
{{ query }}
"""
OLD = FIRST.replace("name: p\n", "name: p\nauthors: [a]\nbase: other.prompty\n")
SHORT = """\
prompt_id: p
inputs:
  query: {type: string, maxLength: 10, pattern: "[a-z ]+"}
  top: {type: integer, default: 3, minimum: 1}
template: |
  {top} {query}
"""
SCHEMA = """\
---
name: p
inputs:
  type: object
  required: [query]
  properties:
    query: {type: string, maxLength: 10, pattern: "[a-z]"}
    top: {type: integer, default: 3, minimum: 1}
---
user:
{{ top }} {{ query }}
"""


def loaded(folder: Path, text: str, name: str = "p.prompty") -> Prompty:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "other.prompty").write_text("---\nname: other\n---\nuser:\nHi\n", encoding="utf-8")
    return Prompty.load(folder / name)


def refused(prompt: Prompty, **inputs: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        prompt.render(**inputs)
    return caught.value


@pytest.mark.parametrize(
    ("inputs", "field", "rule", "offset"),
    [
        ({"query": "secret-4711"}, "query", "max", 10),
        ({"query": "ab-4711"}, "query", "pattern", 2),
        ({"query": "a"}, "query", "min", 1),
        ({"query": "ab", "mode": "secret-4711"}, "mode", "allow", None),
        ({"query": "ab", "top": 10}, "top", "maximum", None),
        ({"query": "ab", "link": "https://evil-4711.example"}, "link", "hosts", 8),
        ({"query": "ab", "lines": [{"word": "a"}] * 3}, "lines", "maxItems", 2),
        ({"query": "ab", "lines": [{"word": "a"}, {"word": "secret-4711"}]}, "lines[1].word", "max", 3),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field_rule_and_place(
    tmp_path: Path, inputs: dict[str, Any], field: str, rule: str, offset: int | None
) -> None:
    error = refused(loaded(tmp_path, SECOND), **inputs)
    [mistake] = error.mistakes
    assert (mistake.field, mistake.rule, mistake.offset) == (field, rule, offset)
    assert f"{field}: " in str(error)
    assert "4711" not in str(error)


@pytest.mark.parametrize(
    ("text", "name", "dialect"),
    [
        (SECOND, "p.prompty", "prompty-v2"),
        (SCHEMA, "p.prompty", "prompty-v2"),
        (FIRST, "p.prompty", "promptflow"),
        (OLD, "p.prompty", "prompty-v1"),
        (SHORT, "p.yaml", "short"),
    ],
)
def test_rules_hold_in_every_dialect(
    tmp_path: Path, text: str, name: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    prompt = loaded(tmp_path, text, name)
    assert prompt.dialect == dialect
    assert "ab" in prompt.render(query="ab")
    for inputs, field in (
        ({"query": "A" * 11}, "query"),
        ({"query": "4711"}, "query"),
        ({"query": "ab", "top": 0}, "top"),
    ):
        assert refused(prompt, **inputs).mistakes[0].field == field
    # They are keys that have an effect now.
    assert "has no effect" not in caplog.text


def test_older_dialects_hold_a_text_to_what_it_reads_as(tmp_path: Path) -> None:
    prompt = loaded(tmp_path, FIRST)
    assert prompt.render(query="ab", top="2")
    assert refused(prompt, query="ab", top="0").mistakes[0].rule == "minimum"
    assert refused(prompt, query=12345678901).mistakes[0].rule == "max"


def test_rules_without_a_type_are_for_the_type_that_they_are_about(tmp_path: Path) -> None:
    text = """\
---
name: p
inputs:
  - {name: query, maxLength: 3}
  - {name: top, maximum: 9}
  - {name: lines, maxItems: 2}
---
user:
{{ query }} {{ top }} {{ lines }}
"""
    prompt = loaded(tmp_path, text)
    given: dict[str, Any] = {"query": "abc", "top": 9, "lines": ["a"]}
    assert prompt.render(**given)
    for name, value in (("query", ["far too long"]), ("top", "far too many"), ("lines", "far too many")):
        error = refused(prompt, **{**given, name: value})
        assert [(one.field, one.rule) for one in error.mistakes] == [(name, "type")]


def test_in_a_json_schema_a_pattern_is_of_a_part(tmp_path: Path) -> None:
    prompt = loaded(tmp_path, SCHEMA)
    assert prompt.render(query="4711 a")
    assert refused(prompt, query="4711").mistakes[0].rule == "pattern"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "maxLength: many",
            "p.prompty:4:5: the input q: maxLength is 'many': give a whole number, 0 or more",
        ),
        ("pattern: '(?=a)'", "look-around is not in RE2"),
        ("items: {kind: string, minLength: -1}", "an item of inputs: minLength is -1"),
        ("allow: word", "allow has to be a list of texts"),
    ],
)
def test_a_rule_that_is_none_has_its_place(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(PromptError) as caught:
        loaded(
            tmp_path,
            f"---\nname: p\ninputs:\n  - {{name: q, kind: array, {entry}}}\n---\nuser:\n{{{{ q }}}}\n",
        )
    assert said in str(caught.value)


def test_rules_are_in_the_schema(tmp_path: Path) -> None:
    told: Any = schema_of(loaded(tmp_path, SECOND).prompt.inputs)
    assert told["properties"]["query"] == {
        "type": "string",
        "maxLength": 10,
        "minLength": 2,
        "pattern": "[a-z ]+",
    }
    assert told["properties"]["mode"]["enum"] == ["short", "long"]
    assert told["properties"]["lines"]["maxItems"] == 2


def test_rules_are_compared(tmp_path: Path) -> None:
    before = loaded(tmp_path, SECOND).prompt
    after = loaded(tmp_path, SECOND.replace("maxLength: 10", "maxLength: 20"), "q.prompty").prompt
    changes = comparing.compared(before, after, names=("before", "after")).inputs
    assert [(one.name, one.what) for one in changes] == [("query", "rules")]
    assert changes[0].after == {"maxLength": 20, "minLength": 2, "pattern": "[a-z ]+"}


def test_rules_are_carried_over_by_an_upgrade(tmp_path: Path) -> None:
    old = loaded(tmp_path, FIRST)
    done = upgraded(old.prompt)
    assert "maxLength, pattern of query are rules of ours: prompty 2 passes them by" in done.notes
    new = loaded(tmp_path, done.text, "new.prompty")
    assert new.dialect == "prompty-v2"
    for prompt in (old, new):
        assert refused(prompt, query="4711").mistakes[0].rule == "pattern"
