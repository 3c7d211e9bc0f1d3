"""Embeddings: how each provider is asked for the vectors of texts, and how they are read."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast
from urllib.parse import quote

from surefoot.models.wires.fields import answer_of, given, items, place
from surefoot.values import Json

Vector = tuple[float, ...]


class EmbeddingWire(Protocol):
    """A provider's format for embeddings."""

    @property
    def operation(self) -> str:
        """The name of the operation, as in `operations.OPERATIONS`."""
        ...

    @property
    def most(self) -> int:
        """How many texts one request may have."""
        ...

    def path(self, model: str) -> str:
        """Where it is sent to, below the endpoint's base URL."""
        ...

    def body(self, texts: Sequence[str], model: str, *, dimensions: int | None = None) -> dict[str, Json]:
        """The request for the vectors of `texts`; without `dimensions` they are as long as the model makes them."""
        ...

    def read(self, body: Mapping[str, Json], *, count: int) -> tuple[Vector, ...]:
        """The vectors of the `count` texts, in their order and all of one length. Raises `ValueError`."""
        ...


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    """`base64` is a third of the bytes of `float` and exact; a few servers have only `float`. Both are read.

    `encoding` may be left to the provider (None). `is_bare`: one text is sent by itself, and not as a list of one.
    """

    encoding: Literal["base64", "float"] | None = "base64"
    is_bare: bool = False
    operation: str = "openai.embeddings"
    most: int = 2048

    def path(self, model: str) -> str:  # noqa: ARG002  (the model is in the body)
        return "/embeddings"

    def body(self, texts: Sequence[str], model: str, *, dimensions: int | None = None) -> dict[str, Json]:
        asked: dict[str, Json] = {"model": model, "input": list(texts)}
        if self.is_bare and len(texts) == 1:
            asked["input"] = texts[0]
        return asked | given({"encoding_format": self.encoding, "dimensions": dimensions})

    def read(self, body: Mapping[str, Json], *, count: int) -> tuple[Vector, ...]:
        found = items(answer_of(body), "data")
        placed = {place(one, "index", at): one.get("embedding") for at, one in enumerate(found)}
        if sorted(placed) != list(range(count)) or len(found) != count:
            raise ValueError(
                f"the answer has {len(found)} embeddings for {count} texts, or numbers them wrongly"
            )
        return _checked([_vector(placed[index], index) for index in range(count)])


@dataclass(frozen=True, slots=True)
class GoogleEmbeddings:
    """Gemini's `batchEmbedContents`. `task` is what the vectors are for, such as `RETRIEVAL_QUERY`."""

    task: str = ""
    operation: str = "google.embeddings"
    most: int = 100

    def path(self, model: str) -> str:
        return f"/{_resource(model)}:batchEmbedContents"

    def body(self, texts: Sequence[str], model: str, *, dimensions: int | None = None) -> dict[str, Json]:
        settings = given({"taskType": self.task or None, "outputDimensionality": dimensions})
        requests: list[Json] = [
            {"model": _resource(model), "content": {"parts": [{"text": text}]}, **settings} for text in texts
        ]
        return {"requests": requests}

    def read(self, body: Mapping[str, Json], *, count: int) -> tuple[Vector, ...]:
        found = items(answer_of(body), "embeddings")
        if len(found) != count:
            raise ValueError(f"the answer has {len(found)} embeddings for {count} texts")
        return _checked([_vector(one.get("values"), index) for index, one in enumerate(found)])


def _resource(model: str) -> str:
    return quote(model if "/" in model else f"models/{model}", safe="/")


def _vector(found: Json, index: int) -> Vector:
    if isinstance(found, str):
        try:
            packed = base64.b64decode(found, validate=True)
            return struct.unpack(f"<{len(packed) // 4}f", packed)
        except (binascii.Error, ValueError, struct.error) as error:
            raise ValueError(f"embedding {index} is no base64 of 4-byte floats ({error})") from None
    if not isinstance(found, list) or not all(type(one) in (int, float) for one in found):
        raise ValueError(f"embedding {index} is no list of numbers")
    try:
        return tuple(float(one) for one in cast("list[float]", found))
    except OverflowError:
        raise ValueError(f"embedding {index} has a number that no float holds") from None


def _checked(vectors: list[Vector]) -> tuple[Vector, ...]:
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"the embeddings of the answer have these lengths: {sorted(lengths)}")
    return tuple(vectors)
