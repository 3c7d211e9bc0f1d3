"""`surefoot serve` as a command: the page that tells of it (docs/guide/serve.md), its sockets, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from command_line import surefoot
from logged_in import hidden_in
from serving import Server, events, until
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "serve.md"
BLOCK = re.compile(r"<!-- test: (.+?) -->\n```\w+\n(.*?)```", re.DOTALL)


def blocks(mark: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if found == mark]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "served.py").write_text(blocks("file=served.py")[0])
    server = Server(folder, "served.py", environ={"SUREFOOT_SERVE_PARK": "0.2", "SUREFOOT_SERVE_LOOK": "0.2"})
    try:
        yield server
    finally:
        assert server.stop() == 0


def test_what_the_page_shows_is_answered(server: Server) -> None:
    started, asking, _ = blocks("by=tests/e2e/test_serve.py")
    assert started.split()[:3] == ["surefoot", "serve", "served.py"]
    lines = asking.strip().splitlines()
    for line in lines:
        command = [*shlex.split(line.replace("localhost:8720", server.url)), "-sS", "--fail-with-body"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert '"status":"' in done.stdout
    assert len(lines) == 5


def test_the_description_that_the_page_fetches_is_one(server: Server, tmp_path: Path) -> None:
    fetching = blocks("by=tests/e2e/test_serve.py")[2]
    line = fetching.strip().replace("localhost:8720", server.url)
    subprocess.run([*shlex.split(line), "--fail-with-body"], cwd=tmp_path, timeout=60, check=True)
    document = json.loads((tmp_path / "openapi.json").read_bytes())
    OpenAPIV31SpecValidator(document).validate()
    assert document["paths"].keys() >= {"/flows/describe/runs", "/flows/publish/runs", "/runs/{run}"}


def test_a_run_that_waits_for_an_event_is_followed_to_its_end(server: Server) -> None:
    run = server.client.post("/flows/publish/runs?wait=0", json={"inputs": {"text": "news"}}).json()["id"]
    told: list[str] = []

    def follow() -> None:
        told.append(server.client.get(f"/runs/{run}/events").text)

    following = threading.Thread(target=follow)
    following.start()
    until(lambda: server.client.get(f"/runs/{run}").json()["status"] in ("running", "waiting"))
    assert httpx.post(f"{server.url}/runs/{run}/events/read", json={"value": "Ann"}).status_code == 202
    following.join(60)
    assert events(told[0])[-1][2]["output"] == "news (Ann)"


def test_it_listens_on_a_socket_file_for_who_has_a_token(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(blocks("file=served.py")[0])
    app = App(load(tmp_path, environ={}))
    app.access.people.add("service:ci", by=LOCAL)
    app.access.people.grant("service:ci", "runner", "*", by=LOCAL)
    token, _ = app.access.tokens.issue("service:ci", by=LOCAL)
    app.close()
    published = surefoot("access", "publish", "served.py:describe", "--json", cwd=tmp_path)
    surefoot("access", "approve", "describe", json.loads(published.stdout)[0]["digest"], cwd=tmp_path)
    server = Server(tmp_path, "served.py", options=("--unix", "s.sock"))
    transport = httpx.HTTPTransport(uds=str(tmp_path / "s.sock"))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
        body = {"inputs": {"city": "Genoa"}}
        assert client.post("/flows/describe/runs", json=body).status_code == 401
        headers = {"authorization": f"Bearer {token}"}
        answered = client.post("/flows/describe/runs", json=body, headers=headers)
        assert answered.json()["output"] == "Genoa lies by the sea"
        run = client.get(f"/runs/{answered.json()['id']}", headers=headers).json()
        assert run["principal"] == "service:ci"
    assert server.url == "unix:s.sock"
    assert server.stop() == 0
    assert not (tmp_path / "s.sock").exists()


def test_people_look_at_what_programs_have_run_on_the_same_server(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(blocks("file=served.py")[0])
    app = App(load(tmp_path, environ={}))
    app.access.people.add("user:ann", by=LOCAL, organisation="acme")
    app.access.people.grant("user:ann", "runner", "acme", by=LOCAL)
    token, _ = app.access.tokens.issue("user:ann", by=LOCAL)
    app.close()
    published = surefoot(
        "access", "publish", "served.py:describe", "--organisation", "acme", "--json", cwd=tmp_path
    )
    digest = json.loads(published.stdout)[0]["digest"]
    surefoot("access", "approve", "describe", digest, "--organisation", "acme", cwd=tmp_path)
    server = Server(tmp_path, "served.py", options=("--port", "0", "--ui"))
    bearer = {"authorization": f"Bearer {token}"}
    made = server.client.post("/flows/describe/runs", json={"inputs": {"city": "Genoa"}}, headers=bearer)
    run = made.json()["id"]
    assert server.client.get(f"/ui/runs/{run}").headers["location"].startswith("/ui/login")
    form = hidden_in(server.client.get("/ui/login").text)
    begun = server.client.post("/ui/login", data={**form, "key": token}, headers={"origin": server.url})
    assert begun.headers["location"] == "/ui/"
    page = server.client.get(f"/ui/runs/{run}")
    assert page.status_code == 200
    assert "Genoa lies by the sea" in page.text
    assert "user:ann" in page.text
    assert server.stop() == 0
    assert token not in "".join(server.errors)


def test_nobody_serves_others_without_asking_who_they_are(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(blocks("file=served.py")[0])
    open_to_all = surefoot(
        "serve", "served.py", "--host", "0.0.0.0", "--insecure-local", cwd=tmp_path, code=2
    )
    assert "--insecure-local" in open_to_all.stderr
    without_tokens = surefoot("serve", "served.py", "--host", "0.0.0.0", cwd=tmp_path, code=2)
    assert "surefoot token create" in without_tokens.stderr


def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    assert (
        "holds no flows" in surefoot("serve", "nothing.py", "--insecure-local", cwd=tmp_path, code=2).stderr
    )
    assert (
        "cannot be imported"
        in surefoot("serve", "broken.py", "--insecure-local", cwd=tmp_path, code=2).stderr
    )
    assert "there is no file" in surefoot("serve", "gone.py", "--insecure-local", cwd=tmp_path, code=2).stderr
    folder = surefoot("serve", "flow/", "--insecure-local", cwd=tmp_path, code=2).stderr
    assert "there is no file or folder flow/" in folder
    (tmp_path / "served.py").write_text(blocks("file=served.py")[0])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = surefoot("serve", "served.py", "--insecure-local", "--port", port, cwd=tmp_path, code=1).stderr
    assert "name another with --port" in said


def test_a_slow_flow_keeps_nobody_from_looking(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        runs = [
            client.post("/flows/publish/runs?wait=0", json={"inputs": {"text": f"t{n}"}}).json()["id"]
            for n in range(12)
        ]
        # More of them wait than there are workers: they give these up.
        assert client.post("/flows/describe/runs", json={"inputs": {"city": "Faro"}}).status_code == 200
        for run in runs:
            client.post(f"/runs/{run}/events/read", json={"value": "x"})
        for run in runs:
            until(lambda run=run: client.get(f"/runs/{run}").json()["status"] == "completed")
