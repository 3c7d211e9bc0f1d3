"""What each format makes of a request that asks for everything, and of what it has no words for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from surefoot.errors import ConfigError, UsageError
from surefoot.models.generating.asking import Ask, OutputSpec, ToolSpec, Wire
from surefoot.models.wires import (
    AnthropicMessages,
    GoogleGenerate,
    OpenAIChat,
    OpenAIResponses,
    embedding_wire_of,
    wire_of,
)
from surefoot.values import Image, Message, ToolCall
from turns import WIRES

PIXEL = Image(data=b"\x89PNG\r\n\x1a\npixel")
PIXEL_TEXT = "iVBORw0KGgpwaXhlbA=="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolSpec("weather", "The weather of a city.", SCHEMA, is_strict=True)
CLOCK = ToolSpec("clock", "", {"type": "object", "properties": {}})
CALLS = (ToolCall("call_1", "weather", '{"city":"Oslo"}'), ToolCall("call_2", "clock", ""))
TALK = (
    Message("system", "Be brief."),
    Message("developer", "Use tools."),
    Message("user", ("Where is this?", PIXEL, Image(url="https://example.com/b.jpg", detail="low"))),
    Message("assistant", "I look.", CALLS),
    # In another order than they were asked for.
    Message("tool", "noon", tool_call_id="call_2", name="clock"),
    Message("tool", "sunny", tool_call_id="call_1", name="weather"),
    Message("user", "And now?"),
)
FULL = Ask(
    "model-1",
    TALK,
    tools=(WEATHER, CLOCK),
    tool_choice="weather",
    output=OutputSpec("Place", SCHEMA),
    temperature=0.5,
    top_p=0.9,
    max_tokens=100,
    stop=("END",),
    seed=7,
    reasoning_effort="low",
    top_logprobs=2,
    is_stream=True,
    extra={"metadata": {"team": "a"}},
)


def test_chat_completions() -> None:
    assert OpenAIChat().body(FULL) == {
        "model": "model-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Use tools."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL_TEXT}"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/b.jpg", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                    },
                    {"id": "call_2", "type": "function", "function": {"name": "clock", "arguments": ""}},
                ],
            },
            {"role": "tool", "content": "noon", "name": "clock", "tool_call_id": "call_2"},
            {"role": "tool", "content": "sunny", "name": "weather", "tool_call_id": "call_1"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "The weather of a city.",
                    "parameters": SCHEMA,
                    "strict": True,
                },
            },
            {
                "type": "function",
                "function": {"name": "clock", "description": "", "parameters": dict(CLOCK.schema)},
            },
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Place", "schema": SCHEMA, "strict": True},
        },
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 100,
        "stop": ["END"],
        "seed": 7,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
        "metadata": {"team": "a"},
    }
    assert OpenAIChat("max_tokens").body(FULL)["max_tokens"] == 100


def test_responses() -> None:
    assert OpenAIResponses().body(replace(FULL, seed=None, stop=())) == {
        "model": "model-1",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Use tools."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Where is this?"},
                    {
                        "type": "input_image",
                        "image_url": f"data:image/png;base64,{PIXEL_TEXT}",
                        "detail": "auto",
                    },
                    {"type": "input_image", "image_url": "https://example.com/b.jpg", "detail": "low"},
                ],
            },
            {"role": "assistant", "content": "I look."},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"city":"Oslo"}',
            },
            {"type": "function_call", "call_id": "call_2", "name": "clock", "arguments": ""},
            {"type": "function_call_output", "call_id": "call_2", "output": "noon"},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "The weather of a city.",
                "parameters": SCHEMA,
                "strict": True,
            },
            {
                "type": "function",
                "name": "clock",
                "description": "",
                "parameters": dict(CLOCK.schema),
                "strict": False,
            },
        ],
        "tool_choice": {"type": "function", "name": "weather"},
        "text": {"format": {"type": "json_schema", "name": "Place", "schema": SCHEMA, "strict": True}},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "reasoning": {"effort": "low"},
        "top_logprobs": 2,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "store": False,
        "stream": True,
        "metadata": {"team": "a"},
    }


def test_messages() -> None:
    assert AnthropicMessages().body(replace(FULL, seed=None, top_logprobs=None)) == {
        "model": "model-1",
        "max_tokens": 100,
        "system": "Be brief.\n\nUse tools.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL_TEXT},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/b.jpg"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
                    {"type": "tool_use", "id": "call_2", "name": "clock", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "noon"},
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "tools": [
            {
                "name": "weather",
                "description": "The weather of a city.",
                "input_schema": SCHEMA,
                "strict": True,
            },
            {"name": "clock", "input_schema": dict(CLOCK.schema)},
        ],
        "tool_choice": {"type": "tool", "name": "weather"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "stream": True,
        "metadata": {"team": "a"},
    }


def test_generate_content() -> None:
    assert GoogleGenerate().body(FULL) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Use tools."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Where is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": PIXEL_TEXT}},
                    {"fileData": {"fileUri": "https://example.com/b.jpg", "mimeType": "image/jpeg"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {
                        "functionCall": {"name": "weather", "args": {"city": "Oslo"}},
                        "thoughtSignature": "skip_thought_signature_validator",
                    },
                    {"functionCall": {"name": "clock", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "weather", "response": {"output": "sunny"}}},
                    {"functionResponse": {"name": "clock", "response": {"output": "noon"}}},
                    {"text": "And now?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "The weather of a city.",
                        "parametersJsonSchema": SCHEMA,
                    },
                    {"name": "clock", "description": "clock"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "maxOutputTokens": 100,
            "stopSequences": ["END"],
            "seed": 7,
            "responseLogprobs": True,
            "logprobs": 2,
            "thinkingConfig": {"thinkingLevel": "LOW"},
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
        "metadata": {"team": "a"},
    }


@pytest.mark.parametrize(
    ("wire", "ask", "kind"),
    [
        (OpenAIChat(), FULL, CompletionCreateParamsNonStreaming),
        (OpenAIResponses(), replace(FULL, seed=None, stop=()), ResponseCreateParamsNonStreaming),
        (AnthropicMessages(), replace(FULL, seed=None, top_logprobs=None), MessageCreateParamsNonStreaming),
    ],
    ids=lambda value: getattr(value, "operation", ""),
)
def test_the_providers_own_packages_take_the_body(wire: Wire, ask: Ask, kind: Any) -> None:
    TypeAdapter(kind).validate_python(wire.body(replace(ask, is_stream=False)))


@pytest.mark.parametrize("operation", sorted(WIRES))
def test_what_is_not_asked_for_is_not_said(operation: str) -> None:
    body = WIRES[operation].body(Ask("m", (Message("user", "Hello"),)))
    known = {"model", "messages", "input", "contents", "store", "max_tokens"}
    assert body.keys() <= known
    assert body.get("store", False) is False


@pytest.mark.parametrize(
    ("wire", "is_stream", "path"),
    [
        (OpenAIChat(), True, "/chat/completions"),
        (OpenAIResponses(), True, "/responses"),
        (AnthropicMessages(), True, "/messages"),
        (GoogleGenerate(), False, "/models/gemini-3-pro:generateContent"),
        (GoogleGenerate(), True, "/models/gemini-3-pro:streamGenerateContent?alt=sse"),
    ],
)
def test_the_path(wire: Wire, is_stream: bool, path: str) -> None:
    assert wire.path(Ask("gemini-3-pro", (), is_stream=is_stream)) == path


def test_the_path_of_a_model_with_a_folder_of_its_own() -> None:
    assert GoogleGenerate().path(Ask("tunedModels/mine", ())) == "/tunedModels/mine:generateContent"
    assert GoogleGenerate().path(Ask("models/gemini-3-pro", ())) == "/models/gemini-3-pro:generateContent"
    assert GoogleGenerate().path(Ask("a?b#c", ())) == "/models/a%3Fb%23c:generateContent"


@pytest.mark.parametrize(
    ("wire", "change", "said"),
    [
        (OpenAIResponses(), {"seed": 1}, "openai.responses has no seed"),
        (OpenAIResponses(), {"stop": ("x",)}, "openai.responses has no stop sequences"),
        (AnthropicMessages(), {"seed": 1}, "anthropic.messages has no seed"),
        (AnthropicMessages(), {"top_logprobs": 0}, "anthropic.messages has no log-probabilities"),
        (
            AnthropicMessages(),
            {"reasoning_effort": "minimal"},
            "there are none, low, medium, high, xhigh and max",
        ),
        (AnthropicMessages(), {"messages": (Message("system", "x"),)}, "without a message of the user"),
        (AnthropicMessages(), {"messages": (Message("user", " "),)}, "message 1 is empty"),
        (AnthropicMessages(), {"messages": (Message("boss", "x"),)}, "no role 'boss'"),
        (GoogleGenerate(), {"messages": (Message("system", "x"),)}, "without a message of the user"),
        (
            GoogleGenerate(),
            {"messages": (Message("user", "x"), Message("system", "y"))},
            "put system messages first",
        ),
        (GoogleGenerate(), {"messages": (Message("boss", "x"),)}, "no role 'boss'"),
        (GoogleGenerate(), {"messages": (Message("tool", "x", tool_call_id="c"),)}, "answers the call 'c'"),
        (
            GoogleGenerate(),
            {"model": "gemini-3-pro", "reasoning_effort": "none"},
            "no reasoning effort 'none'",
        ),
        (
            GoogleGenerate(),
            {"model": "gemini-2.5-pro", "reasoning_effort": "max"},
            "none, minimal, low, medium, high",
        ),
        (OpenAIChat(), {"messages": (Message("tool", (PIXEL,)),)}, "no pictures or files in a tool's result"),
    ],
)
def test_what_a_format_has_no_words_for(wire: Wire, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wire.body(replace(Ask("m", (Message("user", "x"),)), **change))


@pytest.mark.parametrize("operation", sorted(WIRES))
def test_a_picture_that_is_none(operation: str) -> None:
    with pytest.raises(UsageError, match="neither a url nor data"):
        WIRES[operation].body(Ask("m", (Message("user", ("x", Image())),)))


@pytest.mark.parametrize(
    ("image", "kind", "text"),
    [
        (Image(data=b"\xff\xd8\xff"), "image/jpeg", "/9j/"),
        (Image(data=b"GIF89a"), "image/gif", "R0lGODlh"),
        (Image(data=b"RIFF....WEBP"), "image/webp", "UklGRi4uLi5XRUJQ"),
        (Image(data=b"?", media_type="image/heic"), "image/heic", "Pw=="),
        (Image(url="data:image/gif;base64,R0lG"), "image/gif", "R0lG"),
        (Image(url="data:image/svg+xml;charset=utf-8,%3Csvg/%3E"), "image/svg+xml", "PHN2Zy8+"),
        (Image(url="data:,a"), "image/png", "YQ=="),
    ],
)
def test_pictures_at_hand(image: Image, kind: str, text: str) -> None:
    body: Any = AnthropicMessages().body(Ask("m", (Message("user", (image,)),)))
    source = body["messages"][0]["content"][0]["source"]
    assert source == {"type": "base64", "media_type": kind, "data": text}


@pytest.mark.parametrize(
    ("choice", "chat", "anthropic", "google"),
    [
        ("auto", None, None, None),
        ("none", "none", {"type": "none"}, {"mode": "NONE"}),
        ("required", "required", {"type": "any"}, {"mode": "ANY"}),
    ],
)
def test_the_choice_of_tools(choice: str, chat: Any, anthropic: Any, google: Any) -> None:
    ask = Ask("m", (Message("user", "x"),), tools=(WEATHER,), tool_choice=choice)
    assert OpenAIChat().body(ask).get("tool_choice") == chat
    assert OpenAIResponses().body(ask).get("tool_choice") == chat
    assert AnthropicMessages().body(ask).get("tool_choice") == anthropic
    config: Any = GoogleGenerate().body(ask).get("toolConfig", {})
    assert config.get("functionCallingConfig") == google


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-sonnet-5", 16384),
        ("claude-3-5-haiku-latest", 8192),
        ("claude-3-opus-20240229", 4096),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", 4096),
        ("something-new", 16384),
    ],
)
def test_the_limit_where_none_is_given(model: str, limit: int) -> None:
    assert AnthropicMessages().body(Ask(model, (Message("user", "x"),)))["max_tokens"] == limit


def test_how_much_to_think() -> None:
    def thinking(wire: Wire, model: str, effort: Any) -> dict[str, Any]:
        return wire.body(Ask(model, (Message("user", "x"),), reasoning_effort=effort))

    off = thinking(AnthropicMessages(), "claude-sonnet-5", "none")
    assert off["thinking"] == {"type": "disabled"}
    assert "output_config" not in off
    budget = thinking(GoogleGenerate(), "gemini-2.5-flash", "medium")["generationConfig"]
    assert budget == {"thinkingConfig": {"thinkingBudget": 8192}}


@pytest.mark.parametrize(
    ("model", "effort", "is_included"),
    [
        ("gpt-4o", None, False),
        ("gpt-5-mini", None, True),
        ("o3", None, True),
        ("my-deployment", "high", True),
    ],
)
def test_encrypted_reasoning_is_asked_for_where_a_model_reasons(
    model: str, effort: Any, is_included: bool
) -> None:
    body = OpenAIResponses().body(Ask(model, (Message("user", "x"),), reasoning_effort=effort))
    assert ("include" in body) is is_included


@pytest.mark.parametrize("operation", ["anthropic.messages", "google.generate_content"])
def test_malformed_arguments_are_shown_to_the_model_that_takes_over(operation: str) -> None:
    talk = (
        Message("user", "x"),
        Message("assistant", "", (ToolCall("1", "f", '{"a":'),)),
        Message("tool", "These are no arguments.", tool_call_id="1", name="f"),
    )
    assert "{'malformed_arguments': '{\"a\":'}" in str(WIRES[operation].body(Ask("m", talk)))


def test_fields_of_ones_own_are_put_into_objects_that_are_there() -> None:
    ask = Ask("gemini-3-pro", (Message("user", "x"),), temperature=0.0, seed=1)
    own = {"generationConfig": {"topK": 4, "seed": 2}, "safetySettings": []}
    assert GoogleGenerate().body(replace(ask, extra=own)) == {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "generationConfig": {"temperature": 0.0, "seed": 2, "topK": 4},
        "safetySettings": [],
    }


def test_a_later_system_message_stays_in_its_place() -> None:
    talk = (Message("user", "x"), Message("system", "Be brief."), Message("assistant", "y"))
    body: Any = AnthropicMessages().body(Ask("claude-opus-5", talk))
    assert [said["role"] for said in body["messages"]] == ["user", "system", "assistant"]


def test_pictures_in_a_tools_result() -> None:
    talk = (
        Message("user", "x"),
        Message("assistant", "", (ToolCall("1", "shot", "{}"),)),
        Message("tool", ("here", PIXEL), tool_call_id="1", name="shot"),
    )
    ask = Ask("m", talk)
    anthropic: Any = AnthropicMessages().body(ask)["messages"]
    assert [part["type"] for part in anthropic[-1]["content"][0]["content"]] == ["text", "image"]
    responses: Any = OpenAIResponses().body(ask)["input"]
    assert [part["type"] for part in responses[-1]["output"]] == ["input_text", "input_image"]
    google: Any = GoogleGenerate().body(ask)["contents"]
    result = google[-1]["parts"][0]["functionResponse"]
    assert result["response"] == {"output": "here"}
    assert result["parts"] == [{"inlineData": {"mimeType": "image/png", "data": PIXEL_TEXT}}]


def test_the_format_by_name() -> None:
    assert wire_of("openai.chat", "openai") == OpenAIChat()
    assert wire_of("azure.chat", "azure") == OpenAIChat()
    assert wire_of("openai.chat", "ollama") == OpenAIChat(limit="max_tokens", lacks=frozenset())
    assert wire_of("anthropic.messages", "anthropic") == AnthropicMessages()
    with pytest.raises(
        ConfigError, match=r"'cohere.chat', which `generate` does not know; it knows openai.chat"
    ):
        wire_of("cohere.chat", "cohere")
    assert embedding_wire_of("anthropic.messages") is None
    found = [embedding_wire_of(name) for name in ("google.generate", "azure.chat")]
    assert [wire and wire.operation for wire in found] == ["google.embeddings", "openai.embeddings"]
