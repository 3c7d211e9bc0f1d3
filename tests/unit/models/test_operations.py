from __future__ import annotations

import math

import pytest

from surefoot.models.operations import parse_json, provider_at, recognise

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
    ("method", "path", "body"),
    [
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
