"""The command line on a ledger in Postgres, as docs/guide/postgres.md shows it: run, crash, resume, look at it."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import command_line
from durable import open_app
from postgres import execute
from surefoot import App, flow
from surefoot.config import load
from surefoot.errors import ConfigError
from surefoot.ledger import PostgresLedger, SqliteLedger

FLOW = """
import os, time
from pathlib import Path
from surefoot import flow, step

@step
def part(n: int) -> str:
    with open("effects", "a") as file:
        file.write(f"{n}\\n")
    if n == 3 and not Path("go").exists():
        Path("there").write_text("")
        time.sleep(60)
    return "x" * 6000 if n == 1 else f"part {n}"

@flow
def whole(count: int) -> list[str]:
    return [part(n) for n in range(count)]
"""


PAGE = Path(__file__).parents[2] / "docs" / "guide" / "postgres.md"


def surefoot(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command_line.surefoot(
        *arguments, cwd=folder, code=None, SUREFOOT_LEDGER_URL=url, COLUMNS="200", NO_COLOR="1"
    )


def test_run_crash_resume_and_every_way_to_look_at_it(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "flows.py").write_text(FLOW)
    # Trust asks for no password, so that one can be given that must not show anywhere.
    url = postgres_url.replace("postgres@", "postgres:s3cr3t-word@")
    process = subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", "run", "flows.py:whole", "-i", "count=5"],
        cwd=tmp_path,
        env={**os.environ, "SUREFOOT_LEDGER_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end_at = time.monotonic() + 30
    while not (tmp_path / "there").exists() and time.monotonic() < end_at:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    runs = surefoot(tmp_path, url, "runs", "--json")
    (run,) = json.loads(runs.stdout)
    assert run["status"] in ("running", "abandoned")
    resumed = surefoot(tmp_path, url, "resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "effects").read_text().split() == ["0", "1", "2", "3", "3", "4"]
    shown = surefoot(tmp_path, url, "show", "last")
    assert "completed" in shown.stdout
    assert shown.stdout.count("part") >= 5
    assert "whole" in surefoot(tmp_path, url, "stats", "whole").stdout
    doctor = surefoot(tmp_path, url, "doctor")
    assert "PostgreSQL 18" in doctor.stdout
    assert "sound" in doctor.stdout
    settings = surefoot(tmp_path, url, "config", "show")
    assert "SUREFOOT_LEDGER_URL" in settings.stdout
    said = [runs, resumed, shown, doctor, settings]
    assert all("s3cr3t-word" not in one.stdout + one.stderr for one in said)
    assert not list(tmp_path.rglob("ledger.db"))


def test_the_page_shows_commands_that_are_run_here() -> None:
    shown = re.findall(r"^\$ surefoot (\w+)", PAGE.read_text(), re.MULTILINE)
    source = Path(__file__).read_text()
    assert len(shown) > 5
    assert [command for command in shown if f'"{command}"' not in source] == []


def test_a_server_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOW)
    url = "postgresql://me:s3cr3t-word@127.0.0.1:9/db"
    for arguments in (["runs"], ["run", "flows.py:whole", "-i", "count=1"], ["doctor"]):
        done = surefoot(tmp_path, url, *arguments)
        assert done.returncode != 0
        assert "cannot be reached" in done.stdout + done.stderr
        assert "s3cr3t-word" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def settings(folder: Path, text: str, **environ: str) -> App:
    (folder / "surefoot.toml").write_text(text)
    return App(load(folder, environ=environ))


def test_where_the_ledger_is_comes_from_the_settings(tmp_path: Path) -> None:
    assert isinstance(settings(tmp_path, "").ledger, SqliteLedger)
    plain = settings(
        tmp_path, '[ledger]\nurl = "postgresql://me@host:5/db"\npassword = "${env:PW}"', PW="word"
    )
    assert isinstance(plain.ledger, PostgresLedger)
    assert (plain.ledger.where, plain.ledger.address.password) == ("postgresql://me@host:5/db", "word")
    secret = settings(tmp_path, '[ledger]\nsecret_url = "${env:DB}"', DB="postgresql://me:word@host/db")
    assert isinstance(secret.ledger, PostgresLedger)
    assert secret.ledger.where == "postgresql://me@host/db"
    assert "word" in secret.settings.resolved_secrets()
    given = settings(tmp_path, "", SUREFOOT_LEDGER_URL="postgresql://me:word@host/db")
    assert given.ledger.where == "postgresql://me@host/db"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('path = "a.db"\nurl = "postgresql://host/db"', "in one place"),
        ('url = "postgresql://host/db"\nsecret_url = "${env:DB}"', "in one place"),
        ('url = "postgresql://me:word@host/db"', "holds a password"),
        ('url = "mysql://host/db"', "ledger.url"),
    ],
)
def test_settings_that_cannot_be_meant(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        settings(tmp_path, f"[ledger]\n{text}")
    assert "word@" not in str(caught.value)


@flow
def at_once() -> int:
    return 1


def test_a_run_that_is_over_at_once_leaves_no_connection(
    tmp_path: Path, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its inbox is still being read while the ledger is closed."""
    # What is left open must stay so until it is counted.
    gc.disable()
    try:
        for _ in range(40):
            with closing(open_app(tmp_path, url=postgres_url)) as app:
                assert app.run(at_once) == 1
        end_at = time.monotonic() + 10
        # The server notices after the client that a connection has ended.
        while (count := connections(postgres_url)) and time.monotonic() < end_at:
            time.sleep(0.02)
    finally:
        gc.enable()
    assert count == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def connections(url: str) -> int:
    [(count,)] = execute(
        url,
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'surefoot'",
    )
    return int(count)
