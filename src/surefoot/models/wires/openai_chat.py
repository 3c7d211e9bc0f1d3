"""OpenAI's chat completions, which most other servers speak too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from surefoot.models.asking import Ask, Finish, Interrupted, Logprob, ToolSpec, Turn
from surefoot.models.wires.fields import data_url, event_of, inner, items, number, text
from surefoot.values import Image, Json, Message, ToolCall

_FINISH: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tools",
    "function_call": "tools",
    "content_filter": "filter",
}


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """`limit` is what the field for the most tokens of an answer is called: OpenAI renamed it, others did not."""

    limit: str = "max_completion_tokens"
    operation: str = "openai.chat"

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model is in the body)
        return "/chat/completions"

    def body(self, ask: Ask) -> dict[str, Json]:
        body: dict[str, Json] = {
            "model": ask.model,
            "messages": [_written(message, self.operation) for message in ask.messages],
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
            if ask.tool_choice != "auto":
                body["tool_choice"] = _choice(ask.tool_choice)
        if ask.output is not None:
            wanted: Json = {
                "name": ask.output.name,
                "schema": dict(ask.output.schema),
                "strict": ask.output.is_strict,
            }
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if ask.top_logprobs is not None:
            body["logprobs"] = True
            if ask.top_logprobs:
                body["top_logprobs"] = ask.top_logprobs
        if ask.is_stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        settings: dict[str, Json] = {
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            self.limit: ask.max_tokens,
            "stop": list(ask.stop) or None,
            "seed": ask.seed,
            "reasoning_effort": ask.reasoning_effort,
        }
        return body | {name: value for name, value in settings.items() if value is not None} | dict(ask.extra)

    def read(self, body: Mapping[str, Json]) -> Turn:
        choices = items(body, "choices")
        if not choices:
            raise ValueError("the answer has no choices")
        message = inner(choices[0], "message")
        if not message:
            raise ValueError("the answer's first choice has no message")
        return _turn(body, message, choices[0])

    def listen(self) -> Heard:
        return Heard()


class Heard:
    """A streamed chat completion."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[Json] = []
        self._tools: dict[int, dict[str, str]] = {}
        self._finish = ""
        self._first: Mapping[str, Json] = {}
        self.is_whole = False

    def hear(self, event: str, data: str) -> str:  # noqa: ARG002  (this format names no events)
        if data.strip() == "[DONE]":
            self.is_whole = True
            return ""
        chunk = event_of(data)
        if error := inner(chunk, "error"):
            kind = text(error, "code") or text(error, "type")
            raise Interrupted(text(error, "message") or "an error without a message", kind=kind)
        self._first = self._first or chunk
        choices = items(chunk, "choices")
        # The usage comes in a last chunk without choices.
        return self._hear(choices[0]) if choices else ""

    def _hear(self, choice: Mapping[str, Json]) -> str:
        delta = inner(choice, "delta")
        piece = text(delta, "content")
        self._text.append(piece)
        self._refusal.append(text(delta, "refusal"))
        self._reasoning.append(_reasoning(delta))
        for index, call in enumerate(items(delta, "tool_calls")):
            # Some servers number each call 0, and tell a new one by its id.
            place = call.get("index", index)
            number = place if isinstance(place, int) else index
            known = self._tools.setdefault(number, {"id": "", "name": "", "arguments": ""})
            function = inner(call, "function")
            known["id"] = text(call, "id") or known["id"]
            known["name"] += text(function, "name")
            known["arguments"] += text(function, "arguments")
        heard = inner(choice, "logprobs").get("content")
        if isinstance(heard, list):
            self._logprobs.extend(heard)
        self._finish = text(choice, "finish_reason") or self._finish
        return piece

    def turn(self) -> Turn:
        calls: list[Json] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for _, call in sorted(self._tools.items())
        ]
        message: dict[str, Json] = {
            "role": "assistant",
            "content": "".join(self._text) or None,
            "refusal": "".join(self._refusal) or None,
            "reasoning_content": "".join(self._reasoning) or None,
            "tool_calls": calls or None,
        }
        given = {name: value for name, value in message.items() if value is not None or name == "content"}
        choice: dict[str, Json] = {"finish_reason": self._finish, "logprobs": {"content": self._logprobs}}
        return _turn(self._first, given, choice)


def _turn(body: Mapping[str, Json], message: Mapping[str, Json], choice: Mapping[str, Json]) -> Turn:
    calls = tuple(
        ToolCall(text(call, "id"), text(inner(call, "function"), "name"), _arguments(inner(call, "function")))
        for call in items(message, "tool_calls")
    )
    said = text(choice, "finish_reason")
    # Some servers end a turn that asks for tools with `stop`.
    finish = "tools" if calls else _FINISH.get(said, "other" if said else "stop")
    kept = {name: message[name] for name in ("role", "content", "tool_calls", "refusal") if name in message}
    return Turn(
        text=text(message, "content"),
        finish=finish,
        tool_calls=calls,
        refusal=text(message, "refusal"),
        reasoning=_reasoning(message),
        logprobs=_logprobs(items(inner(choice, "logprobs"), "content")),
        model=text(body, "model"),
        id=text(body, "id"),
        native=kept if calls else None,
    )


def _reasoning(message: Mapping[str, Json]) -> str:
    """The reasoning that open models show: no part of OpenAI's own format, but of most servers'."""
    return text(message, "reasoning_content") or text(message, "reasoning")


def _arguments(function: Mapping[str, Json]) -> str:
    given = function.get("arguments")
    if isinstance(given, dict):
        # Ollama's form.
        import orjson

        return orjson.dumps(given).decode()
    return given if isinstance(given, str) else ""


def _logprobs(tokens: Sequence[Mapping[str, Json]]) -> tuple[Logprob, ...]:
    return tuple(
        Logprob(
            text(token, "token"),
            number(token, "logprob"),
            tuple((text(other, "token"), number(other, "logprob")) for other in items(token, "top_logprobs")),
        )
        for token in tokens
    )


def _written(message: Message, operation: str) -> Json:
    if message.native_to == operation and message.native is not None:
        return message.native
    written: dict[str, Json] = {"role": message.role, "content": _content(message)}
    if message.name:
        written["name"] = message.name
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return written


def _content(message: Message) -> Json:
    if isinstance(message.content, str):
        return message.content or (None if message.tool_calls else "")
    return [_part(part) for part in message.content]


def _part(part: str | Image) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    image: dict[str, Json] = {"url": data_url(part)}
    if part.detail:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _tool(tool: ToolSpec) -> Json:
    function: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": cast("Json", dict(tool.schema)),
    }
    if tool.is_strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(choice: str) -> Json:
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}
