"""How each provider writes a request and an answer."""

from __future__ import annotations

from surefoot.errors import ConfigError
from surefoot.models.asking import Wire
from surefoot.models.wires.openai_chat import OpenAIChat

_CHAT = OpenAIChat()
_OTHERS_CHAT = OpenAIChat("max_tokens")


def wire_of(name: str, provider: str) -> Wire:
    """The format of that name, as `provider` speaks it. Raises `ConfigError`."""
    match name:
        case "openai.chat" | "azure.chat":
            return _CHAT if provider in ("openai", "azure") else _OTHERS_CHAT
        case _:
            raise ConfigError(f"{provider} speaks {name!r}, which `generate` does not know")


__all__ = ["OpenAIChat", "wire_of"]
