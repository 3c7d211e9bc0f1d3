"""A local server that speaks the wire formats of OpenAI, Azure, Anthropic and Gemini, strictly and without a model.

It answers chat completions, completions, responses and embeddings (`/v1/...`), the same of Azure
(`/openai/deployments/NAME/...`), Anthropic's messages (`/v1/messages`) and Gemini's `models/NAME:generateContent` and
embeddings (`/v1beta/...`), buffered and streamed. A malformed request is refused as the real API refuses it, and so is
a model that is not there: one that begins with `unknown`, is no name of Gemini's, or is not deployed on Azure. Answers
are derived from the request alone, so the same request has the same answer; `reply` puts another rule in place.

In a test:

    with WireServer() as wire:
        client = OpenAI(base_url=wire.openai_url, api_key="test")       # Anthropic(base_url=wire.anthropic_url, ...)
        ...
        # AzureOpenAI(azure_endpoint=wire.azure_url, ...), genai.Client(http_options={"base_url": wire.gemini_url}, ...)
        assert wire.count() == 1                    # calls that arrived, refused and failed ones included
        wire.fail(Fault(status=429, headers={"retry-after": "1"}), Fault(kind="reset"))    # one per coming call

As a process of its own, for tests that kill others (it prints `listening on http://127.0.0.1:PORT` when ready; the
log has one JSON line per call: path, model, is_stream, digest of the body):

    python tests/servers/wire.py --port 0 --log calls.jsonl [--delay SECONDS] [--reply TEXT]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import web

import wire_azure
import wire_gemini
from wire_parts import Refused, digest, example, tokens, vector, words

Reply = Callable[[str, str], str]
"""From the model's name and the last user text: what the model says."""

CREATED = 1_700_000_000

DEPLOYMENTS: Mapping[str, str] = {
    "gpt-4o": "gpt-4o",
    "gpt-4o-mini": "gpt-4o-mini",
    "prod-chat": "gpt-4o",
    "text-embedding-3-small": "text-embedding-3-small",
}
"""What is deployed on Azure: the model under each name."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    `status`: answered with it and an error body. `reset`: the connection breaks before a byte was sent. `cut`: it
    breaks after `after` bytes of the body. `malformed`: 200 with half a JSON body. `html`: 200 with a web page.
    `gzip`: a proper answer, compressed. `drip`: a proper answer, byte groups `delay` seconds apart. `error_event`:
    a stream that ends in an error event after its first events. `hang`: nothing is answered. `empty`: 200 without a
    body, or a stream without an event. `error_object`: 200 with the body of an error. `mislabelled`: a proper answer as
    plain text. `ended`: a stream that ends in good order after its first events.
    """

    kind: Literal[
        "status",
        "reset",
        "cut",
        "malformed",
        "html",
        "gzip",
        "drip",
        "error_event",
        "hang",
        "empty",
        "error_object",
        "mislabelled",
        "ended",
    ] = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 40
    delay: float = 0.0


