"""`surefoot webhooks`: what was not told is shown, tried again and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import surefoot, surefoot_json
from hooked import Answer, Hooked

FLOW = """
from surefoot import flow


@flow
def noted(n: int) -> int:
    return n
"""
ENVIRON = {"HOOK_SECRET": "0123456789abcdef0123456789abcdef", "HOOK_PATH": "topsecretpath"}


@pytest.fixture
def server() -> Iterator[Hooked]:
    with Hooked() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Hooked) -> Path:
    (tmp_path / "flows.py").write_text(FLOW)
    (tmp_path / "surefoot.toml").write_text(
        '[egress]\nallow_private = ["127.0.0.1"]\n'
        f'[webhooks.crm]\nurl = "{server.url("/${env:HOOK_PATH}")}"\nsecret = "${{env:HOOK_SECRET}}"\n'
    )
    return tmp_path


def test_what_was_given_up_is_shown_and_tried_again(project: Path, server: Hooked) -> None:
    assert surefoot_json("webhooks", "deliver", cwd=project, **ENVIRON) == {"requests": 0, "waiting": 0}
    surefoot("run", "flows.py:noted", "--input", "n=1", cwd=project, **ENVIRON)
    server.answers.append(Answer(410))
    assert surefoot_json("webhooks", "deliver", cwd=project, **ENVIRON) == {"requests": 1, "waiting": 0}

    shown = surefoot("webhooks", "list", cwd=project, **ENVIRON).stdout
    assert "run.completed  given up on" in shown
    assert "status 410" in shown
    assert "topsecretpath" not in shown
    [listed] = surefoot_json("webhooks", "list", "crm", cwd=project, **ENVIRON)
    [row] = listed["deliveries"]
    assert (row["standing"], row["tries"], row["next_ns"]) == ("given up", 1, None)

    assert surefoot_json("webhooks", "retry", "crm", "--run", row["run"], cwd=project, **ENVIRON) == {
        "webhook": "crm",
        "retried": 1,
    }
    told = surefoot_json("audit", "list", cwd=project, **ENVIRON)
    assert [(one["action"], one["details"]["retried"]) for one in told] == [("server:switch", 1)]
    assert "1 requests; 0 to be told later" in surefoot("webhooks", "deliver", cwd=project, **ENVIRON).stdout
    assert [got.path for got in server.got] == ["/topsecretpath"] * 2
    assert "nothing waits" in surefoot("webhooks", "list", cwd=project, **ENVIRON).stdout
    assert "0 to be tried again" in surefoot("webhooks", "retry", "crm", cwd=project, **ENVIRON).stdout


def test_mistakes_say_what_to_do(project: Path) -> None:
    failed = surefoot("webhooks", "list", "crn", cwd=project, code=2, **ENVIRON)
    assert "there is no webhook 'crn'; there are: crm" in failed.stderr
    failed = surefoot("webhooks", "deliver", cwd=project, code=2, HOOK_SECRET="short", HOOK_PATH="x")
    assert "fewer than 16 characters" in failed.stderr
    (project / "surefoot.toml").write_text("")
    assert "there are no webhooks" in surefoot("webhooks", "list", cwd=project).stderr
