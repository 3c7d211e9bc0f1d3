"""The local server is as strict as what it stands for: the SDKs raise what they raise at the real APIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from wire import WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server


def test_a_wrong_key_is_refused(wire: WireServer) -> None:
    with (
        openai.OpenAI(base_url=wire.openai_url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with (
        anthropic.Anthropic(base_url=wire.anthropic_url, api_key="wrong", max_retries=0) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.create(model="c", max_tokens=1, messages=MESSAGES)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}, "'model'"),
        ("/v1/chat/completions", {"model": "m"}, "'messages'"),
        ("/v1/chat/completions", {"model": "m", "messages": []}, "empty array"),
        ("/v1/chat/completions", {"model": "m", "messages": [{"role": "boss", "content": "x"}]}, "role"),
        ("/v1/chat/completions", {"model": "m", "messages": MESSAGES, "max_token": 1}, "Unrecognized"),
        ("/v1/responses", {"model": "m"}, "'input'"),
        ("/v1/embeddings", {"model": "m"}, "'input'"),
        ("/v1/completions", {"model": "m"}, "'prompt'"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES}, "max_tokens: Field required"),
        ("/v1/messages", {"model": "m", "messages": [], "max_tokens": 1}, "at least one message"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES, "max_tokens": 0}, "greater than"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES, "max_tokens": 1, "n": 2}, "Extra inputs"),
        (
            "/v1/messages",
            {"model": "m", "messages": [{"role": "system", "content": "x"}], "max_tokens": 1},
            "'user' or 'assistant'",
        ),
    ],
)
def test_a_malformed_request_is_refused(wire: WireServer, path: str, body: dict[str, Any], said: str) -> None:
    headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    with httpx2.Client(headers=headers) as client:
        answer = client.post(wire.url + path, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert ("type" in answer.json()) == path.endswith("messages")


def test_without_a_key_or_a_path(wire: WireServer) -> None:
    with httpx2.Client() as client:
        assert client.post(wire.openai_url + "/chat/completions", json={}).status_code == 401
        assert client.post(wire.openai_url + "/nowhere", json={}).status_code == 404
        assert client.get(wire.openai_url + "/chat/completions").status_code == 405
        assert client.post(wire.openai_url + "/chat/completions", content=b"{").status_code == 400


def test_the_server_as_a_process_logs_each_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    script = Path(__file__).parents[1] / "servers" / "wire.py"
    command = [sys.executable, str(script), "--port", "0", "--log", str(log), "--reply", "fixed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with openai.OpenAI(base_url=url + "/v1", api_key="k") as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        process.kill()
    assert answer.choices[0].message.content == "fixed"
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(call["path"], call["model"], call["is_stream"]) for call in calls] == [
        ("/v1/chat/completions", "gpt-4o", False)
    ]
