"""A process that is killed in the middle of a stream: the next one says that it begins again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from durable import names, opened_app

STREAMING = '''
"""Prints what a web page would be told, one JSON line each."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, {support!r})

from durable import open_app
from surefoot import flow, step
from surefoot.flows import RunOpened, StepOpened, StepYielded

is_first = sys.argv[2] == "first"


def say(*what):
    print(json.dumps(what), flush=True)


def listen(event):
    if isinstance(event, StepOpened):
        say("opened", event.name, event.is_restarted)
    elif isinstance(event, StepYielded):
        say("item", event.name, event.item, event.is_replayed)


@step
def before():
    yield from ("x", "y")


@step
def blocking():
    for n in range(4):
        if n == 2 and is_first:
            say("killable")
            time.sleep(60)
        yield n


@step
async def awaited():
    for n in range(4):
        if n == 2 and is_first:
            say("killable")
            await asyncio.sleep(60)
        yield n


@flow
def reading_blocking():
    return [*before(), *blocking()]


@flow
async def reading_awaited():
    return [*before(), *[item async for item in awaited()]]


if __name__ == "__main__":
    app = open_app(Path.cwd())
    target = globals()["reading_" + sys.argv[1]]
    result = app.run(target, listener=listen) if is_first else app.resume("last", listener=listen)
    say("result", result)
'''


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_a_stream_that_was_cut_by_a_kill(tmp_path: Path, way: str) -> None:
    script = tmp_path / "streaming.py"
    script.write_text(STREAMING.format(support=str(Path(__file__).parents[1] / "support")))
    command = [sys.executable, str(script), way, "first"]
    heard: list[list[object]] = []
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            heard.append(json.loads(line))
            if heard[-1] == ["killable"]:
                process.kill()
    assert heard == [
        ["opened", "before", False],
        ["item", "before", "x", False],
        ["item", "before", "y", False],
        ["opened", way, False],
        ["item", way, 0, False],
        ["item", way, 1, False],
        ["killable"],
    ]
    with opened_app(tmp_path) as app:
        assert names(app) == ["before"]
    command[-1] = "second"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "begins again from its first item" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        ["item", "before", "x", True],
        ["item", "before", "y", True],
        ["opened", way, True],
        *(["item", way, n, False] for n in range(4)),
        ["result", ["x", "y", 0, 1, 2, 3]],
    ]
