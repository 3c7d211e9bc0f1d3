"""Which format is spoken where."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.errors import ConfigError
from surefoot.models.generating.asking import Wire
from surefoot.models.wires.anthropic import AnthropicMessages
from surefoot.models.wires.embeddings import EmbeddingWire, GoogleEmbeddings, OpenAIEmbeddings
from surefoot.models.wires.google import GoogleGenerate
from surefoot.models.wires.openai_chat import OpenAIChat
from surefoot.models.wires.openai_responses import OpenAIResponses

_WIRES: Mapping[str, Wire] = {
    "openai.chat": OpenAIChat(),
    "azure.chat": OpenAIChat(),
    "openai.responses": OpenAIResponses(),
    "anthropic.messages": AnthropicMessages(),
    "google.generate": GoogleGenerate(),
}
# Of the servers that speak chat completions, those that know the limit of tokens by its new name.
_RENAMED = frozenset({"openai", "azure"})
_OTHERS = OpenAIChat(limit="max_tokens", lacks=frozenset())
# Azure knows it since this version of its interface.
_RENAMED_SINCE = "2024-09-01"
_BEFORE = OpenAIChat(limit="max_tokens")

# What a prompt of the newest dialect leaves open its own library fills in so, or leaves to the provider.
_AS_PROMPTY: Mapping[str, Wire] = {
    "openai.responses": OpenAIResponses(store=None, is_instructed=True),
    "anthropic.messages": AnthropicMessages(limit=4096),
}


def wire_of(name: str, provider: str, *, dialect: str = "", version: str = "") -> Wire:
    """The format of that name, as `provider` speaks it. Raises `ConfigError`.

    dialect: that of the prompt file which says what is asked for, where one does.
    version: of the provider's interface, where one is asked for.
    """
    if name == "openai.chat" and provider not in _RENAMED:
        return _OTHERS
    if name == "azure.chat" and version and version < _RENAMED_SINCE:
        return _BEFORE
    if dialect == "prompty-v2" and name in _AS_PROMPTY:
        return _AS_PROMPTY[name]
    wire = _WIRES.get(name)
    if wire is None:
        raise ConfigError(
            f"{provider} speaks {name!r}, which `generate` does not know; it knows {', '.join(_WIRES)}"
        )
    return wire


def embedding_wire_of(name: str, *, dialect: str = "") -> EmbeddingWire | None:
    """The format for embeddings beside the one of that name; None where the provider has none (Anthropic)."""
    match name:
        case "openai.chat" | "openai.responses" | "azure.chat" if dialect == "prompty-v2":
            return OpenAIEmbeddings(encoding=None, is_bare=True)
        case "google.generate":
            return GoogleEmbeddings()
        case "openai.chat" | "openai.responses" | "azure.chat":
            return OpenAIEmbeddings()
        case _:
            return None
