"""Embeddings out of a script: vectors as the providers write them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import cast

from surefoot.errors import UsageError
from surefoot.models.fakes.requests import ModelRequest
from surefoot.values import Json, Usage


def is_embedding(entry: object) -> bool:
    """Whether an entry is one vector: a list of numbers."""
    return (
        isinstance(entry, Sequence)
        and not isinstance(entry, str)
        and bool(cast("Sequence[object]", entry))
        and all(
            isinstance(one, int | float) and not isinstance(one, bool)
            for one in cast("Sequence[object]", entry)
        )
    )


def embedded(asked: ModelRequest, entry: object, *, usage: Usage) -> Mapping[str, Json]:
    """The answer to a request for embeddings; an entry is a vector for each of the texts, or one for the only text.

    Raises `UsageError` where it is none, or where there are more or fewer vectors than texts.
    """
    vectors = [entry] if is_embedding(entry) else entry
    texts = max(1, len(asked.messages))
    if not (
        isinstance(vectors, Sequence)
        and vectors
        and all(map(is_embedding, cast("Sequence[object]", vectors)))
    ):
        raise UsageError(
            f"{asked} asks for embeddings, and the script answers with a {type(entry).__name__}: give a list of "
            "numbers, or a list of such lists for several texts"
        )
    given = [[float(one) for one in vector] for vector in cast("Sequence[Sequence[float]]", vectors)]
    is_batch = asked.path.endswith(":batchEmbedContents")
    if asked.operation.startswith("google."):
        values: list[Json] = [{"values": cast("Json", vector)} for vector in given]
        return {"embeddings": values} if is_batch else {"embedding": values[0]}
    if len(given) != texts:
        raise UsageError(
            f"{asked} asks for the embeddings of {texts} texts, and the script gives {len(given)}"
        )
    is_packed = asked.body.get("encoding_format") == "base64"
    return {
        "object": "list",
        "model": asked.model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if is_packed else cast("Json", vector),
            }
            for index, vector in enumerate(given)
        ],
        "usage": {"prompt_tokens": usage.input, "total_tokens": usage.input},
    }


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
