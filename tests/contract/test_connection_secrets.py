"""A connection's credentials, echoed wherever a server or a flow can put them: in no file, on no log line of ours."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest

from surefoot import App, flow, generate, models, step
from surefoot.config import load
from surefoot.errors import RequestRefused, StepFailed
from surefoot.values import Message

HEADER = "gateway+token/of=a\\test"
KEYS = ("the-first-key-of-a-test", "the-second-key-of-a-test")


class Echo(BaseHTTPRequestHandler):
    """Answers with all that it was sent, headers included; refuses what asks for `refuse`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        told = f"{dict(self.headers)} {asked['messages'][0]['content']}"
        if asked["model"] == "refuse":
            self._answer(400, {"error": {"message": told, "type": "invalid_request_error"}})
            return
        message = {"role": "assistant", "content": told}
        self._answer(
            200,
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            },
        )

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("x-request-id", self.headers["authorization"])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@step
def quoting(text: str) -> str:
    return f"step {text}"


@flow
def leaking(secret: str) -> str | None:
    target = App.current().target("gate:m")
    with openai.OpenAI(base_url=target.base_url, api_key="x", default_headers=target.headers()) as client:
        said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": secret}])
        quoting(secret)
        try:
            client.chat.completions.create(model="refuse", messages=[{"role": "user", "content": "no"}])
        except openai.BadRequestError as error:
            raise RuntimeError(f"{error} with {secret} and {said.choices[0].message.content}") from error
    return None


@flow
def leaking_of_ours(secret: str) -> str | None:
    said = generate.sync([Message("user", f"Say {secret}")], using="gate:m")
    quoting(secret)
    try:
        generate.sync([Message("user", "no")], using="gate:refuse")
    except RequestRefused as error:
        raise RuntimeError(f"{error} with {secret} and {said}") from error
    return None


@pytest.mark.parametrize("target", [leaking, leaking_of_ours], ids=["sdk", "generate"])
def test_no_credential_is_stored_and_a_new_one_is_used_at_once(
    tmp_path: Path, echo: str, caplog: pytest.LogCaptureFixture, target: Any
) -> None:
    (tmp_path / "surefoot.toml").write_text(
        f'[connections.gate]\nprovider = "openai-compatible"\nbase_url = "{echo}"\napi_key = "${{file:key}}"\n'
        'headers = { X-Gateway = "Token ${env:GATE}" }\n'
        # It is about what is stored: an answer that gives one away is refused otherwise.
        '[guards]\nsecrets = "flag"\n',
        encoding="utf-8",
    )
    app = App(load(tmp_path, environ={"GATE": HEADER}))
    models.policy.provide(lambda: app.policy)
    key = tmp_path / "key"
    with caplog.at_level(logging.DEBUG):
        for secret in KEYS:
            key.write_text(secret)
            # From when it was read for the first time, it is known.
            app.target("gate:m").headers()
            with pytest.raises(StepFailed) as caught:
                app.run(target, {"secret": f"{secret} {HEADER}"})
            # The server has seen the one that holds now, and said it.
            assert f"Bearer {secret}" in str(caught.value.__cause__)
    # What held before is a secret still.
    with pytest.raises(StepFailed):
        app.run(target, {"secret": KEYS[0]})
    app.close()
    assert_clean(tmp_path / ".surefoot", caplog)


def assert_clean(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = (*KEYS, HEADER, json.dumps(HEADER)[1:-1])
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert "ledger.db" in {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, (file, secret)
            assert secret.encode("utf-16-le") not in content, (file, secret)
    # The SDK logs headers of its own accord, at DEBUG; our lines are another matter.
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("surefoot"))
    for secret in secrets:
        assert secret not in ours
