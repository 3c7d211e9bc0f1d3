"""What a fake is asked reads the same in every format: messages, tools, schema, and whether it is a stream."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.models import ModelRequest
from surefoot.models.generating.asking import Ask, OutputSpec, ToolSpec
from surefoot.models.wires import wire_of
from surefoot.values import Image, Message, ToolCall

SCHEMA: Any = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
PIXEL = Image(data=b"\x89PNG", media_type="image/png")
TALK = (
    Message("system", "Be brief."),
    Message("user", ("What is", PIXEL)),
    Message("assistant", "", (ToolCall("c1", "look", '{"x":1}'), ToolCall("c2", "look", '{"x":2}'))),
    Message("tool", "one", tool_call_id="c1", name="look"),
    Message("tool", "two", tool_call_id="c2", name="look"),
    Message("user", "And now?"),
)
WIRES = ["openai.chat", "openai.responses", "anthropic.messages", "google.generate"]


def asked(wire_name: str, *, is_stream: bool) -> ModelRequest:
    wire = wire_of(wire_name, "openai" if wire_name.startswith("openai") else wire_name.partition(".")[0])
    ask = Ask(
        "gemini-2.5-flash" if wire_name.startswith("google") else "claude-sonnet-5",
        TALK,
        tools=(ToolSpec("look", "Looks.", SCHEMA), ToolSpec("hear", "Hears.", SCHEMA)),
        output=OutputSpec("answer", SCHEMA),
        is_stream=is_stream,
    )
    return ModelRequest(
        wire.operation, ask.model, wire.path(ask).partition("?")[0].lstrip("/"), wire.body(ask)
    )


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("wire", WIRES)
def test_a_request_reads_as_it_was_written(wire: str, is_stream: bool) -> None:
    request = asked(wire, is_stream=is_stream)
    messages = request.messages
    assert [(one.role, one.text) for one in messages if one.role in ("system", "user")] == [
        ("system", "Be brief."),
        ("user", "What is"),
        ("user", "And now?"),
    ]
    called = [call for one in messages for call in one.tool_calls]
    assert [(call.name, call.arguments.replace(" ", "")) for call in called] == [
        ("look", '{"x":1}'),
        ("look", '{"x":2}'),
    ]
    results = [one for one in messages if one.role == "tool"]
    assert ["one" in results[0].text, "two" in results[1].text] == [True, True]
    assert [one.tool_call_id for one in results] == [call.id for call in called]
    assert request.text == "And now?"
    assert request.tools == ("look", "hear")
    assert request.schema is not None
    assert request.schema["required"] == ["x"]
    assert request.is_stream == is_stream


@pytest.mark.parametrize("wire", WIRES[:3])
def test_pictures_stay_where_they_were(wire: str) -> None:
    user = next(one for one in asked(wire, is_stream=False).messages if one.role == "user")
    assert user.content[0] == "What is"
    picture = user.content[1]
    assert isinstance(picture, Image)
    assert picture.url == "data:image/png;base64,iVBORw=="


def test_the_older_formats_of_openai_and_a_name_for_messages() -> None:
    body: Any = {"model": "m", "prompt": "Once"}
    assert ModelRequest("openai.completions", "m", "completions", body).text == "Once"
    body = {"model": "m", "input": ["a", "b"]}
    assert [one.text for one in ModelRequest("openai.embeddings", "m", "embeddings", body).messages] == [
        "a",
        "b",
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": "long " * 100}]}
    shown = str(ModelRequest("openai.chat", "m", "chat/completions", body))
    assert shown.startswith("openai.chat to m: 'long long")
    assert len(shown) < 160


def test_a_request_without_messages_has_no_text() -> None:
    request = ModelRequest("openai.chat", "m", "chat/completions", {"model": "m"})
    assert (request.messages, request.text, request.tools, request.schema) == ((), "", (), None)
