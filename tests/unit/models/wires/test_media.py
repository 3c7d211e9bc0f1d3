"""Pictures, recordings and documents: what kind they are, how each format has them, and what has no words for them."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.errors import UnboundedCall, UsageError
from surefoot.models.chain.bounds import Load, most_of
from surefoot.models.chain.published import Window
from surefoot.models.fakes import ModelRequest
from surefoot.models.generating.asking import Ask, Wire
from surefoot.models.generating.messages import message_of
from surefoot.models.wires import AnthropicMessages, GoogleGenerate, OpenAIChat, OpenAIResponses
from surefoot.models.wires.media import media_type, text_of
from surefoot.values import Audio, File, Image, Message

PDF = File(data=b"%PDF-1.7", name="a.pdf")
SOUND = Audio(data=b"RIFF....WAVEfmt ")
WIRES: dict[str, Wire] = {
    "chat": OpenAIChat(),
    "responses": OpenAIResponses(),
    "anthropic": AnthropicMessages(),
    "google": GoogleGenerate(),
}


def body(wire: Wire, *parts: Any) -> dict[str, Any]:
    return dict(wire.body(Ask("m", (Message("user", ("Look", *parts)),))))


@pytest.mark.parametrize(
    ("media", "kind"),
    [
        (PDF, "application/pdf"),
        (SOUND, "audio/wav"),
        (Audio(data=b"ID3\x04"), "audio/mpeg"),
        (Audio(data=b"fLaC"), "audio/flac"),
        (Audio(data=b"?"), "audio/wav"),
        (Image(data=b"RIFF....WEBPVP8 "), "image/webp"),
        (File(data=b"a,b", name="a.csv"), "text/csv"),
        (File(url="https://example.com/a.pdf?x=1"), "application/pdf"),
        (File(data=b"x", media_type="text/plain", name="a.pdf"), "text/plain"),
    ],
)
def test_kinds(media: Any, kind: str) -> None:
    assert media_type(media) == kind


def test_a_file_of_no_kind_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="give File its media_type"):
        media_type(File(data=b"\x00\x01"))
    with pytest.raises(UsageError, match="no text in UTF-8"):
        text_of(File(data=b"\xff", media_type="text/plain"))
    with pytest.raises(UsageError, match="neither a url nor data"):
        body(WIRES["chat"], Audio())


def test_where_each_format_has_them() -> None:
    chat = body(WIRES["chat"], SOUND, PDF)["messages"][0]["content"]
    assert chat[1]["input_audio"]["format"] == "wav"
    assert chat[2]["file"]["filename"] == "a.pdf"
    there = File(url="https://example.com/a.pdf")
    responses = body(WIRES["responses"], PDF, there)["input"][0]["content"]
    assert responses[1]["file_data"].startswith("data:application/pdf;base64,")
    assert responses[2] == {"type": "input_file", "file_url": "https://example.com/a.pdf"}
    anthropic = body(WIRES["anthropic"], PDF, there)["messages"][0]["content"]
    assert [block.get("source", {}).get("type") for block in anthropic[1:]] == ["base64", "url"]
    assert anthropic[1]["title"] == "a.pdf"
    google = body(WIRES["google"], SOUND, there)["contents"][0]["parts"]
    assert google[1]["inlineData"]["mimeType"] == "audio/wav"
    assert google[2]["fileData"] == {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}


@pytest.mark.parametrize(
    ("wire", "part", "said"),
    [
        ("chat", Audio(url="https://example.com/a.wav"), "recordings that lie elsewhere"),
        ("chat", File(url="https://example.com/a.pdf"), "files that lie elsewhere"),
        ("anthropic", SOUND, "no recordings"),
        ("anthropic", File(data=b"PK", media_type="application/zip"), "files of the kind application/zip"),
    ],
)
def test_what_a_format_has_no_words_for(wire: str, part: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        body(WIRES[wire], part)


@pytest.mark.parametrize("wire", WIRES)
def test_they_are_read_out_of_a_request_again(wire: str) -> None:
    made = body(WIRES[wire], PDF)
    (message,) = ModelRequest(WIRES[wire].operation, "m", "", made).messages
    assert isinstance(message.content, tuple)
    file = message.content[1]
    assert isinstance(file, File)
    assert file.url == "data:application/pdf;base64,JVBERi0xLjc="


@pytest.mark.parametrize("wire", ["chat", "responses", "google"])
def test_recordings_are_read_out_of_a_request_again(wire: str) -> None:
    made = body(WIRES[wire], SOUND)
    (message,) = ModelRequest(WIRES[wire].operation, "m", "", made).messages
    assert isinstance(message.content, tuple)
    assert isinstance(message.content[1], Audio)


@pytest.mark.parametrize("wire", ["chat", "responses", "google"])
def test_what_a_recording_costs_nobody_can_tell_before(wire: str) -> None:
    with pytest.raises(UnboundedCall, match="sound or film"):
        most_of(loaded(WIRES[wire], SOUND), Window(100_000, 1_000))


@pytest.mark.parametrize("wire", WIRES)
def test_a_document_may_fill_the_window(wire: str) -> None:
    assert most_of(loaded(WIRES[wire], PDF), Window(100_000, 1_000)).read == 100_000
    if wire != "anthropic":
        return
    # A text is in the request, and has no more tokens than bytes.
    text = File(data=b"word " * 100, media_type="text/plain")
    assert most_of(loaded(WIRES[wire], text), Window(100_000, 1_000)).read < 2_000


def loaded(wire: Wire, part: Any) -> Load:
    import orjson

    made = body(wire, part)
    return Load(wire.operation, wire.operation.partition(".")[0], "m", made, orjson.dumps(made))


def test_parts_in_the_form_of_chat_completions() -> None:
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    message = message_of({"role": "user", "content": parts})
    assert message.content == (
        "Look",
        Audio(url="data:audio/mpeg;base64,SUQz"),
        File(url="data:application/pdf;base64,JVBERi0=", name="a.pdf"),
    )
    assert body(OpenAIChat(), *message.content[1:])["messages"][0]["content"] == parts
    with pytest.raises(UsageError, match="no text, picture, recording or file"):
        message_of({"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]})
