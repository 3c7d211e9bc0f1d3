"""OpenAI's responses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from surefoot.models.generating.asking import Ask, Finish, Logprob, OutputSpec, ToolSpec, Turn
from surefoot.models.wires.fields import (
    answer_of,
    error_in,
    event_of,
    given,
    inner,
    interruption,
    items,
    laid_over,
    leading_system,
    logprobs_of,
    object_of,
    place,
    refuse_lacking,
    text,
)
from surefoot.models.wires.media import data_url, inline, input_audio
from surefoot.values import Audio, File, Image, Json, Message, Part, ToolCall

_INCOMPLETE: Mapping[str, Finish] = {"max_output_tokens": "length", "content_filter": "filter"}

# Others refuse the request if it asks for encrypted reasoning.
_REASONS = re.compile(r"(ft:)?(o\d|gpt-[5-9]|gpt-oss|codex)")


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """Nothing is kept by the provider (`store`): reasoning comes back encrypted, and is given back in the next request.

    Seeds, stop sequences and penalties are not there: asking for them is an error rather than an answer without.

    `store` is what is said of that, None leaves it to the provider. `is_instructed`: system messages that come first
    are sent as its instructions, which are no part of the conversation there.
    """

    store: bool | None = False
    is_instructed: bool = False
    lacks: frozenset[str] = frozenset({"seed", "stop", "top_k", "frequency_penalty", "presence_penalty"})
    operation: str = "openai.responses"

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model is in the body)
        return "/responses"

    def body(self, ask: Ask) -> dict[str, Json]:
        refuse_lacking(ask, self.lacks, self.operation)
        instructions: list[str] = []
        messages: Sequence[Message] = ask.messages
        if self.is_instructed and any(one.role not in ("system", "developer") for one in messages):
            instructions, messages = leading_system(ask.messages, self.operation)
        include: list[Json] = []
        if ask.reasoning_effort not in (None, "none") or _REASONS.match(ask.model):
            include.append("reasoning.encrypted_content")
        if ask.top_logprobs is not None:
            include.append("message.output_text.logprobs")
        body: dict[str, Json] = {
            "model": ask.model,
            "input": [item for message in messages for item in _items(message, self.operation)],
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
            if ask.tool_choice != "auto":
                body["tool_choice"] = _choice(ask.tool_choice)
        if ask.output is not None:
            body["text"] = {"format": _format(ask.output)}
        settings: dict[str, Json] = {
            "instructions": "\n\n".join(instructions) or None,
            "store": self.store,
            "parallel_tool_calls": ask.parallel_tools if ask.tools else None,
            "include": include or None,
            "max_output_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "top_logprobs": ask.top_logprobs or None,
            "reasoning": None if ask.reasoning_effort is None else {"effort": ask.reasoning_effort},
            "stream": ask.is_stream or None,
        }
        return laid_over(body | given(settings), ask.extra)

    def read(self, body: Mapping[str, Json]) -> Turn:
        answer = answer_of(body)
        if not isinstance(answer.get("output"), list):
            raise ValueError("the answer has no list of output")  # noqa: TRY004  (of what was received)
        status = text(answer, "status")
        if status not in ("", "completed", "incomplete"):
            raise ValueError(f"the answer is not there: its status is {status}")
        return _turn(answer, items(answer, "output"))

    def listen(self) -> Heard:
        return Heard()


@dataclass(slots=True)
class _Item:
    """An item of output as its pieces come in; `done` is the whole of it."""

    start: Mapping[str, Json]
    parts: dict[int, _Part] = field(default_factory=dict[int, "_Part"])
    summaries: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    arguments: list[str] = field(default_factory=list[str])
    done: Mapping[str, Json] | None = None

    def part(self, index: int, kind: str) -> _Part:
        return self.parts.setdefault(index, _Part(kind))

    def whole(self) -> Mapping[str, Json]:
        if self.done is not None:
            return self.done
        item = dict(self.start)
        if self.arguments:
            item["arguments"] = "".join(self.arguments)
        if self.parts:
            item["content"] = [part.whole() for _, part in sorted(self.parts.items())]
        if self.summaries:
            item["summary"] = [
                {"type": "summary_text", "text": "".join(said)} for _, said in sorted(self.summaries.items())
            ]
        return item


@dataclass(slots=True)
class _Part:
    kind: str
    pieces: list[str] = field(default_factory=list[str])
    logprobs: list[Json] = field(default_factory=list[Json])

    def whole(self) -> Json:
        name = "refusal" if self.kind == "refusal" else "text"
        return {"type": self.kind, name: "".join(self.pieces), "logprobs": self.logprobs}


_DELTAS = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_text",
}
_ENDS = ("response.completed", "response.incomplete")


class Heard:
    """A streamed response."""

    def __init__(self) -> None:
        self._response: Mapping[str, Json] = {}
        self._items: dict[int, _Item] = {}
        self.is_whole = False

    def hear(self, event: str, data: str) -> str:
        if data.strip() == "[DONE]":  # of some proxies
            return ""
        said = event_of(data)
        kind = text(said, "type") or event
        if kind in _DELTAS:
            return self._piece(said, _DELTAS[kind])
        match kind:
            case "response.output_item.added":
                self._items[place(said, "output_index")] = _Item(
                    object_of(said.get("item"), "the item added")
                )
            case "response.output_item.done":
                item = object_of(said.get("item"), "the item done")
                self._items.setdefault(place(said, "output_index"), _Item(item)).done = item
            case "response.function_call_arguments.delta":
                self._item(said).arguments.append(text(said, "delta"))
            case "response.reasoning_summary_text.delta":
                pieces = self._item(said).summaries.setdefault(place(said, "summary_index"), [])
                pieces.append(text(said, "delta"))
            case "response.failed" | "response.cancelled":
                failed = inner(said, "response")
                raise interruption(inner(failed, "error") or {"message": f"the response has {kind[9:]}"})
            case "error":
                # OpenAI's own has the message in the event, proxies have it in an object within.
                raise interruption(inner(said, "error") or {**said, "type": ""})
            case "":
                # Proxies may put their own error there, without a type.
                raise error_in(said) or ValueError("an event of the stream has no type")
            case _ if isinstance(response := said.get("response"), dict):
                self._response = response
                self.is_whole = self.is_whole or kind in _ENDS
            case _:
                pass  # parts that begin and end, and kinds that are still to come
        return ""

    def _item(self, said: Mapping[str, Json]) -> _Item:
        item = self._items.get(place(said, "output_index"))
        if item is None:
            raise ValueError("a piece came for an item of the answer before that item began")
        return item

    def _piece(self, said: Mapping[str, Json], kind: str) -> str:
        part = self._item(said).part(place(said, "content_index"), kind)
        piece = text(said, "delta")
        part.pieces.append(piece)
        part.logprobs.extend(cast("Sequence[Json]", items(said, "logprobs")))
        return piece if kind == "output_text" else ""

    def turn(self) -> Turn:
        # The last event has everything again; some servers leave the items out there.
        whole = self.is_whole and items(self._response, "output")
        return _turn(self._response, whole or [item.whole() for _, item in sorted(self._items.items())])


def _turn(response: Mapping[str, Json], output: Sequence[Mapping[str, Json]]) -> Turn:
    calls = tuple(
        ToolCall(text(item, "call_id"), text(item, "name"), text(item, "arguments"))
        for item in output
        if item.get("type") == "function_call"
    )
    parts = [part for item in output if item.get("type") == "message" for part in items(item, "content")]
    finish: Finish = "tools" if calls else "stop"
    if text(response, "status") == "incomplete":
        finish = _INCOMPLETE.get(text(inner(response, "incomplete_details"), "reason"), "other")
    logprobs: list[Logprob] = []
    for part in parts:
        logprobs += logprobs_of(items(part, "logprobs"))
    return Turn(
        text="".join(text(part, "text") for part in parts if part.get("type") == "output_text"),
        finish=finish,
        tool_calls=calls,
        refusal="".join(text(part, "refusal") for part in parts if part.get("type") == "refusal"),
        reasoning="\n\n".join(said for item in output for said in _reasoning(item)),
        logprobs=tuple(logprobs),
        model=text(response, "model"),
        id=text(response, "id"),
        native=_native(output),
    )


def _reasoning(item: Mapping[str, Json]) -> list[str]:
    """What a reasoning item shows: the summary, else the reasoning of an open model itself."""
    if item.get("type") != "reasoning":
        return []
    return [
        text(part, "text") for part in items(item, "summary") or items(item, "content") if text(part, "text")
    ]


def _native(output: Sequence[Mapping[str, Json]]) -> Json:
    """The items as they have to be given back: None where they are a message without a phase alone."""
    if all(item.get("type") == "message" and not item.get("phase") for item in output):
        return None
    return [_given_back(item) for item in output]


def _given_back(item: Mapping[str, Json]) -> Json:
    """An item without the log-probabilities of its tokens, which the model would pay no heed to."""
    if item.get("type") != "message":
        return dict(item)
    content: list[Json] = [
        {name: value for name, value in part.items() if name != "logprobs"} for part in items(item, "content")
    ]
    return {**item, "content": content}


def _items(message: Message, operation: str) -> list[Json]:
    native: Json = message.native
    if message.native_to == operation and isinstance(native, list):
        return native
    if message.role == "tool":
        return [
            {"type": "function_call_output", "call_id": message.tool_call_id, "output": _content(message)}
        ]
    calls: list[Json] = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    if not message.content and calls:
        return calls
    return [{"role": message.role, "content": _content(message)}, *calls]


def _content(message: Message) -> Json:
    if isinstance(message.content, str):
        return message.content
    kind = "output_text" if message.role == "assistant" else "input_text"
    return [_part(part, kind) for part in message.content]


def _part(part: Part, kind: str) -> Json:
    match part:
        case str():
            return {"type": kind, "text": part}
        case Audio():
            return input_audio(part, "openai.responses")
        case File() if inline(part) is None:
            return {"type": "input_file", "file_url": part.url}
        case File():
            # Files without a name are refused.
            return {"type": "input_file", "filename": part.name or "file", "file_data": data_url(part)}
        case Image():
            return {"type": "input_image", "image_url": data_url(part), "detail": part.detail or "auto"}


def _tool(tool: ToolSpec) -> Json:
    written: dict[str, Json] = {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.schema),
    }
    # Said also where it is false, as true is the format's default.
    return written if tool.is_strict is None else written | {"strict": tool.is_strict}


def _format(output: OutputSpec) -> Json:
    if output.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": output.name,
        "schema": dict(output.schema),
        "strict": output.is_strict,
    }


def _choice(choice: str) -> Json:
    if choice in ("none", "required"):
        return choice
    return {"type": "function", "name": choice}
