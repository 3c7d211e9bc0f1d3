"""Cases of prompts: how they are read, what is expected of messages and answers, and how they are run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from surefoot import scripted
from surefoot.app import App
from surefoot.config import load as load_settings
from surefoot.errors import InvalidInput, PromptError
from surefoot.evals.prompting import Asking, CaseResult, Results, junit_xml, read_cases, run_case
from surefoot.prompts import load
from surefoot.values import Json

PROMPT = """---
name: summary
version: "3"
inputs:
  - {name: text, kind: string, required: true}
  - {name: words, kind: integer, default: 20}
sample: {text: The pager is handed over on Monday.}
---
system:
At most {{words}} words.

user:
{{text}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "summary.prompty").write_text(PROMPT, encoding="utf-8")
    return tmp_path


def ran(folder: Path, asking: Asking | None = None, **case: Any) -> CaseResult:
    """The result of one case."""
    path = folder / "summary.cases.yaml"
    path.write_text(yaml.safe_dump({"cases": [{"name": "one", **case}]}), encoding="utf-8")
    [found] = read_cases(path).cases
    prompt_path = folder / "summary.prompty"
    app = App(load_settings(folder))
    try:
        with app.entered():
            return run_case(
                load(prompt_path),
                found,
                asking or Asking(),
                start=app.run,
                flow_inputs={"prompt": "summary", "file": str(prompt_path)},
            )
    finally:
        app.close()


def misses(result: CaseResult) -> list[tuple[str, str, str]]:
    return [(one.what, one.expected, one.got) for one in result.misses]


# Messages


@pytest.mark.parametrize(
    "messages",
    [
        {"count": 2, "roles": ["system", "user"], "contains": ["20 words", "pager"], "max_tokens": 100},
        {"not_contains": "Sunday", "regex": r"\d+ words"},
        [{"role": "system", "equals": "At most 20 words."}, {"role": "user", "contains": "Monday"}],
    ],
)
def test_messages_as_expected(folder: Path, messages: Json) -> None:
    result = ran(folder, expect={"messages": messages})
    assert (result.standing, result.answer, result.run_id) == ("passed", None, "")


@pytest.mark.parametrize(
    ("messages", "what", "expected", "got"),
    [
        ({"count": 3}, "the number of messages", "3", "2 (system, user)"),
        ({"roles": ["user"]}, "the roles", "user", "system, user"),
        ({"contains": "Sunday"}, "the messages", 'to contain "Sunday"', '"At most 20 words.'),
        ({"not_contains": "pager"}, "the messages", 'not to contain "pager"', "The pager"),
        ({"regex": r"\d\d\d"}, "the messages", r"to match \d\d\d", "At most"),
        ({"max_tokens": 3}, "the estimated tokens", "3 at most", ""),
        ([{"role": "system"}], "the number of messages", "1", "2"),
        ([{"role": "user"}, {}], "the role of message 1", "user", "system"),
        ([{}, {"equals": "x"}], "message 2", '"x"', '"The pager is'),
    ],
)
def test_messages_that_are_not_as_expected(
    folder: Path, messages: Json, what: str, expected: str, got: str
) -> None:
    result = ran(folder, expect={"messages": messages})
    assert result.standing == "failed"
    [(said, wanted, there)] = misses(result)
    assert (said, wanted) == (what, expected)
    assert got in there


# Inputs


def test_inputs_that_do_not_fit_fail_the_case(folder: Path) -> None:
    result = ran(folder, inputs={"text": 3, "wrds": 1}, expect={"messages": {"count": 2}})
    [(what, expected, got)] = misses(result)
    assert (what, expected) == ("the inputs", "to be rendered")
    assert "text: expected text, got int" in got
    assert "did you mean words?" in got


def test_a_refusal_can_be_expected(folder: Path) -> None:
    assert ran(folder, inputs={}, expect={"error": "text is missing"}).standing == "passed"
    assert misses(ran(folder, inputs={}, expect={"error": "Sunday"}))[0][0] == "the refusal"
    assert misses(ran(folder, expect={"error": "missing"})) == [
        ("the inputs", "to be refused with 'missing'", "2 messages")
    ]


