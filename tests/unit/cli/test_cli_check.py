"""`surefoot check` as it is typed, of flows: what is drawn, what is chosen, and the forms for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot import App
from surefoot.cli.root import invoked

Said = tuple[int, str, str]
Surefoot = Callable[..., Said]

FLOWS = """\
from surefoot import flow, step


@step(reads="untrusted")
def search(query: str) -> str: ...


@step(reads="private")
def load(user: int) -> str: ...


@step(sends="mail")
def mail(to: str, body: str) -> None: ...


@flow
def leaks(user: int):
    found = search("news")
    mail("a@x.com", found + load(user))


@flow(name="safe-one")
def safe(user: int):
    mail("a@x.com", load(user))


@flow(uses=("crm",))
def beyond(user: int):
    mail("a@x.com", "hello")
"""
FETCHES = """\
import requests
from surefoot import flow, step


@step
def fetch() -> str:
    return requests.get("https://x.example").text


@flow
def one() -> str:
    return fetch()


@flow
def two() -> str:
    return fetch()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").touch()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "fetches.py").write_text(FETCHES, encoding="utf-8")
    monkeypatch.setattr("surefoot.app._apps", {})
    yield tmp_path
    App.current().close()


@pytest.fixture
def surefoot(project: Path, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = invoked(["check", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def findings(surefoot: Surefoot, *arguments: str) -> list[dict[str, Any]]:
    _, out, _ = surefoot("--json", *arguments)
    found: list[dict[str, Any]] = json.loads(out)["findings"]
    return [one for one in found if one["check"] == "trust"]


def test_a_path_is_drawn_with_its_reason_and_the_ways_out(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("flows.py:leaks")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "flows.py:19: flow leaks: untrusted text can send private data out"
    assert [line.split() for line in lines[1:5]] == [
        ["untrusted", "step", "search", "reads", "untrusted", "text", "flows.py:18"],
        ["private", "step", "load", "reads", "private", "data", "flows.py:19"],
        ["v"],
        ["sends", "step", "mail", "sends", "mail", "flows.py:19"],
    ]
    assert lines[5].startswith("  why        at run time step mail refuses it")
    assert lines[6].startswith("  ways out   - take what is sent from checked fields")
    assert (
        "flow leaks (flows.py:17) reads untrusted text in 1 and private data in 1 places, sends in 1" in out
    )


@pytest.mark.parametrize("target", ["flows.py:safe", "flows.py:safe-one", "flows:safe", "flows:safe-one"])
def test_a_flow_is_named_by_file_or_module_and_by_either_name(surefoot: Surefoot, target: str) -> None:
    code, out, _ = surefoot(target)
    assert code == 0
    assert out.startswith("flow safe-one (flows.py:23) reads untrusted text in 0")


def test_without_a_target_every_flow_is_checked(surefoot: Surefoot) -> None:
    assert [(one["file"], one["line"], one["severity"]) for one in findings(surefoot)] == [
        ("flows.py", 19, "error"),
        ("flows.py", 29, "error"),
        ("lib/fetches.py", 6, "warning"),
    ]


def test_several_targets_are_told_together(surefoot: Surefoot) -> None:
    assert [one["line"] for one in findings(surefoot, "flows:beyond", "lib")] == [29, 6]
    assert [one["line"] for one in findings(surefoot, "lib/fetches.py:two")] == [6]
    assert findings(surefoot, "flows:safe") == []


def test_a_flow_that_uses_more_than_it_says_is_an_error(surefoot: Surefoot) -> None:
    ((one),) = findings(surefoot, "flows:beyond")
    assert "flow beyond does not say that it uses mail" in one["message"]


def test_what_flows_have_in_common_is_told_once(surefoot: Surefoot) -> None:
    ((one),) = findings(surefoot, "lib")
    assert one["message"].startswith("step fetch calls requests.get and does not say")


def test_programs_are_given_the_path_and_the_flows(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("--json", "flows:leaks")
    assert code == 1
    told = json.loads(out)
    (one,) = told["findings"]
    assert (one["flow"], one["step"], one["arguments"]) == ("leaks", "mail", ["body"])
    assert [hop["kind"] for hop in one["path"]] == ["untrusted", "private", "sends"]
    (flow,) = told["flows"]
    assert (flow["flow"], flow["function"], flow["line"]) == ("leaks", "leaks", 17)
    assert [hop["line"] for hop in flow["sends"]] == [19]


def test_github_is_given_annotations(
    surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project))
    code, out, _ = surefoot("--github", "flows:leaks")
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("::")]
    assert line.startswith(
        "::error file=flows.py,line=19,title=surefoot check%3A trust::flow leaks: untrusted text"
    )
    assert "%0A  private    step load reads private data" in line


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere", "there is no file or folder nowhere; name one, or a flow as file.py:flow or module:flow"),
        ("flows:nobody", "flows has the flows leaks, safe-one, beyond"),
        ("flows.py:nobody", "there is no flow 'nobody' in flows.py"),
        ("os:path", "os has no flows in this project"),
    ],
)
def test_what_is_not_there_is_an_error_in_words(surefoot: Surefoot, target: str, said: str) -> None:
    code, _, err = surefoot(target)
    assert code == 2
    assert said in " ".join(err.split())


def test_json_and_github_exclude_each_other(surefoot: Surefoot) -> None:
    code, _, err = surefoot("--json", "--github")
    assert code == 2
    assert "leave one out" in err
