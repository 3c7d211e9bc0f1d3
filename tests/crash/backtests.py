"""Backtests in full: 500 recorded runs of four steps, a backtest that is killed twice, and what it asked the model.

Run by `make backtest-proof`; `make test` has a smaller part of it in `tests/unit/evals/test_backtests.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STEPS = ("plan", "find", "draft", "answer")
AT_ONCE = 8

FLOW = """
from surefoot import flow, generate, step

@step
async def asked(name: str, x: str) -> str:
    return await generate(name, using="openai:gpt-4o", x=x)

@step(effect=True, stand_in="not sent")
async def mail(to: str) -> str:
    open("mails", "a").write(to + "\\n")
    return "sent"

@flow
async def four(x: str) -> str:
    for name in ("plan", "find", "draft", "answer"):
        x = await asked(name, x)
    await mail(x)
    return x
"""

RECORD = """
import asyncio, sys
from flow import four

async def main() -> None:
    limit = asyncio.Semaphore(8)
    async def one(number: int) -> None:
        async with limit:
            await four(f"q{number}")
    await asyncio.gather(*(one(number) for number in range(int(sys.argv[1]))))

asyncio.run(main())
"""

TEST = """
import json, sys, time
from flow import four
from surefoot.evals.backtesting import backtest

def is_told(output: str) -> bool:
    return bool(output)

began = time.process_time()
found = backtest(four, [is_told], runs="last day", changes=sys.argv[2:], experiment=sys.argv[1], concurrency=8)
taken, made = found.reuse.taken, found.reuse.made
print(json.dumps({
    "rows": len(found.candidate.rows), "failed": len(found.candidate.failed), "made": made.calls, "taken": taken.calls,
    "taken_steps": taken.steps, "cpu": time.process_time() - began,
}))
"""


@dataclass
class Asked:
    """What the model was asked: how often, and under which idempotency keys."""

    requests: int = 0
    keys: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        with self.lock:
            self.requests = 0
            self.keys.clear()


def serving(asked: Asked) -> ThreadingHTTPServer:
    """A model on a port of this machine, whose answers depend on all that is asked."""

    class Model(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with asked.lock:
                asked.requests += 1
                asked.keys.add(self.headers["idempotency-key"])
            text = body["messages"][-1]["content"]
            said = f"{text.split(':')[0]} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
            usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
            answer = {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o",
                "choices": [choice],
            }
            content = json.dumps({**answer, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was killed has gone without a word."""

    server = Server(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Proof:
    """The project in a folder of its own, and the claims about it."""

    def __init__(self, folder: Path, asked: Asked, port: int) -> None:
        self.folder, self.asked = folder, asked
        self.failed = self.passed = 0
        self._environ = {
            **os.environ,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": "none",
            "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        }
        (folder / "flow.py").write_text(FLOW)
        (folder / "record.py").write_text(RECORD)
        (folder / "backtest.py").write_text(TEST)
        (folder / "surefoot.toml").write_text("")
        prompts = folder / "prompts"
        prompts.mkdir()
        for name in STEPS:
            for version in ("1", "2"):
                text = f"prompt_id: {name}\nversion: '{version}'\ntemplate: '{name} {version}: {{x}}'\n"
                (prompts / f"{name}{version}.yaml").write_text(text)
        labels = "".join(f'[{name}]\nproduction = "1"\ncandidate = "2"\n' for name in STEPS)
        (prompts / "labels.toml").write_text(labels)

    def begun(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def done(self, *arguments: str) -> str:
        process = self.begun(*arguments)
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
        return output

    def killed(self, after: int, *arguments: str) -> None:
        """Kill a process once the model was asked so often; it may not have come to its end by then."""
        process = self.begun(*arguments)
        while self.asked.requests < after and process.poll() is None:
            time.sleep(0.005)
        self.claim(f"it is under way when it is killed, after {after} requests", process.poll() is None)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def claim(self, what: str, holds: bool) -> None:
        self.passed += holds
        self.failed += not holds
        say(f"{'passed' if holds else 'FAILED'}  {what}")


def prove(runs: int, folder: Path) -> int:
    asked = Asked()
    server = serving(asked)
    proof = Proof(folder, asked, server.server_port)
    proof.done("record.py", str(runs))
    proof.claim(f"{runs} runs are recorded with {4 * runs} calls", asked.requests == 4 * runs)
    mails = (folder / "mails").read_text()

    asked.clear()
    last = ["backtest.py", "of-the-last", "prompt:answer@candidate"]
    proof.killed(runs // 3, *last)
    proof.killed(runs * 2 // 3, *last)
    found = json.loads(proof.done(*last))
    proof.claim(f"a change to the last prompt makes {runs} calls: {found['made']}", found["made"] == runs)
    proof.claim(f"and takes {3 * runs}: {found['taken']}", found["taken"] == 3 * runs)
    proof.claim(f"the model has seen {len(asked.keys)} different calls", len(asked.keys) == runs)
    proof.claim(
        f"only what was under way at the two kills was asked again: {asked.requests - runs} of {2 * AT_ONCE} at most",
        asked.requests <= runs + 2 * AT_ONCE,
    )
    proof.claim("each run has one fork that completed", (found["rows"], found["failed"]) == (runs, 0))

    asked.clear()
    found = json.loads(proof.done("backtest.py", "of-the-first", "prompt:plan@candidate"))
    proof.claim(f"a change to the first prompt makes all calls: {found['made']}", found["made"] == 4 * runs)
    proof.claim("and the model has seen as many", asked.requests == len(asked.keys) == 4 * runs)

    asked.clear()
    found = json.loads(proof.done("backtest.py", "of-nothing"))
    proof.claim("without a change nothing is asked", asked.requests == 0 and found["taken"] == 4 * runs)
    proof.claim("no effect has happened", (folder / "mails").read_text() == mails)
    steps = found["taken_steps"]
    say(
        f"{found['cpu'] / steps * 1e6:,.0f} µs CPU for each of {steps} steps taken, {found['cpu'] / runs * 1e3:.2f} ms "
        "for each run: beginning and ending forks, scoring and statistics of use included"
    )
    server.shutdown()
    say(f"{proof.passed} passed, {proof.failed} failed")
    return 1 if proof.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return prove(given.runs, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