# Answers


def test_a_scripted_answer_needs_no_model_and_is_recorded_nowhere(folder: Path) -> None:
    result = ran(folder, answer="On Monday.", expect={"contains": "Monday", "not_contains": "Sunday"})
    assert (result.standing, result.answer, result.model, result.run_id) == (
        "passed",
        "On Monday.",
        "scripted",
        "",
    )


@pytest.mark.parametrize(
    ("answer", "expect", "passes"),
    [
        ("On Monday.", {"equals": "On Monday. "}, True),
        ("On Monday.", {"equals": "Monday"}, False),
        ({"day": "Monday"}, {"equals": {"day": "Monday"}}, True),
        ('```json\n{"day": 1}\n```', {"equals": {"day": 1}}, True),
        ("no JSON", {"equals": {"day": 1}}, False),
        ({"day": "Monday"}, {"json_schema": {"type": "object", "required": ["day"]}}, True),
        ({"day": "Monday"}, {"json_schema": {"type": "object", "required": ["hour"]}}, False),
        ("no JSON", {"json_schema": {"type": "object"}}, False),
        ({"day": "Monday"}, {"json_schema": {"$ref": "http://127.0.0.1:9/day.json"}}, False),
        ("ticket 4711", {"regex": r"^ticket \d+$"}, True),
        ("The pager", {"scorer": {"name": "token_f1", "expected": "pager", "at_least": 1}}, True),
        ("The old pager", {"scorer": {"name": "token_f1", "expected": "pager", "at_least": 0.9}}, False),
        ("The pager", {"scorer": [{"name": "exact_match", "expected": "The pager"}]}, True),
        ("The pager", {"scorer": {"name": "exact_match", "expected": "pager"}}, False),
    ],
)
def test_what_is_expected_of_an_answer(folder: Path, answer: Json, expect: Any, passes: bool) -> None:
    result = ran(folder, answer=answer, expect=expect)
    assert result.standing == ("passed" if passes else "failed"), misses(result)


def test_an_answer_that_nobody_gives_is_skipped_and_not_passed(folder: Path) -> None:
    result = ran(folder, expect={"contains": "Monday"})
    assert result.standing == "skipped"
    assert "--model or --live" in result.reason


def test_a_real_model_is_asked_in_a_run_even_where_there_is_a_script(folder: Path) -> None:
    with scripted(["On Tuesday."]):
        result = ran(
            folder, Asking(model="openai:gpt-4o"), answer="On Monday.", expect={"contains": "Monday"}
        )
    assert (result.standing, result.answer) == ("failed", "On Tuesday.")
    app = App(load_settings(folder))
    run = app.ledger.run(result.run_id)
    app.close()
    assert (run.flow, run.tags) == ("prompt-run", {"case": "one"})


def test_the_model_of_a_case_is_asked(folder: Path) -> None:
    with scripted(["On Monday."]) as script:
        result = ran(folder, model="openai:gpt-4o-mini", expect={"contains": "Monday"})
    assert result.standing == "passed"
    assert [request.model for request in script.requests] == ["gpt-4o-mini"]


def test_a_model_that_fails_fails_its_case_with_the_reason(folder: Path) -> None:
    with scripted([scripted.fails(400, "no such thing")]):
        result = ran(folder, model="openai:gpt-4o", expect={"contains": "Monday"})
    assert result.standing == "failed"
    assert "no such thing" in result.reason


# Scorers of one's own


SCORERS = """
import asyncio


def raises(answer):
    raise ValueError("no idea")


def label(answer):
    return "calm"


def nothing(answer):
    return None


def share(answer, text):
    return len(set(answer.split()) & set(text.split())) / len(answer.split())


async def later(answer):
    await asyncio.sleep(0)
    return "Monday" in answer
"""


