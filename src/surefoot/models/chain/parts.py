"""What a request is made of beside text: pictures, files, sound, and things that are not in it at all.

Found where each format has them and nowhere else, so that data which happens to look like a picture (the arguments of a
tool, a JSON schema) is not taken for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

Kind = Literal["picture", "elsewhere", "sound", "sealed"]
"""A picture; something that is not in the request, or not as text (a stored file, a PDF); sound or film; reasoning that
only its provider can read.
"""

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is no text. `packed` is how many bytes of the request are its base64, or sealed.

    `data` is that base64 where it is in the request, `detail` how closely a picture is looked at, `what` names the
    part in messages.
    """

    kind: Kind
    what: str
    packed: int = 0
    data: str = ""
    detail: str = ""


def parts_of(operation: str, body: Fields) -> Iterator[Part]:
    """The parts of a request that are no text."""
    match operation:
        case "openai.chat":
            for message in _fields(body.get("messages")):
                yield from _of_openai(message.get("content"))
                if message.get("audio"):
                    yield Part("sound", "the sound of an earlier answer")
        case "openai.responses":
            yield from _of_responses(body)
        case "anthropic.messages":
            yield from _of_anthropic(body.get("system"))
            for message in _fields(body.get("messages")):
                yield from _of_anthropic(message.get("content"))
        case "google.generate_content" | "google.embeddings":
            yield from _of_google(body)
        case _:
            return


def _of_openai(content: object) -> Iterator[Part]:
    for part in _fields(content):
        match part.get("type"):
            case "image_url" | "input_image":
                given = part.get("image_url")
                inner = _mapping(given)
                url = _text(given) or _text(inner.get("url"))
                yield _picture(url, _text(part.get("detail")) or _text(inner.get("detail")))
            case "file" | "input_file":
                yield _elsewhere("a file", part)
            case "input_audio" | "audio" | "video_url" | "input_video" | "video":
                yield Part("sound", "sound or film")
            case _:
                pass


def _of_responses(body: Fields) -> Iterator[Part]:
    for name in ("previous_response_id", "conversation", "prompt"):
        if body.get(name):
            yield Part("elsewhere", name)
    for item in _fields(body.get("input")):
        yield from _of_openai([item])
        yield from _of_openai(item.get("content"))
        yield from _of_openai(item.get("output"))
        kind = item.get("type")
        if kind == "computer_call_output":
            yield _picture(_text(_mapping(item.get("output")).get("image_url")), "")
        elif kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content")):
            yield Part("elsewhere", "an item that the provider keeps")
        yield from _sealed(item.get("encrypted_content"))


def _of_anthropic(content: object) -> Iterator[Part]:
    for block in _fields(content):
        source = _mapping(block.get("source"))
        match block.get("type"):
            case "image":
                data = _text(source.get("data"))
                yield Part("picture", "a picture", len(data), data)
            case "document" if source.get("type") not in ("text", "content"):
                yield _elsewhere("a document", source)
            case "document":
                yield from _of_anthropic(source.get("content"))
            case "tool_result":
                yield from _of_anthropic(block.get("content"))
            case "container_upload":
                yield Part("elsewhere", "a file in a container")
            case "thinking":
                yield from _sealed(block.get("signature"))
            case "redacted_thinking":
                yield from _sealed(block.get("data"))
            case _:
                pass


def _of_google(body: Fields) -> Iterator[Part]:
    if body.get("cachedContent") or body.get("cached_content"):
        yield Part("elsewhere", "cachedContent")
    contents = [
        *_fields(body.get("contents")),
        _mapping(body.get("systemInstruction") or body.get("system_instruction")),
        _mapping(body.get("content")),
        *(_mapping(each.get("content")) for each in _fields(body.get("requests"))),
    ]
    for content in contents:
        for part in _fields(content.get("parts")):
            inside = _mapping(part.get("functionResponse") or part.get("function_response"))
            for each in [part, *_fields(inside.get("parts"))]:
                yield from _of_google_part(each)


def _of_google_part(part: Fields) -> Iterator[Part]:
    yield from _sealed(part.get("thoughtSignature") or part.get("thought_signature"))
    given = _mapping(part.get("inlineData") or part.get("inline_data"))
    filed = _mapping(part.get("fileData") or part.get("file_data"))
    kind = _text((given or filed).get("mimeType") or (given or filed).get("mime_type"))
    data = _text(given.get("data"))
    if kind.startswith(("audio/", "video/")):
        yield Part("sound", "sound or film", len(data))
    elif filed:
        yield Part("elsewhere", "a file")
    elif kind.startswith("image/"):
        yield Part("picture", "a picture", len(data), data)
    elif given and not kind.startswith("text/"):
        yield Part("elsewhere", "a file", len(data))


def _sealed(text: object) -> Iterator[Part]:
    if isinstance(text, str) and text:
        yield Part("sealed", "sealed reasoning", len(text))


def _picture(url: str, detail: str) -> Part:
    data = url.partition(",")[2] if url.startswith("data:") else ""
    return Part("picture", "a picture", len(data), data, detail)


def _elsewhere(what: str, fields: Fields) -> Part:
    inner = _mapping(fields.get("file")) or fields
    data = _text(inner.get("file_data")) or _text(inner.get("data"))
    return Part("elsewhere", what, len(data))


def _fields(value: object) -> list[Fields]:
    """The objects in a list; one object stands for a list of itself, as Gemini takes it."""
    if isinstance(value, dict):
        return [cast("Fields", value)]
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Fields", each) for each in found if isinstance(each, dict)]


def _mapping(value: object) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
