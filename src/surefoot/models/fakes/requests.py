"""What a fake is asked: a request in a provider's format, with its messages and tools read out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from surefoot.models.wires.fields import inner, items, text
from surefoot.models.wires.media import audio_type
from surefoot.values import Audio, File, Image, Json, Message, Part, ToolCall

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to a model, as it would have left.

    operation: what is asked for: `openai.chat`, `openai.responses`, `openai.embeddings`, `anthropic.messages`, ...
    model: the name of the model as the provider would be told it.
    path: the end of the URL's path, without its first slash (`chat/completions`).
    body: the JSON of the request.
    """

    operation: str
    model: str
    path: str
    body: Mapping[str, Json] = field(repr=False)

    def __str__(self) -> str:
        """As messages call it."""
        said = " ".join(self.text.split())
        shown = said if len(said) <= _SHOWN else f"{said[: _SHOWN - 3]}..."
        return f"{self.operation} to {self.model}: {shown!r}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages, the system's first; of an embedding each text as one of the user."""
        return tuple(_messages(self.operation, self.body))

    @property
    def text(self) -> str:
        """The text of the last message."""
        messages = self.messages
        return messages[-1].text if messages else ""

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that the model may call."""
        return tuple(_tools(self.body))

    @property
    def schema(self) -> Mapping[str, Json] | None:
        """The JSON schema that the answer has to fit, where one was given."""
        places = (
            inner(inner(inner(self.body, "response_format"), "json_schema"), "schema"),
            inner(inner(inner(self.body, "text"), "format"), "schema"),
            inner(inner(inner(self.body, "output_config"), "format"), "schema"),
            inner(inner(self.body, "generationConfig"), "responseJsonSchema"),
            inner(inner(self.body, "generationConfig"), "responseSchema"),
        )
        return next((schema for schema in places if schema), None)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is to come as a stream of events."""
        return self.body.get("stream") is True or ":streamGenerateContent" in self.path


def _messages(operation: str, body: Mapping[str, Json]) -> Iterator[Message]:
    match operation:
        case "openai.chat":
            for one in items(body, "messages"):
                yield _of_chat(one)
        case "openai.responses":
            yield from _of_responses(body)
        case "anthropic.messages":
            if system := "".join(_texts(body.get("system"))):
                yield Message("system", system)
            for one in items(body, "messages"):
                yield from _of_blocks(one)
        case "openai.completions" | "openai.embeddings" | "openai.images":
            for said in _texts(body.get("prompt", body.get("input"))):
                yield Message("user", said)
        case _:
            yield from _of_google(body)


def _texts(value: Json) -> list[str]:
    """The texts of a text, of a list of texts, or of a list of parts that have one."""
    if isinstance(value, str):
        return [value]
    found = [
        one if isinstance(one, str) else text(one, "text") if isinstance(one, dict) else ""
        for one in (value if isinstance(value, list) else [])
    ]
    return [one for one in found if one]


