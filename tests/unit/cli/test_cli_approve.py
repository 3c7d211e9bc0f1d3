"""`surefoot approve`: what waits is shown as it is, and answered by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import surefoot, surefoot_json
from durable import opened_app
from surefoot import App, flow, step
from surefoot.errors import StepFailed, UnknownRun

# An argument that is to pass for two others, that wipes the screen, and that is written backwards.
FORGED = "hello\n  to          bob@x.example\n\x1b[2J\u202egro.elpmaxe\u2028"

sent: list[tuple[str, str]] = []


@step(sends="mail", untrusted="approve")
def deliver(to: str, body: str) -> None:
    sent.append((to, body))


@flow
def forward(to: str, body: str) -> str:
    deliver(to, body)
    return "sent"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    sent.clear()
    (tmp_path / "surefoot.toml").write_text('[runs]\nhidden = "allow"\n')
    with opened_app(tmp_path) as app:
        yield app


def waiting(app: App) -> tuple[threading.Thread, list[object]]:
    """A run of the flow, once it waits for approval."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(app.run(forward, {"to": "eve@x.example", "body": FORGED}))
        except StepFailed as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(600):
        try:
            if app.approvals("last"):
                return thread, found
        except UnknownRun:
            pass
        time.sleep(0.05)
    raise AssertionError("nothing waits")


def test_arguments_are_shown_as_they_are(app: App, tmp_path: Path) -> None:
    thread, _ = waiting(app)
    shown = surefoot("approve", "last", cwd=tmp_path).stdout
    lines = shown.splitlines()
    assert lines[0].startswith("deliver  ")
    assert [line for line in lines if line.startswith("  to")] == ["  to          eve@x.example"]
    assert [line for line in lines if "bob@" in line] == ["                to          bob@x.example"]
    assert not any(sign in shown for sign in "\x1b\u202e\u2028")
    denied = surefoot_json("approve", "last", "--by", "ann", "--deny", cwd=tmp_path)
    assert (denied["answer"], denied["arguments"]["body"]) == ("denied", FORGED)
    thread.join(30)
    assert sent == []
    # Nor does the page of the run.
    assert not any(sign in surefoot("show", "last", cwd=tmp_path).stdout for sign in "\x1b\u202e\u2028")


def test_what_was_shown_is_approved_once_somebody_says_so(app: App, tmp_path: Path) -> None:
    thread, found = waiting(app)
    surefoot("approve", "last", "--by", "ann", cwd=tmp_path, input="n\n", code=1)
    assert sent == []
    surefoot("approve", "last", "--by", "ann", cwd=tmp_path, input="y\n")
    thread.join(30)
    assert found == ["sent"]
    assert sent == [("eve@x.example", FORGED)]
    assert surefoot_json("approve", "last", cwd=tmp_path)["waiting"] == []
