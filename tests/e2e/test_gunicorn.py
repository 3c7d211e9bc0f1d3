"""gunicorn with a preloaded application that has run a flow before it forks, and a worker that is killed in a run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable import history, opened_app

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SECONDS = 60

SITE = '''
"""A web application on one ledger, as WSGI and as ASGI."""

import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, os.environ["SUPPORT"])

from durable import open_app
from surefoot import flow, step
from surefoot.ledger import is_provably_gone

app = open_app(Path.cwd())


@step
def piece(number: int, is_killed: bool) -> int:
    if is_killed and number == 5 and not os.path.exists("killed"):
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    line = os.open("effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{is_killed} {number}\\n".encode())
    os.close(line)
    return number


@flow
def blocking(is_killed: bool = False) -> list[int]:
    return [piece(number, is_killed) for number in range(10)]


@flow
async def awaited(is_killed: bool = False) -> list[int]:
    return [piece(number, is_killed) for number in range(10)]


def gone() -> str:
    """The run of the killed worker. Its sockets are closed a moment before the process is gone."""
    run = app.ledger.runs(status="running")[0]
    while not is_provably_gone(run.owner):
        time.sleep(0.01)
    return run.id


def answer(result: object) -> bytes:
    return json.dumps({"pid": os.getpid(), "result": result}).encode()


def application(environ, start_response):
    match environ["PATH_INFO"]:
        case "/run":
            result = blocking()
        case "/background":
            result = app.run(awaited)
        case "/killed":
            result = blocking(is_killed=True)
        case "/resume":
            result = app.resume(gone())
    start_response("200 OK", [("content-type", "application/json")])
    return [answer(result)]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    match scope["path"]:
        case "/run":
            result = await app.run_async(awaited)
        case "/background":
            result = await app.run_async(blocking)
        case "/killed":
            result = await app.run_async(awaited, {"is_killed": True})
        case "/resume":
            result = await app.resume_async(gone())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer(result)})


with app.entered():
    # Before the fork: ledger, threads and background loop are those of the master.
    blocking()
    app.run(awaited)

_inner = application


def application(environ, start_response):
    with app.entered():
        return _inner(environ, start_response)
'''


@contextmanager
def serving(folder: Path, entry: str, worker: str) -> Iterator[int]:
    """The port of a gunicorn with two workers of that class."""
    (folder / "site_of_test.py").write_text(SITE)
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--worker-class", worker]
        command += ["--bind", f"fd://{listener.fileno()}", "--no-control-socket", f"site_of_test:{entry}"]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "SUPPORT": str(Path(__file__).parents[1] / "support")},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)


def get(port: int, path: str) -> tuple[int, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        said = json.loads(body)
        return said["pid"], said["result"]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("entry", "worker"),
    [
        ("application", "sync"),
        ("application", "gthread"),
        ("asgi", "uvicorn.workers.UvicornWorker"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_of_a_preloaded_application(tmp_path: Path, entry: str, worker: str) -> None:
    expected = list(range(10))
    with serving(tmp_path, entry, worker) as port:
        assert get(port, "/run")[1] == expected
        answers: list[tuple[int, object]] = []
        until = time.monotonic() + SECONDS
        # On a busy machine one of the two may take many requests before the other takes its first.
        while len(answers) < 12 or (len({pid for pid, _ in answers}) < 2 and time.monotonic() < until):
            with ThreadPoolExecutor(6) as pool:
                answers += pool.map(lambda path: get(port, path), ["/run", "/background"] * 6)
        assert [result for _, result in answers] == [expected] * len(answers)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            get(port, "/killed")
        pid, result = get(port, "/resume")
        assert result == expected
    effects = (tmp_path / "effects").read_text().splitlines()
    assert sorted(line for line in effects if line.startswith("True")) == [f"True {n}" for n in range(10)]
    with opened_app(tmp_path) as app:
        runs = app.ledger.runs(limit=None)
        assert len(runs) == 2 + 1 + len(answers) + 1
        assert {run.status for run in runs} == {"completed"}
        assert all(app.ledger.first_break(run.id) is None for run in runs)
        assert all(len(history(app, run.id)) in (12, 13) for run in runs)
        [resumed] = [run for run in runs if run.epoch == 2]
        assert resumed.owner is not None
        assert resumed.owner.pid == pid
        # The master ran flows too, and so did both workers: each under its own name.
        assert len({run.owner.pid for run in runs if run.owner}) >= 3
