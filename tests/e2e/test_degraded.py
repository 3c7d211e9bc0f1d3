"""The example of docs/guide/degrade.md: its vector database and its API go down in the midst, and come back."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import surefoot, surefoot_json
from documented import PROJECT, blocks_of
from surefoot import App
from surefoot.config import load
from surefoot.retrieval import Collection

WIRE = PROJECT / "tests" / "servers" / "wire.py"
SECONDS = 60
QUERY = "When do backups run?"
PASSAGE = "Backups run every night at two."
FALLBACK = "I cannot look that up now: please ask again later."


class Api:
    """A model's API in a process of its own, on a port that it keeps."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = folder / "calls.jsonl"
        self._log.touch()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--log", str(self._log), "--reply", "At two, every night."]
        self._process = subprocess.Popen(
            [sys.executable, str(WIRE), *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert "listening" in self._process.stdout.readline()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    @property
    def calls(self) -> int:
        return len(self._log.read_text().splitlines())


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    api = Api(tmp_path)
    api.start()
    yield api
    api.kill()


@pytest.fixture
def project(tmp_path: Path, api: Api) -> Path:
    """The two files of the guide, with the API's address, quicker breakers, and a collection."""
    page = PROJECT / "docs" / "guide" / "degrade.md"
    files = {
        block.marks["file"]: block.text
        for block in blocks_of(page.read_text(encoding="utf-8"), "degrade.md")
        if "file" in block.marks
    }
    settings = files["surefoot.toml"].replace("127.0.0.1:9/", f"127.0.0.1:{api.port}/")
    settings = re.sub(r"minimum = 5 .*|error_rate = 0.5", "minimum = 3", settings)
    settings = re.sub(r"cooldown = 2.0 .*", "cooldown = 1.0\ncooldown_cap = 1.0", settings)
    settings += "cooldown = 1.0\ncooldown_cap = 1.0\n"
    (tmp_path / "surefoot.toml").write_text(settings)
    (tmp_path / "answers.py").write_text(files["answers.py"])
    return tmp_path


def until(what: Callable[[], bool]) -> None:
    end_at = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end_at, "it never came to that"
        time.sleep(0.1)


def test_both_go_down_and_come_back(project: Path, api: Api) -> None:
    app = App(load(project, environ={"API_KEY": "none", "SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}))
    file = project / ".surefoot" / "collections" / "handbook.db"
    flow = f"{project / 'answers.py'}:answer"

    def ask() -> str:
        answer = app.run(flow, {"query": QUERY})
        assert isinstance(answer, str)
        return answer

    def states() -> dict[str, str]:
        return {reading.breaker.partition("/")[0]: reading.state for reading in app.breakers.readings()}

    def last() -> Any:
        return app.ledger.run("last")

    try:
        with app.entered():
            handbook = Collection.open("handbook", create=True)
            handbook.put("backups.md", f"# Backups\n\n{PASSAGE}\n".encode())
        assert ask() == "At two, every night."
        assert (last().status, last().totals.is_degraded) == ("completed", False)

        # The vector database is gone: the model answers without it.
        for part in file.parent.glob("handbook.db*"):
            part.rename(part.with_name(f"gone-{part.name}"))
        assert [ask() for _ in range(4)] == ["At two, every night."] * 4
        assert states() == {"vector-db": "open", "models": "closed"}
        assert (last().status, last().totals.is_degraded) == ("completed", True)

        # And then the API: the answer is poor, and it is one.
        api.kill()
        began = api.calls
        assert [ask() for _ in range(4)] == [FALLBACK] * 4
        assert states()["models"] == "open"
        refusals = [
            link.outcome
            for link in app.ledger.history(last().id)
            if link.outcome.name == "reply" and link.outcome.status == "failed"
        ]
        assert len(refusals) == 1
        assert (last().status, last().totals.is_degraded) == ("completed", True)

        # The vector database is back: what it finds is the answer, word for word.
        for part in file.parent.glob("gone-*"):
            part.rename(part.with_name(part.name.removeprefix("gone-")))
        until(lambda: PASSAGE in ask())
        until(lambda: ask() and states()["vector-db"] == "closed")
        assert last().totals.is_degraded

        # So is the API.
        api.start()
        until(lambda: ask() == "At two, every night.")
        assert api.calls > began
        assert states() == {"vector-db": "closed", "models": "closed"}
        assert (last().status, last().totals.is_degraded) == ("completed", False)
    finally:
        app.close()


def test_many_at_once_while_the_api_is_killed_under_them(project: Path, api: Api) -> None:
    """No run fails, whatever moment it meets; behind it all is well again."""
    app = App(load(project, environ={"API_KEY": "none", "SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}))
    flow = f"{project / 'answers.py'}:answer"

    async def ask() -> object:
        return await app.run_async(flow, {"query": QUERY})

    async def storm() -> list[object]:
        first = asyncio.create_task(ask())
        tasks = [asyncio.create_task(ask()) for _ in range(20)]
        await first
        api.kill()
        tasks += [asyncio.create_task(ask()) for _ in range(20)]
        return await asyncio.gather(*tasks)

    try:
        answers = asyncio.run(storm())
        assert set(answers) <= {"At two, every night.", FALLBACK}
        assert FALLBACK in answers
        assert {run.status for run in app.ledger.runs(limit=None)} == {"completed"}
        api.start()
        until(lambda: app.run(flow, {"query": QUERY}) == "At two, every night.")
    finally:
        app.close()


def test_the_command_line_shows_what_was_second_best(project: Path, api: Api) -> None:
    api.kill()
    environ = {"API_KEY": "none", "COLUMNS": "100"}
    done = surefoot("run", "answers.py:answer", "--input", f"query={QUERY}", cwd=project, **environ)
    assert done.stdout.strip() == FALLBACK
    assert "completed, degraded" in done.stderr
    shown = surefoot("show", "last", cwd=project, **environ).stdout
    assert re.search(r"^Run \w+ +completed, degraded$", shown, re.MULTILINE)
    assert "CollectionError" in shown
    assert shown.count("attempt 2 · degraded") == 2
    assert surefoot_json("show", "last", cwd=project, **environ)["is_degraded"] is True
    (whole, *steps) = surefoot("stats", "answer", cwd=project, **environ).stdout.splitlines()[-4:]
    assert "(whole runs)" in whole
    assert {line.split()[0] for line in steps} >= {"passages", "reply"}
