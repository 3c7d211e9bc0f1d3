"""Search with the embedder that ships: meaning is found where no word is shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import MissingExtra
from surefoot.models.local import MiniLM
from surefoot.retrieval import Collection, Home

PAGES = {
    "pets.md": "# Animals\n\n## Dogs\nA puppy needs a walk twice a day.\n\n"
    "## Cats\nKittens sleep for sixteen hours.",
    "cars.md": "# Vehicles\n\nThe lorry is refuelled every evening. Tyres are changed in October.",
}


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    embedder = MiniLM()
    try:
        embedder.embed(["x"])
    except MissingExtra as error:
        pytest.skip(f"no weights: {error}")
    collection = Collection.at(Home(Path(tmp_path_factory.mktemp("minilm")), embedder), "c", create=True)
    for document, text in PAGES.items():
        collection.put(document, text.encode())
    return collection


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How often should my young hound go outside?", "A puppy needs a walk twice a day."),
        ("How long do baby felines rest?", "Kittens sleep for sixteen hours."),
        ("When does the truck get diesel?", "The lorry is refuelled every evening."),
    ],
)
def test_a_question_in_other_words_finds_its_answer(animals: Collection, question: str, answer: str) -> None:
    assert animals.search(question, mode="text") == []
    assert answer in animals.search(question, top=1)[0].text
    assert animals.best_sentences(question, top=1)[0].text == answer


def test_what_is_not_answered_scores_lower_than_what_is(animals: Collection) -> None:
    asked = animals.best_sentences("How long do kittens sleep?", top=1)[0].cosine
    assert animals.best_sentences("Who won the chess championship?", top=1)[0].cosine < 0.3 < asked
