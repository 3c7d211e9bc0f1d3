"""How each provider writes a request and an answer."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.models.wires.anthropic import AnthropicMessages as AnthropicMessages
    from surefoot.models.wires.embeddings import EmbeddingWire as EmbeddingWire
    from surefoot.models.wires.embeddings import GoogleEmbeddings as GoogleEmbeddings
    from surefoot.models.wires.embeddings import OpenAIEmbeddings as OpenAIEmbeddings
    from surefoot.models.wires.google import GoogleGenerate as GoogleGenerate
    from surefoot.models.wires.images import OpenAIImages as OpenAIImages
    from surefoot.models.wires.known import embedding_wire_of as embedding_wire_of
    from surefoot.models.wires.known import wire_of as wire_of
    from surefoot.models.wires.openai_chat import OpenAIChat as OpenAIChat
    from surefoot.models.wires.openai_responses import OpenAIResponses as OpenAIResponses
    from surefoot.models.wires.writing import Written as Written
    from surefoot.models.wires.writing import written as written
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "anthropic": ["AnthropicMessages"],
            "embeddings": ["EmbeddingWire", "GoogleEmbeddings", "OpenAIEmbeddings"],
            "google": ["GoogleGenerate"],
            "images": ["OpenAIImages"],
            "known": ["embedding_wire_of", "wire_of"],
            "openai_chat": ["OpenAIChat"],
            "openai_responses": ["OpenAIResponses"],
            "writing": ["Written", "written"],
        },
    )
