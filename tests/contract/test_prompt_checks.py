"""`surefoot check` and `surefoot promote` as they are typed, over real code, real runs, and a ledger on each engine."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from surefoot import App
from surefoot.cli.root import invoked

Surefoot = Callable[..., tuple[int, str, str]]

TWO = """---
name: summary
version: "2"
model: {api: chat}
inputs:
  text: {type: string}
  tone: {type: string, default: warm}
---
user:
{{ text }} {{ tone }}
"""
THREE = (
    TWO.replace('"2"', '"3"')
    .replace("tone: {type: string, default: warm}", "length: {type: integer}")
    .replace("{{ tone }}", "{{ length }}")
)
FITTING = TWO.replace('"2"', '"4"').replace("warm", "plain")

FLOWS = '''\
"""Flows of a test."""
from surefoot import flow, prompt


@flow
def answer(q: str) -> str:
    return prompt("summary").render(text=q, tone="cold")


@flow
def put_together(q: str) -> str:
    names = ["summary", "production"]
    return prompt("@".join(names)).render(text=q)
'''


@pytest.fixture
def surefoot(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Surefoot:
    """The command, each time as in a process of its own."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        App.current().close()
        monkeypatch.setattr("surefoot.app._apps", {})
        code = invoked(list(arguments))
        monkeypatch.setattr("surefoot.app._apps", {})
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def sqlite_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUREFOOT_PRINCIPAL", "ada")
    (tmp_path / "surefoot.toml").touch()
    (tmp_path / "prompts").mkdir()
    write(tmp_path, "summary.prompty", TWO)
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def project(sqlite_project: Path) -> Iterator[Path]:
    yield sqlite_project
    App.current().close()


@pytest.fixture(params=["sqlite", "postgres"])
def on_each_engine(project: Path, request: pytest.FixtureRequest) -> None:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        (project / "surefoot.toml").write_text(f'[ledger]\nurl = "{url}"\n', encoding="utf-8")


def write(project: Path, name: str, text: str) -> None:
    (project / "prompts" / name).write_text(text, encoding="utf-8")


def loaded(project: Path) -> ModuleType:
    """The module of the project, as another process would import it."""
    spec = importlib.util.spec_from_file_location("flows_of_a_test", project / "flows.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flows_of_a_test"] = module
    spec.loader.exec_module(module)
    return module


