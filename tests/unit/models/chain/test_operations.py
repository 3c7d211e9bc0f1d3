from __future__ import annotations

import math

import pytest

from surefoot.models.chain.operations import is_model_path, parse_json, provider_at, recognise

BODY = b'{"model": "m", "x": [1, NaN]}'


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai.chat"),
        ("/v1/chat/completions/", "openai.chat"),
        ("/openai/deployments/mine/chat/completions", "openai.chat"),
        ("/v1/completions", "openai.completions"),
        ("/v1/responses", "openai.responses"),
        ("/api/v1/embeddings", "openai.embeddings"),
        ("/v1/messages", "anthropic.messages"),
    ],
)
def test_model_calls_are_known_by_path_and_body(path: str, name: str) -> None:
    request = recognise("POST", "proxy.internal", path, BODY)
    assert request is not None
    assert request.operation.name == name
    assert request.work.name == name
    assert request.work.requested_model == "m"
    assert request.work.kind == "call"


@pytest.mark.parametrize(
    ("path", "name", "model", "end"),
    [
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "google.generate_content",
            "gemini-2.5-flash",
            "models/gemini-2.5-flash:generateContent",
        ),
        (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            "google.generate_content",
            "gemini-2.5-flash",
            "models/gemini-2.5-flash:streamGenerateContent",
        ),
        (
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            "google.embeddings",
            "gemini-embedding-001",
            "models/gemini-embedding-001:batchEmbedContents",
        ),
        (
            "/v1beta/tunedModels/mine-7:generateContent",
            "google.generate_content",
            "mine-7",
            "tunedModels/mine-7:generateContent",
        ),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent",
            "google.generate_content",
            "gemini-2.5-pro",
            "models/gemini-2.5-pro:generateContent",
        ),
        (
            "/v1/projects/p/locations/l/endpoints/123:generateContent",
            "google.generate_content",
            "123",
            "endpoints/123:generateContent",
        ),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-5:streamRawPredict",
            "anthropic.messages",
            "claude-sonnet-5",
            "publishers/anthropic/models/claude-sonnet-5:streamRawPredict",
        ),
        (
            "/openai/deployments/my%20chat/chat/completions",
            "openai.chat",
            "my chat",
            "deployments/my%20chat/chat/completions",
        ),
    ],
)
def test_the_model_may_be_in_the_path(path: str, name: str, model: str, end: str) -> None:
    request = recognise("POST", "gateway.internal", path, b'{"contents": []}')
    assert request is not None
    assert (request.work.name, request.model) == (name, model)
    assert request.work.inputs == {"path": end, "body": {"contents": []}}
    assert is_model_path(path)
    provider = {"google": "google", "anthropic": "anthropic", "openai": "azure"}
    assert request.provider == provider[name.partition(".")[0]]


def test_a_deployment_that_the_body_names_adds_nothing() -> None:
    body = b'{"model": "mine", "messages": []}'
    plain = recognise("POST", "h", "/v1/chat/completions", body)
    same = recognise("POST", "h", "/openai/deployments/mine/chat/completions", body)
    other = recognise("POST", "h", "/openai/deployments/other/chat/completions", body)
    assert plain is not None
    assert same is not None
    assert other is not None
    assert same.work.inputs == plain.work.inputs != other.work.inputs
    assert same.digest == plain.digest != other.digest
    assert [request.model for request in (plain, same, other)] == ["mine", "mine", "mine"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1beta/models/gemini-2.5-flash:countTokens", BODY),
        ("GET", "/v1beta/models/gemini-2.5-flash:generateContent", b""),
        ("POST", "/v1beta/models/gemini-2.5-flash", BODY),
        ("POST", "/v1beta/models/:generateContent", BODY),
        ("POST", "/v1beta/models/a:generateContent/operations/b:generateContent", BODY),
        ("POST", "/v1/publishers/anthropic/models/count-tokens:rawPredict", BODY),
        ("POST", "/v1/publishers/mistralai/models/mistral:rawPredict", BODY),
        ("POST", "/openai/deployments/mine/images/generations", BODY),
        ("GET", "/v1/chat/completions", BODY),
        ("POST", "/v1/messages/count_tokens", BODY),
        ("POST", "/messages", BODY),
        ("POST", "/v1/models", BODY),
        ("POST", "/v1/responses/resp_1/cancel", b""),
        ("POST", "/v1/chat/completions", b"[1]"),
        ("POST", "/v1/chat/completions", b'{"messages": []}'),
        ("POST", "/v1/chat/completions", b'{"model": ""}'),
        ("POST", "/v1/chat/completions", b"model=gpt"),
    ],
)
def test_everything_else_passes(method: str, path: str, body: bytes) -> None:
    assert recognise(method, "api.openai.com", path, body) is None


def test_what_identifies_a_call_has_no_host() -> None:
    one = recognise("POST", "api.openai.com", "/v1/chat/completions", b'{"model":"m","n":1}')
    other = recognise("POST", "eu.proxy", "/openai/chat/completions", b'{"model":"m","n":1}')
    assert one is not None
    assert other is not None
    assert (
        one.work.inputs == other.work.inputs == {"path": "chat/completions", "body": {"model": "m", "n": 1}}
    )
    assert one.digest == other.digest


def test_the_provider_is_that_of_a_known_host() -> None:
    assert provider_at("api.groq.com", "openai") == "groq"
    assert provider_at("mine.openai.azure.com", "openai") == "azure"
    assert provider_at("mine.services.ai.azure.com", "openai") == "azure"
    assert provider_at("mine.services.ai.azure.com", "anthropic") == "anthropic"
    assert provider_at("generativelanguage.googleapis.com", "openai") == "google"
    assert provider_at("localhost", "anthropic") == "anthropic"


def test_what_identifies_a_call_is_exact() -> None:
    one, other = (
        recognise(
            "POST", "h", "/v1/embeddings", f'{{"model": "m", "seed": 1234567890123456789012345{n}}}'.encode()
        )
        for n in (1, 2)
    )
    assert one is not None
    assert other is not None
    assert one.work.inputs != other.work.inputs


def test_json_as_servers_write_it() -> None:
    value = parse_json('{"a": NaN}')
    assert isinstance(value, dict)
    assert math.isnan(value["a"])
    assert parse_json(b"{") is None