@dataclass(frozen=True)
class Received:
    """One call as it arrived."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


def echo(model: str, text: str) -> str:
    """The default reply: what was asked, in a sentence that names the model."""
    return f"{model} heard: {text}"


class WireServer:
    """The server in a thread of its own; a context manager."""

    def __init__(
        self,
        *,
        port: int = 0,
        log: Path | None = None,
        reply: Reply = echo,
        delay: float = 0.0,
        deployments: Mapping[str, str] = DEPLOYMENTS,
    ) -> None:
        self.reply = reply
        self.delay = delay
        self.deployments = deployments
        self.received: list[Received] = []
        self._port = port
        self._log = log
        self._faults: deque[Fault] = deque()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the wire server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        return self.url + "/v1"

    @property
    def anthropic_url(self) -> str:
        return self.url

    @property
    def gemini_url(self) -> str:
        return self.url

    @property
    def azure_url(self) -> str:
        return self.url

    def count(self, path: str = "") -> int:
        """How many calls arrived, at paths that end in `path`."""
        return sum(call.path.endswith(path) for call in self.received)

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls have arrived: a busy machine may read one after who made it has given it up."""
        end_at = time.monotonic() + 30
        while len(self.received) < calls and time.monotonic() < end_at:
            time.sleep(0.01)

    def fail(self, *faults: Fault) -> None:
        """Let the coming calls fail, one fault each."""
        self._faults.extend(faults)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.popleft() if self._faults else None
        try:
            body = self._note(request, await request.read())
            if self.delay:
                await asyncio.sleep(self.delay)
            if fault is not None and fault.kind == "hang" and self._stop is not None:
                await self._stop.wait()
            if fault is not None and fault.kind in ("reset", "hang"):
                return self._reset(request)
            if fault is not None and fault.kind == "status":
                raise Refused(fault.status, f"told to fail with {fault.status}", kind="api_error")  # noqa: TRY301
            answer = self._answer(request, body)
        except Refused as refusal:
            headers = {
                "x-request-id": "req_refused",
                "request-id": "req_refused",
                **(fault.headers if fault else {}),
            }
            return web.json_response(_error(refusal, request.path), status=refusal.status, headers=headers)
        if body.get("stream") or (":stream" in request.path and request.query.get("alt") == "sse"):
            return await self._stream(request, events_for(request.path, answer, body), fault)
        if ":stream" in request.path:
            return await self._buffered(request, wire_gemini.listed(answer), fault)
        return await self._buffered(request, json.dumps(answer).encode(), fault)

    def _note(self, request: web.Request, content: bytes) -> dict[str, Any]:
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            body = None
        known = body if isinstance(body, dict) else {}
        self.received.append(
            Received(request.path, known, {name.lower(): value for name, value in request.headers.items()})
        )
        if self._log is not None:
            of_body = hashlib.sha256(content).hexdigest()[:16]
            model = known.get("model") or wire_gemini.model_of(request.path)
            is_stream = bool(known.get("stream")) or ":stream" in request.path
            line = {"path": request.path, "model": model, "is_stream": is_stream}
            with self._log.open("a") as log:
                log.write(json.dumps(line | {"digest": of_body}) + "\n")
        if not isinstance(body, dict):
            raise Refused(400, "We could not parse the JSON body of your request.")
        return body

    def _answer(self, request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        if request.method != "POST":
            raise Refused(405, f"Not allowed to {request.method} on {request.path}.")
        headers = {name.lower(): value for name, value in request.headers.items()}
        if wire_gemini.is_gemini(request.path):
            return wire_gemini.answer(request.path, body, headers, request.query, self.reply)
        if wire_azure.is_azure(request.path):
            path, known = wire_azure.deployed(request.path, body, headers, request.query, self.deployments)
            return wire_azure.filtered(self._kinds[path](known))
        long = ("/chat/completions", "/images/generations")
        path = next((each for each in long if request.path.endswith(each)), "/" + request.path.split("/")[-1])
        if path not in self._kinds:
            raise Refused(404, f"Invalid URL ({request.method} {request.path})")
        _authorise(request, is_anthropic=path == "/messages")
        model = str(body.get("model", ""))
        if model.startswith("unknown"):
            raise Refused(404, f"model: {model}") if path == "/messages" else _no_model(model)
        return self._kinds[path](body)

    @property
    def _kinds(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/responses": self._response,
            "/embeddings": self._embeddings,
            "/images/generations": self._images,
            "/messages": self._message,
        }

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        _require(body, model=str, messages=list)
        _forbid_unknown(body, CHAT_FIELDS)
        _check_parts(body["messages"])
        messages = body["messages"]
        if not messages:
            raise Refused(400, "Invalid 'messages': empty array.", "messages")
        for index, message in enumerate(messages):
            roles = ("system", "developer", "user", "assistant", "tool")
            if not isinstance(message, dict) or message.get("role") not in roles:
                raise Refused(
                    400, f"Invalid value: messages[{index}].role must be one of {roles}.", "messages"
                )
            if message["role"] == "user" and not message.get("content"):
                raise Refused(400, f"Missing required parameter: 'messages[{index}].content'.", "messages")
        if "top_logprobs" in body and not body.get("logprobs"):
            raise Refused(400, "'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
        asked = _last_text(messages)
        message = {"role": "assistant", "content": self.reply(body["model"], asked), "refusal": None}
        finish = "stop"
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        if body.get("tools") and messages[-1]["role"] != "tool":
            function = body["tools"][0]["function"]
            arguments = json.dumps(example(function.get("parameters", {})))
            call = {"name": function["name"], "arguments": arguments}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{digest(body)}", "type": "function", "function": call}],
            }
            finish = "tool_calls"
        elif schema and not str(message["content"]).startswith("{"):
            # A rule of a test that answers in JSON knows what it does.
            message["content"] = json.dumps(example(schema))
        likely = {"content": _logprobs(message["content"] or "", body), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {
            "id": f"chatcmpl-{digest(body)}",
            "object": "chat.completion",
            "created": CREATED,
            "model": body["model"],
            "choices": [choice | {"logprobs": likely if body.get("logprobs") else None}],
            "usage": _chat_usage(messages, message),
            "system_fingerprint": "fp_wire",
        }

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        _require(body, model=str, prompt=str)
        text = self.reply(body["model"], body["prompt"])
        counted = {"prompt_tokens": tokens(body["prompt"]), "completion_tokens": tokens(text)}
        return {
            "id": f"cmpl-{digest(body)}",
            "object": "text_completion",
            "created": CREATED,
            "model": body["model"],
            "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}],
            "usage": counted | {"total_tokens": sum(counted.values())},
        }

    def _response(self, body: dict[str, Any]) -> dict[str, Any]:
        _require(body, model=str)
        asked = body.get("input")
        if not isinstance(asked, str | list) or not asked:
            raise Refused(400, "Missing required parameter: 'input'.", "input")
        _forbid_unknown(body, RESPONSE_FIELDS, "Unknown parameter: '{}'.")
        items = [] if isinstance(asked, str) else asked
        _check_items(items)
        text = self.reply(body["model"], asked if isinstance(asked, str) else _last_text(asked))
        schema = ((body.get("text") or {}).get("format") or {}).get("schema")
        if schema:
            text = json.dumps(example(schema))
        key = digest(body)
        part = {"type": "output_text", "text": text, "annotations": []}
        if "message.output_text.logprobs" in body.get("include", []):
            part["logprobs"] = _logprobs(text, body)
        item = {
            "id": f"msg_{key}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        output = [item]
        if body.get("tools") and not any(each.get("type") == "function_call_output" for each in items):
            output = _response_call(body["tools"], key)
        return {
            "id": f"resp_{key}",
            "object": "response",
            "created_at": CREATED,
            "status": "completed",
            "model": body["model"],
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": body.get("tools") or [],
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "metadata": {},
            "temperature": 1.0,
            "top_p": 1.0,
            "usage": {
                "input_tokens": tokens(json.dumps(asked)),
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens": tokens(text),
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": tokens(json.dumps(asked)) + tokens(text),
            },
        }

    def _images(self, body: dict[str, Any]) -> dict[str, Any]:
        _require(body, model=str, prompt=str)
        _forbid_unknown(body, IMAGE_FIELDS)
        if not body["prompt"]:
            raise Refused(400, "Invalid value for 'prompt': expected a non-empty string.", "prompt")
        # Its newer models give the picture itself, the older ones its address.
        if body["model"].startswith("gpt-image"):
            data: list[dict[str, Any]] = [{"b64_json": PNG} for _ in range(body.get("n") or 1)]
        else:
            address = f"https://images.example.com/{digest(body)}.png"
            data = [{"url": address, "revised_prompt": "As asked."} for _ in range(body.get("n") or 1)]
        return {"created": CREATED, "data": data}

    def _embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        _require(body, model=str)
        texts = body.get("input")
        if not isinstance(texts, str | list) or not texts:
            raise Refused(400, "Missing required parameter: 'input'.", "input")
        texts = [texts] if isinstance(texts, str) else texts
        vectors = [vector(str(text), body.get("dimensions") or 8) for text in texts]
        counted = sum(tokens(str(text)) for text in texts)
        if body.get("encoding_format") == "base64":
            import base64
            import struct

            coded: list[Any] = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
        else:
            coded = vectors
        return {
            "object": "list",
            "model": body["model"],
            "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(coded)],
            "usage": {"prompt_tokens": counted, "total_tokens": counted},
        }

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        for name in ("max_tokens", "messages", "model"):
            if name not in body:
                raise Refused(400, f"{name}: Field required")
        _forbid_unknown(body, MESSAGE_FIELDS, "{}: Extra inputs are not permitted")
        if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
            raise Refused(400, "max_tokens: Input should be greater than or equal to 1")
        messages = body["messages"]
        if not isinstance(messages, list) or not messages:
            raise Refused(400, "messages: at least one message is required")
        for index, message in enumerate(messages):
            if message.get("role") not in ("user", "assistant"):
                raise Refused(400, f"messages.{index}.role: Input should be 'user' or 'assistant'")
        # A thread that is continued holds what came before.
        if body.get("thread", {}).get("type") != "continue":
            _check_blocks(messages)
        text = self.reply(body["model"], _last_text(messages))
        schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        if schema:
            text = json.dumps(example(schema))
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        stop = "end_turn"
        if body.get("tools") and not _has_tool_result(messages):
            tool = body["tools"][0]
            thought = {"type": "thinking", "thinking": "I need the tool.", "signature": "c2ln"}
            content = [
                *([thought] if (body.get("output_config") or {}).get("effort") else []),
                {
                    "type": "tool_use",
                    "id": f"toolu_{digest(body)}",
                    "name": tool["name"],
                    "input": example(tool.get("input_schema", {})),
                },
            ]
            stop = "tool_use"
        return {
            "id": f"msg_{digest(body)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens(json.dumps(messages)),
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 5,
                "output_tokens": tokens(text),
            },
        }

    async def _buffered(
        self, request: web.Request, content: bytes, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {
            "content-type": "application/json",
            "x-request-id": "req_wire",
            "set-cookie": "session=secret",
        }
        if fault is not None and fault.kind == "malformed":
            content = content[: len(content) // 2]
        elif fault is not None and fault.kind == "html":
            content, headers["content-type"] = b"<html><body>Bad gateway</body></html>", "text/html"
        elif fault is not None and fault.kind == "gzip":
            content, headers["content-encoding"] = gzip.compress(content), "gzip"
        elif fault is not None and fault.kind == "empty":
            content = b""
        elif fault is not None and fault.kind == "error_object":
            content = json.dumps(
                _error(Refused(200, "upstream failed", kind="api_error"), request.path)
            ).encode()
        elif fault is not None and fault.kind == "mislabelled":
            headers["content-type"] = "text/plain"
        response = web.StreamResponse(headers=headers | {"content-length": str(len(content))})
        await response.prepare(request)
        if fault is not None and fault.kind == "cut":
            await response.write(content[: fault.after])
            return self._reset(request)
        step = 16 if fault is not None and fault.kind == "drip" else max(len(content), 1)
        for start in range(0, len(content), step):
            await response.write(content[start : start + step])
            if fault is not None and fault.delay:
                await asyncio.sleep(fault.delay)
        await response.write_eof()
        return response

    async def _stream(
        self, request: web.Request, events: list[bytes], fault: Fault | None
    ) -> web.StreamResponse:
        headers = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_wire"}
        if fault is not None and fault.kind in ("html", "malformed", "error_object"):
            return await self._buffered(request, b"".join(events), fault)
        if fault is not None and fault.kind == "error_event":
            events = [*events[:2], _error_event(request.path)]
        if fault is not None and fault.kind in ("ended", "empty"):
            events = events[: 2 if fault.kind == "ended" else 0]
        if fault is not None and fault.kind == "mislabelled":
            headers["content-type"] = "text/plain"
        if fault is not None and fault.kind == "gzip":
            events, headers["content-encoding"] = [gzip.compress(b"".join(events))], "gzip"
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        sent = 0
        async for chunk in _paced(events, fault):
            if fault is not None and fault.kind == "cut" and sent + len(chunk) > fault.after:
                await response.write(chunk[: max(fault.after - sent, 1)])
                return self._reset(request)
            await response.write(chunk)
            sent += len(chunk)
        await response.write_eof()
        return response

    def _reset(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)


CHAT_FIELDS = frozenset(
    {
        "model",
        "messages",
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
IMAGE_FIELDS = frozenset(
    {
        *("model", "prompt", "background", "moderation", "n", "output_compression", "output_format"),
        *("partial_images", "quality", "response_format", "size", "stream", "style", "user"),
    }
)
PNG = "iVBORw0KGgo="
CHAT_PARTS = {
    "text": ("text",),
    "refusal": ("refusal",),
    "image_url": ("image_url", "url"),
    "input_audio": ("input_audio", "data"),
    "file": ("file", "file_data"),
}
RESPONSE_FIELDS = frozenset(
    {
        "model",
        "input",
        "background",
        "context_management",
        "conversation",
        "include",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
MESSAGE_FIELDS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "mcp_servers",
        "metadata",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "thread",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)


def events_for(path: str, answer: dict[str, Any], body: dict[str, Any]) -> list[bytes]:
    """A buffered answer as the events of its stream."""
    if wire_gemini.is_gemini(path):
        return wire_gemini.events_for(answer)
    if path.endswith("/messages"):
        return _message_events(answer)
    if path.endswith("/responses"):
        return _response_events(answer)
    if path.endswith("/chat/completions"):
        events = _chat_events(answer, bool((body.get("stream_options") or {}).get("include_usage")))
        first = wire_azure.first_event(answer) if wire_azure.is_azure(path) else None
        return events if first is None else [_event(first), *events]
    base = {name: answer[name] for name in ("id", "object", "created", "model")}
    choice = answer["choices"][0]
    texts = [base | {"choices": [choice | {"text": word}]} for word in words(choice["text"])]
    return [*(_event(text) for text in texts), b"data: [DONE]\n\n"]


def _chat_events(answer: dict[str, Any], with_usage: bool) -> list[bytes]:
    base: dict[str, Any] = {name: answer[name] for name in ("id", "created", "model", "system_fingerprint")}
    base["object"] = "chat.completion.chunk"
    message = answer["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    likely = (answer["choices"][0]["logprobs"] or {}).get("content", [])
    deltas += [{"content": word} for word in words(message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls", [])):
        deltas.append({"tool_calls": [{"index": index, **call}]})
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    # The first delta is of the role alone; then there is one for each token.
    for chunk, token in zip(chunks[1:], likely, strict=False):
        chunk["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    chunks.append(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": answer["choices"][0]["finish_reason"]}]}
    )
    if with_usage:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append({"choices": [], "usage": answer["usage"]})
    return [*(_event(base | chunk) for chunk in chunks), b"data: [DONE]\n\n"]


def _response_events(answer: dict[str, Any]) -> list[bytes]:
    bare = answer | {"status": "in_progress", "output": [], "usage": None}
    payloads: list[dict[str, Any]] = [{"type": "response.created", "response": bare}]
    for index, item in enumerate(answer["output"]):
        payloads += _item_events(item, index)
    payloads.append({"type": "response.completed", "response": answer})
    return [_event(payload | {"sequence_number": n}, payload["type"]) for n, payload in enumerate(payloads)]


def _item_events(item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    begun = item | {"status": "in_progress"}
    at: dict[str, Any] = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "message":
            part, begun = item["content"][0], begun | {"content": []}
            at |= {"content_index": 0}
            likely = [[token] for token in part.get("logprobs", [])] or [[] for _ in words(part["text"])]
            inner: list[dict[str, Any]] = [
                {"type": "response.content_part.added", **at, "part": part | {"text": "", "logprobs": []}},
                *(
                    {"type": "response.output_text.delta", **at, "delta": word, "logprobs": token}
                    for word, token in zip(words(part["text"]), likely, strict=True)
                ),
                {
                    "type": "response.output_text.done",
                    **at,
                    "text": part["text"],
                    "logprobs": part.get("logprobs", []),
                },
                {"type": "response.content_part.done", **at, "part": part},
            ]
        case "function_call":
            begun |= {"arguments": ""}
            inner = [
                {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]},
                {
                    "type": "response.function_call_arguments.done",
                    **at,
                    "name": item["name"],
                    "arguments": item["arguments"],
                },
            ]
        case _:
            begun, inner = item, []
    added = {"type": "response.output_item.added", "output_index": index, "item": begun}
    return [added, *inner, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _response_call(tools: list[Any], key: str) -> list[dict[str, Any]]:
    """The output of a model that reasons, and then calls the first of the tools."""
    tool = tools[0]
    if not isinstance(tool, dict) or tool.get("type") != "function" or not tool.get("name"):
        raise Refused(400, "Missing required parameter: 'tools[0].name'.", "tools[0].name")
    call = {
        "id": f"fc_{key}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{key}",
        "name": tool["name"],
        "arguments": json.dumps(example(tool.get("parameters") or {})),
    }
    return [{"id": f"rs_{key}", "type": "reasoning", "summary": [], "encrypted_content": "c2VjcmV0"}, call]


def _check_items(items: list[Any]) -> None:
    """What is said has a role and parts of its side's kinds, and what a tool gave belongs to a call."""
    called: set[str] = set()
    for index, item in enumerate(items):
        kind = item.get("type", "message") if isinstance(item, dict) else None
        if kind == "function_call":
            called.add(item["call_id"])
        elif kind == "function_call_output" and item.get("call_id") not in called:
            raise Refused(
                400, f"No tool call found for function call output with call_id {item.get('call_id')}."
            )
        elif kind == "message":
            if item.get("role") not in ("user", "assistant", "system", "developer"):
                raise Refused(400, f"Invalid value: input[{index}].role.", f"input[{index}].role")
            known = (
                ("output_text", "refusal")
                if item["role"] == "assistant"
                else ("input_text", "input_image", "input_file", "input_audio")
            )
            content = item.get("content")
            for part in content if isinstance(content, list) else []:
                if part.get("type") not in known:
                    raise Refused(400, f"Invalid value: '{part.get('type')}'.", f"input[{index}].content")
        elif kind not in ("function_call", "function_call_output", "reasoning"):
            raise Refused(400, f"Invalid value: '{kind}'.", f"input[{index}]")


def _message_events(answer: dict[str, Any]) -> list[bytes]:
    usage = answer["usage"]
    begun = answer | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    payloads: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(answer["content"]):
        empty = (
            block
            | {
                "text": {"text": ""},
                "thinking": {"thinking": "", "signature": ""},
                "tool_use": {"input": {}},
            }[block["type"]]
        )
        payloads.append({"type": "content_block_start", "index": index, "content_block": empty})
        payloads.append({"type": "ping"})
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": word} for word in words(block["text"])]
        elif block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": word} for word in words(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        payloads += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        payloads.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    payloads.append(
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    )
    payloads.append({"type": "message_stop"})
    return [_event(payload, payload["type"]) for payload in payloads]


def _event(payload: dict[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload)}\n\n".encode()


def _error_event(path: str) -> bytes:
    if wire_gemini.is_gemini(path):
        return wire_gemini.error_event()
    if path.endswith("/messages"):
        return _event(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"
        )
    return _event({"error": {"message": "The server had an error", "type": "server_error", "code": None}})


async def _paced(events: list[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        await asyncio.sleep(fault.delay if fault is not None else 0)


def _error(refusal: Refused, path: str) -> dict[str, Any]:
    if wire_gemini.is_gemini(path):
        return wire_gemini.error(refusal)
    if wire_azure.is_azure(path):
        return wire_azure.error(refusal)
    if path.endswith("/v1/messages"):
        return {"type": "error", "error": {"type": refusal.kind, "message": refusal.message}}
    error = {"message": refusal.message, "type": refusal.kind, "param": refusal.param}
    return {"error": error | {"code": refusal.code}}


def _no_model(name: str) -> Refused:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return Refused(404, message, kind="invalid_request_error", code="model_not_found")


def _authorise(request: web.Request, *, is_anthropic: bool) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get(
        "x-api-key", ""
    )
    if not key:
        raise Refused(401, "You didn't provide an API key.")
    if key == "wrong":
        raise Refused(401, "Incorrect API key provided: wrong.")
    if is_anthropic and not request.headers.get("anthropic-version"):
        raise Refused(400, "anthropic-version: header is required")


def _require(body: dict[str, Any], **fields: type) -> None:
    for name, kind in fields.items():
        if name not in body:
            raise Refused(400, f"Missing required parameter: '{name}'.", name)
        if not isinstance(body[name], kind):
            raise Refused(400, f"Invalid type for '{name}': expected {kind.__name__}.", name)


def _forbid_unknown(
    body: dict[str, Any], known: frozenset[str], message: str = "Unrecognized request argument supplied: {}"
) -> None:
    for name in body:
        if name not in known:
            raise Refused(400, message.format(name), name)


def _last_text(messages: list[Any]) -> str:
    content = messages[-1].get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", part.get("content", ""))) for part in content)


def _check_parts(messages: list[Any]) -> None:
    """Parts of chat messages are of a kind that it has, with what that kind needs."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            where = f"messages[{index}].content"
            path = CHAT_PARTS.get(part.get("type"))
            value: Any = part
            for name in path or ():
                value = value.get(name) if isinstance(value, dict) else None
            if not path or value is None:
                raise Refused(400, f"Invalid value: '{part.get('type')}'.", where)
            if path[0] == "input_audio" and part["input_audio"].get("format") not in ("wav", "mp3"):
                raise Refused(400, "Invalid value for 'format': supported are 'wav' and 'mp3'.", where)
            if path[0] == "file" and not (part["file"].get("filename") and value.startswith("data:")):
                raise Refused(400, "Missing required parameter: 'file.filename'.", where)


def _check_blocks(messages: list[Any]) -> None:
    """No text is empty, and what a tool gave is in the message behind the one that called for it."""
    called: set[str] = set()
    for index, message in enumerate(messages):
        content = message.get("content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        given = {block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"}
        for block in blocks:
            if block.get("type") == "text" and not str(block.get("text") or "").strip():
                raise Refused(400, "messages: text content blocks must be non-empty")
            source = block.get("source") or {}
            if block.get("type") == "document" and source.get("type") not in ("base64", "text", "url"):
                raise Refused(400, f"messages.{index}: document: Input should be base64, text or url")
            if block.get("type") == "document" and source.get("media_type") not in (
                *("application/pdf", "text/plain"),
                None,
            ):
                raise Refused(400, f"messages.{index}: document: Input should be 'application/pdf'")
            if block.get("type") == "thinking" and block.get("signature") != "c2ln":
                raise Refused(400, f"messages.{index}: Invalid `signature` in `thinking` block")
        if given != called:
            raise Refused(
                400,
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after, or "
                f"the other way round: {sorted(map(str, given ^ called))}",
            )
        called = {block.get("id") for block in blocks if block.get("type") == "tool_use"}


def _has_tool_result(messages: list[Any]) -> bool:
    content = messages[-1].get("content")
    return isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)


def _logprobs(text: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What a text's tokens have, taking each word for one."""
    return [
        {
            "token": word,
            "bytes": list(word.encode()),
            "logprob": -0.25 * n,
            "top_logprobs": [
                {"token": f"{word}{other}", "bytes": None, "logprob": -1.0 - other}
                for other in range(body.get("top_logprobs") or 0)
            ],
        }
        for n, word in enumerate(words(text))
    ]


def _chat_usage(messages: list[Any], message: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = tokens(json.dumps(messages)), tokens(json.dumps(message))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
    }


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(
        description="a local server that speaks the wire formats of model providers"
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--reply", help="what every answer says")
    options = parser.parse_args()
    reply: Reply = echo if options.reply is None else lambda model, text: str(options.reply)
    with WireServer(port=options.port, log=options.log, reply=reply, delay=options.delay) as server:
        print(f"listening on {server.url}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
