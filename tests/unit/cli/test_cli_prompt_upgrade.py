"""`surefoot prompt upgrade`: a diff, a check for CI, and a file that is replaced as a whole."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from surefoot.cli.prompt import upgrade
from surefoot.cli.root import invoked
from surefoot.errors import UsageError
from surefoot.prompts import load

OLD = """---
name: greet
version: "1"
# who answers
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt-4o}
  parameters: {max_tokens: 128}
inputs:
  who: {type: string}
sample: {who: Ada}
---
system:
Greet kindly.

user:
Hello {{who}}
"""

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "greet.prompty"
    path.write_text(OLD, encoding="utf-8")
    return path


def called(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    found = invoked(["prompt", "upgrade", *arguments])
    out = capsys.readouterr()
    assert found == code, out.err
    return out.out if code != 2 else out.err


def as_json(capsys: Capsys, *arguments: str, code: int = 0) -> Any:
    return json.loads(called(capsys, *arguments, "--json", code=code))["files"]


def test_without_write_nothing_is_changed(file: Path, capsys: Capsys) -> None:
    shown = called(capsys, "greet.prompty")
    assert "greet.prompty  promptflow → prompty-v2" in shown
    assert "  -  api: chat" in shown
    assert "  +    kind: jinja2" in shown
    assert "where runs know version 1 already, give it a new one" in shown
    assert file.read_text(encoding="utf-8") == OLD


def test_check_is_for_ci(file: Path, capsys: Capsys) -> None:
    [found] = as_json(capsys, "greet.prompty", "--check", code=1)
    assert (found["changed"], found["written"], found["dialect"]) == (True, False, "promptflow")
    called(capsys, "greet.prompty", "--write")
    [found] = as_json(capsys, "greet.prompty", "--check")
    assert (found["changed"], found["dialect"], found["diff"]) == (False, "prompty-v2", [])


def test_write_keeps_mode_line_ends_and_what_it_renders(file: Path, capsys: Capsys) -> None:
    from surefoot.prompts import rendering

    file.write_bytes(OLD.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    before = rendering.messages_of(load(file), {"who": "Ada"})
    assert "written" in called(capsys, "greet.prompty", "--write")
    new = load(file)
    assert new.dialect == "prompty-v2"
    assert rendering.messages_of(new, {"who": "Ada"}) == before
    content = file.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".greet")] == []


def test_a_link_goes_on_to_be_one(file: Path, capsys: Capsys) -> None:
    link = file.with_name("link.prompty")
    link.symlink_to(file)
    called(capsys, "link.prompty", "--write")
    assert link.is_symlink()
    assert load(file).dialect == "prompty-v2"


def test_a_mistake_in_one_file_leaves_all_as_they_are(file: Path, capsys: Capsys) -> None:
    file.with_name("bad.prompty").write_text("---\nname: [\n---\nhi\n", encoding="utf-8")
    assert "bad.prompty:3:1" in called(capsys, "greet.prompty", "bad.prompty", "--write", code=2)
    assert file.read_text(encoding="utf-8") == OLD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.prompty",), "gone.prompty: it cannot be read"),
        (("short.yaml",), "is in the short form"),
        (("greet.prompty", "--write", "--check"), "give one of them"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_upgraded(
    file: Path, capsys: Capsys, arguments: tuple[str, ...], message: str
) -> None:
    file.with_name("short.yaml").write_text("prompt_id: short\ntemplate: Hi\n", encoding="utf-8")
    assert message in called(capsys, *arguments, code=2)


def test_a_file_that_was_changed_meanwhile_is_left_as_it_is(file: Path) -> None:
    from surefoot.app import App

    rewrite = upgrade.rewrite_of(App.current(), file)
    file.write_text(OLD.replace("kindly", "loudly"), encoding="utf-8")
    with pytest.raises(UsageError, match="was changed meanwhile"):
        upgrade.replaced(rewrite)
    assert "loudly" in file.read_text(encoding="utf-8")


def test_a_write_that_is_cut_off_leaves_the_old_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot.app import App

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    rewrite = upgrade.rewrite_of(App.current(), file)
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(UsageError, match="No space left on device; nothing of it is changed"):
        upgrade.replaced(rewrite)
    assert file.read_text(encoding="utf-8") == OLD
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".greet")] == []
