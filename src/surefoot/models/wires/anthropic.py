"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from surefoot.errors import UsageError
from surefoot.models.generating.asking import Ask, Finish, ToolSpec, Turn
from surefoot.models.wires.fields import (
    answer_of,
    arguments_object,
    error_in,
    event_of,
    given,
    inner,
    interruption,
    items,
    json_object,
    json_text,
    laid_over,
    leading_system,
    object_of,
    place,
    refuse_lacking,
    text,
    wordless,
)
from surefoot.models.wires.media import inline, media_type, text_of
from surefoot.models.wires.saying import said_instead
from surefoot.values import Audio, File, Image, Json, Message, Part, ToolCall

_FINISH: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tools",
    "refusal": "filter",
    # A hosted tool runs on: the turn is given back as it is, and the model goes on with it.
    "pause_turn": "other",
}

# The format wants a limit, and refuses one that is above the model's own: of older families that is less than the
# default of all the others, which leaves room to think and can be answered in one piece within minutes.
_LIMITS = (("claude-3-5-", 8192), ("claude-3-7-", 16384), ("claude-3-", 4096), ("claude-2", 4096))
_LIMIT = 16384
# Bounds that it takes in no schema to which it holds a model.
_UNTAKEN = frozenset(
    {
        *(
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
        ),
        *("minItems", "maxItems"),
    }
)


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """Seeds and log-probabilities are not there; `cache_control` and the way of thinking are left to `extra`.

    `temperature` and `top_p` are sent as they are given: models since Claude Opus 4.7, and all of them under version
    2026-10-21 of the API, refuse both. A system message that comes after others stays where it is, which models
    since Claude Opus 4.8 accept.

    `limit` is the most tokens of an answer where the request does not say; by default it follows from the model.
    """

    limit: int | None = None
    lacks: frozenset[str] = frozenset({"seed", "top_logprobs", "frequency_penalty", "presence_penalty"})
    operation: str = "anthropic.messages"

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model is in the body)
        return "/messages"

    def body(self, ask: Ask) -> dict[str, Json]:
        refuse_lacking(ask, self.lacks, self.operation)
        if ask.reasoning_effort == "minimal":
            raise wordless(
                self.operation,
                "reasoning effort 'minimal'",
                "there are none, low, medium, high, xhigh and max",
            )
        system, rest = leading_system(ask.messages, self.operation)
        body: dict[str, Json] = {
            "model": ask.model,
            "max_tokens": ask.max_tokens
            if ask.max_tokens is not None
            else self.limit or default_limit(ask.model),
            "messages": _messages(rest, self.operation),
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
            if ask.tool_choice != "auto" or ask.parallel_tools is not None:
                body["tool_choice"] = _choice(ask.tool_choice, parallel_tools=ask.parallel_tools)
        effort = ask.reasoning_effort
        config: dict[str, Json] = {}
        if effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif effort is not None:
            config["effort"] = effort
        if ask.output is not None and ask.output.schema is not None:
            config["format"] = {"type": "json_schema", "schema": said_instead(ask.output.schema, _UNTAKEN)}
        settings: dict[str, Json] = {
            "system": "\n\n".join(system) or None,
            "output_config": config or None,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "top_k": ask.top_k,
            "stop_sequences": list(ask.stop) or None,
            "stream": ask.is_stream or None,
        }
        return laid_over(body | given(settings), ask.extra)

    def read(self, body: Mapping[str, Json]) -> Turn:
        answer = answer_of(body)
        if not isinstance(answer.get("content"), list):
            raise ValueError("the answer has no list of content")  # noqa: TRY004  (of what was received)
        return _turn(answer, items(answer, "content"))

    def listen(self) -> Heard:
        return Heard()


def default_limit(model: str) -> int:
    """The most tokens of an answer where the request does not say: 16,384, less for families that have less."""
    return next((limit for family, limit in _LIMITS if family in model), _LIMIT)


@dataclass(slots=True)
class _Block:
    """A block of content as its pieces come in."""

    start: Mapping[str, Json]
    pieces: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    citations: list[Json] = field(default_factory=list[Json])

    def whole(self) -> dict[str, Json]:
        block = dict(self.start)
        said = "".join(self.pieces)
        match text(block, "type"):
            case "text":
                block["text"] = text(block, "text") + said
                if self.citations:
                    block["citations"] = self.citations
            case "thinking":
                block["thinking"] = text(block, "thinking") + said
                block["signature"] = text(block, "signature") + "".join(self.signature)
            case _ if said:
                found = json_object(said)
                block["input"] = said if found is None else found
            case _:
                pass
        return block


class Heard:
    """A streamed message."""

    def __init__(self) -> None:
        self._message: dict[str, Json] = {}
        self._blocks: dict[int, _Block] = {}
        self.is_whole = False

    def hear(self, event: str, data: str) -> str:
        said = event_of(data)
        match text(said, "type") or event:
            case "message_start":
                self._message = dict(object_of(said.get("message"), "the message of message_start"))
            case "content_block_start":
                block = object_of(said.get("content_block"), "the block of content_block_start")
                self._blocks[place(said, "index")] = _Block(block)
                return text(block, "text") if block.get("type") == "text" else ""
            case "content_block_delta":
                return self._delta(place(said, "index"), inner(said, "delta"))
            case "message_delta":
                delta = inner(said, "delta")
                self._message |= {name: value for name, value in delta.items() if value is not None}
            case "message_stop":
                self.is_whole = True
            case "error":
                raise interruption(inner(said, "error"))
            case "":
                # Proxies may put their own error there, without a type.
                raise error_in(said) or ValueError("an event of the stream has no type")
            case _:
                pass  # `ping`, `content_block_stop`, and kinds that are still to come
        return ""

    def _delta(self, index: int, delta: Mapping[str, Json]) -> str:
        kind = text(delta, "type")
        block = self._blocks.get(index)
        if block is None:
            raise ValueError(f"a piece came for block {index} of the answer before that block began")
        match kind:
            case "text_delta":
                block.pieces.append(text(delta, "text"))
                return text(delta, "text")
            case "input_json_delta":
                block.pieces.append(text(delta, "partial_json"))
            case "thinking_delta":
                block.pieces.append(text(delta, "thinking"))
            case "signature_delta":
                block.signature.append(text(delta, "signature"))
            case "citations_delta":
                block.citations.append(delta.get("citation"))
            case _:
                pass
        return ""

    def turn(self) -> Turn:
        return _turn(self._message, [block.whole() for _, block in sorted(self._blocks.items())])


def _turn(message: Mapping[str, Json], blocks: Sequence[Mapping[str, Json]]) -> Turn:
    uses = [block for block in blocks if block.get("type") == "tool_use"]
    stop = text(message, "stop_reason")
    finish = _FINISH.get(stop, "other" if stop else "stop")
    if uses and finish == "stop":
        finish = "tools"
    elif finish == "tools" and not uses:
        finish = "other"
    details = inner(message, "stop_details")
    return Turn(
        text="".join(text(block, "text") for block in blocks if block.get("type") == "text"),
        finish=finish,
        tool_calls=tuple(ToolCall(text(use, "id"), text(use, "name"), _arguments(use)) for use in uses),
        refusal=(text(details, "explanation") or text(details, "category")) if finish == "filter" else "",
        reasoning="".join(text(block, "thinking") for block in blocks if block.get("type") == "thinking"),
        model=text(message, "model"),
        id=text(message, "id"),
        native=_native(blocks),
    )


def _arguments(use: Mapping[str, Json]) -> str:
    """The input as JSON text; as the model wrote it where it was cut off within."""
    found = use.get("input")
    return found if isinstance(found, str) else json_text(found if isinstance(found, dict) else {})


def _native(blocks: Sequence[Mapping[str, Json]]) -> Json:
    """The message as it has to be given back: None for one of text alone, and for one that was cut off in a call."""
    # The API gives empty texts and refuses them.
    kept = [dict(block) for block in blocks if block.get("type") != "text" or text(block, "text").strip()]
    is_plain = all(block.get("type") == "text" for block in kept)
    if is_plain or any(isinstance(block.get("input"), str) for block in kept):
        return None
    return {"role": "assistant", "content": cast("Json", kept)}


def _messages(messages: Sequence[Message], operation: str) -> list[Json]:
    """The messages, those of one role after the other as one, since a turn's tool results have to be together."""
    written: list[Json] = []
    role, content = "", list[Json]()
    for number, message in enumerate(messages):
        speaker = {"tool": "user", "developer": "system"}.get(message.role, message.role)
        if speaker not in ("user", "assistant", "system"):
            raise wordless(operation, f"role {message.role!r}", "there are system, user, assistant and tool")
        if speaker != role:
            role, content = speaker, list[Json]()
            written.append({"role": role, "content": content})
        blocks = _blocks(message, operation)
        if not blocks and speaker == "user":
            raise UsageError(
                f"message {number + 1} is empty, which {operation} refuses: leave it out or fill it"
            )
        content.extend(blocks)
    return [said for said in written if isinstance(said, dict) and said["content"]]


def _blocks(message: Message, operation: str) -> list[Json]:
    if message.native_to == operation and isinstance(message.native, dict):
        return list(items(message.native, "content"))  # type: ignore[arg-type]
    if message.role == "tool":
        result: dict[str, Json] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        parts = _parts(message)
        # A result of one text needs no list.
        result["content"] = message.text if isinstance(message.content, str) else parts
        return [result]
    calls: list[Json] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call.arguments)}
        for call in message.tool_calls
    ]
    return [*_parts(message), *calls]


