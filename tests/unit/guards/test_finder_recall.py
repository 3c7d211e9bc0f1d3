"""What share of secrets and personal data is found, and how much of ordinary text is taken for either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import planted
from planted import Sample
from surefoot.guards.privacy import KINDS, Finder

ROUNDS = 20


def missed(samples: Callable[[Random], list[Sample]]) -> tuple[Counter[str], Counter[str], list[Sample]]:
    find = Finder(personal=KINDS)
    asked: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    examples: list[Sample] = []
    for seed in range(ROUNDS):
        for sample in samples(Random(seed)):
            asked[sample.kind] += 1
            redacted = find.redacted(f"Before it, words. {sample.text} And words behind it.")
            if redacted is None or sample.value in redacted or sample.value[:-2] in redacted:
                lost[sample.kind] += 1
                examples.append(sample)
    return asked, lost, examples


@pytest.mark.parametrize(("samples", "least"), [(planted.secrets, 0.98), (planted.people, 0.97)])
def test_nearly_all_are_found(samples: Callable[[Random], list[Sample]], least: float) -> None:
    asked, lost, examples = missed(samples)
    recall = 1 - lost.total() / asked.total()
    assert recall >= least, (recall, lost.most_common(8), examples[:8])
    # No kind is left out for the others' sake.
    assert all(lost[kind] <= 0.25 * count for kind, count in asked.items()), lost


def test_hardly_any_ordinary_text_is_taken_for_a_secret() -> None:
    root = Path(__file__).parents[3]
    texts = [
        text[start : start + 400]
        for file in sorted([*root.glob("docs/guide/*.md"), *root.glob("src/surefoot/**/*.py")])
        for text in [file.read_text(encoding="utf-8")]
        for start in range(0, len(text), 2000)
    ]
    find = Finder(personal=KINDS)
    flagged = [text for text in texts if any(found.is_secret for found in find.found(text))]
    assert len(flagged) <= 0.01 * len(texts), flagged[:5]
