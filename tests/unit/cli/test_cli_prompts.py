"""`surefoot prompt list`, `show`, `diff`, `run` and `test`, in a project with code, runs and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from surefoot import scripted
from surefoot.app import App
from surefoot.cli.prompt.group import COMMANDS
from surefoot.cli.root import invoked
from surefoot.config import load
from surefoot.models import Script

SUMMARY = """---
name: summary
version: "1"
description: Says what a text is about.
model:
  id: gpt-4o
  provider: openai
  connection: {kind: key, apiKey: sk-never-shown-4711}
  options: {temperature: 0}
inputs:
  - {name: text, kind: string, required: true, description: What is described.}
  - {name: words, kind: integer, default: 20}
sample: {text: The pager is handed over on Monday.}
---
system:
At most {{words}} words.

user:
{{text}}
"""
FLOW = """
from surefoot import flow, generate


@flow
def digest_mail(text: str) -> str:
    return generate.sync("summary", text=text)
"""
CASES = """
cases:
  - name: both messages
    expect: {messages: {roles: [system, user]}}
  - name: an answer
    answer: The pager changes hands.
    expect: {contains: pager}
  - name: nobody answers
    expect: {contains: pager}
"""

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "summary.prompty").write_text(SUMMARY, encoding="utf-8")
    (tmp_path / "prompts" / "summary.cases.yaml").write_text(CASES, encoding="utf-8")
    (tmp_path / "mail.py").write_text(FLOW, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    App.current().close()


def printed(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    found = invoked(["prompt", *arguments])
    out = capsys.readouterr()
    assert found == code, out.err
    return out.out


def as_json(capsys: Capsys, *arguments: str, code: int = 0) -> Any:
    return json.loads(printed(capsys, *arguments, "--json", code=code))


def failing(capsys: Capsys, *arguments: str, code: int = 2) -> str:
    """What stderr says of a command that fails."""
    capsys.readouterr()
    assert invoked(["prompt", *arguments]) == code
    return capsys.readouterr().err


def used(*answers: str) -> None:
    """Let the flow run, so that the ledger knows of the prompt."""
    with scripted(list(answers or ("An answer.",))):
        assert invoked(["run", "mail.py:digest_mail", "-i", "text=hello", "--json"]) == 0


def edited(project: Path, *changes: tuple[str, str]) -> None:
    path = project / "prompts" / "summary.prompty"
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def promoted(project: Path, reference: str, *, by: str = "", reason: str = "") -> None:
    app = App(load(project))
    app.prompts.promote(reference, "production", by=by, reason=reason)
    app.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(
    command: str, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(capsys, command, "--help")
    assert text.startswith(f"Usage: surefoot prompt {command}")
    assert f"surefoot prompt {command}" in text.partition("Example:\n")[2]
    assert "--json" in text
    assert max(map(len, text.splitlines())) <= 80


TARGETS = {
    "list": [],
    "test": ["gone"],
    "diff": ["gone", "summary"],
    "register": ["gone", "--to", "mlflow"],
    "upgrade": ["gone.prompty"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_fails_is_json_with_json(
    command: str, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = as_json(capsys, command, *TARGETS.get(command, ["gone"]), code=2)["error"]
    assert error["type"] in ("UnknownPrompt", "PromptError")
    assert "does not exist" in error["message"] or "No such file" in error["message"]


def test_a_warning_is_said_once(project: Path, capsys: Capsys) -> None:
    edited(project, ("description:", "descripton:"))
    # A file that is asked for in vain is read anew.
    said = failing(capsys, "show", "gone")
    assert said.count("the key descripton is not known") == 1


def test_what_a_template_takes_without_declaring_it(project: Path, capsys: Capsys) -> None:
    edited(
        project, ("At most", "{% if mood %}{{ mood }}{% endif %}{% if mood %}{{ place }}{% endif %} At most")
    )
    assert "takes text, words?, mood, place?" in printed(capsys, "list")
    shown = printed(capsys, "show", "summary")
    assert "takes, without declaring it\n  mood\n  place?\n" in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_a_run_says_which_versions_it_means(project: Path, capsys: Capsys) -> None:
    used()
    digest = as_json(capsys, "show", "summary")["digest"]
    capsys.readouterr()
    assert invoked(["show", "last"]) == 0
    assert f"prompt       summary → summary@1 (digest {digest[:12]})" in capsys.readouterr().out
    assert invoked(["show", "last", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["prompts"] == {"summary": {"name": "summary", "version": "1", "digest": digest}}


# list


def test_list_names_versions_inputs_flows_and_what_is_malformed(project: Path, capsys: Capsys) -> None:
    (project / "prompts" / "broken.prompty").write_text("---\nname: [\n---\n", encoding="utf-8")
    found = as_json(capsys, "list")
    [row] = found["prompts"]
    assert (row["name"], row["version"], row["state"], row["dialect"]) == (
        "summary",
        "1",
        "file",
        "prompty-v2",
    )
    assert row["inputs"] == {"text": "string", "words": "integer"}
    assert (row["flows"], row["last_used"]) == (["digest_mail"], None)
    [problem] = found["malformed"]
    assert "broken.prompty:3:1" in problem
    shown = printed(capsys, "list")
    assert "takes text, words?" in shown
    assert "used by digest_mail, in no run yet" in shown
    assert "malformed  " in shown


def test_list_knows_what_runs_used_and_what_became_of_its_file(project: Path, capsys: Capsys) -> None:
    used()
    [row] = as_json(capsys, "list")["prompts"]
    assert row["last_used"] is not None
    assert "just now by digest_mail" in printed(capsys, "list")
    first = row["digest"]
    edited(project, ("At most", "No more than"))
    rows = as_json(capsys, "list")["prompts"]
    assert [(one["state"], one["known_digest"]) for one in rows] == [("edited", first), ("ledger", "")]
    (project / "prompts" / "summary.prompty").unlink()
    [row] = as_json(capsys, "list")["prompts"]
    assert (row["state"], row["digest"]) == ("ledger", first)
    assert "only in the ledger" in printed(capsys, "list")


def test_list_shows_labels(project: Path, capsys: Capsys) -> None:
    promoted(project, "summary@1", by="ada", reason="it is good")
    [row] = as_json(capsys, "list")["prompts"]
    assert row["labels"] == ["production"]


def test_without_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert "prompts does not exist; make it or set prompts.path" in failing(capsys, "list")
    assert "prompts does not exist" in failing(capsys, "test")
    (tmp_path / "prompts").mkdir()
    assert "holds no prompt" in printed(capsys, "list")
    assert "holds no cases" in failing(capsys, "test")


def test_a_ledger_that_does_not_answer_leaves_the_files(project: Path, capsys: Capsys) -> None:
    (project / "surefoot.toml").write_text(
        '[ledger]\nurl = "postgresql://127.0.0.1:1/none"\noutage = 0.1\n', encoding="utf-8"
    )
    found = as_json(capsys, "list")
    assert [row["name"] for row in found["prompts"]] == ["summary"]
    assert "cannot be reached" in found["ledger_error"]
    assert as_json(capsys, "show", "prompts/summary.prompty")["name"] == "summary"
    assert as_json(capsys, "test", "prompts/summary.prompty")["passed"] == 2
    assert as_json(capsys, "render", "summary@1")["dialect"] == "prompty-v2"


def test_looking_writes_nothing(project: Path, capsys: Capsys) -> None:
    before = sorted(path.name for path in project.iterdir())
    for arguments in (["list"], ["show", "summary"], ["render", "summary"], ["test"]):
        printed(capsys, *arguments)
    assert sorted(path.name for path in project.iterdir()) == before


# show


def test_show_tells_all_and_no_credential(project: Path, capsys: Capsys) -> None:
    used()
    promoted(project, "summary@1", by="ada", reason="it is good")
    found = as_json(capsys, "show", "summary")
    assert found["inputs"] == [
        {"name": "text", "type": "string", "required": True, "description": "What is described."},
        {"name": "words", "type": "integer", "required": False, "default": 20},
    ]
    assert found["model"]["connection"] == {"kind": "key", "apiKey": "(hidden)"}
    assert (found["labels"], found["state"]) == (["production"], "file")
    [move] = found["moves"]
    assert (move["label"], move["by"], move["reason"], move["before"]) == (
        "production",
        "ada",
        "it is good",
        "",
    )
    [use] = found["uses"]
    assert (use["flow"], use["file"], use["line"], use["known_by"]) == (
        "digest_mail",
        "mail.py",
        7,
        ["code", "runs"],
    )
    shown = printed(capsys, "show", "summary@production")
    assert "sk-never-shown" not in shown + json.dumps({**found, "template": ""})
    for part in (
        "options.temperature: 0",
        "flow digest_mail  mail.py:7  as 'summary'  last just now",
        "production → 1,",
        "by ada: it is good",
        "  At most {{words}} words.",
    ):
        assert part in shown


def test_show_of_a_file_outside_of_the_library(project: Path, capsys: Capsys) -> None:
    (project / "own.prompty").write_text("---\nname: own\n---\nuser:\n{{text}}\n", encoding="utf-8")
    assert "outside of the library" in printed(capsys, "show", "own.prompty")
    assert as_json(capsys, "show", "own.prompty")["state"] is None
    assert "did you mean 'summary'?" in failing(capsys, "show", "sumary")


# diff


def test_diff_of_what_is_in_force_with_the_file(project: Path, capsys: Capsys) -> None:
    promoted(project, "summary@1")
    edited(
        project,
        ('version: "1"', 'version: "2"'),
        ("name: words, kind: integer, default: 20", "name: words, kind: string, required: true"),
        ("temperature: 0", "temperature: 0.5"),
        ("At most", "No more than"),
        ("sample: {", "sample: {words: ten, "),
    )
    found = as_json(capsys, "diff", "summary")
    assert (found["before"]["version"], found["after"]["version"], found["same"]) == ("1", "2", False)
    assert [(one["name"], one["what"]) for one in found["inputs"]] == [
        ("words", "retyped"),
        ("words", "required"),
        ("words", "default"),
    ]
    assert found["model"] == [{"name": "options.temperature", "what": "changed", "before": 0, "after": 0.5}]
    shown = printed(capsys, "diff", "summary")
    for part in (
        "! words retyped: integer → string",
        "-At most {{words}} words.",
        "+No more than ten words.",
    ):
        assert part in shown
    assert "sk-never-shown" not in shown


def test_diff_of_an_edited_file_with_what_runs_know(project: Path, capsys: Capsys) -> None:
    used()
    assert "there is nothing to compare 'summary' with" in failing(capsys, "diff", "summary")
    edited(project, ("At most", "No more than"))
    shown = printed(capsys, "diff", "summary")
    assert "  -At most {{words}} words." in shown
    assert "  +No more than {{words}} words." in shown


def test_diff_of_two_targets(project: Path, capsys: Capsys) -> None:
    (project / "new.prompty").write_text(SUMMARY.replace("text", "mail"), encoding="utf-8")
    found = as_json(capsys, "diff", "summary@1", "new.prompty", "--input", "mail=x")
    assert [(one["name"], one["what"]) for one in found["inputs"]] == [("text", "removed"), ("mail", "added")]
    assert "text is missing" in found["unrendered"]["before"]
    assert "They are the same, word for word." in printed(
        capsys, "diff", "summary", "prompts/summary.prompty"
    )


def test_a_changed_credential_is_a_change_that_shows_neither(project: Path, capsys: Capsys) -> None:
    (project / "new.prompty").write_text(SUMMARY.replace("4711", "4712"), encoding="utf-8")
    shown = printed(capsys, "diff", "summary", "new.prompty") + printed(
        capsys, "diff", "summary", "new.prompty", "--json"
    )
    assert "sk-never" not in shown
    assert "connection.apiKey" in shown


# run


def asked(capsys: Capsys, *arguments: str, answers: Script, code: int = 0) -> str:
    with answers:
        return printed(capsys, "run", *arguments, code=code)


def test_run_asks_the_model_of_the_prompt_in_a_durable_run(project: Path, capsys: Capsys) -> None:
    script = scripted(["The pager changes hands."])
    found = json.loads(asked(capsys, "summary", "--input", "words=5", "--json", answers=script))
    assert found["output"]["answer"] == "The pager changes hands."
    assert (found["flow"], found["status"], found["calls"]) == ("prompt-run", "completed", 1)
    [request] = script.requests
    assert request.model == "gpt-4o"
    assert "At most 5 words." in str(request.messages)


def test_run_with_another_model_and_a_file(project: Path, capsys: Capsys) -> None:
    script = scripted(["Done."])
    text = asked(capsys, "prompts/summary.prompty", "--model", "openai:gpt-4o-mini", answers=script)
    assert text.splitlines()[0] == "Done."
    assert [request.model for request in script.requests] == ["gpt-4o-mini"]


def test_run_shows_the_tools_that_a_model_calls(project: Path, capsys: Capsys) -> None:
    tools = "tools:\n  - {name: look, kind: function, parameters: [{name: at, kind: string}]}\n---\nsystem:"
    (project / "tools.prompty").write_text(SUMMARY.replace("---\nsystem:", tools), encoding="utf-8")
    found = json.loads(
        asked(capsys, "tools.prompty", "--json", answers=scripted([scripted.calls("look", at="x")]))
    )
    assert found["output"]["tool_calls"] == [{"name": "look", "arguments": '{"at":"x"}'}]


def test_run_asks_for_the_outputs_that_are_declared(project: Path, capsys: Capsys) -> None:
    outputs = "outputs:\n  - {name: gist, kind: string}\n---\nsystem:"
    (project / "outputs.prompty").write_text(SUMMARY.replace("---\nsystem:", outputs), encoding="utf-8")
    script = scripted([{"gist": "pager"}])
    found = json.loads(asked(capsys, "outputs.prompty", "--json", answers=script))
    assert json.loads(found["output"]["answer"]) == {"gist": "pager"}
    assert "gist" in json.dumps(script.requests[0].body["response_format"])


def test_a_file_takes_in_others_from_where_the_settings_allow_it(project: Path, capsys: Capsys) -> None:
    (project / "shared").mkdir()
    (project / "shared" / "options.json").write_text('{"temperature": 0.5}', encoding="utf-8")
    (project / "own").mkdir()
    text = SUMMARY.replace("{temperature: 0}", "${file:../shared/options.json}")
    (project / "own" / "a.prompty").write_text(text, encoding="utf-8")
    assert "lies outside allowed roots" in failing(capsys, "render", "own/a.prompty")
    (project / "surefoot.toml").write_text('[prompts.files]\nshared = "shared"\n', encoding="utf-8")
    app = App(load(project))
    assert app.prompts.roots == (project / "shared",)
    app.close()


def test_run_refuses_inputs_before_there_is_a_run(project: Path, capsys: Capsys) -> None:
    assert "words: expected a whole number" in failing(capsys, "run", "summary", "--input", "words=few")
    assert App.current().ledger.runs() == []


def test_a_model_that_fails_leaves_a_run_to_go_on_with(project: Path, capsys: Capsys) -> None:
    with scripted([scripted.fails(400, "no such thing")]):
        said = failing(capsys, "run", "summary", code=1)
    assert "no such thing" in said
    [run] = App.current().ledger.runs()
    assert f"surefoot resume {run.id}" in said
    app = App(load(project))
    with scripted(["At last."]):
        output = app.resume(run.id)
    app.close()
    assert output == {"answer": "At last.", "model": "openai:gpt-4o", "finish": "stop"}


def test_trials_are_no_uses_that_a_version_has_to_fit(project: Path, capsys: Capsys) -> None:
    asked(capsys, "summary", answers=scripted(["x"]))
    [use] = as_json(capsys, "show", "summary")["uses"]
    assert use["known_by"] == ["code"]


# test


def test_the_cases_of_all_prompts(project: Path, capsys: Capsys) -> None:
    (project / "prompts" / "other.yaml").write_text("prompt_id: other\ntemplate: Hi\n", encoding="utf-8")
    found = as_json(capsys, "test")
    assert (found["passed"], found["failed"], found["skipped"]) == (2, 0, 1)
    assert found["untested"] == ["other"]
    shown = printed(capsys, "test", "--case", "BOTH")
    assert "✓ both messages" in shown
    assert "1 passed, 0 failed" in shown


def test_a_case_that_fails_is_exit_code_1_and_in_the_xml(project: Path, capsys: Capsys) -> None:
    edited(project, ("system:", "developer:"))
    shown = printed(capsys, "test", "summary", "--junit", "out.xml", code=1)
    assert "summary.cases.yaml:3" in shown
    assert "expected system, user" in shown
    assert "got      developer, user" in shown
    [suite] = ET.parse(project / "out.xml").getroot()
    assert suite.get("failures") == "1"


def test_a_real_model_is_asked_where_that_is_wanted(project: Path, capsys: Capsys) -> None:
    with scripted(lambda _: "The pager."):
        found = as_json(capsys, "test", "--model", "openai:gpt-4o-mini")
    assert (found["passed"], found["skipped"]) == (3, 0)
    # What expects nothing of the answer asks nobody.
    assert [bool(case["run"]) for case in found["cases"]] == [False, True, True]


def test_a_version_that_is_in_no_file_any_more(project: Path, capsys: Capsys) -> None:
    used()
    edited(project, ('version: "1"', 'version: "2"'), ("system:", "developer:"))
    assert as_json(capsys, "test", "summary@1")["failed"] == 0
    assert as_json(capsys, "test", "summary@2", code=1)["failed"] == 1
    (project / "prompts" / "summary.prompty").unlink()
    assert as_json(capsys, "test", "summary@1")["passed"] == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gone.cases.yaml", "there is no file gone.cases.yaml"),
        ("sumary", "did you mean 'summary'?"),
        ("bare", "bare has no cases: write"),
        ("lone.cases.yaml", "there is no lone.prompty beside it"),
        ("prompts/wrong.cases.yaml", "wrong.cases.yaml:2"),
    ],
)
def test_cases_that_are_not_there_or_malformed(
    project: Path, capsys: Capsys, target: str, message: str
) -> None:
    (project / "prompts" / "bare.yaml").write_text("prompt_id: bare\ntemplate: Hi\n", encoding="utf-8")
    (project / "prompts" / "wrong.yaml").write_text("prompt_id: wrong\ntemplate: Hi\n", encoding="utf-8")
    (project / "prompts" / "wrong.cases.yaml").write_text("cases:\n  - nme: a\n", encoding="utf-8")
    (project / "lone.cases.yaml").write_text("cases: [{expect: {contains: a}}]\n", encoding="utf-8")
    assert message in failing(capsys, "test", target)


def test_no_case_of_a_name_is_a_mistake(project: Path, capsys: Capsys) -> None:
    error = failing(capsys, "test", "--case", "both msgs")
    assert "no case has 'both msgs' in its name; there are: 'both messages', 'an answer'" in error


@pytest.mark.parametrize("command", ["render", "run"])
def test_what_is_missing_is_told_with_how_it_is_given(command: str, project: Path, capsys: Capsys) -> None:
    edited(project, ("sample: {text: The pager is handed over on Monday.}\n", ""))
    error = failing(capsys, command, "summary")
    assert "text is missing" in error
    assert "--input NAME=VALUE gives one" in error
    assert "NAME=VALUE" not in failing(capsys, command, "summary", "-i", "text=a", "-i", "wrds=2")


def test_a_file_of_cases_may_name_its_prompt(project: Path, capsys: Capsys) -> None:
    (project / "lone.cases.yaml").write_text(
        "prompt: summary@1\ncases: [{expect: {messages: {count: 2}}}]\n", encoding="utf-8"
    )
    assert as_json(capsys, "test", "lone.cases.yaml")["passed"] == 1


def test_mistakes_in_files_of_cases_are_told_together(project: Path, capsys: Capsys) -> None:
    (project / "prompts" / "a.cases.yaml").write_text("cases:\n  - nme: a\n", encoding="utf-8")
    (project / "prompts" / "b.cases.yaml").write_text("prompt: gone\ncases: [{expect: {contains: a}}]\n")
    said = failing(capsys, "test")
    assert "a.cases.yaml:2" in said
    assert "no prompt 'gone'" in said


# Terminals


def test_on_a_terminal_the_answer_comes_in_pieces_and_cannot_steer_it(
    project: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    script = scripted(["The pager\x1b[2J changes hands."])
    shown = asked(capsys, "summary", answers=script)
    assert shown == "The pager␛[2J changes hands.\n"
    assert script.requests[0].body["stream"] is True


def test_whoever_reads_the_output_may_go(
    project: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stdout.write", gone)
    # `main` makes an exit code of 0 of it.
    with pytest.raises(BrokenPipeError):
        invoked(["prompt", "list"])
