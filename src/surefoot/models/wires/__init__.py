"""How each provider writes a request and an answer."""

from surefoot.models.wires.anthropic import AnthropicMessages
from surefoot.models.wires.embeddings import EmbeddingWire, GoogleEmbeddings, OpenAIEmbeddings
from surefoot.models.wires.google import GoogleGenerate
from surefoot.models.wires.images import OpenAIImages
from surefoot.models.wires.known import embedding_wire_of, wire_of
from surefoot.models.wires.openai_chat import OpenAIChat
from surefoot.models.wires.openai_responses import OpenAIResponses
from surefoot.models.wires.writing import Written, written

__all__ = [
    "AnthropicMessages",
    "EmbeddingWire",
    "GoogleEmbeddings",
    "GoogleGenerate",
    "OpenAIChat",
    "OpenAIEmbeddings",
    "OpenAIImages",
    "OpenAIResponses",
    "Written",
    "embedding_wire_of",
    "wire_of",
    "written",
]
