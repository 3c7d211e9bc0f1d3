"""Wherever an answer says something, guards look at it: in every format, whole and streamed, in fields known or not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from guarded import decisions, guarded, told
from streaming import chat, chat_events, event, message
from surefoot import Call, flow, generate
from surefoot.errors import GuardRefused

KEY = "sk-proj-" + "Zx81kQ0pLmN7vB3cR5tY9wUa"
SAID = f"it is {KEY}"
REFUSED = [("secrets", "refuse", "output")]
PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
}


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


def in_message(**fields: Any) -> dict[str, Any]:
    return chat("", **fields)


def in_item(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "output": [fields]}


def in_block(**fields: Any) -> dict[str, Any]:
    return {**message(""), "content": [fields]}


def in_part(**fields: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"parts": [fields]}, "finishReason": "STOP"}]}


TEXT = [{"type": "text", "text": SAID}]
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat: refusal": ("chat", in_message(refusal=SAID)),
    "chat: function_call": ("chat", in_message(function_call={"name": "f", "arguments": json.dumps([SAID])})),
    "chat: transcript": ("chat", in_message(audio={"id": "a", "data": "AAAA", "transcript": SAID})),
    "chat: annotation": (
        "chat",
        in_message(annotations=[{"type": "url_citation", "url_citation": {"title": SAID}}]),
    ),
    "chat: reasoning_details": ("chat", in_message(reasoning_details=[{"type": "x", "text": SAID}])),
    "chat: thinking part": ("chat", in_message(content=[{"type": "thinking", "thinking": TEXT}])),
    "chat: a second choice": ("chat", {"choices": [chat("")["choices"][0], {"message": {"content": SAID}}]}),
    "chat: a key of its own": ("chat", {**chat(""), "note": {"deep": [SAID]}}),
    "completions": ("completions", {"choices": [{"index": 0, "text": SAID}]}),
    "responses: mcp output": ("responses", in_item(type="mcp_call", arguments="{}", output=SAID)),
    "responses: logs": (
        "responses",
        in_item(type="code_interpreter_call", code="1", outputs=[{"type": "logs", "logs": SAID}]),
    ),
    "responses: file search": (
        "responses",
        in_item(type="file_search_call", results=[{"text": SAID, "score": 1}]),
    ),
    "responses: web search": (
        "responses",
        in_item(type="web_search_call", action={"type": "search", "query": SAID}),
    ),
    "responses: shell": (
        "responses",
        in_item(type="local_shell_call", action={"type": "exec", "command": ["echo", SAID]}),
    ),
    "responses: annotation": (
        "responses",
        in_item(
            type="message", content=[{"type": "output_text", "text": "x", "annotations": [{"title": SAID}]}]
        ),
    ),
    "messages: tool result": ("messages", in_block(type="mcp_tool_result", content=TEXT)),
    "messages: search result": (
        "messages",
        in_block(type="web_search_tool_result", content=[{"type": "web_search_result", "title": SAID}]),
    ),
    "messages: code result": (
        "messages",
        in_block(type="code_execution_tool_result", content={"stdout": SAID, "return_code": 0}),
    ),
    "messages: citation": ("messages", in_block(type="text", text="x", citations=[{"cited_text": SAID}])),
    "messages: input": ("messages", in_block(type="tool_use", name="f", input={"a": [{"b": SAID}]})),
    "gemini: code": ("gemini", in_part(executableCode={"language": "PYTHON", "code": SAID})),
    "gemini: code's output": ("gemini", in_part(codeExecutionResult={"outcome": "OK", "output": SAID})),
    "gemini: arguments": ("gemini", in_part(functionCall={"name": "f", "args": {"a": [SAID]}})),
    "gemini: grounding": (
        "gemini",
        {**in_part(text="x"), "candidates": [{"groundingMetadata": {"webSearchQueries": [SAID]}}]},
    ),
}


@flow
def posting(url: str, path: str, is_stream: bool = False) -> str:
    """What a client that is no SDK is given."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": is_stream}
    with httpx.Client(verify=False) as client:
        if not is_stream:
            return client.post(url + path, json=body).text
        with client.stream("POST", url + path, json=body) as response:
            return "".join(response.iter_text())


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_seen_wherever_it_stands(tmp_path: Path, place: str) -> None:
    name, answer = PLACES[place]
    with guarded(tmp_path, lambda _: json.dumps(answer).encode()) as (app, server):
        with pytest.raises(GuardRefused):
            posting(server.url, PATHS[name])
        assert told(decisions(app)) == REFUSED


