"""OpenAI's chat completions, which most other servers speak too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from surefoot.models.generating.asking import Ask, Finish, OutputSpec, ToolSpec, Turn
from surefoot.models.wires.fields import (
    answer_of,
    error_in,
    event_of,
    given,
    inner,
    items,
    json_text,
    laid_over,
    logprobs_of,
    place,
    refuse_lacking,
    text,
    wordless,
)
from surefoot.models.wires.media import data_url, inline, input_audio
from surefoot.values import Audio, File, Image, Json, Message, Part, ToolCall

_FINISH: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tools",
    "function_call": "tools",
    "content_filter": "filter",
}


_OF_CALLS = frozenset({"index", "id", "type", "function"})
# Some servers want the reasoning back that led to the calls of tools.
_GIVEN_BACK = ("refusal", "reasoning_content", "tool_calls")


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """Also Azure's, whose deployment and version stand in the endpoint's base URL.

    `limit` is what the field for the most tokens of an answer is called: OpenAI renamed it, others did not, and have
    `top_k` beside what OpenAI has.
    """

    limit: str = "max_completion_tokens"
    lacks: frozenset[str] = frozenset({"top_k"})
    operation: str = "openai.chat"

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model is in the body)
        return "/chat/completions"

    def body(self, ask: Ask) -> dict[str, Json]:
        refuse_lacking(ask, self.lacks, self.operation)
        body: dict[str, Json] = {
            "model": ask.model,
            "messages": [_written(message, self.operation) for message in ask.messages],
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
            if ask.tool_choice != "auto":
                body["tool_choice"] = _choice(ask.tool_choice)
            if ask.parallel_tools is not None:
                body["parallel_tool_calls"] = ask.parallel_tools
        if ask.output is not None:
            body["response_format"] = _format(ask.output)
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
            "top_k": ask.top_k,
            "frequency_penalty": ask.frequency_penalty,
            "presence_penalty": ask.presence_penalty,
            "seed": ask.seed,
            "reasoning_effort": ask.reasoning_effort,
        }
        return laid_over(body | given(settings), ask.extra)

    def read(self, body: Mapping[str, Json]) -> Turn:
        answer = answer_of(body)
        choices = items(answer, "choices")
        if not choices:
            raise ValueError("the answer has no choices")
        message = inner(choices[0], "message")
        if not message:
            raise ValueError("the answer's first choice has no message")
        return _turn(answer, message, choices[0])

    def listen(self) -> Heard:
        return Heard()


class Heard:
    """A streamed chat completion."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: dict[str, list[str]] = {"reasoning_content": [], "reasoning": []}
        self._logprobs: list[Json] = []
        self._tools: list[_Call] = []
        self._places: dict[int, int] = {}
        self._finish = ""
        self._named: dict[str, Json] = {}
        self.is_whole = False

    def hear(self, event: str, data: str) -> str:  # noqa: ARG002  (this format names no events)
        if data.strip() == "[DONE]":
            self.is_whole = True
            return ""
        chunk = event_of(data)
        error = error_in(chunk)
        if error is not None:
            raise error
        # Azure's first chunk is of its filter alone, with an empty id and model.
        for name in ("id", "model"):
            self._named[name] = self._named.get(name) or text(chunk, name)
        # The usage comes in a last chunk without choices.
        choice = next((one for one in items(chunk, "choices") if place(one, "index") == 0), None)
        return "" if choice is None else self._hear(choice)

    def _hear(self, choice: Mapping[str, Json]) -> str:
        delta = inner(choice, "delta")
        piece = text(delta, "content")
        self._text.append(piece)
        self._refusal.append(text(delta, "refusal"))
        for name, pieces in self._reasoning.items():
            pieces.append(text(delta, name))
        for call in items(delta, "tool_calls"):
            known = self._tool(call)
            function = inner(call, "function")
            known.id = text(call, "id") or known.id
            known.name.append(text(function, "name"))
            known.arguments.append(_arguments(function))
            known.rest |= {name: value for name, value in call.items() if name not in _OF_CALLS}
        heard = inner(choice, "logprobs").get("content")
        if isinstance(heard, list):
            self._logprobs.extend(heard)
        self._finish = text(choice, "finish_reason") or self._finish
        return piece

    def _tool(self, call: Mapping[str, Json]) -> _Call:
        """The tool call that a piece belongs to; some servers number each call 0, and tell a new one by its id."""
        index = place(call, "index", max(self._places, default=0))
        at = self._places.get(index)
        known = None if at is None else self._tools[at]
        called = text(call, "id")
        if known is None or (called and known.id and called != known.id):
            known = _Call()
            self._places[index] = len(self._tools)
            self._tools.append(known)
        return known

    def turn(self) -> Turn:
        said: dict[str, Json] = {"role": "assistant", "content": "".join(self._text) or None}
        heard: dict[str, Json] = {
            "refusal": "".join(self._refusal),
            **{name: "".join(pieces) for name, pieces in self._reasoning.items()},
            "tool_calls": [call.whole() for call in self._tools],
        }
        said |= {name: value for name, value in heard.items() if value}
        choice: dict[str, Json] = {"finish_reason": self._finish, "logprobs": {"content": self._logprobs}}
        return _turn(self._named, said, choice)


