"""Vectors of texts: what is asked, and what is taken for an answer."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.wires import GoogleEmbeddings, OpenAIEmbeddings


def coded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_the_requests() -> None:
    assert OpenAIEmbeddings().body(["a", "b"], "m", dimensions=64) == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 64,
    }
    assert "dimensions" not in OpenAIEmbeddings().body(["a"], "m")
    google = GoogleEmbeddings("RETRIEVAL_QUERY")
    assert google.path("gemini-embedding-001") == "/models/gemini-embedding-001:batchEmbedContents"
    assert google.body(["a"], "gemini-embedding-001", dimensions=64) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": "a"}]},
                "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": 64,
            }
        ]
    }


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3), max_size=4), st.randoms()
)
def test_vectors_come_in_the_order_of_the_texts(vectors: list[list[float]], random: Any) -> None:
    data = [
        {"index": index, "embedding": coded(*vector) if index % 2 else vector}
        for index, vector in enumerate(vectors)
    ]
    random.shuffle(data)
    wanted = tuple(tuple(vector) for vector in vectors)
    assert OpenAIEmbeddings().read({"data": data}, count=len(vectors)) == wanted
    embeddings: Any = [{"values": vector} for vector in vectors]
    assert GoogleEmbeddings().read({"embeddings": embeddings}, count=len(vectors)) == wanted


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([{"index": 0, "embedding": [1.0]}], "1 embeddings for 2 texts"),
        ([{"index": 0, "embedding": [1.0]}] * 2, "numbers them wrongly"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 5, "embedding": [1.0]}], "numbers them wrongly"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}], r"lengths: \[1, 2\]"),
        ([{"embedding": []}, {"embedding": []}], r"lengths: \[0\]"),
        ([{"embedding": [1.0]}, {"embedding": ["1"]}], "embedding 1 is no list of numbers"),
        ([{"embedding": [1.0]}, {"embedding": [True]}], "embedding 1 is no list of numbers"),
        ([{"embedding": [1.0]}, {"embedding": [10**400]}], "no float holds"),
        ([{"embedding": "AAAA!"}, {"embedding": [1.0]}], "embedding 0 is no base64"),
        ([{"embedding": "AAAAAAA="}, {"embedding": [1.0]}], "embedding 0 is no base64"),
        (None, "0 embeddings for 2 texts"),
    ],
)
def test_what_is_no_answer(data: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OpenAIEmbeddings().read({"data": data}, count=2)


def test_an_error_is_no_answer() -> None:
    with pytest.raises(ValueError, match="is an error: busy"):
        GoogleEmbeddings().read({"error": {"message": "busy"}}, count=1)
    with pytest.raises(ValueError, match="0 embeddings for 1 texts"):
        GoogleEmbeddings().read({}, count=1)