def found(surefoot: Surefoot, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code, out, _ = surefoot("check", "--json", *arguments)
    return code, json.loads(out)["findings"]


def points_to(project: Path) -> str:
    return next((one.version for one in App.current().prompts.archive.labels("summary")), "")  # type: ignore[union-attr]


# check


def test_a_fresh_clone_has_no_ledger_and_is_checked_nevertheless(project: Path, surefoot: Surefoot) -> None:
    (project / "flows.py").write_text(FLOWS.replace('tone="cold"', 'tonne="cold"'), encoding="utf-8")
    code, out, _ = surefoot("check")
    assert code == 1
    assert (
        "flows.py:7: summary@2 does not take `tonne`, which is given here (it takes `text` and `tone`); did it mean "
        "`tone`? take it out there, or let the prompt take it [flow answer]" in out
    )
    assert "runs could not be asked: there is no ledger" in out
    assert out.splitlines()[-1].startswith("1 error, ")
    assert not (project / ".surefoot").exists(), "a check leaves nothing behind"


def test_what_is_in_order_exits_with_zero(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("check")
    assert code == 0
    assert "flows.py:13: note: which prompt is used here is not known" in out
    assert out.splitlines()[-1] == "1 note: 1 prompt, 2 uses in 1 file"


def test_an_unknown_reference_names_what_is_near(project: Path, surefoot: Surefoot) -> None:
    (project / "flows.py").write_text(
        "from surefoot import prompt\n\nprompt('sumary').render()\n", encoding="utf-8"
    )
    code, (finding,) = found(surefoot)
    assert code == 1
    assert (finding["file"], finding["line"], finding["severity"]) == ("flows.py", 3, "error")
    assert "did you mean 'summary'?" in finding["message"]


def test_a_line_may_say_that_it_is_passed_by(project: Path, surefoot: Surefoot) -> None:
    text = "from surefoot import prompt\nprompt('no-such')  # surefoot: ignore\n"
    (project / "flows.py").write_text(text, encoding="utf-8")
    assert found(surefoot) == (0, [])


def test_files_that_cannot_be_read_and_versions_with_two_texts(project: Path, surefoot: Surefoot) -> None:
    write(project, "bad.prompty", "---\nname: bad\ninputs: [\n---\nuser:\nx\n")
    write(project, "twin.prompty", TWO.replace("warm", "cold"))
    code, findings = found(surefoot)
    assert code == 1
    assert [(one["check"], one["file"], one["line"]) for one in findings if one["severity"] == "error"] == [
        ("files", "prompts/bad.prompty", 4),
        ("files", "prompts/twin.prompty", 1),
    ]
    assert [one["column"] for one in findings if one["severity"] == "error"] == [1, None]
    assert "bad.prompty:4:1: this is not valid YAML" in surefoot("check")[1]


def test_files_from_folders_of_the_settings_are_taken_in_without_a_ledger_too(
    project: Path, surefoot: Surefoot
) -> None:
    (project / "shared").mkdir()
    (project / "shared" / "base.prompty").write_text(TWO.replace("summary", "base"), encoding="utf-8")
    (project / "surefoot.toml").write_text('[prompts.files]\nshared = "shared"\n', encoding="utf-8")
    write(project, "summary.prompty", TWO.replace("version:", "base: ../shared/base.prompty\nversion:"))
    code, findings = found(surefoot)
    assert (code, [one for one in findings if one["severity"] == "error"]) == (0, [])


def test_what_a_file_says_without_effect_is_a_warning(project: Path, surefoot: Surefoot) -> None:
    write(project, "summary.prompty", TWO.replace("model:", "modell: {api: chat}\nmodel:"))
    code, findings = found(surefoot)
    assert code == 0
    (warning,) = [one for one in findings if one["severity"] == "warning"]
    assert (warning["check"], warning["file"], warning["line"]) == ("files", "prompts/summary.prompty", 4)
    assert "modell" in warning["message"]


def test_without_a_ledger_a_use_has_to_fit_one_of_the_versions(project: Path, surefoot: Surefoot) -> None:
    write(project, "three.prompty", THREE)
    assert found(surefoot)[0] == 0
    write(project, "summary.prompty", TWO.replace("tone", "manner"))
    code, findings = found(surefoot)
    assert code == 1
    assert {one["line"] for one in findings if one["severity"] == "error"} == {7}


def test_labels_in_git_count_without_a_ledger(project: Path, surefoot: Surefoot) -> None:
    write(project, "three.prompty", THREE)
    write(project, "labels.toml", '[summary]\nstaging = "2"\nproduction = "3"\n')
    code, findings = found(surefoot)
    assert code == 1
    assert all("summary@3" in one["message"] for one in findings if one["severity"] == "error")
    write(project, "labels.toml", '[summary]\nproduction = "9"\n')
    code, findings = found(surefoot)
    assert code == 1
    assert [(one["file"], one["line"]) for one in findings if one["check"] == "labels"] == [
        ("prompts/labels.toml", 2)
    ]


def test_only_what_concerns_a_path_is_told(project: Path, surefoot: Surefoot) -> None:
    (project / "other").mkdir()
    (project / "other" / "more.py").write_text(
        "from surefoot import prompt\nprompt('nobody')\n", encoding="utf-8"
    )
    (project / "flows.py").write_text("from surefoot import prompt\nprompt('nothing')\n", encoding="utf-8")
    assert [one["file"] for one in found(surefoot, "other")[1]] == ["other/more.py"]
    assert [one["file"] for one in found(surefoot, "flows.py")[1]] == ["flows.py"]
    assert len(found(surefoot)[1]) == 2


def test_a_file_that_is_loaded_by_its_path(project: Path, surefoot: Surefoot) -> None:
    text = "from surefoot import Prompty\nPrompty.load('prompts/{}').render(text='x', {}=1)\n"
    for file, name, lines in (
        ("summary.prompty", "tonne", [("error", 2)]),
        ("gone.prompty", "tone", [("note", 2)]),
    ):
        (project / "flows.py").write_text(text.format(file, name), encoding="utf-8")
        assert [(one["severity"], one["line"]) for one in found(surefoot)[1]] == lines


@pytest.mark.usefixtures("on_each_engine")
def test_runs_tell_what_the_code_does_not(project: Path, surefoot: Surefoot) -> None:
    surefoot("promote", "prompt:summary@2", "production")
    flows = loaded(project)
    App.current().run(flows.put_together, {"q": "why"})
    App.current().run(flows.answer, {"q": "why"})
    write(project, "three.prompty", THREE)

    code, _, err = surefoot("promote", "prompt:summary@3", "production")
    assert code == 1
    assert "flows.py:7: summary@3 requires `length`, which is not given here" in err
    assert "flows.py:13: summary@3 requires `length`, which is not given here" in err
    assert err.count("requires") == 2, "what the code tells is not told by the run again"
    assert points_to(project) == "2"

    # A call that is gone from the code does not count for ever: the code is right.
    (project / "flows.py").write_text(
        FLOWS.split("@flow\ndef put", maxsplit=1)[0].replace('tone="cold"', "length=1"), "utf-8"
    )
    assert surefoot("promote", "prompt:summary@3", "production")[0] == 0
    assert found(surefoot)[0] == 0


TYPED = """\
from dataclasses import dataclass

from surefoot import flow, generate, scripted


@dataclass
class Title:
    title: str
    score: float = 0.0


@flow
def titled(q: str) -> str:
    reference = "".join(["summary"])
    return generate.sync(reference, Title, using=scripted([{"title": "x"}]), text=q).title
"""


def test_runs_tell_which_fields_of_the_answer_are_read(project: Path, surefoot: Surefoot) -> None:
    surefoot("promote", "prompt:summary@2", "production")
    (project / "flows.py").write_text(TYPED, encoding="utf-8")
    assert App.current().run(loaded(project).titled, {"q": "why"}) == "x"
    write(
        project,
        "three.prompty",
        TWO.replace('"2"', '"3"').replace("inputs:", "outputs: {headline: {type: string}}\ninputs:"),
    )
    code, _, err = surefoot("promote", "prompt:summary@3", "production")
    assert code == 1
    assert "flows.py:15: summary@3 does not declare the output `title`, which the code reads" in err
    assert "score" not in err


def test_runs_are_not_asked_where_they_are_not_to_be(project: Path, surefoot: Surefoot) -> None:
    surefoot("promote", "prompt:summary@2", "production")
    App.current().run(loaded(project).put_together, {"q": "why"})
    write(project, "three.prompty", THREE)
    code, _, err = surefoot("promote", "prompt:summary@3", "production", "--days", "0")
    assert code == 1
    assert "flows.py:13" not in err


def test_a_file_that_was_edited_under_its_version(project: Path, surefoot: Surefoot) -> None:
    App.current().run(loaded(project).answer, {"q": "why"})
    write(project, "summary.prompty", TWO.replace("warm", "cosy"))
    code, findings = found(surefoot)
    assert code == 0
    (edited,) = [one for one in findings if one["check"] == "edited"]
    assert (edited["severity"], edited["file"], edited["line"]) == ("warning", "prompts/summary.prompty", 3)

    code, _, err = surefoot("promote", "prompt:summary@2", "production")
    assert code == 1
    assert "was edited under the version 2" in err
    assert surefoot("promote", "prompt:summary@2", "production", "--force")[0] == 0
    code, findings = found(surefoot)
    assert code == 1
    assert [one["severity"] for one in findings if one["check"] == "edited"] == ["error"]


def test_a_version_that_could_not_be_promoted_is_told_before_it_is(project: Path, surefoot: Surefoot) -> None:
    assert surefoot("promote", "prompt:summary@2", "production")[0] == 0
    write(project, "four.prompty", FITTING)
    assert [one for one in found(surefoot)[1] if one["check"] == "unreleased"] == []
    write(project, "three.prompty", THREE)
    code, findings = found(surefoot)
    assert code == 0
    told = [one for one in findings if one["check"] == "unreleased"]
    assert {(one["severity"], one["file"], one["line"]) for one in told} == {
        ("warning", "prompts/three.prompty", 3)
    }
    assert any("flows.py:7: summary@3 requires `length`" in one["message"] for one in told)


def test_a_hole_that_is_new_in_a_template_is_a_misfit(project: Path, surefoot: Surefoot) -> None:
    """In this dialect `{{ length }}` is rendered as nothing where it is not given; nobody would see it."""
    write(project, "four.prompty", FITTING.replace("{{ tone }}", "{{ tone }} {{ length }}"))
    assert surefoot("promote", "prompt:summary@2", "production")[0] == 0
    code, _, err = surefoot("promote", "prompt:summary@4", "production")
    assert code == 1
    assert "flows.py:7: summary@4 requires `length`, which is not given here" in err
    # A hole that was always there is what calls have had so far.
    write(
        project,
        "five.prompty",
        FITTING.replace('"4"', '"5"').replace("{{ tone }}", "{{ tone }} {{ length }}."),
    )
    assert surefoot("promote", "prompt:summary@4", "production", "--force")[0] == 0
    assert surefoot("promote", "prompt:summary@5", "production")[0] == 0


def test_labels_that_differ_from_git(project: Path, surefoot: Surefoot) -> None:
    write(project, "four.prompty", FITTING)
    write(project, "labels.toml", '[summary]\nproduction = "2"\n')
    assert surefoot("promote", "prompt:summary@4", "production")[0] == 0
    code, findings = found(surefoot)
    assert code == 0
    (finding,) = [one for one in findings if one["check"] == "labels"]
    assert (finding["severity"], finding["file"], finding["line"]) == ("warning", "prompts/labels.toml", 2)
    assert surefoot("promote", "--export")[0] == 0
    assert 'production = "4"' in (project / "prompts" / "labels.toml").read_text(encoding="utf-8")
    assert [one for one in found(surefoot)[1] if one["check"] == "labels"] == []


def test_a_ledger_that_does_not_answer_is_said(project: Path, surefoot: Surefoot) -> None:
    text = '[ledger]\nurl = "postgresql://nobody@127.0.0.1:1/nothing"\noutage = 0\n'
    (project / "surefoot.toml").write_text(text, encoding="utf-8")
    code, out, _ = surefoot("check")
    assert code == 0
    assert "runs could not be asked" in out


def test_notes_are_shown_in_part(project: Path, surefoot: Surefoot) -> None:
    lines = "from surefoot import prompt\ndef f(x):\n" + "    prompt(x)\n" * 14
    (project / "flows.py").write_text(lines, encoding="utf-8")
    assert "and 4 more notes" in surefoot("check")[1]
    assert surefoot("check", "--notes")[1].count("note: ") == 14


# promote


@pytest.mark.usefixtures("on_each_engine")
def test_a_label_is_moved_and_who_moved_it_is_recorded(project: Path, surefoot: Surefoot) -> None:
    write(project, "four.prompty", FITTING)
    code, out, _ = surefoot("promote", "prompt:summary@2", "production", "--reason", "the first one")
    assert (code, out.splitlines()[0].split(" (")[0]) == (0, "summary: production points to summary@2")
    answer = json.loads(surefoot("promote", "prompt:summary@v4", "production", "--by", "bob", "--json")[1])
    assert (answer["before"]["version"], answer["after"]["version"], answer["is_moved"]) == ("2", "4", True)
    assert (answer["uses"], answer["misfits"]) == (1, [])
    assert answer["changes"] == ['input tone: default ("warm" -> "plain")', "text: 2 lines added, 2 removed"]

    archive = App.current().prompts.archive
    assert archive is not None
    moves = archive.moves("summary")
    assert [(one.version, one.by, one.reason) for one in moves] == [
        ("4", "bob", ""),
        ("2", "ada", "the first one"),
    ]
    assert moves[0].before == moves[1].digest

    code, out, _ = surefoot("promote", f"prompt:summary@{moves[0].digest[:10]}", "production")
    assert (code, "already" in out) == (0, True)
    assert len(archive.moves("summary")) == 2


def test_what_is_forced_is_recorded(project: Path, surefoot: Surefoot) -> None:
    surefoot("promote", "prompt:summary@2", "production")
    write(project, "three.prompty", THREE)
    code, out, _ = surefoot("promote", "prompt:summary@3", "production", "--force", "--reason", "now")
    assert code == 0
    assert "flows.py:7: summary@3 requires `length`" in out
    assert "1 use, with 2 misfits:" in out
    archive = App.current().prompts.archive
    assert archive is not None
    assert archive.moves("summary")[0].reason == "now (forced over 2 misfits)"


def test_another_label_concerns_nobody_who_does_not_name_it(project: Path, surefoot: Surefoot) -> None:
    write(project, "three.prompty", THREE)
    code, out, _ = surefoot("promote", "prompt:summary@3", "staging")
    assert (code, "no use of it is known" in out) == (0, True)
    code, _, err = surefoot("promote", "prompt:summary@staging", "production")
    assert (code, "flows.py:7" in err) == (1, True)


def test_a_dry_run_does_nothing(project: Path, surefoot: Surefoot) -> None:
    code, out, _ = surefoot("promote", "prompt:summary@2", "production", "--dry-run")
    assert (code, "production would point to summary@2" in out) == (0, True)
    assert points_to(project) == ""
    write(project, "three.prompty", THREE)
    assert surefoot("promote", "prompt:summary@3", "production", "--dry-run")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("summary@2", "production"), 2, "prompt:NAME@VERSION"),
        (("model:summary@2", "production"), 2, "prompt:NAME@VERSION"),
        (("prompt:", "production"), 2, "prompt:NAME@VERSION"),
        (("prompt:summary@2",), 2, "say what is to be promoted, and where"),
        (("prompt:summary@9", "production"), 2, "no label, version or digest '9'"),
        (("prompt:sumary@2", "production"), 2, "did you mean 'summary'?"),
        (("prompt:summary", "production"), 2, "has several versions"),
        (("prompt:summary@2", "3"), 2, "is no name for a label"),
        (("prompt:summary@2", "a b"), 2, "is no name for a label"),
        (("prompt:summary@2", "--export"), 2, "leave out"),
        (("prompt:summary@3", "production"), 1, "flows.py:7"),
    ],
)
def test_what_cannot_be_promoted(
    arguments: tuple[str, ...], code: int, said: str, project: Path, surefoot: Surefoot
) -> None:
    write(project, "three.prompty", THREE)
    assert surefoot("promote", *arguments)[0] == code
    assert said in surefoot("promote", *arguments)[2]
    code_of_json, out, _ = surefoot("promote", *arguments, "--json")
    assert code_of_json == code
    assert said in json.loads(out)["error"]["message"]
    assert points_to(project) == ""


def test_labels_are_written_to_git(project: Path, surefoot: Surefoot) -> None:
    file = project / "prompts" / "labels.toml"
    assert "there are no labels" in surefoot("promote", "--export")[1]
    assert not file.exists()
    surefoot("promote", "prompt:summary@2", "production")
    assert 'production = "2"' in surefoot("promote", "--export", "--dry-run")[1]
    assert not file.exists()
    assert surefoot("promote", "--export")[1].startswith("wrote prompts")
    assert 'production = "2"' in file.read_text(encoding="utf-8")
    assert "is as the ledger has it" in surefoot("promote", "--export")[1]
    assert (
        os.listdir(project / "prompts") == ["labels.toml", "summary.prompty"]
        or len(os.listdir(project / "prompts")) == 2
    )


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot.cli import promote

    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.delenv("SUREFOOT_PRINCIPAL", raising=False)
    monkeypatch.setattr(promote.getpass, "getuser", nobody)
    assert promote.principal().startswith("uid ")