def _parts(message: Message) -> list[Json]:
    """Texts, pictures and documents; texts without a letter are left out, as the API refuses them."""
    content = (message.content,) if isinstance(message.content, str) else message.content
    return [_part(part) for part in content if not isinstance(part, str) or part.strip()]


def _part(part: Part) -> Json:
    match part:
        case str():
            return {"type": "text", "text": part}
        case Audio():
            raise wordless(
                "anthropic.messages", "recordings", "ask a model of another provider, or give their text"
            )
        case File():
            return _document(part)
        case Image():
            at_hand = inline(part)
            if at_hand is None:
                return {"type": "image", "source": {"type": "url", "url": part.url}}
            return {
                "type": "image",
                "source": {"type": "base64", "media_type": at_hand[0], "data": at_hand[1]},
            }


def _document(part: File) -> Json:
    """A PDF, wherever it lies, or a text that is at hand."""
    source: dict[str, Json]
    at_hand = inline(part)
    if at_hand is None:
        source = {"type": "url", "url": part.url}
    elif (said := text_of(part)) is not None:
        source = {"type": "text", "media_type": "text/plain", "data": said}
    elif at_hand[0] == "application/pdf":
        source = {"type": "base64", "media_type": at_hand[0], "data": at_hand[1]}
    else:
        raise wordless(
            *("anthropic.messages", f"files of the kind {media_type(part)}"),
            "there are PDF and text: give the text of the file",
        )
    document: dict[str, Json] = {"type": "document", "source": source}
    return document | ({"title": part.name} if part.name else {})


def _tool(tool: ToolSpec) -> Json:
    schema = said_instead(tool.schema, _UNTAKEN) if tool.is_strict else dict(tool.schema)
    written: dict[str, Json] = {"name": tool.name, "input_schema": schema}
    if tool.description:
        written["description"] = tool.description
    if tool.is_strict:
        written["strict"] = True
    return written


def _choice(choice: str, *, parallel_tools: bool | None) -> Json:
    chosen: dict[str, Json]
    match choice:
        case "none":
            return {"type": "none"}
        case "auto":
            chosen = {"type": "auto"}
        case "required":
            chosen = {"type": "any"}
        case _:
            chosen = {"type": "tool", "name": choice}
    return chosen if parallel_tools is None else chosen | {"disable_parallel_tool_use": not parallel_tools}