@dataclass(slots=True)
class _Call:
    """A tool call as its pieces come in; `rest` are fields of servers' own, such as signed reasoning."""

    id: str = ""
    name: list[str] = field(default_factory=list[str])
    arguments: list[str] = field(default_factory=list[str])
    rest: dict[str, Json] = field(default_factory=dict[str, Json])

    def whole(self) -> Json:
        function: Json = {"name": "".join(self.name), "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function, **self.rest}


def _turn(body: Mapping[str, Json], message: Mapping[str, Json], choice: Mapping[str, Json]) -> Turn:
    calls = tuple(
        ToolCall(text(call, "id"), text(inner(call, "function"), "name"), _arguments(inner(call, "function")))
        for call in items(message, "tool_calls")
    )
    said = text(choice, "finish_reason")
    finish = _FINISH.get(said, "other" if said else "stop")
    if calls and finish in ("stop", "other"):
        finish = "tools"  # some servers end a turn that asks for tools with `stop`, or words of their own
    elif finish == "tools" and not calls:
        finish = "other"
    kept: dict[str, Json] = {"role": "assistant", "content": text(message, "content") or None}
    kept |= {name: message[name] for name in _GIVEN_BACK if message.get(name)}
    return Turn(
        text=text(message, "content"),
        finish=finish,
        tool_calls=calls,
        refusal=text(message, "refusal"),
        reasoning=_reasoning(message),
        logprobs=logprobs_of(items(inner(choice, "logprobs"), "content")),
        model=text(body, "model"),
        id=text(body, "id"),
        native=kept if calls else None,
    )


def _reasoning(message: Mapping[str, Json]) -> str:
    """The reasoning that open models show: no part of OpenAI's own format, but of most servers'."""
    return text(message, "reasoning_content") or text(message, "reasoning")


def _arguments(function: Mapping[str, Json]) -> str:
    found = function.get("arguments")
    if isinstance(found, dict):
        return json_text(found)  # Ollama's form
    return found if isinstance(found, str) else ""


def _written(message: Message, operation: str) -> Json:
    native: Json = message.native
    if message.native_to == operation and isinstance(native, dict):
        return native
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
    if message.role == "tool" and not all(isinstance(part, str) for part in message.content):
        raise wordless(
            "openai.chat",
            "pictures or files in a tool's result",
            "return a text, or use the api of responses",
        )
    return [_part(part) for part in message.content]


def _part(part: Part) -> Json:
    match part:
        case str():
            return {"type": "text", "text": part}
        case Audio():
            return input_audio(part, "openai.chat")
        case File():
            return _file(part)
        case Image():
            image: dict[str, Json] = {"url": data_url(part)}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}


def _file(part: File) -> Json:
    if inline(part) is None:
        raise wordless(
            *("openai.chat", "files that lie elsewhere"),
            "give File the bytes, as data or `data:` URL, or use the api of responses",
        )
    # Files without a name are refused.
    return {"type": "file", "file": {"filename": part.name or "file", "file_data": data_url(part)}}


def _tool(tool: ToolSpec) -> Json:
    function: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": cast("Json", dict(tool.schema)),
    }
    if tool.is_strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _format(output: OutputSpec) -> Json:
    if output.schema is None:
        return {"type": "json_object"}
    wanted: Json = {"name": output.name, "schema": dict(output.schema), "strict": output.is_strict}
    return {"type": "json_schema", "json_schema": wanted}


def _choice(choice: str) -> Json:
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}
