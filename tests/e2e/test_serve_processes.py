"""`surefoot serve --processes` (docs/guide/serve.md): one server of several processes, of which some are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from command_line import surefoot
from serving import ALLOWANCE, Server, until
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load

FLOWS = """
import os, pathlib, time
from surefoot import flow, step


@step
def made(name: str) -> int:
    return os.getpid()


@flow(trusted=True)
def where(name: str) -> int:
    return made(name)


@step
def long(name: str) -> str:
    with open("begun.txt", "a") as begun:
        begun.write(f"{name} {os.getpid()}\\n")
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return name


@flow(trusted=True)
def works(name: str) -> str:
    return long(name)
"""
OPTIONS = ("--insecure-local", "--port", "0", "--processes", "2")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "crew_flows.py").write_text(FLOWS)
    yield tmp_path
    (tmp_path / "go").touch()


def serve(folder: Path, **environ: str) -> Server:
    return Server(folder, "crew_flows.py", options=OPTIONS, environ={"SUREFOOT_SERVE_LOOK": "0.2", **environ})


def pids_of(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def asked(server: Server, name: str) -> int:
    """By which process a run was made, of a connection of its own."""
    done = httpx.post(
        f"{server.url}/flows/where/runs", json={"inputs": {"name": name}}, timeout=ALLOWANCE
    ).json()
    return int(done["output"])


def test_connections_are_spread_and_each_process_makes_runs_in_one_ledger(folder: Path) -> None:
    server = serve(folder)
    try:
        pids = pids_of(server)
        assert len(pids) == 2
        makers: set[int] = set()
        count = 0
        with ThreadPoolExecutor(8) as pool:
            # The kernel spreads connections by their ports: that one process gets none of 400 does not happen.
            while makers != pids and count < 400:
                makers |= set(pool.map(lambda n: asked(server, str(n)), range(count, count + 16)))
                count += 16
        assert makers == pids
        text = server.client.get("/metrics").text
        seen = re.search(r'surefoot_runs_ended_total\{flow="where",how="completed"\} (\d+)', text)
        # That of the other process is as it stood a second ago.
        until(lambda: f'flow="where",how="completed"}} {count}' in server.client.get("/metrics").text)
        assert seen is not None
        assert "surefoot_queue_size 1000" in server.client.get("/metrics").text
    finally:
        assert server.stop() == 0
    app = App(load(folder, environ={}))
    assert {run.status for run in app.ledger.runs(limit=None)} == {"completed"}
    assert app.access.audit.verify() == count + len(app.access.audit.rows(action="server:read", limit=None))
    app.close()
    assert all(not psutil.pid_exists(pid) for pid in pids)


def test_a_killed_process_is_begun_again_and_its_runs_are_gone_on_with(folder: Path) -> None:
    server = serve(folder)
    try:
        before = pids_of(server)
        run = server.client.post("/flows/works/runs?wait=0", json={"inputs": {"name": "a"}}).json()["id"]
        maker = int(until(lambda: (folder / "begun.txt").exists() and first_pid(folder)))
        assert maker in before
        os.kill(maker, signal.SIGKILL)
        (folder / "go").touch()

        def completed() -> bool:
            # The connection of the one that was killed is gone with it.
            try:
                found: Any = httpx.get(f"{server.url}/runs/{run}", timeout=ALLOWANCE).json()
            except httpx.HTTPError:
                return False
            return bool(found["status"] == "completed")

        until(completed, what="the run completed")
        until(lambda: len(pids_of(server) - {maker}) == 2, what="another in its place")
        assert before - {maker} < pids_of(server)
    finally:
        server.client.close()
        assert server.stop() == 0
    told = " ".join("".join(server.errors).split())
    assert f"process {maker} of the server ended with code -9" in told
    app = App(load(folder, environ={}))
    ends = [link.outcome.status for link in app.ledger.history(run) if link.outcome.kind == "end"]
    assert ends == ["completed"]
    app.close()


def first_pid(folder: Path) -> str:
    line = (folder / "begun.txt").read_text().partition("\n")[0]
    return line.partition(" ")[2]


def test_where_whoever_keeps_them_is_killed_the_processes_end(folder: Path) -> None:
    server = serve(folder)
    pids = pids_of(server)
    assert len(pids) == 2
    server.kill()
    until(lambda: not any(map(is_alive, pids)), what="all ended")


def is_alive(pid: int) -> bool:
    try:
        # Nobody may be there to take note of its end.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_rate_holds_for_all_processes_together(folder: Path) -> None:
    app = App(load(folder, environ={}))
    app.access.people.add("service:ci", by=LOCAL)
    app.access.people.grant("service:ci", "operator", "*", by=LOCAL)
    token, _ = app.access.tokens.issue("service:ci", by=LOCAL)
    app.close()
    server = Server(
        folder,
        "crew_flows.py",
        options=OPTIONS[1:],
        # One at once, and one more every six seconds.
        environ={"SUREFOOT_SERVE_REQUESTS_PER_MINUTE": "10"},
    )
    try:

        def ask(_: int) -> int:
            headers = {"authorization": f"Bearer {token}"}
            return httpx.get(f"{server.url}/flows", headers=headers, timeout=ALLOWANCE).status_code

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(ask, range(80)))
        lasted = time.monotonic() - began
        # The first one, and what has come since.
        assert 1 <= statuses.count(200) <= 2 + lasted * 10 / 60
        assert set(statuses) == {200, 429}
    finally:
        assert server.stop() == 0


def test_what_keeps_it_from_beginning_is_said_once(folder: Path) -> None:
    (folder / "crew_flows.py").write_text("raise RuntimeError('not today')")
    done = surefoot("serve", "crew_flows.py", *OPTIONS, cwd=folder, code=None, is_cold=True)
    assert done.returncode != 0
    assert done.stderr.count("not today") == 1


def test_pages_are_served_by_one_process_alone(folder: Path) -> None:
    """Who is logged in is kept in a process: at the next one he would not be."""
    done = surefoot("serve", "crew_flows.py", *OPTIONS, "--ui", cwd=folder, code=2)
    assert "serve the pages with --ui from a server of one process" in done.stderr


def test_a_port_that_is_taken_is_said_whoever_has_it(folder: Path) -> None:
    server = serve(folder)
    try:
        port = server.url.rpartition(":")[2]
        options = ("--insecure-local", "--port", port, "--processes", "2")
        done = subprocess.run(
            [sys.executable, "-m", "surefoot.cli", "serve", "crew_flows.py", *options],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=ALLOWANCE,
            check=False,
        )
        assert done.returncode != 0
        assert f"port {port} of 127.0.0.1 cannot be listened on" in done.stderr
        assert json.loads(server.client.get("/healthz").text) == {"status": "ok"}
    finally:
        assert server.stop() == 0
