"""Who answers model calls: each vendor's usual address, wire format, and the environment variables of its own SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Wire: TypeAlias = Literal[
    "openai.chat", "openai.responses", "anthropic.messages", "google.generate", "azure.chat"
]
"""The form of requests and answers."""

LOCAL = "local"
"""The provider of the embedded model."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider as it is without settings.

    `key_header` is the header that carries the key, `authorization` as a bearer token; the first of `key_names` that
    is set gives it, as the first of `base_url_names` gives an address other than `base_url`.
    """

    base_url: str
    key_names: tuple[str, ...] = ()
    base_url_names: tuple[str, ...] = ()
    wire: Wire = "openai.chat"
    key_header: str = "authorization"
    needs_key: bool = True


VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor("https://api.openai.com/v1", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL",)),
    "azure": Vendor(
        "",
        ("AZURE_OPENAI_API_KEY",),
        ("AZURE_OPENAI_ENDPOINT",),
        wire="azure.chat",
        key_header="api-key",
    ),
    "anthropic": Vendor(
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        ("ANTHROPIC_BASE_URL",),
        wire="anthropic.messages",
        key_header="x-api-key",
    ),
    "google": Vendor(
        "https://generativelanguage.googleapis.com",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
        wire="google.generate",
        key_header="x-goog-api-key",
    ),
    "cerebras": Vendor("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), ("CEREBRAS_BASE_URL",)),
    "deepseek": Vendor("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
    "fireworks": Vendor("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    "groq": Vendor("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "huggingface": Vendor("https://router.huggingface.co/v1", ("HF_TOKEN", "HUGGINGFACE_API_KEY")),
    "mistral": Vendor("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "moonshotai": Vendor("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY")),
    "openrouter": Vendor("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "perplexity": Vendor("https://api.perplexity.ai", ("PERPLEXITY_API_KEY", "PPLX_API_KEY")),
    "together": Vendor("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    "x-ai": Vendor("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "litellm": Vendor(
        "http://127.0.0.1:4000/v1",
        ("LITELLM_PROXY_API_KEY", "LITELLM_API_KEY"),
        ("LITELLM_PROXY_API_BASE",),
        needs_key=False,
    ),
    "llamacpp": Vendor(
        "http://127.0.0.1:8080/v1", ("LLAMA_API_KEY",), ("LLAMACPP_BASE_URL",), needs_key=False
    ),
    "lmstudio": Vendor("http://127.0.0.1:1234/v1", base_url_names=("LMSTUDIO_BASE_URL",), needs_key=False),
    "ollama": Vendor("http://127.0.0.1:11434/v1", ("OLLAMA_API_KEY",), ("OLLAMA_HOST",), needs_key=False),
    "vllm": Vendor("http://127.0.0.1:8000/v1", ("VLLM_API_KEY",), ("VLLM_BASE_URL",), needs_key=False),
    "openai-compatible": Vendor("", needs_key=False),
}

TOKEN_NAMES: Mapping[str, str] = {"azure": "AZURE_OPENAI_AD_TOKEN", "anthropic": "ANTHROPIC_AUTH_TOKEN"}
"""Variables of a bearer token that takes the place of a key."""

KEY_VARIABLES = tuple(
    dict.fromkeys(
        [name for vendor in VENDORS.values() for name in vendor.key_names] + list(TOKEN_NAMES.values())
    )
)
"""Every variable that a credential is read from when no connection says otherwise."""

_WELL_KNOWN = (
    (re.compile(r"(ft:)?(gpt-|chatgpt-|o\d(-|$)|text-embedding-|davinci-|babbage-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
)


def vendor_of_model(model: str) -> str | None:
    """Whose model a bare name is (`gpt-4o` is `openai`'s), or None if the name does not tell."""
    return next((provider for names, provider in _WELL_KNOWN if names.match(model)), None)
