"""`surefoot ledger` as a user calls it: each subcommand on a real ledger, in a file and on a server."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import postgres
from command_line import surefoot, surefoot_json
from surefoot import App
from surefoot.config import load
from surefoot.errors import StepFailed

FLOWS = """
from surefoot import flow, step

@step
def say(what: str) -> str:
    return what * 2

@flow
def saying(what: str) -> str:
    return say(what)

@flow
def failing(what: str) -> str:
    raise ValueError(say(what))
"""
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"


on_both_engines = pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def environ(request: pytest.FixtureRequest, engine: str) -> dict[str, str]:
    if engine == "sqlite":
        return {}
    return {"SUREFOOT_LEDGER_URL": request.getfixturevalue("postgres_url")}


@pytest.fixture
def project(tmp_path: Path, environ: dict[str, str]) -> Path:
    """A completed run whose values hold a secret, and a failed one."""
    file = tmp_path / "flows.py"
    file.write_text(FLOWS)
    app = App(load(tmp_path, environ=environ))
    app.run(f"{file}:saying", {"what": KEY})
    with pytest.raises(StepFailed):
        app.run(f"{file}:failing", {"what": "no"})
    app.close()
    return tmp_path


def tamper(project: Path, environ: dict[str, str], statement: str) -> None:
    if environ:
        postgres.execute(environ["SUREFOOT_LEDGER_URL"], statement, search_path="surefoot")
        return
    connection = sqlite3.connect(project / ".surefoot" / "ledger.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


@on_both_engines
def test_verify_says_what_was_changed(project: Path, environ: dict[str, str]) -> None:
    whole = surefoot_json("ledger", "verify", cwd=project, **environ)
    assert (whole["is_whole"], whole["runs"], whole["rows"]) == (True, 2, 6)
    assert "whole: nothing was changed" in surefoot("ledger", "verify", "last", cwd=project, **environ).stdout
    surefoot("ledger", "verify", "--anchor", "heads", cwd=project, **environ)
    tamper(project, environ, "UPDATE outcomes SET name = 'other' WHERE kind = 'step'")
    said = surefoot("ledger", "verify", cwd=project, code=1, **environ)
    assert "(step 'other')" in said.stdout
    assert "not whole" in said.stdout
    # Of a broken record no anchor is made: it would become the truth.
    surefoot("ledger", "verify", "--anchor", "false", cwd=project, code=1, **environ)
    assert not (project / "false").exists()
    for table in ("outcomes", "runs"):
        tamper(project, environ, f"DELETE FROM {table}")
    assert surefoot_json("ledger", "verify", cwd=project, **environ)["is_whole"]
    assert not surefoot_json("ledger", "verify", "--against", "heads", cwd=project, code=1, **environ)[
        "is_whole"
    ]


def test_prune_drops_what_it_announced(project: Path, environ: dict[str, str]) -> None:
    nothing = surefoot("ledger", "prune", cwd=project, **environ)
    assert "nothing to drop" in nothing.stdout
    assert "[retention]" in nothing.stderr
    old = ("--older-than", "0s")
    would = surefoot("ledger", "prune", *old, "--dry-run", cwd=project, **environ).stdout
    did = surefoot("ledger", "prune", *old, cwd=project, **environ).stdout
    assert would.replace("would drop", "dropped").splitlines()[:3] == did.splitlines()[:3]
    assert "was pruned" in surefoot("resume", "last", cwd=project, code=1, **environ).stderr
    surefoot("ledger", "prune", *old, "--what", "runs", cwd=project, **environ)
    assert surefoot_json("ledger", "verify", cwd=project, **environ)["is_whole"]
    assert len(surefoot_json("runs", cwd=project, **environ)) == 2


def test_what_is_forgotten_cannot_be_read(project: Path, environ: dict[str, str]) -> None:
    runs = surefoot_json("runs", "--flow", "saying", cwd=project, **environ)
    surefoot("ledger", "prune", "--forget", runs[0]["run"], cwd=project, **environ)
    said = surefoot("resume", runs[0]["run"], cwd=project, code=1, **environ).stderr
    assert "pruned" in said or "forgotten" in said
    assert surefoot_json("ledger", "verify", cwd=project, **environ)["is_whole"]
    mistaken = surefoot("ledger", "prune", "--forget", cwd=project, code=2, **environ)
    assert "--forget takes RUN" in mistaken.stderr


@on_both_engines
def test_an_export_opens_without_a_server_and_holds_no_secret(
    project: Path, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = surefoot_json("ledger", "export", "all.db", cwd=project, **environ)
    assert (done["runs"], done["is_sealed"]) == (2, False)
    assert KEY.encode() not in (project / "all.db").read_bytes()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    file = str(project / "all.db")
    assert surefoot_json("ledger", "verify", "--file", file, cwd=elsewhere)["is_whole"]
    taken = surefoot_json("ledger", "import", file, cwd=elsewhere)
    assert (taken["added"], taken["refused"]) == (2, [])
    again = surefoot_json("ledger", "import", file, cwd=elsewhere)
    assert (again["added"], again["kept"]) == (0, 2)
    assert [run["flow"] for run in surefoot_json("runs", cwd=elsewhere)] == ["failing", "saying"]
    refused = surefoot("ledger", "export", "all.db", cwd=project, code=2, **environ)
    assert "--force" in refused.stderr


def test_an_export_with_sealed_parts_goes_on_elsewhere(
    project: Path, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    mistaken = surefoot("ledger", "export", "all.db", "--with-sealed", cwd=project, code=2, **environ)
    assert "--key-file" in mistaken.stderr
    sealed = ("--with-sealed", "--key-file", "export.key")
    surefoot("ledger", "export", "all.db", *sealed, cwd=project, **environ)
    assert KEY.encode() not in (project / "all.db").read_bytes()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "flows.py").write_text(FLOWS.replace("raise ValueError(say(what))", "return say(what)"))
    key = ("--key-file", str(project / "export.key"))
    surefoot("ledger", "import", str(project / "all.db"), *key, cwd=elsewhere)
    with_key = App(load(elsewhere, environ={}))
    assert with_key.resume(with_key.ledger.runs()[1].id) == KEY * 2
    with_key.close()
    assert "nono" in surefoot("resume", "last", "--flow", "flows.py:failing", cwd=elsewhere).stdout


@on_both_engines
def test_a_backup_is_a_ledger(project: Path, environ: dict[str, str]) -> None:
    if environ:
        said = surefoot("ledger", "backup", "copy.db", cwd=project, code=2, **environ).stderr
        assert "pg_dump" in said
        return
    assert "2 runs" in surefoot("ledger", "backup", "copy.db", cwd=project).stdout
    assert surefoot_json("ledger", "verify", "--file", "copy.db", cwd=project)["is_whole"]
    restored = {"SUREFOOT_LEDGER_PATH": str(project / "copy.db")}
    assert len(surefoot_json("runs", cwd=project, **restored)) == 2


@on_both_engines
def test_migrate_says_which_format_there_is(project: Path, environ: dict[str, str]) -> None:
    found = surefoot_json("ledger", "migrate", "--check", cwd=project, **environ)
    assert found["is_current"]
    assert found["format"] == found["known_format"]
    assert "which is the latest" in surefoot("ledger", "migrate", cwd=project, **environ).stdout
    tamper(project, environ, "UPDATE ledger SET readable_by = 99")
    if environ:
        tamper(project, environ, "UPDATE ledger SET version = 99")
    else:
        tamper(project, environ, "PRAGMA user_version = 99")
    said = surefoot("ledger", "migrate", cwd=project, code=1, **environ)
    assert "upgrade Surefoot" in said.stdout + said.stderr


def test_a_file_of_a_former_format_is_copied_and_brought_forward(tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "unit" / "ledger" / "files" / "v1.db"
    (tmp_path / ".surefoot").mkdir()
    (tmp_path / ".surefoot" / "ledger.db").write_bytes(old.read_bytes())
    said = surefoot("ledger", "migrate", "--check", cwd=tmp_path, code=1).stdout
    assert "format 1" in said
    assert "brings it forward" in said
    # It holds sealed parts: another application does not bring its runs under its own key.
    (tmp_path / ".surefoot" / "key").write_text("11" * 32)
    said = surefoot("ledger", "migrate", cwd=tmp_path).stdout
    assert "brought from format 1" in said
    assert (tmp_path / ".surefoot" / "ledger.format-1.db").read_bytes()[:15] == b"SQLite format 3"
    assert "which is the latest" in surefoot("ledger", "migrate", cwd=tmp_path).stdout
