"""Documents as collections of passages, and the search in them."""

from surefoot.retrieval.chunking import CHUNKING, Chunk, Chunked, chunked
from surefoot.retrieval.collection import Collection, Stored
from surefoot.retrieval.documents import Document
from surefoot.retrieval.embedding import Embedder
from surefoot.retrieval.home import Home, home
from surefoot.retrieval.outline import Block, Outline
from surefoot.retrieval.reading import Format, Reading, decoded, read
from surefoot.retrieval.search import Mode, Passage
from surefoot.retrieval.sentences import Span, sentences

__all__ = [
    "CHUNKING",
    "Block",
    "Chunk",
    "Chunked",
    "Collection",
    "Document",
    "Embedder",
    "Format",
    "Home",
    "Mode",
    "Outline",
    "Passage",
    "Reading",
    "Span",
    "Stored",
    "chunked",
    "decoded",
    "home",
    "read",
    "sentences",
]
