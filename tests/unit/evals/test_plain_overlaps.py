"""Likeness by letters, n-grams and sequences, held against rapidfuzz, sacrebleu and plain definitions."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import distance

from surefoot.errors import InvalidInput
from surefoot.evals import Row, Score
from surefoot.evals.plain import bleu, chrf, corpus_bleu, corpus_chrf, rouge, string_similarity
from surefoot.evals.plain.distances import Distance
from surefoot.evals.plain.stemming import stem
from surefoot.evals.plain.summarizing import Kind, Part, longest_common, overlap

THEIRS: Any = sacrebleu
FEW = ["the", "cat", "cats", "sat", "sitting", "on", "a", "mat", "mats", "quickly", "ran", ",", "."]
WORDS = st.lists(st.sampled_from(FEW), max_size=20)
SENTENCES = WORDS.map(" ".join)
TEXTS = SENTENCES | st.text(max_size=30)
NIGHT = ["the", "pager", "rings", "at", "night", "and", "nobody", "is", "there"]
HUGE = " ".join(random.Random(7).choices(NIGHT, k=20_000))

CLASSES: dict[Distance, Any] = {
    "levenshtein": distance.Levenshtein,
    "osa": distance.OSA,
    "indel": distance.Indel,
    "hamming": distance.Hamming,
    "jaro": distance.Jaro,
    "jaro_winkler": distance.JaroWinkler,
}
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL")
PARTS: tuple[Part, ...] = ("fmeasure", "precision", "recall")
EVERY: dict[str, Callable[[str, str | Sequence[str]], Score]] = {
    **{name: string_similarity(name) for name in CLASSES},
    **{f"{kind}:{part}": rouge(kind, part=part) for kind in KINDS for part in PARTS},
    "bleu": bleu(),
    "chrf": chrf(),
}
SYMMETRIC = ["levenshtein", "osa", "indel", "hamming", "jaro", *(f"{kind}:fmeasure" for kind in KINDS)]


def number(said: Score) -> float:
    assert isinstance(said.value, float)
    return said.value


@given(TEXTS, TEXTS)
@settings(max_examples=60)
def test_all_are_between_0_and_1(left: str, right: str) -> None:
    for name, scorer in EVERY.items():
        assert 0 <= number(scorer(left, right)) <= 1, name


@given(st.lists(st.sampled_from(["cat", "sat", "mat"]), min_size=4, max_size=12).map(" ".join))
@settings(max_examples=40)
def test_a_text_is_most_like_itself(text: str) -> None:
    for name, scorer in EVERY.items():
        assert number(scorer(text, text)) == pytest.approx(1, abs=1e-12), name


@given(TEXTS, TEXTS)
@settings(max_examples=60)
def test_what_is_symmetric_is_symmetric(left: str, right: str) -> None:
    for name in SYMMETRIC:
        assert number(EVERY[name](left, right)) == pytest.approx(number(EVERY[name](right, left)), abs=1e-12)


@given(TEXTS, TEXTS)
@settings(max_examples=60)
def test_distances_are_those_of_rapidfuzz(left: str, right: str) -> None:
    for name, module in CLASSES.items():
        assert number(EVERY[name](left, right)) == pytest.approx(
            module.normalized_similarity(right, left), abs=1e-12
        )


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
@settings(max_examples=80)
def test_bleu_and_chrf_are_those_of_sacrebleu(response: str, expected: list[str]) -> None:
    ours = number(bleu()(response, expected))
    assert ours == pytest.approx(min(sacrebleu.sentence_bleu(response, expected).score / 100, 1), abs=1e-9)
    assert number(chrf()(response, expected)) == pytest.approx(
        sacrebleu.sentence_chrf(response, expected).score / 100, abs=1e-9
    )


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
@settings(max_examples=60)
def test_over_all_cases_they_are_those_of_sacrebleu_too(pairs: list[tuple[str, str]]) -> None:
    said, wanted = [left for left, _ in pairs], [right for _, right in pairs]
    rows = [
        Row(str(at), "r", "completed", {"bleu": bleu()(*pair), "chrf": chrf()(*pair)})
        for at, pair in enumerate(pairs)
    ]
    of_bleu: object = corpus_bleu().scorer(rows=rows)
    of_chrf: object = corpus_chrf().scorer(rows=rows)
    assert isinstance(of_bleu, Score)
    assert isinstance(of_chrf, Score)

    assert number(of_bleu) == pytest.approx(min(THEIRS.corpus_bleu(said, [wanted]).score / 100, 1), abs=1e-9)
    assert number(of_chrf) == pytest.approx(sacrebleu.corpus_chrf(said, [wanted]).score / 100, abs=1e-9)


def test_bleu_of_all_is_no_mean_and_fails_where_cases_failed() -> None:
    pairs = [("the cat sat on the mat", "the cat sat on the mat"), ("a dog", "one dog barks loudly at night")]
    rows = [Row(str(at), "r", "completed", {"bleu": bleu()(*pair)}) for at, pair in enumerate(pairs)]
    said = corpus_bleu().scorer(rows=rows)
    assert isinstance(said, Score)
    mean = sum(number(row.scores["bleu"]) for row in rows) / 2
    assert abs(number(said) - mean) > 0.01
    with pytest.raises(InvalidInput, match="1 of 3 cases have no score"):
        corpus_bleu().scorer(rows=[*rows, Row("f", "r", "failed", failures={"bleu": "it failed"})])
    with pytest.raises(InvalidInput, match="no case has the metric 'chrf'"):
        corpus_chrf().scorer(rows=rows)
    with pytest.raises(InvalidInput, match="has no counts in"):
        corpus_chrf("bleu").scorer(rows=rows)


@pytest.mark.parametrize(
    ("scorer", "answer", "expected", "value"),
    [
        ("levenshtein", "kitten", "sitting", 1 - 3 / 7),
        ("osa", "ab", "ba", 0.5),
        ("indel", "ab", "ba", 0.5),
        ("hamming", "abc", "abd", 2 / 3),
        ("jaro", "", "", 1.0),
        ("levenshtein", "", "abc", 0.0),
        # 3 words of 5 said and of 4 expected.
        ("rouge1:precision", "cats sit on mats here", "the cat sits on", 3 / 5),
        ("rouge1:recall", "cats sit on mats here", "the cat sits on", 3 / 4),
        ("rouge1:fmeasure", "cats sit on mats here", "the cat sits on", 2 / 3),
        ("rouge2:recall", "cats sit on mats here", "the cat sits on", 2 / 3),
        ("rougeL:fmeasure", "on mats cats sit", "cats sit on mats", 0.5),
        ("rouge1:fmeasure", "Москва и Киев", "москва", 0.5),
        ("rougeL:fmeasure", "東京都", "東京", 0.8),
        ("rouge1:fmeasure", "", "", 0.0),
        ("bleu", "", "the cat", 0.0),
        ("bleu", "a", "a", 1.0),
        ("chrf", "", "", 0.0),
    ],
)
def test_by_hand(scorer: str, answer: str, expected: str, value: float) -> None:
    # `cat` is too short to be stemmed, `cats` is not.
    assert number(EVERY[scorer](answer, expected)) == pytest.approx(value, abs=1e-12)


def test_of_several_the_nearest_counts() -> None:
    assert string_similarity()("Oslo", ["Bergen", "Oslo!"]) == Score(0.8, "compared with 'Oslo!'")
    assert number(rouge()("Oslo", ["Bergen", "Oslo"])) == 1


def test_the_numbers_of_ragas_are_given_where_they_are_asked_for() -> None:
    assert number(rouge("rouge1", compat="ragas")("東京", "東京")) == 0
    assert number(
        bleu(compat="ragas")("One two three four. No.", "One two three four. Yes.")
    ) == pytest.approx(1)
    assert number(bleu()("One two three four. No.", "One two three four. Yes.")) < 0.9
    assert number(chrf(compat="ragas")("cat", "cart")) == pytest.approx(number(chrf()("cat", "cart")))
    with pytest.raises(InvalidInput, match="ragas compares with one"):
        bleu(compat="ragas")("a", ["a", "b"])


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_longest_common_subsequence_is_that_of_the_table(left: list[str], right: list[str]) -> None:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left, 1):
        for j, other in enumerate(right, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if one == other else max(table[i - 1][j], table[i][j - 1])
    assert longest_common(left, right) == table[-1][-1]
    assert overlap("rougeL", left, right).recall == (table[-1][-1] / len(right) if right else 0)


# By Porter's paper, by NLTK's deviations from it, and words that meet the edges of the rules.
STEMS = """
caresses caress  ponies poni  ties tie  dies die  cats cat  ss ss  feed feed  agreed agre  plastered
plaster  bled bled  motoring motor  sing sing  conflated conflat  troubled troubl  sized size
hopping hop  tanned tan  falling fall  hissing hiss  fizzed fizz  failing fail  filing file  happy
happi  sky sky  enjoy enjoy  spied spi  died die  by by  relational relat  conditional condit
rational ration  valency valenc  digitizer digit  conformably conform  radically radic  differently
differ  vilely vile  analogously analog  vietnamization vietnam  predication predic  operator oper
feudalism feudal  decisiveness decis  hopefulness hope  callousness callous  formality formal
sensitivity sensit  sensibility sensibl  triplicate triplic  formative form  formalize formal
electricity electr  electrical electr  hopeful hope  goodness good  revival reviv  allowance allow
inference infer  airliner airlin  gyroscopic gyroscop  adjustable adjust  defensible defens
irritant irrit  replacement replac  adjustment adjust  dependent depend  adoption adopt  communism
commun  activate activ  angularity angular  homologous homolog  effective effect  bowdlerize bowdler
probate probat  rate rate  cease ceas  controlling control  rolling roll  news news  innings inning
proceed proceed  skies sky  geology geolog  skillfully skill  yyyy yyyi  fully fulli  abed abe
"""


@pytest.mark.parametrize(("word", "stemmed"), re.findall(r"(\w+) (\w+)", STEMS))
def test_stems(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


@pytest.mark.parametrize("name", EVERY)
def test_huge_texts_are_compared_within_a_second_or_so(name: str) -> None:
    assert len(HUGE) > 100_000
    began = time.process_time()
    assert number(EVERY[name](HUGE, f"{HUGE[:-7]} y")) > 0.9
    assert time.process_time() - began < 10


def test_what_is_no_text_is_refused() -> None:
    for scorer in EVERY.values():
        with pytest.raises(InvalidInput, match="no text"):
            scorer(None, "x")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="a text or a list of texts"):
            scorer("x", {"a": 1})  # type: ignore[arg-type]


def test_names_that_there_are_not_are_refused() -> None:
    with pytest.raises(InvalidInput, match="there is no distance"):
        string_similarity("soundex")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="rouge1, rouge2 or rougeL"):
        rouge("rougeW")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no tokenizer"):
        bleu(tokenize="moses")  # type: ignore[arg-type]
