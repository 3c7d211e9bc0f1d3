"""How each provider writes a request and an answer."""

from surefoot.models.wires.openai_chat import OpenAIChat

__all__ = ["OpenAIChat"]
