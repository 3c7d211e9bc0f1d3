"""`surefoot audit` and `surefoot access add` as they are typed: what they show, export and find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot import App
from surefoot.access import heads_in
from surefoot.cli.root import invoked
from surefoot.config import load
from surefoot.ledger import AuditRow, first_audit_break

Said = tuple[int, str, str]
Typed = Callable[..., Said]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`surefoot` in a project that signs a head of its audit after each row."""
    (tmp_path / "surefoot.toml").write_text(
        '[access]\nproject = "shop"\nheads = "heads.log"\nheads_every = 1\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        # Each command is a process of its own, and closes the app that it has opened.
        monkeypatch.setattr("surefoot.app._apps", {})
        code = invoked(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def exported(said: dict[str, Any]) -> AuditRow:
    """A row of the audit from its line."""
    hashes: dict[str, Any] = {name: bytes.fromhex(said[name]) for name in ("previous", "hash")}
    return AuditRow(**{**said, **hashes})


def test_what_is_exported_is_the_chain_and_a_head_of_its_last_row(typed: Typed, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        typed("access", "add", f"user:{name}")
    typed("access", "switch", "flow:triage", "off", "--reason", 'x", "decision": "allowed\n{"surefoot":')
    code, _, _ = typed("audit", "export", "out.jsonl")
    assert code == 0
    *lines, last = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    said = [json.loads(line) for line in lines]
    rows = [exported(one) for one in said]
    assert first_audit_break(rows) is None
    [head] = heads_in([last])
    assert (head.seq, head.hash, head.ledger) == (len(rows), rows[-1].hash, rows[0].id)
    app = App(load(tmp_path, environ={}))
    assert app.access.audit.verify([head]) == len(rows)
    app.close()


def test_verify_looks_at_the_heads_of_the_settings_or_of_another_copy(typed: Typed, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        typed("access", "add", f"user:{name}")
    heads = tmp_path / "heads.log"
    code, out, _ = typed("audit", "verify")
    assert (code, out) == (0, "2 rows, the chain holds\n2 signed heads, the newest of row 2\n")
    (tmp_path / "kept.log").write_text(heads.read_text(encoding="utf-8"), encoding="utf-8")
    name = next(iter(heads_in([heads.read_text(encoding="utf-8").splitlines()[0]]))).ledger
    heads.unlink()
    for file in (tmp_path / ".surefoot").glob("ledger.db*"):
        file.unlink()
    typed("access", "add", "user:eve")
    assert typed("audit", "verify")[0] == 0
    code, _, err = typed("audit", "verify", "--heads", "kept.log")
    assert code == 1
    assert "written anew from its first row on" in err
    code, _, err = typed("audit", "verify", "--heads", "kept.log", "--audit", name)
    assert code == 1
    assert "written anew from its first row on" in err


def test_what_somebody_has_written_into_a_row_does_nothing_to_the_screen(typed: Typed) -> None:
    typed(
        "access", "switch", "flow:\x1b[2Jtriage", "off", "--reason", "\x1b]0;owned\x07 [red]x[/red]\n   9  it"
    )
    for command in (("audit", "list"), ("access", "switch")):
        code, out, _ = typed(*command)
        assert code == 0
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "[red]x[/red]" in out
        assert out.count("\n") == 1


def test_adding_somebody_again_changes_what_is_given_and_nothing_else(typed: Typed) -> None:
    typed("access", "add", "user:ann", "--organisation", "acme")
    typed("access", "add", "user:ann", "--disable")
    _, out, _ = typed("access", "add", "user:ann", "--group", "group:support")
    assert out == "user:ann is disabled, in acme, group:support\n"
    _, out, _ = typed("access", "add", "user:ann", "--enable")
    assert out == "user:ann is known, in acme, group:support\n"


def test_a_file_that_cannot_be_written_is_said_in_a_line(typed: Typed) -> None:
    typed("access", "add", "user:ann")
    code, _, err = typed("audit", "export", "nowhere/out.jsonl")
    assert code == 2
    assert err.startswith("error: nowhere/out.jsonl cannot be written (No such file or directory)")


def test_what_is_no_name_to_switch_is_told_of_flows_too(typed: Typed) -> None:
    code, _, err = typed("access", "switch", "triage", "off")
    assert code == 2
    assert "'triage' begins no run: switch flow:NAME off" in err