@pytest.mark.parametrize(
    ("scorer", "missed"),
    [
        ({"name": "raises"}, "an error, ValueError: no idea"),
        ({"name": "label"}, "the label 'calm'"),
        ({"name": "label", "equals": "calm"}, None),
        ({"name": "label", "equals": "cross"}, "'calm'"),
        ({"name": "nothing"}, "nothing: it does not apply to this case"),
        ({"name": "share", "at_least": 0.5}, None),
        ({"name": "later"}, None),
        ({"name": "gone"}, "gone"),
    ],
)
def test_a_scorer_of_ones_own(folder: Path, scorer: dict[str, Any], missed: str | None) -> None:
    (folder / "own_scorers.py").write_text(SCORERS, encoding="utf-8")
    wish = {**scorer, "name": f"{folder / 'own_scorers.py'}:{scorer['name']}"}
    result = ran(folder, answer="on Monday", inputs={"text": "on Monday at ten"}, expect={"scorer": wish})
    if missed is None:
        assert misses(result) == []
    else:
        assert missed in misses(result)[0][2]


def test_a_scorer_that_is_not_known_names_those_that_are(folder: Path) -> None:
    [(_, _, got)] = misses(ran(folder, answer="x", expect={"scorer": "exakt"}))
    assert "exact_match" in got
    [(_, _, got)] = misses(ran(folder, answer="x", expect={"scorer": "exact_match"}))
    assert "add `expected`" in got


# Files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases:\n  - name: a: b\n", "x.cases.yaml:2:"),
        ("cases: []\n", "x.cases.yaml:1: `cases` has to be a list"),
        ("case:\n  - name: a\n", "did you mean cases?"),
        ("cases:\n  - name: a\n    expect: {contains: b}\n  - 3\n", "x.cases.yaml:4: case 2 has to be"),
        (
            "cases:\n  - name: a\n    expct: {}\n",
            "x.cases.yaml:2: the key expct is not known; did you mean expect?",
        ),
        (
            "cases:\n  - name: a\n    expect: {contain: b}\n",
            "x.cases.yaml:2: case 'a': the key contain is not known",
        ),
        ("cases:\n  - name: a\n", "case 'a' expects nothing"),
        (
            "cases:\n  - name: a\n    inputs: [1]\n    expect: {contains: b}\n",
            "inputs has to be keys and values",
        ),
        ("cases:\n  - expect: {regex: '('}\n", "case 'case 1': regex '(' is no expression"),
        ("cases:\n  - expect: {json_schema: {type: thing}}\n", "is no JSON schema"),
        ("cases:\n  - expect: {scorer: {at_least: 1}}\n", "name has to be the name of a scorer"),
        ("cases:\n  - expect: {scorer: {name: a, at_least: much}}\n", "at_least has to be a number"),
        ("cases:\n  - expect: {messages: {count: -1}}\n", "count has to be a whole number"),
        ("cases:\n  - expect: {contains: {a: b}}\n", "contains has to be a text"),
        ("cases:\n  - expect: {error: a, contains: b}\n", "wants `error` and something else"),
        (
            "cases:\n  - {name: a, expect: {contains: b}}\n  - {name: a, expect: {contains: b}}\n",
            "x.cases.yaml:3: the name 'a' stands at",
        ),
        ("cases:\n  - name: a\n    name: b\n", "x.cases.yaml:3:5: the key `name` stands twice"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.cases.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((InvalidInput, PromptError)) as caught:
        read_cases(path)
    assert message in str(caught.value)


def test_results_as_junit(folder: Path) -> None:
    passed = ran(folder, expect={"messages": {"count": 2}})
    failed = ran(folder, answer="bad \x00 <thing>", expect={"contains": "good"})
    skipped = ran(folder, expect={"contains": "good"})
    suites = ET.fromstring(junit_xml(Results([passed, failed, skipped])).partition("\n")[2])
    [suite] = suites
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "summary@3",
        "3",
        "1",
        "1",
    )
    one, two, three = suite
    assert list(one) == []
    assert (one.get("name"), one.get("line")) == ("one", "2")
    failure = two.find("failure")
    assert failure is not None
    assert "<thing>" in str(failure.text)
    assert three.find("skipped") is not None
