"""`kill -9` of a server: what it has accepted ends exactly once when a server begins again; two share a ledger."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import Server, until
from surefoot import App
from surefoot.config import load

FLOWS = """
import os, time
from surefoot import flow, step

def note(line):
    with open("done.txt", "a") as file:
        file.write(line + "\\n")

@step
def first(n: int) -> int:
    time.sleep(0.01)
    return n + 1

@step(effect=True, check=lambda key: None)
def second(n: int) -> int:
    note(f"second {n}")
    return 2 * n

@flow
def counted(n: int) -> int:
    return second(first(n))

@flow
async def counted_async(n: int) -> int:
    return second(first(n))

@step
def long(name: str) -> str:
    note(f"long {name}")
    until = time.monotonic() + 60
    while not os.path.exists("go") and time.monotonic() < until:
        time.sleep(0.02)
    return name

@step
def after(name: str) -> str:
    note(f"after {name}")
    return name

@flow
def works(name: str) -> str:
    return after(long(name))
"""
ALL = os.environ.get("SUREFOOT_TEST_SERVE") == "all"
RUNS, KILLS = (2_000, 12) if ALL else (40, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "killed_flows.py").write_text(FLOWS)
    yield tmp_path
    (tmp_path / "go").touch()


def accepted(server: Server, flow: str, inputs: dict[str, Any], key: str) -> str | None:
    """The id of a run that the server has answered 202 for; None where it was killed before."""
    with suppress(httpx.HTTPError):
        response = server.client.post(
            f"/flows/{flow}/runs?wait=0", json={"inputs": inputs}, headers={"idempotency-key": key}
        )
        if response.status_code == 202:
            return str(response.json()["id"])
    return None


def ledger_of(folder: Path) -> App:
    return App(load(folder, environ={}))


def is_over(app: App) -> bool:
    return all(run.status == "completed" for run in app.ledger.runs(limit=None))


def test_what_was_accepted_ends_exactly_once_however_often_the_server_is_killed(folder: Path) -> None:
    taken: dict[str, int] = {}
    left = iter(range(RUNS))
    share = RUNS // (KILLS + 1)
    for _ in range(KILLS):
        server = Server(folder, "killed_flows.py")
        killing = threading.Event()

        def kill(server: Server = server, killing: threading.Event = killing) -> None:
            killing.wait(60)
            server.process.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        for number in range(share):
            n = next(left)
            run = accepted(server, "counted" if n % 2 else "counted_async", {"n": n}, f"key {n}")
            if run is None:
                break
            taken[run] = n
            if number == share * 2 // 3:
                killing.set()
        killing.set()
        thread.join()
        server.end()
    server = Server(folder, "killed_flows.py")
    try:
        for n in left:
            run = accepted(server, "counted" if n % 2 else "counted_async", {"n": n}, f"key {n}")
            assert run is not None
            taken[run] = n
        app = ledger_of(folder)
        until(lambda: is_over(app), what="all runs over")
        for run, n in taken.items():
            assert app.ledger.run(run).status == "completed"
            assert server.client.get(f"/runs/{run}").json()["output"] == 2 * (n + 1)
            ends = [link.outcome for link in app.ledger.history(run) if link.outcome.kind == "end"]
            assert [end.status for end in ends] == ["completed"]
        done = Counter((folder / "done.txt").read_text().splitlines())
        # An effect that was under way as the process was killed is asked for, and is not known to be done.
        assert all(done[f"second {n + 1}"] >= 1 for n in taken.values())
        assert sum(count > 1 for count in done.values()) <= KILLS * 9
        assert all(app.ledger.first_break(run) is None for run in taken)
        app.close()
    finally:
        assert server.stop() == 0
    assert len(taken) >= share


def test_a_run_under_way_goes_on_after_kill_9_and_its_done_steps_are_not_done_again(folder: Path) -> None:
    server = Server(folder, "killed_flows.py")
    run = accepted(server, "works", {"name": "a"}, "k")
    done = folder / "done.txt"
    until(done.exists)
    server.kill()
    (folder / "go").touch()
    server = Server(folder, "killed_flows.py")
    try:
        until(lambda: server.client.get(f"/runs/{run}").json()["status"] == "completed")
        # The same request again gets the same run.
        assert accepted(server, "works", {"name": "a"}, "k") == run
    finally:
        server.stop()
    assert done.read_text().splitlines() == ["long a", "long a", "after a"]


def test_sigterm_hands_over_and_another_server_goes_on_at_once(folder: Path) -> None:
    lease = {"SUREFOOT_RUNS_LEASE": "3600", "SUREFOOT_SERVE_GRACE": "0.2", "SUREFOOT_SERVE_LOOK": "0.2"}
    one = Server(folder, "killed_flows.py", environ=lease)
    other = Server(folder, "killed_flows.py", environ=lease)
    try:
        run = accepted(one, "works", {"name": "a"}, "k")
        until((folder / "done.txt").exists)
        began = time.monotonic()
        assert one.stop() == 0
        (folder / "go").touch()
        until(lambda: other.client.get(f"/runs/{run}").json()["status"] == "completed")
        assert time.monotonic() - began < 600
    finally:
        other.stop()
    assert (folder / "done.txt").read_text().splitlines()[-1] == "after a"


def test_two_servers_share_a_ledger_and_each_run_is_made_once(folder: Path) -> None:
    environ = {"SUREFOOT_SERVE_LOOK": "0.05"}
    servers = [Server(folder, "killed_flows.py", environ=environ) for _ in range(2)]
    try:
        runs = [accepted(servers[n % 2], "counted", {"n": n}, f"key {n}") for n in range(30)]
        app = ledger_of(folder)
        until(lambda: is_over(app))
        assert len(set(runs)) == 30
        app.close()
    finally:
        for server in servers:
            server.stop()
    lines = (folder / "done.txt").read_text().splitlines()
    assert sorted(lines) == sorted(f"second {n + 1}" for n in range(30))


def test_a_second_signal_ends_it_now(folder: Path) -> None:
    server = Server(folder, "killed_flows.py", environ={"SUREFOOT_SERVE_GRACE": "3000"})
    run = accepted(server, "works", {"name": "a"}, "k")
    until((folder / "done.txt").exists)
    server.process.terminate()
    until(lambda: is_refusing(server))
    server.process.terminate()
    server.end()
    app = ledger_of(folder)
    assert app.ledger.run(str(run)).status == "running"
    app.close()


def is_refusing(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5).status_code != 200
    except httpx.HTTPError:
        return True
