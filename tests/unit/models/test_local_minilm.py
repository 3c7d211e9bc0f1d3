"""Embeddings with the real weights: meaning, shape, order, and that a text's vector is its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from surefoot.models.local import MiniLM

TEXTS = [
    "How long are invoices kept?",
    "Invoices are archived for ten years.",
    "Bananas ripen faster in a paper bag.",
    "",
    "Wie lange werden Rechnungen aufbewahrt? 日本語 🙂",
    "word " * 180,
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def test_vectors_are_unit_float32_rows_one_per_text(minilm: MiniLM) -> None:
    vectors = minilm.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), minilm.dimensions) == (6, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert minilm.embed([]).shape == (0, 384)


def test_what_means_the_same_is_near_and_what_does_not_is_far(minilm: MiniLM) -> None:
    question, answer, other = minilm.embed(TEXTS[:3])
    assert question @ answer > 0.5
    assert question @ other < 0.15


def test_a_vector_does_not_depend_on_its_neighbours_or_their_order(minilm: MiniLM) -> None:
    together = minilm.embed(TEXTS)
    alone = np.concatenate([minilm.embed([text]) for text in TEXTS])
    backwards = minilm.embed(TEXTS[::-1])[::-1]
    assert together.tobytes() == alone.tobytes() == backwards.tobytes()


def test_another_object_and_many_threads_give_the_same_vectors(minilm: MiniLM) -> None:
    expected = minilm.embed(TEXTS).tobytes()
    fresh = MiniLM()
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: fresh.embed(TEXTS).tobytes(), range(8)))
    assert set(results) == {expected}


def test_what_lies_beyond_the_limit_is_not_seen(minilm: MiniLM) -> None:
    seen = "alpha " * (minilm.max_tokens - 2)
    longer, exact, shorter = minilm.embed([seen + "omega", seen, seen.removesuffix("alpha ") + "omega"])
    assert longer.tobytes() == exact.tobytes()
    assert shorter.tobytes() != exact.tobytes()


def test_a_lone_surrogate_is_embedded_as_a_question_mark(minilm: MiniLM) -> None:
    broken, marked = minilm.embed(["caf\udce9", "caf?"])
    assert broken.tobytes() == marked.tobytes()
