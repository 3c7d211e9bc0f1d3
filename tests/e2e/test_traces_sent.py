"""Traces are sent by whoever makes runs: by short commands, a server, a command of their own (docs/guide/traces.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from receiver import Receiver, Reply, attributes
from serving import Server, until
from surefoot.traces.ids import trace_id

FLOWS = """\
from surefoot import flow, step


@step
def double(n: int) -> int:
    return 2 * n


@flow
def twice(n: int) -> int:
    return double(n)
"""


def project(folder: Path, receiver: Receiver, more: str = "") -> Path:
    (folder / "flows.py").write_text(FLOWS)
    (folder / "surefoot.toml").write_text(f'[traces.desk]\nurl = "{receiver.url}"\n{more}')
    return folder


def surefoot(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "surefoot.cli", *arguments],
        *(), cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def run(folder: Path, n: int) -> dict[str, Any]:
    done = surefoot(folder, "run", "flows.py:twice", "-i", f"n={n}", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_short_command_sends_its_run_before_it_ends(tmp_path: Path) -> None:
    with Receiver() as receiver:
        said = run(project(tmp_path, receiver), 3)
        spans = receiver.spans()
        assert {span.trace_id for span in spans} == {trace_id(said["run"])}
        assert [span.name for span in spans] == ["invoke_workflow twice", "double"]
        assert attributes(spans[1])["output.value"] == "6"


def test_what_a_short_command_cannot_send_is_sent_by_the_next_one_or_by_deliver(tmp_path: Path) -> None:
    with Receiver() as receiver:
        folder = project(tmp_path, receiver)
        receiver.answer(Reply(503, {"retry-after": "0"}))
        first = run(folder, 1)
        listed = json.loads(surefoot(folder, "traces", "list", "--json").stdout)
        assert [(one["receiver"], one["waiting"]) for one in listed] == [("desk", 1)]
        assert "answered with 503" in listed[0]["error"]

        def delivered() -> bool:
            done = surefoot(folder, "traces", "deliver", "--json")
            return json.loads(done.stdout)["desk"]["waiting"] == 0

        until(delivered)
        assert trace_id(first["run"]) in {span.trace_id for span in receiver.spans()}


def test_a_receiver_of_the_settings_is_sent_to_by_its_name_and_what_it_did_not_take_again(
    tmp_path: Path,
) -> None:
    with Receiver() as receiver:
        folder = project(tmp_path, receiver, "background = false\n")
        said = run(folder, 1)
        assert receiver.arrived == []
        done = surefoot(folder, "traces", "send", "--to", "desk", "last")
        assert done.returncode == 0, done.stderr
        assert len(receiver.spans()) == 2
        # From the first time on that somebody looks, all that ends is owed.
        surefoot(folder, "traces", "deliver")
        later = run(folder, 2)
        receiver.answer(Reply(400, {}, b"too old"))
        surefoot(folder, "traces", "deliver")
        listed = json.loads(surefoot(folder, "traces", "list", "--json").stdout)
        assert [one["run"] for one in listed[0]["not_taken"]] == [later["run"]]
        assert surefoot(folder, "traces", "retry", "desk").stdout == "1 to be sent again\n"
        assert "1 trace sent, 0 to be sent later" in surefoot(folder, "traces", "deliver").stdout
        assert {span.trace_id for span in receiver.spans()} == {trace_id(one["run"]) for one in (said, later)}


def test_a_server_sends_the_traces_of_its_runs_and_tells_how_far_it_is(tmp_path: Path) -> None:
    with Receiver() as receiver:
        folder = project(tmp_path, receiver)
        server = Server(folder, "flows.py")
        try:
            made = server.client.post("/flows/twice/runs", json={"inputs": {"n": 4}}).json()
            until(lambda: len(receiver.spans()) >= 2)
            assert {span.trace_id for span in receiver.spans()} == {trace_id(made["id"])}
            until(lambda: 'surefoot_traces_waiting{receiver="desk"} 0' in server.client.get("/metrics").text)
        finally:
            assert server.stop() == 0


def test_an_unknown_receiver_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with Receiver() as receiver:
        folder = project(tmp_path, receiver)
        done = surefoot(folder, "traces", "send", "--to", "phenix", "last")
        assert done.returncode == 2
        assert "there are: otlp, mlflow, langsmith, langfuse, phoenix, desk" in done.stderr
        done = surefoot(folder, "traces", "retry", "phenix")
        assert "there are: desk" in done.stderr
