"""Which HTTP requests are model calls, and what identifies one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote

import orjson

from surefoot.scope import Work


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request that models answer: `name` is the step's, `path` is what the URL's path ends in.

    Where the path itself names the model, `path` is empty.
    """

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
"""The operations that a language model answers behind the wire formats of OpenAI and Anthropic."""

_GENERATE = Operation("google.generate_content", "google", "")
_EMBED = Operation("google.embeddings", "google", "")
_MESSAGES = next(known for known in OPERATIONS if known.name == "anthropic.messages")
_BY_METHOD = {
    "generateContent": _GENERATE,
    "streamGenerateContent": _GENERATE,
    "embedContent": _EMBED,
    "batchEmbedContents": _EMBED,
    "rawPredict": _MESSAGES,
    "streamRawPredict": _MESSAGES,
}
# Gemini's own API and Vertex AI; what is tuned there has names of its own.
_GEMINI = re.compile(
    r"/((?:models|tunedModels|endpoints)/([^/:]+):"
    r"(generateContent|streamGenerateContent|embedContent|batchEmbedContents))"
)
_VERTEX = re.compile(r"/(publishers/anthropic/models/(?!count-tokens)([^/:]+):(rawPredict|streamRawPredict))")
_DEPLOYMENT = re.compile(r"/openai/(deployments/([^/]+)/[a-z/]+)")

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
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


@dataclass(frozen=True, slots=True)
class Request:
    """A recognised model call: what it asks, and the digest by which a repetition of it is known.

    `path` is the end of the URL's path that says what is done, with the model where the path names it.
    """

    operation: Operation
    provider: str
    model: str
    path: str
    body: Mapping[str, object] = field(repr=False)
    digest: bytes = field(repr=False)

    @property
    def work(self) -> Work:
        """The call as the scope claims it: the host and the headers are no part of what identifies it."""
        return Work(
            kind="call",
            name=self.operation.name,
            inputs={"path": self.path, "body": self.body},
            requested_model=self.model,
        )


def recognise(method: str, host: str, path: str, content: bytes) -> Request | None:
    """The model call that a request makes, or None.

    A POST to a path of `OPERATIONS`, whose body is a JSON object with a `model`, is a model call on any host: proxies
    and self-hosted servers speak the same formats. So is one to a path that ends in a model and what it is to do
    (Gemini, Vertex AI), or that names a deployment (Azure).
    """
    if method != "POST":
        return None
    place = _place(path)
    if place is None:
        return None
    try:
        body: object = json.loads(content)  # not orjson: what identifies a call keeps its integers exact
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, object]", body)
    named = fields.get("model")
    written = named if isinstance(named, str) else ""
    model = (written or place.model) if place.is_deployment else (place.model or written)
    if not model:
        return None
    # A deployment that the body names too adds nothing to what identifies the call.
    is_named_twice = place.is_deployment and place.model == written
    end = (place.operation.path if is_named_twice else place.end).removeprefix("/")
    digest = hashlib.sha256(end.encode() + b"\0" + content).digest()
    provider = provider_at(host, "azure" if place.is_deployment else place.operation.provider)
    return Request(place.operation, provider, model, end, fields, digest)


def is_model_path(path: str) -> bool:
    """Whether a POST to a path is a model call, as far as the path can tell."""
    return _place(path) is not None


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path says: the operation, the end of the path by which it does, and the model if it names one."""

    operation: Operation
    end: str
    model: str = ""
    is_deployment: bool = False


def _place(path: str) -> _Place | None:
    path = path.rstrip("/")
    for operation in OPERATIONS:
        if path.endswith(operation.path):
            deployed = _DEPLOYMENT.search(path)
            if deployed is None:
                return _Place(operation, operation.path)
            return _Place(operation, deployed[1], unquote(deployed[2]), is_deployment=True)
    last = path[path.rfind(":") + 1 :]
    if last not in _BY_METHOD:
        return None
    named = next((found for form in (_GEMINI, _VERTEX) if (found := _ending(form, path))), None)
    return None if named is None else _Place(_BY_METHOD[named[3]], named[1], unquote(named[2]))


def _ending(form: re.Pattern[str], path: str) -> re.Match[str] | None:
    """Where a form is found at the very end of a path."""
    found = form.search(path)
    return found if found is not None and found.end() == len(path) else None


def provider_at(host: str, default: str) -> str:
    """Who answers at `host`; an unknown host is taken for a proxy of the provider whose format is spoken."""
    known = _HOSTS.get(host)
    if known is None and default == "openai" and host.endswith(_AZURE_HOSTS):
        return "azure"
    return known or default


def parse_json(content: bytes | str) -> object:
    """The JSON value of an answer; None if it is none (JSON's own `null` is no answer of a model either)."""
    try:
        return cast("object", orjson.loads(content))
    except orjson.JSONDecodeError:
        pass
    try:  # the SDKs accept NaN, so it is an answer
        return cast("object", json.loads(content))
    except (ValueError, RecursionError):  # no client reads what is nested a thousand times
        return None
