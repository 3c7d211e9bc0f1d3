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

from desk import KEY, QUESTION, desk_app, made, scored
from serving_there import SECONDS, serving
from surefoot import App
from surefoot.config import load
from surefoot.ledger import ScoreRecord
from surefoot.tracecontext import span_id, trace_id
from surefoot.traces import trace
from surefoot.traces.exporter import Exporter
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
    # The last in the list is the oldest: the call that asks for the tool.
    found = {span["name"]: span for span in spans_there(server, "desk", 8)}
    kinds = {name: span["span_kind"] for name, span in found.items()}
    assert kinds == {
        "invoke_workflow desk": "CHAIN",
        "retrieval find": "RETRIEVER",
        "chat gpt-4o-mini": "LLM",
        "desk": "CHAIN",
        "execute_tool look_up": "TOOL",
        "invoke_workflow related": "CHAIN",
        "embeddings text-embedding-3-small": "EMBEDDING",
    }
    root = found["invoke_workflow desk"]
    assert root["context"] == {"trace_id": trace_id(run).hex(), "span_id": span_id(run).hex()}
    by_id = {span["context"]["span_id"]: name for name, span in found.items()}
    assert {name: by_id.get(span["parent_id"]) for name, span in found.items()} == {
        "invoke_workflow desk": None,
        "retrieval find": "invoke_workflow desk",
        "desk": "invoke_workflow desk",
        "chat gpt-4o-mini": "desk",
        "execute_tool look_up": "desk",
        "invoke_workflow related": "invoke_workflow desk",
        "embeddings text-embedding-3-small": "invoke_workflow related",
    }
    assert {span["status_code"] for span in found.values()} == {"OK"}
    assert json.loads(root["attributes"]["input.value"]) == {"question": QUESTION}
    assert root["attributes"]["output.value"].endswith("(1 related)")
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
    tool = found["execute_tool look_up"]["attributes"]
    assert (json.loads(tool["input.value"]), tool["output.value"]) == ({"page": 42}, "page 42")
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
    found = spans_there(server, "twice", 8)
    assert len({span["context"]["span_id"] for span in found}) == len(found) == 8


def annotations_there(server: str, project: str, span: str, holds: Any) -> list[dict[str, Any]]:
    """The annotations of a span once they are such: they are stored some time after they were taken."""
    until = time.monotonic() + SECONDS
    url = f"{server}/v1/projects/{project}/span_annotations?span_ids={span}&limit=100"
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]
        except urllib.error.HTTPError:
            # The project, or the span, is not stored yet.
            found = []
        if holds({each["name"]: each for each in found}):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


def test_scores_that_are_given_later_are_annotations_of_the_run(server: str, tmp_path: Path) -> None:
    with WireServer() as wire:
        run = made(desk_app(tmp_path, wire, f'to = "phoenix"\nurl = "{server}"\nproject = "scored"\n'))
    app = App(load(tmp_path, environ={"OPENAI_API_KEY": KEY}))
    sending = Exporter(app.ledger, app.config)
    # At once: the spans may not be stored yet.
    scored(
        app.ledger,
        run,
        ScoreRecord("right", value=True),
        ScoreRecord("grounded", 0.5, "half", judge_run="01K7"),
        # A name that Phoenix keeps for itself.
        ScoreRecord("note", 1.0),
    )
    assert sending.deliver() == {"desk": 1}
    place = (server, "scored", span_id(run).hex())
    annotations_there(*place, lambda found: {"right", "grounded"} <= found.keys())
    scored(app.ledger, run, ScoreRecord("right", value=False, reason="no page"))
    assert sending.deliver() == {"desk": 1}
    app.close()
    found = annotations_there(*place, lambda found: found["right"]["result"]["score"] == 0)
    assert len(found) == 2
    by_name = {each["name"]: each for each in found}
    assert by_name["right"]["result"] == {"label": "fail", "score": 0.0, "explanation": "no page"}
    assert by_name["right"]["annotator_kind"] == "CODE"
    assert by_name["grounded"]["result"] == {"label": None, "score": 0.5, "explanation": "half"}
    assert by_name["grounded"]["annotator_kind"] == "LLM"
