"""Traces in a real Phoenix server, read back over its own API (docs/guide/traces.md)."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desk import KEY, QUESTION, desk_app, made
from serving_there import SECONDS, serving
from surefoot import App
from surefoot.config import load
from surefoot.traces import trace
from surefoot.traces.ids import span_id, trace_id
from surefoot.traces.receivers import Receiver
from surefoot.traces.sending import send
from wire import WireServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("phoenix")
    command = os.fspath(Path(sys.executable).with_name("phoenix"))

    def serve(port: int) -> list[str]:
        return ["sh", "-c", f"PHOENIX_PORT={port} PHOENIX_GRPC_PORT=0 exec {command} serve"]

    with serving(serve, folder, health="/healthz", environ={"PHOENIX_WORKING_DIR": str(folder)}) as url:
        yield url


def spans_there(server: str, project: str, count: int) -> list[dict[str, Any]]:
    """The spans of a project once there are so many: they are stored some time after they were taken."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{server}/v1/projects/{project}/spans?limit=100") as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]
        except urllib.error.HTTPError:
            # There is no such project before its first span.
            found = []
        if len(found) >= count:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


def test_a_run_arrives_with_everything_in_its_place(server: str, tmp_path: Path) -> None:
    with WireServer() as wire:
        app = desk_app(tmp_path, wire, f'to = "phoenix"\nurl = "{server}"\nproject = "desk"\n')
        run = made(app)
    found = {span["name"]: span for span in spans_there(server, "desk", 5)}
    kinds = {name: span["span_kind"] for name, span in found.items()}
    assert kinds == {
        "invoke_workflow desk": "CHAIN",
        "retrieval find": "RETRIEVER",
        "chat gpt-4o-mini": "LLM",
        "look_up": "CHAIN",
        "embeddings text-embedding-3-small": "EMBEDDING",
    }
    root = found["invoke_workflow desk"]
    assert root["context"] == {"trace_id": trace_id(run).hex(), "span_id": span_id(run).hex()}
    assert {span["parent_id"] for span in found.values()} == {None, span_id(run).hex()}
    assert {span["status_code"] for span in found.values()} == {"OK"}
    assert json.loads(root["attributes"]["input.value"]) == {"question": QUESTION}
    assert root["attributes"]["output.value"].endswith("(page 7)")
    assert (root["attributes"]["session.id"], root["attributes"]["user.id"]) == ("s-1", "ada")

    call = found["chat gpt-4o-mini"]["attributes"]
    assert call["llm.model_name"].startswith("gpt-4o-mini")
    assert json.loads(call["llm.invocation_parameters"]) == {"temperature": 0.25, "max_completion_tokens": 64}
    assert (
        call["llm.token_count.total"] == call["llm.token_count.prompt"] + call["llm.token_count.completion"]
    )
    assert call["llm.token_count.prompt"] > 0
    assert call["llm.cost.total"] > 0
    assert call["llm.input_messages.0.message.content"] == "Answer briefly."
    assert QUESTION in call["llm.input_messages.1.message.content"]
    assert call["llm.output_messages.0.message.role"] == "assistant"
    assert (call["surefoot.prompt.name"], call["surefoot.prompt.version"]) == ("desk", "2")

    retrieved = found["retrieval find"]["attributes"]
    assert retrieved["retrieval.documents.0.document.content"] == "Backups run at two."
    assert retrieved["retrieval.documents.0.document.score"] == 0.91
    # Tokens and cost stand on calls alone: Phoenix adds them up.
    assert not any(key.startswith("llm.token_count") for key in root["attributes"])


def test_what_is_sent_twice_is_there_once(server: str, tmp_path: Path) -> None:
    with WireServer() as wire:
        app = desk_app(tmp_path, wire, f'to = "phoenix"\nurl = "{server}"\nproject = "twice"\n')
        made(app)
        again = App(load(tmp_path, environ={"OPENAI_API_KEY": KEY}))
        # As whoever does who cannot know whether it arrived.
        receiver = Receiver.of(again.config.traces["desk"]).target(again.config.mlflow, {})
        send([trace(again.ledger, "last")], receiver)
        again.close()
    time.sleep(1.0)
    found = spans_there(server, "twice", 5)
    assert len({span["context"]["span_id"] for span in found}) == len(found) == 5
