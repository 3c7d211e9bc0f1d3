"""Documents as collections of passages, and the search in them."""

from surefoot.retrieval.chunking import CHUNKING, Chunk, Chunked, Format, chunked
from surefoot.retrieval.collection import Collection, Stored, decoded
from surefoot.retrieval.documents import Document
from surefoot.retrieval.embedding import Embedder
from surefoot.retrieval.home import Home, home
from surefoot.retrieval.search import Mode, Passage
from surefoot.retrieval.sentences import Span, sentences

__all__ = [
    "CHUNKING",
    "Chunk",
    "Chunked",
    "Collection",
    "Document",
    "Embedder",
    "Format",
    "Home",
    "Mode",
    "Passage",
    "Span",
    "Stored",
    "chunked",
    "decoded",
    "home",
    "sentences",
]
