"""The local server is as strict as what it stands for: the SDKs raise what they raise at the real APIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from wire import WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server


def test_a_wrong_key_is_refused(wire: WireServer) -> None:
    with (
        openai.OpenAI(base_url=wire.openai_url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with (
        anthropic.Anthropic(base_url=wire.anthropic_url, api_key="wrong", max_retries=0) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.create(model="c", max_tokens=1, messages=MESSAGES)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}, "'model'"),
        ("/v1/chat/completions", {"model": "m"}, "'messages'"),
        ("/v1/chat/completions", {"model": "m", "messages": []}, "empty array"),
        ("/v1/chat/completions", {"model": "m", "messages": [{"role": "boss", "content": "x"}]}, "role"),
        ("/v1/chat/completions", {"model": "m", "messages": MESSAGES, "max_token": 1}, "Unrecognized"),
        ("/v1/responses", {"model": "m"}, "'input'"),
        ("/v1/embeddings", {"model": "m"}, "'input'"),
        ("/v1/completions", {"model": "m"}, "'prompt'"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES}, "max_tokens: Field required"),
        ("/v1/messages", {"model": "m", "messages": [], "max_tokens": 1}, "at least one message"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES, "max_tokens": 0}, "greater than"),
        ("/v1/messages", {"model": "m", "messages": MESSAGES, "max_tokens": 1, "n": 2}, "Extra inputs"),
        (
            "/v1/messages",
            {"model": "m", "messages": [{"role": "system", "content": "x"}], "max_tokens": 1},
            "'user' or 'assistant'",
        ),
    ],
)
def test_a_malformed_request_is_refused(wire: WireServer, path: str, body: dict[str, Any], said: str) -> None:
    headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    with httpx2.Client(headers=headers) as client:
        answer = client.post(wire.url + path, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert ("type" in answer.json()) == path.endswith("messages")


PARTS: Any = [{"role": "user", "parts": [{"text": "hello"}]}]
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"
CALLED: Any = [
    *PARTS,
    {
        "role": "model",
        "parts": [{"functionCall": {"name": "a", "args": {}}}, {"functionCall": {"name": "b"}}],
    },
    {"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {}}}]},
]


def configured(**config: Any) -> dict[str, Any]:
    return {"contents": PARTS, "generationConfig": config}


def declared(**declaration: Any) -> dict[str, Any]:
    return {"contents": PARTS, "tools": [{"functionDeclarations": [declaration]}]}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (GEMINI, {}, 400, "contents is not specified"),
        (GEMINI, {"contents": []}, 400, "contents is not specified"),
        (GEMINI, {"contents": PARTS, "max_tokens": 1}, 400, 'Unknown name "max_tokens": Cannot find field.'),
        (GEMINI, {"contents": "hello"}, 400, "Invalid value at 'contents'"),
        (GEMINI, {"contents": [{"role": "user", "parts": []}]}, 400, "parts must not be empty"),
        (GEMINI, {"contents": [{"role": "user", "content": "x"}]}, 400, "at 'contents[0]'"),
        (
            GEMINI,
            {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]},
            400,
            "valid role: user, model",
        ),
        (GEMINI, {"contents": [{"parts": [{}]}]}, 400, "required oneof field 'data'"),
        (GEMINI, {"contents": [{"parts": [{"text": 1}]}]}, 400, "(TYPE_STRING), 1"),
        (
            GEMINI,
            {"contents": [{"parts": [{"type": "text", "text": "x"}]}]},
            400,
            "at 'contents[0].parts[0]'",
        ),
        (GEMINI, {"contents": [{"parts": [{"inlineData": {"data": "aQ=="}}]}]}, 400, "mime_type and data"),
        (GEMINI, {"contents": CALLED}, 400, "number of function response parts is equal"),
        (GEMINI, {"contents": CALLED[1:]}, 400, "immediately after a user turn"),
        (GEMINI, {"contents": CALLED[2:]}, 400, "immediately after a function call turn"),
        (GEMINI, configured(max_tokens=1), 400, "at 'generation_config'"),
        (GEMINI, configured(temperature=3), 400, "temperature must be in the range [0.0, 2.0]"),
        (GEMINI, configured(max_output_tokens=0), 400, "max_output_tokens must be positive"),
        (GEMINI, configured(responseSchema={"type": "STRING"}), 400, "response_mime_type is"),
        (GEMINI, configured(responseMimeType="text/html"), 400, "allowed mimetypes"),
        (
            GEMINI,
            configured(responseMimeType="application/json", responseSchema={"type": "OBJECT"}),
            400,
            "should be non-empty for OBJECT type",
        ),
        (
            GEMINI,
            configured(responseMimeType="application/json", responseSchema={"type": "ARRAY"}),
            400,
            "items: missing field",
        ),
        (
            GEMINI,
            configured(
                responseMimeType="application/json",
                responseSchema={"type": "STRING", "additionalProperties": False},
            ),
            400,
            "Unknown name \"additionalProperties\" at 'generation_config.response_schema'",
        ),
        (
            GEMINI,
            configured(thinkingConfig={"thinkingBudget": 1, "thinkingLevel": "LOW"}),
            400,
            "only one of",
        ),
        (GEMINI, declared(name="look up"), 400, "Invalid function name"),
        (GEMINI, declared(name="f", parameters={"type": "text"}), 400, "Invalid value at 'tools[0]"),
        (GEMINI, {"contents": PARTS, "tools": [{"type": "function"}]}, 400, "at 'tools[0]'"),
        (
            GEMINI,
            {"contents": PARTS, "toolConfig": {"functionCallingConfig": {"mode": "any"}}},
            400,
            "function_calling_config.mode",
        ),
        (
            "/v1beta/models/gpt-4o:generateContent",
            {"contents": PARTS},
            404,
            "is not found for API version v1beta",
        ),
        (
            "/v1beta/models/gemini-embedding-001:generateContent",
            {"contents": PARTS},
            404,
            "not supported for",
        ),
        ("/v1beta/models/gemini-2.5-flash:embedContent", {"content": PARTS[0]}, 404, "not supported for"),
        ("/v1beta/models/gemini-2.5-flash:nonsense", {"contents": PARTS}, 404, "is not found"),
        ("/v1beta/models/gemini-embedding-001:embedContent", {}, 400, "content is not specified"),
        (
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"requests": [{"model": "models/other", "content": PARTS[0]}]},
            400,
            "unexpected model name format",
        ),
        (
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"requests": []},
            400,
            "must not be empty",
        ),
        (
            "/v1beta/models/gemini-embedding-001:embedContent",
            {"content": PARTS[0], "taskType": "SEARCH"},
            400,
            "Invalid value at 'task_type'",
        ),
    ],
)
def test_gemini_refuses_what_is_malformed(
    wire: WireServer, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    with httpx2.Client(headers={"x-goog-api-key": "k"}) as client:
        answer = client.post(wire.url + path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert error["status"] == {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}[status]
    assert said in error["message"]


def test_gemini_without_a_key_and_with_a_wrong_one(wire: WireServer) -> None:
    with httpx2.Client() as client:
        answer = client.post(wire.url + GEMINI, json={"contents": PARTS})
    assert answer.status_code == 403
    assert answer.json()["error"]["status"] == "PERMISSION_DENIED"
    with (
        genai.Client(api_key="wrong", http_options={"base_url": wire.gemini_url}) as sdk,
        pytest.raises(errors.ClientError, match="API key not valid"),
    ):
        sdk.models.generate_content(model="gemini-2.5-flash", contents="hello")


def test_gemini_speaks_both_spellings_and_streams_without_sse_as_a_list(wire: WireServer) -> None:
    headers = {"x-goog-api-key": "k"}
    body = {"contents": PARTS, "generation_config": {"max_output_tokens": 5}}
    with httpx2.Client(headers=headers) as client:
        whole = client.post(wire.url + GEMINI, json=body).json()
        path = GEMINI.replace(":generate", ":streamGenerate")
        chunks = client.post(wire.url + path, json=body).json()
        events = client.post(wire.url + path + "?alt=sse", json=body).text.split("\r\n\r\n")
    said = whole["candidates"][0]["content"]["parts"][0]["text"]
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks) == said
    assert [json.loads(event.removeprefix("data: ")) for event in events if event] == chunks


def test_geminis_own_sdk_is_understood(wire: WireServer) -> None:
    """What the SDK makes of each kind of request is accepted: images, tools, schemas, system instructions, chats."""

    def lookup(page: int) -> str:
        """Look up a page."""
        return f"page {page}"

    with genai.Client(api_key="k", http_options={"base_url": wire.gemini_url}) as client:
        image = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
        config: Any = {
            "system_instruction": "Be brief.",
            "temperature": 0.5,
            "max_output_tokens": 9,
            "thinking_config": {"thinking_budget": 5},
        }
        seen = client.models.generate_content(
            model="gemini-2.5-flash", contents=[image, "What is it?"], config=config
        )
        assert seen.text == "gemini-2.5-flash heard: What is it?"
        called = client.models.generate_content(
            model="gemini-2.5-flash",
            contents="hello",
            config=types.GenerateContentConfig(tools=[lookup]),
        )
        assert (
            called.text == "gemini-2.5-flash heard: "
        )  # after the function was called with the SDK's own loop
        chat = client.chats.create(model="gemini-2.5-flash")
        chat.send_message("one")
        assert chat.send_message("two").text == "gemini-2.5-flash heard: two"
        embedded = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
        assert embedded.embeddings is not None
        assert len(embedded.embeddings) == 2
        assert client.models.count_tokens(model="gemini-2.5-flash", contents="hello").total_tokens


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/openai/deployments/gpt-4o/chat/completions", {"messages": MESSAGES}, 404, "Resource not found"),
        ("/openai/deployments/none/chat/completions?api-version=2024-10-21", {}, 404, "does not exist"),
        ("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", {}, 400, "'messages'"),
        (
            "/openai/deployments/gpt-4o/chat/completions?api-version=1",
            {"messages": MESSAGES},
            404,
            "not found",
        ),
        ("/openai/deployments/gpt-4o/responses?api-version=2024-10-21", {}, 404, "Resource not found"),
        ("/openai/responses?api-version=2025-03-01-preview", {"input": "x"}, 400, "'model'"),
        ("/openai/v1/chat/completions", {"model": "none", "messages": MESSAGES}, 404, "does not exist"),
    ],
)
def test_azure_refuses_what_is_malformed(
    wire: WireServer, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    with httpx2.Client(headers={"api-key": "k"}) as client:
        answer = client.post(wire.url + path, json=body)
        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]
        assert client.post(wire.url + path, json=body, headers={"api-key": "wrong"}).status_code in (401, 404)


def test_azure_takes_a_key_or_a_token_and_names_the_deployed_model(wire: WireServer) -> None:
    for credential in ({"api_key": "k"}, {"azure_ad_token": "t"}, {"azure_ad_token_provider": lambda: "t"}):
        options: Any = credential
        with openai.AzureOpenAI(
            azure_endpoint=wire.azure_url, api_version="2024-10-21", max_retries=0, **options
        ) as client:
            answer = client.chat.completions.create(model="prod-chat", messages=MESSAGES)
            assert answer.model == "gpt-4o"
            chunks = list(client.chat.completions.create(model="prod-chat", messages=MESSAGES, stream=True))
            assert chunks[0].choices == []
            with pytest.raises(openai.NotFoundError, match="does not exist") as raised:
                client.chat.completions.create(model="none", messages=MESSAGES)
            assert raised.value.code == "DeploymentNotFound"
            assert client.responses.create(model="gpt-4o", input="x").output_text
            assert client.embeddings.create(model="text-embedding-3-small", input="x").data


def test_a_model_that_is_not_there(wire: WireServer) -> None:
    with (
        openai.OpenAI(base_url=wire.openai_url, api_key="k") as client,
        pytest.raises(openai.NotFoundError, match="`unknown-4` does not exist") as raised,
    ):
        client.chat.completions.create(model="unknown-4", messages=MESSAGES)
    assert raised.value.code == "model_not_found"
    with (
        anthropic.Anthropic(base_url=wire.anthropic_url, api_key="k") as other,
        pytest.raises(anthropic.NotFoundError, match="not_found_error"),
    ):
        other.messages.create(model="unknown-5", max_tokens=1, messages=MESSAGES)


def test_without_a_key_or_a_path(wire: WireServer) -> None:
    with httpx2.Client() as client:
        assert client.post(wire.openai_url + "/chat/completions", json={}).status_code == 401
        assert client.post(wire.openai_url + "/nowhere", json={}).status_code == 404
        assert client.get(wire.openai_url + "/chat/completions").status_code == 405
        assert client.post(wire.openai_url + "/chat/completions", content=b"{").status_code == 400


def test_the_server_as_a_process_logs_each_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    script = Path(__file__).parents[1] / "servers" / "wire.py"
    command = [sys.executable, str(script), "--port", "0", "--log", str(log), "--reply", "fixed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with openai.OpenAI(base_url=url + "/v1", api_key="k") as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        process.kill()
    assert answer.choices[0].message.content == "fixed"
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(call["path"], call["model"], call["is_stream"]) for call in calls] == [
        ("/v1/chat/completions", "gpt-4o", False)
    ]
