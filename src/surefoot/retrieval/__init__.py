"""Documents as collections of passages, and the search in them."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.retrieval.chunking import CHUNKING as CHUNKING
    from surefoot.retrieval.chunking import Chunk as Chunk
    from surefoot.retrieval.chunking import Chunked as Chunked
    from surefoot.retrieval.chunking import chunked as chunked
    from surefoot.retrieval.collection import Collection as Collection
    from surefoot.retrieval.collection import Stored as Stored
    from surefoot.retrieval.documents import Document as Document
    from surefoot.retrieval.embedding import Embedder as Embedder
    from surefoot.retrieval.home import Home as Home
    from surefoot.retrieval.home import home as home
    from surefoot.retrieval.outline import Block as Block
    from surefoot.retrieval.outline import Outline as Outline
    from surefoot.retrieval.reading import Format as Format
    from surefoot.retrieval.reading import Reading as Reading
    from surefoot.retrieval.reading import decoded as decoded
    from surefoot.retrieval.reading import read as read
    from surefoot.retrieval.search import Mode as Mode
    from surefoot.retrieval.search import Passage as Passage
    from surefoot.retrieval.sentences import Span as Span
    from surefoot.retrieval.sentences import sentences as sentences
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "chunking": ["CHUNKING", "Chunk", "Chunked", "chunked"],
            "collection": ["Collection", "Stored"],
            "documents": ["Document"],
            "embedding": ["Embedder"],
            "home": ["Home", "home"],
            "outline": ["Block", "Outline"],
            "reading": ["Format", "Reading", "decoded", "read"],
            "search": ["Mode", "Passage"],
            "sentences": ["Span", "sentences"],
        },
    )
