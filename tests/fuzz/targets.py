"""What is fuzzed: each reader of foreign bytes, with well-formed examples, and the errors that it may answer with."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from surefoot.config import load as load_settings
from surefoot.errors import InvalidInput, NotRestored, PromptError, UsageError
from surefoot.evals import Dataset
from surefoot.flows.checking import checked
from surefoot.ledger.encoding import decode, encode
from surefoot.models.chain.sse import events_of
from surefoot.models.generating.asking import Interrupted, Turn
from surefoot.models.wires import AnthropicMessages, GoogleGenerate, OpenAIChat, OpenAIResponses
from surefoot.prompts import upgraded
from surefoot.prompts.definition import normalised
from surefoot.prompts.fitting import scan
from surefoot.prompts.loading import parse
from surefoot.prompts.rendering import names_of


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: `read` takes bytes and raises one of `errors` for what is malformed; all else is a fault of ours."""

    read: Callable[[bytes], object]
    errors: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        with contextlib.suppress(*self.errors):
            self.read(data)


@contextlib.contextmanager
def file_of(data: bytes, name: str) -> Iterator[Path]:
    """A file that holds these bytes, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="surefoot-fuzz-"))
    try:
        (folder / name).write_bytes(data)
        yield folder / name
    finally:
        shutil.rmtree(folder)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _prompt(ending: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        prompt = parse(normalised(_text(data)), Path(f"p{ending}"))
        assert len(prompt.digest) == 64
        if prompt.dialect in ("promptflow", "prompty-v1"):
            upgraded(prompt)
        return names_of(prompt)

    return read


def _settings(data: bytes) -> object:
    with file_of(data, "surefoot.toml") as file:
        return load_settings(file.parent, environ={})


def _rows(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        with file_of(data, name) as file:
            return list(Dataset.load(file))

    return read


def _code(data: bytes) -> object:
    with file_of(data, "flows.py") as file:
        found = scan(file.parent)
        assert found.project is not None
        return checked(found.project)


def _recorded(data: bytes) -> object:
    value = decode(_text(data))
    if isinstance(value, dict | list | str | int | bool) or value is None:
        with contextlib.suppress(UsageError):
            again = encode(value)
            assert encode(decode(again)) == again
    return value


def _answer(wire: Any) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        body = orjson.loads(data)
        if not isinstance(body, dict):
            return None
        turn = wire.read(cast("Mapping[str, Any]", body))
        assert isinstance(turn, Turn)
        return turn

    return read


def _stream(wire: Any) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        heard = wire.listen()
        for event in events_of(data):
            heard.hear(event.name, event.data)
        _ = heard.is_whole
        turn = heard.turn()
        assert isinstance(turn, Turn)
        return turn

    return read


def _sse(*parts: Mapping[str, Any], end: str = "") -> bytes:
    lines = [f"event: {part.get('type', 'x')}\ndata: {json.dumps(part)}\n\n" for part in parts]
    return ("".join(lines) + end).encode()


CALL = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}, "index": 0}
CHAT = {
    "id": "x",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hi", "tool_calls": [CALL]},
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "hi", "tool_calls": [CALL]}, "finish_reason": None}]}
ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
RESPONSE = {"id": "r", "model": "m", "status": "completed", "output": [ITEM], "usage": {"input_tokens": 1}}
MESSAGE = {
    "id": "m",
    "model": "c",
    "role": "assistant",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "hi"}, {"type": "tool_use", "id": "1", "name": "t", "input": {}}],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
CANDIDATES = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "hi"}, {"functionCall": {"name": "t", "args": {}}}],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 1},
}
MESSAGE_EVENTS = (
    {"type": "message_start", "message": {**MESSAGE, "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)
RESPONSE_EVENTS = (
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "id": "i", "content": []}},
    {
        "type": "response.output_text.delta",
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "delta": "hi",
    },
    {"type": "response.completed", "response": RESPONSE},
)

PROMPTS = (
    (
        b"---\nname: a\nversion: '1'\nmodel: {api: chat, id: gpt-4o}\ninputs:\n  q: {type: string}\n---\n"
        b"system:\nBe brief.\nuser:\n{{ q }}{% if q %}!{% endif %}\n"
    ),
    (
        b"---\nname: b\nmodel:\n  api: chat\n  configuration: {type: openai}\n  parameters: {max_tokens: 5}\nsample:\n"
        b"  q: x\n---\nuser:\n![image]({{q}})\n"
    ),
    b"prompt_id: c\nversion: 2\ntemplate: |\n  Hello {{ name }}\ninputs: [name]\n",
    b"---\nname: d\ninputs: {q: &a {type: string}, r: *a}\ntemplate: {format: mustache}\n---\nuser:\n{{#q}}x{{/q}}\n",
)
CODE = (
    (
        b"from surefoot import Call, flow, generate, step\n\n@step(sends='mail')\ndef mail(to): ...\n\n"
        b"@flow\ndef f(q: str):\n    for x in [q]:\n        generate('p', str, q=x, using=Call(tools=[mail]))\n"
    ),
)
JSONL = (b'{"id": "1", "inputs": {"q": "x"}, "expected": "y", "metadata": {"a": [1]}}\n', b'{"q": "x"}\n')
RECORDED = (
    b'{"$": ["tuple", 1, 2]}',
    b'{"a": [1, 2.5, null, "x"], "$": ["datetime", "2026-01-01T00:00:00"]}',
    b'{"$": ["model", "pydantic:BaseModel", {}]}',
)

WIRE_ERRORS = (ValueError, Interrupted)

TARGETS: dict[str, Target] = {
    "prompty": Target(_prompt(".prompty"), (PromptError,), PROMPTS),
    "prompt_yaml": Target(_prompt(".yaml"), (PromptError,), PROMPTS[::-1][1:]),
    "settings": Target(
        _settings, (UsageError,), (b'[models]\ndefault = "openai:gpt-4o"\n[budgets.all]\nlimit = "5.00"\n',)
    ),
    "jsonl": Target(_rows("d.jsonl"), (InvalidInput,), JSONL),
    "json": Target(_rows("d.json"), (InvalidInput,), (b'[{"q": "x"}]', b'{"cases": []}')),
    "csv": Target(_rows("d.csv"), (InvalidInput,), (b'id,q,expected\n1,"a ""b""\nc",\'=1\n',)),
    "tsv": Target(_rows("d.tsv"), (InvalidInput,), (b"id\tq\n1\tx\n",)),
    "code": Target(_code, (), CODE),
    "recorded": Target(_recorded, (NotRestored,), RECORDED),
    "chat": Target(_answer(OpenAIChat()), WIRE_ERRORS, (orjson.dumps(CHAT),)),
    "chat_stream": Target(_stream(OpenAIChat()), WIRE_ERRORS, (_sse(CHUNK, CHUNK, end="data: [DONE]\n\n"),)),
    "responses": Target(_answer(OpenAIResponses()), WIRE_ERRORS, (orjson.dumps(RESPONSE),)),
    "responses_stream": Target(_stream(OpenAIResponses()), WIRE_ERRORS, (_sse(*RESPONSE_EVENTS),)),
    "messages": Target(_answer(AnthropicMessages()), WIRE_ERRORS, (orjson.dumps(MESSAGE),)),
    "messages_stream": Target(_stream(AnthropicMessages()), WIRE_ERRORS, (_sse(*MESSAGE_EVENTS),)),
    "gemini": Target(_answer(GoogleGenerate()), WIRE_ERRORS, (orjson.dumps(CANDIDATES),)),
    "gemini_stream": Target(_stream(GoogleGenerate()), WIRE_ERRORS, (_sse(CANDIDATES),)),
}
