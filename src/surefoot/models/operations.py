"""Which HTTP requests are model calls, and what identifies one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from surefoot.scope import Work


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request that models answer: `name` is the step's, `path` is what the URL's path ends in."""

    name: str
    provider: str
    path: str


OPERATIONS = (
    Operation("openai.chat", "openai", "/chat/completions"),
    Operation("openai.completions", "openai", "/completions"),
    Operation("openai.responses", "openai", "/responses"),
    Operation("openai.embeddings", "openai", "/embeddings"),
    Operation("anthropic.messages", "anthropic", "/v1/messages"),
)
TEXT_OPERATIONS = frozenset(known.name for known in OPERATIONS if known.name != "openai.embeddings")
"""The operations that a language model answers."""

_HOSTS = {
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.x.ai": "x-ai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "google",
}
_HOST_ENDINGS = ((".openai.azure.com", "azure"), (".cognitiveservices.azure.com", "azure"))


@dataclass(frozen=True, slots=True)
class Request:
    """A recognised model call: what it asks, and the digest by which a repetition of it is known."""

    operation: Operation
    provider: str
    model: str
    body: Mapping[str, object] = field(repr=False)
    digest: bytes = field(repr=False)

    @property
    def work(self) -> Work:
        """The call as the scope claims it: the host and the headers are no part of what identifies it."""
        return Work(
            kind="call",
            name=self.operation.name,
            inputs={"path": self.operation.path.removeprefix("/"), "body": self.body},
            requested_model=self.model,
        )


def recognise(method: str, host: str, path: str, content: bytes) -> Request | None:
    """The model call that a request makes, or None.

    A POST to a path of `OPERATIONS` whose body is a JSON object with a `model` is a model call on any host:
    proxies and self-hosted servers speak the same formats.
    """
    if method != "POST":
        return None
    path = path.rstrip("/")
    operation = next((known for known in OPERATIONS if path.endswith(known.path)), None)
    if operation is None:
        return None
    try:
        body: object = json.loads(content)  # not orjson: what identifies a call keeps its integers exact
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, object]", body)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        return None
    digest = hashlib.sha256(operation.path.encode() + b"\0" + content).digest()
    return Request(operation, provider_at(host, operation.provider), model, fields, digest)


def provider_at(host: str, default: str) -> str:
    """Who answers at `host`; an unknown host is taken for a proxy of the provider whose format is spoken."""
    known = _HOSTS.get(host)
    if known is None:
        known = next((provider for ending, provider in _HOST_ENDINGS if host.endswith(ending)), default)
    return known


def parse_json(content: bytes | str) -> object:
    """The JSON value of an answer; None if it is none (JSON's own `null` is no answer of a model either)."""
    try:
        return cast("object", orjson.loads(content))
    except orjson.JSONDecodeError:
        pass
    try:  # the SDKs accept NaN, so it is an answer
        return cast("object", json.loads(content))
    except ValueError:
        return None