def _content(value: Json) -> str | tuple[Part, ...]:
    """A content in any of the formats: a text, or parts of text, pictures, recordings and documents."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    parts: list[Part] = []
    for part in value:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict):
            said = text(part, "text") or text(part, "refusal")
            if said:
                parts.append(said)
            elif media := _media(part):
                parts.append(media)
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(parts) else tuple(parts)


def _media(part: Mapping[str, Json]) -> Image | Audio | File | None:
    match text(part, "type"):
        case "input_audio":
            sound = inner(part, "input_audio")
            return Audio(url=f"data:{audio_type(text(sound, 'format'))};base64,{text(sound, 'data')}")
        case "file" | "input_file":
            given = inner(part, "file") or part
            url = text(given, "file_data") or text(given, "file_url")
            return File(url=url, name=text(given, "filename")) if url else None
        case "document":
            return _document(part)
        case _:
            return _of_google_part(part) or _picture(part)


def _document(part: Mapping[str, Json]) -> File:
    source, name = inner(part, "source"), text(part, "title")
    if text(source, "type") == "text":
        said = text(source, "data").encode("utf-8", "surrogatepass")
        return File(data=said, media_type=text(source, "media_type"), name=name)
    return File(url=_source_url(source), name=name)


def _of_google_part(part: Mapping[str, Json]) -> Image | Audio | File | None:
    given, filed = inner(part, "inlineData"), inner(part, "fileData")
    kind = text(given or filed, "mimeType")
    url = text(filed, "fileUri") if filed else f"data:{kind};base64,{text(given, 'data')}" if given else ""
    if not url:
        return None
    if kind.startswith("audio/"):
        return Audio(url=url, media_type=kind)
    return Image(url=url, media_type=kind) if kind.startswith("image/") else File(url=url, media_type=kind)


def _picture(part: Mapping[str, Json]) -> Image | None:
    if source := inner(part, "source"):
        return Image(url=_source_url(source))
    url = text(inner(part, "image_url"), "url") or text(part, "image_url")
    return Image(url=url, detail=text(inner(part, "image_url"), "detail")) if url else None


def _source_url(source: Mapping[str, Json]) -> str:
    """Where something lies that is part of a message in Anthropic's format."""
    return text(source, "url") or f"data:{text(source, 'media_type')};base64,{text(source, 'data')}"


def _of_chat(one: Mapping[str, Json]) -> Message:
    calls = tuple(
        ToolCall(
            text(call, "id"),
            text(inner(call, "function"), "name"),
            text(inner(call, "function"), "arguments"),
        )
        for call in items(one, "tool_calls")
    )
    return Message(
        text(one, "role"), _content(one.get("content")), calls, text(one, "tool_call_id"), text(one, "name")
    )


def _of_responses(body: Mapping[str, Json]) -> Iterator[Message]:
    if instructions := text(body, "instructions"):
        yield Message("system", instructions)
    given = body.get("input")
    if isinstance(given, str):
        yield Message("user", given)
    for item in items(body, "input"):
        match text(item, "type") or "message":
            case "message":
                yield Message(text(item, "role"), _content(item.get("content")))
            case "function_call":
                call = ToolCall(text(item, "call_id"), text(item, "name"), text(item, "arguments"))
                yield Message("assistant", "", (call,))
            case "function_call_output":
                yield Message("tool", _content(item.get("output")), tool_call_id=text(item, "call_id"))
            case _:
                pass


def _of_blocks(one: Mapping[str, Json]) -> Iterator[Message]:
    """A message of Anthropic's, whose results of tools are parts of one of the user."""
    results = [block for block in items(one, "content") if text(block, "type") == "tool_result"]
    for block in results:
        yield Message("tool", _content(block.get("content")), tool_call_id=text(block, "tool_use_id"))
    calls = tuple(
        ToolCall(text(block, "id"), text(block, "name"), _dumped(block.get("input")))
        for block in items(one, "content")
        if text(block, "type") == "tool_use"
    )
    content = _content(one.get("content"))
    if content or calls or not results:
        yield Message(text(one, "role"), content, calls)


def _of_google(body: Mapping[str, Json]) -> Iterator[Message]:
    if system := "".join(_texts(inner(body, "systemInstruction").get("parts"))):
        yield Message("system", system)
    for one in items(body, "contents") or [inner(body, "content")]:
        parts = items(one, "parts")
        for part in parts:
            if result := inner(part, "functionResponse"):
                said = _dumped(result.get("response"))
                yield Message("tool", said, tool_call_id=text(result, "id"), name=text(result, "name"))
        calls = tuple(
            ToolCall(text(call, "id"), text(call, "name"), _dumped(call.get("args")))
            for part in parts
            if (call := inner(part, "functionCall"))
        )
        content = _content(one.get("parts"))
        if content or calls:
            yield Message("assistant" if text(one, "role") == "model" else "user", content, calls)


def _tools(body: Mapping[str, Json]) -> Iterator[str]:
    for tool in items(body, "tools"):
        declared = items(tool, "functionDeclarations")
        for one in declared or [inner(tool, "function") or tool]:
            if name := text(one, "name"):
                yield name


def _dumped(value: Json) -> str:
    import orjson

    return orjson.dumps(value).decode()
