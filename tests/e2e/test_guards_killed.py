"""A process that is killed within a guarded stream: what guards decided stays, and nothing that was held is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guarded import calls, guarded, told
from streaming import chat_events

KEY = "sk-proj-" + "Zx81kQ0pLmN7vB3cR5tY9wUa"
MASKED = ["write to ann@", "private.ex", "ample today"]
HELD = ["all is ", "well, the sk-", "iing is over", " now"]

ASKING = '''
"""Asks three times and prints what it is given, one JSON line each."""

import asyncio
import json
import sys
from pathlib import Path

import openai

from surefoot import App, Call, flow, generate
from surefoot.config import load
from surefoot.errors import GuardRefused


def say(*what):
    print(json.dumps(what), flush=True)


def question(text):
    return [{"role": "user", "content": text}]


def blocking(text, url):
    return generate.sync(question(text), using=Call("openai:gpt-4o", stream=lambda piece: say(text, piece)))


def awaited(text, url):
    using = Call("openai:gpt-4o", stream=lambda piece: say(text, piece))
    return asyncio.run(generate(question(text), using=using))


def sdk(text, url):
    http = openai.DefaultHttpxClient(verify=False)
    said = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key="test", http_client=http) as client:
        for chunk in client.chat.completions.create(model="gpt-4o", messages=question(text), stream=True):
            piece = chunk.choices[0].delta.content or ""
            if piece:
                say(text, piece)
                said.append(piece)
    return "".join(said)


@flow(trusted=True)
def asking(how, url):
    ask = globals()[how]
    try:
        refused = ask("refused", url)
    except GuardRefused as error:
        refused = error.decisions[0].guard
    return [refused, ask("masked", url), ask("held", url)]


if __name__ == "__main__":
    how, url = sys.argv[1:3]
    app = App(load(Path.cwd()))
    with app.entered():
        last = app.ledger.runs(limit=1)
        say("result", app.resume("last", flow=asking) if last else asking(how, url))
    app.close()
'''


@pytest.mark.parametrize("how", ["blocking", "awaited", "sdk"])
def test_what_was_decided_before_a_kill_is_decided_once(tmp_path: Path, how: str) -> None:
    gate = threading.Event()
    asked: list[str] = []

    def stalling() -> Iterator[bytes]:
        yield from list(chat_events(HELD))[:2]
        gate.wait(120)

    def answer(body: dict[str, Any]) -> Iterable[bytes]:
        text = body["messages"][-1]["content"]
        asked.append(text)
        if text == "refused":
            return chat_events(["the key is ", KEY])
        if text == "masked":
            return chat_events(MASKED)
        return stalling() if asked.count("held") == 1 else chat_events(HELD)

    with guarded(tmp_path, answer, guards='pii = "flag"') as (app, server):
        program = tmp_path / "asking.py"
        program.write_text(ASKING)
        command = [sys.executable, str(program), how, server.url]
        environ = {
            "PATH": "/usr/bin:/bin",
            "OPENAI_API_KEY": "key-of-a-test",
            "SUREFOOT_MODELS_RETRIES": "0",
            "HOME": str(tmp_path),
        }
        first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environ)
        assert first.stdout is not None
        heard: list[list[str]] = []
        for line in first.stdout:
            heard.append(json.loads(line))
            if heard[-1][0] == "held":
                break
        first.kill()
        first.wait(60)
        first.stdout.close()
        gate.set()
        assert asked == ["refused", "masked", "held"]
        # What could become a key is held back when the process dies.
        assert [piece for text, piece in heard if text == "held"] == HELD[:1]

        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=environ, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert said[-1] == ["result", ["secrets", "".join(MASKED), "".join(HELD)]]
        assert asked == ["refused", "masked", "held", "held"]
        assert "".join(piece for text, piece in said[:-1] if text == "held") == "".join(HELD)
        pieces = [piece for text, piece in said[:-1] if text == "refused"]
        assert KEY[8:] not in "".join(pieces)
        found = calls(app)
        assert [told(list(one.decisions)) for one in found] == [
            [("secrets", "refuse", "output")],
            [("pii", "flag", "output")],
            [],
        ]
        assert [one.status for one in found] == ["failed", "completed", "completed"]
