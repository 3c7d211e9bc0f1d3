"""Webhooks of several processes on one ledger: each event is sent by one of them, or by another if that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooked import Hooked
from postgres import postgres_server, postgres_url
from surefoot import App, flow, webhooks
from surefoot.config import load
from surefoot.server.hooks import Courier

__all__ = ["postgres_server", "postgres_url"]

SECRET = "0123456789abcdef0123456789abcdef"
COURIER = """
import sys, threading
from pathlib import Path
from surefoot.app import App
from surefoot.config import load
from surefoot.server.hooks import Courier

app = App(load(Path(sys.argv[1])))
courier = Courier(app, every=0.05)
courier.start()
print("ready", flush=True)
sys.stdin.read()
courier.close()
app.close()
"""


@flow
def noted(n: int) -> int:
    return n


@pytest.fixture(params=["sqlite", "postgres"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    made = {"HOOK_SECRET": SECRET, "SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
    if request.param == "postgres":
        made["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    return made


@pytest.fixture
def server() -> Iterator[Hooked]:
    with Hooked() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, environ: dict[str, str], server: Hooked) -> Iterator[App]:
    (tmp_path / "surefoot.toml").write_text(
        '[egress]\nallow_private = ["127.0.0.1"]\n'
        f'[webhooks.crm]\nurl = "{server.url()}"\nsecret = "${{env:HOOK_SECRET}}"\n'
    )
    app = App(load(tmp_path, environ=environ))
    Courier(app).deliver()
    yield app
    app.close()


def courier(folder: Path, environ: dict[str, str]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", COURIER, str(folder)],
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_two_servers_send_each_event_once(
    app: App, tmp_path: Path, environ: dict[str, str], server: Hooked
) -> None:
    children = [courier(tmp_path, environ) for _ in range(2)]
    for n in range(40):
        app.run(noted, {"n": n})
    server.wait(40)
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert Courier(app).deliver() == 0
    counts = Counter(json.loads(got.body)["id"] for got in server.got)
    assert (len(counts), set(counts.values())) == (40, {1})


def test_what_a_killed_server_had_sent_and_not_noted_comes_again_under_the_same_id(
    app: App, tmp_path: Path, environ: dict[str, str], server: Hooked
) -> None:
    app.run(noted, {"n": 1})
    child = courier(tmp_path, environ)
    killing: list[int] = []

    def kill() -> None:
        # The request has arrived; before it is answered, whoever has sent it is gone.
        if not killing:
            killing.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            child.wait(60)

    server.before = kill
    server.wait(1)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    # It has the event for as long as its requests may take: nobody sends it meanwhile.
    assert Courier(app).deliver() == 0
    later(app)
    assert Courier(app).deliver() == 1
    assert Courier(app).deliver() == 0
    first, second = server.got
    assert first.headers["surefoot-id"] == second.headers["surefoot-id"]
    assert first.body == second.body


def later(app: App) -> None:
    """The time of whoever has taken something is over."""
    from surefoot.ledger import Change, TellDeliveries

    app.ledger.submit(
        TellDeliveries([Change("UPDATE deliveries SET next_ns = 1 WHERE done_ns IS NULL", ())])
    ).result()


def test_a_server_tells_of_the_runs_that_it_makes(tmp_path: Path, server: Hooked) -> None:
    (tmp_path / "flows.py").write_text(
        "from surefoot import flow\n\n\n@flow\ndef noted(n: int) -> int:\n    return n\n"
    )
    (tmp_path / "surefoot.toml").write_text(
        '[egress]\nallow_private = ["127.0.0.1"]\n'
        f'[webhooks.crm]\nurl = "{server.url()}"\nsecret = "${{env:HOOK_SECRET}}"\noutput = true\n'
    )
    serving = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "surefoot.cli",
            "serve",
            "flows.py",
            "--insecure-local",
            "--port",
            "0",
            "--json",
        ],
        cwd=tmp_path,
        env={**os.environ, "HOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    printed = ""
    while not printed.endswith("\n}\n"):
        line = serving.stdout.readline()
        assert line, "it has ended"
        printed += line
    url = json.loads(printed)["url"]
    asked = urllib.request.Request(
        f"{url}/flows/noted/runs",
        json.dumps({"inputs": {"n": 7}}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert answer.status in (200, 202)
    [got] = server.wait(1)
    webhooks.verify(SECRET, got.headers, got.body)
    told = json.loads(got.body)
    assert (told["event"], told["flow"], told["output"]) == ("run.completed", "noted", 7)
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=60)
    assert serving.returncode == 0