def delta(**fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


HALVES = (SAID[:12], SAID[12:])
STREAMS: dict[str, tuple[str, list[bytes]]] = {
    "chat: function_call": ("chat", [delta(function_call={"arguments": half}) for half in HALVES]),
    "chat: transcript": ("chat", [delta(audio={"transcript": half}) for half in HALVES]),
    "responses: code": (
        "responses",
        [
            event({"type": "response.code_interpreter_call_code.delta", "output_index": 0, "delta": half})
            for half in HALVES
        ],
    ),
    "responses: transcript": (
        "responses",
        [event({"type": "response.audio.transcript.delta", "delta": half}) for half in HALVES],
    ),
    "messages: citation": (
        "messages",
        [
            event({"type": "content_block_delta", "index": 0, "delta": {"citation": {"cited_text": SAID}}}),
        ],
    ),
    "messages: tool result": (
        "messages",
        [event({"type": "content_block_start", "index": 0, "content_block": {"content": TEXT}})],
    ),
    "two events in one block": (
        "chat",
        [delta(content=SAID).removesuffix(b"\n") + b"\r\n", delta(content="x")],
    ),
    "behind the last event": ("chat", [*chat_events(["fine"]), delta(content=SAID)]),
    "no JSON": ("chat", [f"data: {SAID}\n\n".encode()]),
    "no event": ("chat", [SAID.encode()]),
    "a second candidate": (
        "gemini",
        [
            event({"candidates": [{"index": number, "content": {"parts": [{"text": text}]}, **ended}]})
            for number, text, ended in (
                (0, "fine", {}),
                (1, HALVES[0], {}),
                (0, ".", {"finishReason": "STOP"}),
                (1, HALVES[1], {"finishReason": "STOP"}),
            )
        ],
    ),
}


@pytest.mark.parametrize("place", STREAMS)
def test_no_part_of_a_secret_leaves_in_a_stream(tmp_path: Path, place: str) -> None:
    name, events = STREAMS[place]
    heard: list[str] = []

    @flow
    def reading(url: str) -> None:
        body = {"model": "m", "messages": [], "stream": True}
        with (
            httpx.Client(verify=False) as client,
            client.stream("POST", url + PATHS[name], json=body) as response,
        ):
            heard.extend(response.iter_text())

    with guarded(tmp_path, lambda _: iter(events)) as (app, server):
        with pytest.raises(GuardRefused):
            reading(server.url)
        assert KEY[8:] not in "".join(heard)
        assert HALVES[1] not in "".join(heard)
        assert ("secrets", "refuse", "output") in told(decisions(app))


@pytest.mark.parametrize("kind", ["", "text/plain", "Text/Event-Stream"])
def test_a_stream_is_one_whatever_it_calls_itself(tmp_path: Path, kind: str) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            if kind:
                self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(b"".join(chat_events(["it is ", KEY])))

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with guarded(tmp_path, lambda _: b"") as (app, _):
            with pytest.raises(GuardRefused):
                posting(f"http://127.0.0.1:{server.server_port}", PATHS["chat"], True)
            assert ("secrets", "refuse", "output") in told(decisions(app))
    finally:
        server.shutdown()
        server.server_close()


def test_text_in_the_place_of_json_is_looked_at(tmp_path: Path) -> None:
    with guarded(tmp_path, lambda _: SAID.encode()) as (app, server):
        with pytest.raises(GuardRefused):
            posting(server.url, PATHS["chat"])
        assert told(decisions(app)) == REFUSED


LINK = "![](https://evil.example/?q=1)"


def test_a_text_that_was_thought_before_it_was_said_is_made_harmless(tmp_path: Path) -> None:
    thought = {"type": "thinking", "thinking": LINK, "signature": "s"}
    answer = {**message(LINK), "content": [thought, {"type": "text", "text": LINK}]}
    with guarded(tmp_path, lambda _: json.dumps(answer).encode(), guards='egress_hosts = ["a.example"]') as (
        app,
        server,
    ):
        given = json.loads(posting(server.url, PATHS["messages"]))
        # What is signed stays as it was signed.
        assert given["content"] == [thought, {"type": "text", "text": "![](#blocked)"}]
        assert told(decisions(app)) == [("egress", "flag", "output"), ("egress", "redact", "output")]


@pytest.mark.parametrize("place", ["message", "delta"])
def test_reasoning_that_nobody_signed_is_made_harmless_too(tmp_path: Path, place: str) -> None:
    def answer(_: dict[str, Any]) -> bytes | Iterable[bytes]:
        if place == "delta":
            return [delta(reasoning_content=LINK[:9]), delta(reasoning_content=LINK[9:]), *chat_events(["x"])]
        return json.dumps(in_message(reasoning_content=LINK)).encode()

    with guarded(tmp_path, answer, guards='egress_hosts = ["a.example"]') as (_, server):
        given = posting(server.url, PATHS["chat"], place == "delta")
        assert "evil.example" not in given
        assert "![](#blocked)" in given


@pytest.mark.parametrize("is_streamed", [False, True], ids=["at-once", "streamed"])
def test_what_is_masked_stands_in_no_list_of_tokens(tmp_path: Path, is_streamed: bool) -> None:
    pieces = ["ann", "@private", ".example"]
    tokens = [{"token": one, "logprob": -0.1, "bytes": list(one.encode())} for one in pieces]

    def answer(_: dict[str, Any]) -> bytes | Iterable[bytes]:
        if not is_streamed:
            whole = chat("".join(pieces))
            whole["choices"][0]["logprobs"] = {"content": tokens}
            return json.dumps(whole).encode()
        return [
            event({"choices": [{"index": 0, "delta": {"content": one}, "logprobs": {"content": [token]}}]})
            for one, token in zip(pieces, tokens, strict=True)
        ] + [b"data: [DONE]\n\n"]

    with guarded(tmp_path, answer, guards='pii = "redact"') as (_, server):
        given = posting(server.url, PATHS["chat"], is_streamed)
        assert "<EMAIL:" in given
        assert "@private" not in given
        assert "logprob" in given


def test_a_stream_is_cut_where_it_gives_its_system_message_away(tmp_path: Path) -> None:
    import re

    heard: list[str] = []

    def answer(body: dict[str, Any]) -> Iterable[bytes]:
        (canary,) = set(re.findall(r"[0-9a-f]{32}", body["messages"][0]["content"]))
        return chat_events(["told ", canary[:9], f"{canary[9:]} ", "be ", "kind"])

    @flow
    def telling(query: str) -> str:
        return generate.sync("kind", query=query, using=Call("openai:gpt-4o", stream=heard.append))

    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "kind.prompty").write_text(
        "---\nname: kind\nmodel:\n  api: chat\ninputs:\n  query: {type: string}\n---\n"
        "system:\n{{ canary }} be kind\nuser:\n{{ query }}\n"
    )
    with guarded(tmp_path, answer) as (_, _server):
        with pytest.raises(GuardRefused, match="canary in output"):
            telling("what?")
        assert "kind" not in "".join(heard)


DEEP = 900


@pytest.mark.parametrize("is_streamed", [False, True], ids=["at-once", "streamed"])
def test_depth_is_no_way_around(tmp_path: Path, is_streamed: bool) -> None:
    value: Any = SAID
    for _ in range(DEEP):
        value = [value]
    whole = in_block(type="tool_use", name="f", input={"a": value})
    events = [event({"type": "content_block_start", "index": 0, "content_block": whole["content"][0]})]
    answer: Any = iter(events) if is_streamed else json.dumps(whole).encode()
    with guarded(tmp_path, lambda _: answer) as (app, server):
        with pytest.raises(GuardRefused):
            posting(server.url, PATHS["messages"], is_streamed)
        assert ("secrets", "refuse", "output") in told(decisions(app))
